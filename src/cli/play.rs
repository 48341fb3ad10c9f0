//! `backline play SCORE --to ADDR`: a score, performed on a running engine over OSC.
//!
//! In:  a score (`osc::score`) and the engine's address.
//! Out: one time-tagged bundle for each instant, sent a moment ahead so that the engine plays it to the sample;
//!      and an account of every answer.
//! Thread: of a command-line program; it blocks until the last event was answered.
//! Refused: a score with a faulty line, before anything sounds.

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rosc::{OscBundle, OscMessage, OscPacket, OscTime};

use super::args::PlayArgs;
use super::exit::Exit;
use super::send::unanswered;
use crate::command::{Arg, Reply};
use crate::osc::client::DEFAULT_PATIENCE;
use crate::osc::score::{self, ScoreError};
use crate::osc::{Client, ClientError, parse_reply, text};

/// How long before its time an event is sent: many times what the way to the engine takes, and short enough
/// that Ctrl-C leaves little behind.
const AHEAD: Duration = Duration::from_millis(100);
/// Messages in one bundle: far below what a datagram holds, whatever they say.
const MESSAGES_A_BUNDLE: usize = 16;
/// From 1900, where OSC's time counts from, to 1970.
const NTP_TO_UNIX_S: u64 = (70 * 365 + 17) * 86_400;
/// Larger than any answer.
const MAX_DATAGRAM_BYTES: usize = 65_536;

/// Why a score could not be performed.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The file cannot be read.
    #[error("cannot read the score {}; check its name", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The score has a faulty line.
    #[error("{} was not played", path.display())]
    Score {
        /// The file.
        path: PathBuf,
        /// Which line, and why.
        #[source]
        cause: Box<ScoreError>,
    },
    /// There is no engine to play it on.
    #[error("the score was not played")]
    Engine(#[source] ClientError),
    /// The network failed on the way.
    #[error("cannot reach the engine at {engine} any more; see whether it still runs: backline status")]
    Socket {
        /// The engine.
        engine: SocketAddr,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

/// How a performance went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Played {
    /// Commands sent.
    pub sent: usize,
    /// Commands answered with success.
    pub done: usize,
    /// Reasons of the commands that were refused, as `ADDRESS: reason`.
    pub refused: Vec<String>,
    /// Addresses of the commands that were never answered.
    pub unanswered: Vec<String>,
    /// Events the engine got too late to be in time.
    pub late: usize,
}

impl Played {
    /// True if every command was carried out.
    pub fn is_success(&self) -> bool {
        self.refused.is_empty() && self.unanswered.is_empty()
    }
}

/// A moment of a score and what happens in it.
type Moment = (Duration, Vec<OscMessage>);

/// Plays the score on the engine and says how it went; a failure if anything was refused or never answered.
pub fn run(args: &PlayArgs) -> anyhow::Result<Exit> {
    let played = match play(&args.score, args.to) {
        Err(PlayError::Engine(cause)) => return unanswered(cause),
        outcome => outcome?,
    };
    played.refused.iter().for_each(|refusal| eprintln!("backline: refused: {refusal}"));
    played.unanswered.iter().for_each(|address| eprintln!("backline: never answered: {address}"));
    let late = if played.late > 0 { format!(", {} late", played.late) } else { String::new() };
    writeln!(std::io::stdout(), "{} of {} commands done{late}", played.done, played.sent)?;
    Ok(if played.is_success() { Exit::Success } else { Exit::Failure })
}

/// Performs the score in `path` on the engine at `engine`; returns when its last event was answered.
pub fn play(path: &Path, engine: SocketAddr) -> Result<Played, PlayError> {
    let text =
        std::fs::read_to_string(path).map_err(|cause| PlayError::Read { path: path.to_owned(), cause })?;
    let score =
        moments(&text).map_err(|cause| PlayError::Score { path: path.to_owned(), cause: Box::new(cause) })?;
    greet(engine).map_err(PlayError::Engine)?;
    let mut stage = Stage::connect(engine).map_err(|cause| PlayError::Socket { engine, cause })?;
    stage.perform(&score).map_err(|cause| PlayError::Socket { engine, cause })?;
    Ok(stage.account())
}

/// Makes sure that somebody listens before the first note.
fn greet(engine: SocketAddr) -> Result<(), ClientError> {
    let hello = OscMessage { addr: "/version".to_owned(), args: Vec::new() };
    Client::connect(engine)?.ask(hello, DEFAULT_PATIENCE).map(|_| ())
}

/// The score as messages, in order of time, those of one instant together.
fn moments(score: &str) -> Result<Vec<Moment>, ScoreError> {
    // Judged as a whole first, by the same rules as in `backline render --score`; so the lines below are sound.
    score::parse(score)?;
    let mut events: Vec<(f64, OscMessage)> = score.lines().filter_map(event).collect();
    events.sort_by(|(earlier_s, _), (later_s, _)| earlier_s.total_cmp(later_s));
    let mut moments: Vec<Moment> = Vec::new();
    for (time_s, message) in events {
        let time = Duration::from_secs_f64(time_s);
        match moments.last_mut() {
            Some((last, messages)) if *last == time && messages.len() < MESSAGES_A_BUNDLE => {
                messages.push(message);
            }
            _ => moments.push((time, vec![message])),
        }
    }
    Ok(moments)
}

fn event(line: &str) -> Option<(f64, OscMessage)> {
    let mut words = text::split(line).ok()?.into_iter();
    let time_s = words.next()?.text.parse().ok()?;
    Some((time_s, text::spoken(words.collect()).ok()?))
}

/// The socket of a performance, and what was said through it.
struct Stage {
    socket: UdpSocket,
    engine: SocketAddr,
    played: Played,
    /// Commands that have no answer yet, by address.
    open: HashMap<String, usize>,
}

impl Stage {
    fn connect(engine: SocketAddr) -> std::io::Result<Self> {
        let any: SocketAddr = if engine.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        Ok(Self { socket, engine, played: Played::default(), open: HashMap::new() })
    }

    fn perform(&mut self, score: &[Moment]) -> std::io::Result<()> {
        let (start, wall_start) = (Instant::now() + AHEAD, SystemTime::now() + AHEAD);
        for (time, messages) in score {
            self.listen_until(start + *time - AHEAD)?;
            self.send(time_tag(wall_start + *time), messages)?;
        }
        let end = score.last().map_or(start, |(time, _)| start + *time);
        self.listen_while_open(end + DEFAULT_PATIENCE)
    }

    fn send(&mut self, timetag: OscTime, messages: &[OscMessage]) -> std::io::Result<()> {
        for message in messages {
            self.played.sent += 1;
            *self.open.entry(message.addr.clone()).or_default() += 1;
        }
        let content = messages.iter().cloned().map(OscPacket::Message).collect();
        let bundle = OscPacket::Bundle(OscBundle { timetag, content });
        let mut bytes = Vec::with_capacity(256);
        // Writing to a Vec cannot fail: its error type has no values.
        let Ok(_) = rosc::encoder::encode_into(&bundle, &mut bytes);
        self.socket.send_to(&bytes, self.engine).map(|_| ())
    }

    fn listen_until(&mut self, until: Instant) -> std::io::Result<()> {
        while self.listen_once(until)? {}
        Ok(())
    }

    fn listen_while_open(&mut self, until: Instant) -> std::io::Result<()> {
        while !self.open.is_empty() && self.listen_once(until)? {}
        Ok(())
    }

    /// Takes one answer; false when the time is over.
    fn listen_once(&mut self, until: Instant) -> std::io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut buffer = [0; MAX_DATAGRAM_BYTES];
        match self.socket.recv_from(&mut buffer) {
            Ok((bytes, from)) if from == self.engine => {
                if let Some(reply) = parse_reply(&buffer[..bytes]) {
                    self.note(reply);
                }
                Ok(true)
            }
            Ok(_) => Ok(true),
            Err(cause) if is_passing(&cause) => Ok(true),
            Err(cause) => Err(cause),
        }
    }

    fn note(&mut self, reply: Reply) {
        let mut words = reply.args.iter().map(shown);
        match (reply.address.as_str(), words.next()) {
            ("/done", Some(about)) => {
                self.played.done += 1;
                self.close(&about);
            }
            ("/fail", Some(about)) => {
                let reason = words.next().unwrap_or_default();
                self.played.refused.push(format!("{about}: {reason}"));
                self.close(&about);
            }
            ("/synced", _) => {
                self.played.done += 1;
                self.close("/sync");
            }
            ("/late", _) => self.played.late += 1,
            (address, _) => {
                if let Some(about) =
                    address.strip_suffix(".reply").filter(|about| self.open.contains_key(*about))
                {
                    self.played.done += 1;
                    self.close(about);
                }
            }
        }
    }

    /// One command to this address has its answer; `/cmd` is answered as the command it holds.
    fn close(&mut self, about: &str) {
        let address = if self.open.contains_key(about) { about } else { "/cmd" };
        if let Some(count) = self.open.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(address);
            }
        }
    }

    fn account(mut self) -> Played {
        let unanswered = self.open.iter().flat_map(|(address, count)| vec![address.clone(); *count]);
        self.played.unanswered = unanswered.collect();
        self.played.unanswered.sort();
        self.played
    }
}

/// Time is up or a signal came: the deadline decides.
fn is_passing(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn shown(arg: &Arg) -> String {
    match arg {
        Arg::Int(number) => number.to_string(),
        Arg::Float(number) => number.to_string(),
        Arg::Double(number) => number.to_string(),
        Arg::Text(text) => text.clone(),
    }
}

/// An instant of the wall clock as OSC writes it; its seconds begin anew in 2036, as the format says.
fn time_tag(instant: SystemTime) -> OscTime {
    let since_1970 = instant.duration_since(UNIX_EPOCH).unwrap_or_default();
    let fractional = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    OscTime { seconds: (since_1970.as_secs() + NTP_TO_UNIX_S) as u32, fractional: fractional as u32 }
}

#[cfg(test)]
#[path = "play_tests.rs"]
mod tests;
