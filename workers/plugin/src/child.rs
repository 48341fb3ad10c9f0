//! One child process and what it tells, whatever happens to it.
//!
//! In:  a [`Trial`]. Out: an [`Account`]: the words it got out, and the accident that ended it, if one did.
//! Thread: the scanner's, which waits here; a child that says nothing for the time limit is killed, with all it
//!      has started (it leads a process group of its own), and so is one that talks too much.

use crate::host::Format;
use crate::report::Word;
use crate::trial::{Trial, Wanted};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The most a child may tell; the largest file of Debian's needs a fifth of it.
const MAX_BYTES: usize = 4 << 20;

/// What came of a trial.
pub struct Account {
    /// Everything it said, in order, up to [`Word::Done`].
    pub words: Vec<Word>,
    /// How it ended, unless it ended as it should.
    pub accident: Option<String>,
}

/// Runs `trial` in a process of its own, started from `program`.
pub fn run(program: &Path, trial: &Trial, limit: Duration) -> io::Result<Account> {
    let mut child = command(program, trial).spawn()?;
    let output = child.stdout.take().map(OwnedFd::from).ok_or(io::ErrorKind::BrokenPipe)?;
    let group = Pid::from_child(&child);
    let ended = pidfd_open(group, PidfdFlags::empty())?;
    let mut listener =
        Listener { output: File::from(output), unread: Vec::new(), words: Vec::new(), heard: 0 };
    let ending = listener.listen(&ended, limit);
    // It has not been waited for, so its number is still its own. What it started goes with it, and so does a child
    // that has left its group; either may be gone already.
    let _group_is_gone = kill_process_group(group, Signal::KILL);
    let _child_is_gone = child.kill();
    let status = child.wait()?;
    let accident = match ending? {
        Ending::Done => None,
        Ending::Ended => Some(of_status(status)),
        Ending::TooSlow => Some(format!("it gave no answer for {} s", limit.as_secs_f32())),
        Ending::TooMuch => Some(format!("it said more than {} MiB", MAX_BYTES >> 20)),
        Ending::Nonsense => Some("it said what makes no sense".to_owned()),
    };
    Ok(Account { words: listener.words, accident })
}

fn command(program: &Path, trial: &Trial) -> Command {
    let mut command = Command::new(program);
    command.arg("--scan-one").arg(trial.format.prefix()).arg(&trial.origin);
    command.arg(std::process::id().to_string()).arg(trial.rate_hz.to_string());
    match &trial.wanted {
        Wanted::Names => command.arg("names"),
        Wanted::AllFrom(first) => command.arg("from").arg(first.to_string()),
        Wanted::Only(name) => command.arg("only").arg(name),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    command
}

/// What follows `--scan-one`: the trial, and the process number of the parent.
pub fn parse(arguments: &[String]) -> Option<(Trial, u32)> {
    let [format, origin, parent, rate_hz, wanted @ ..] = arguments else { return None };
    let wanted = match wanted {
        [word] if word == "names" => Wanted::Names,
        [word, first] if word == "from" => Wanted::AllFrom(first.parse().ok()?),
        [word, name] if word == "only" => Wanted::Only(name.clone()),
        _ => return None,
    };
    let format: Format = format.parse().ok()?;
    let (rate_hz, parent) = (rate_hz.parse().ok()?, parent.parse().ok()?);
    Some((Trial { format, origin: origin.into(), wanted, rate_hz }, parent))
}

enum Ending {
    /// It said that it has said all.
    Done,
    /// Its process is gone, or has closed its output and gone after that.
    Ended,
    TooSlow,
    TooMuch,
    Nonsense,
}

struct Listener {
    output: File,
    unread: Vec<u8>,
    words: Vec<Word>,
    heard: usize,
}

impl Listener {
    /// Hears words until one of them is the last, or there are none for `limit`.
    fn listen(&mut self, ended: &OwnedFd, limit: Duration) -> io::Result<Ending> {
        let mut deadline = Instant::now() + limit;
        let mut is_open = true;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Ending::TooSlow);
            }
            let (has_news, is_gone) = wait(is_open.then_some(&self.output), ended, left)?;
            if has_news {
                let before = self.words.len();
                let (still_open, ending) = self.hear()?;
                is_open = still_open;
                if let Some(ending) = ending {
                    return Ok(ending);
                }
                if self.words.len() > before {
                    deadline = Instant::now() + limit;
                }
            } else if is_gone {
                // Everything it wrote before it went has been read.
                return Ok(Ending::Ended);
            }
        }
    }

    /// Reads what is there: whether there can be more, and whether that was enough.
    fn hear(&mut self) -> io::Result<(bool, Option<Ending>)> {
        let mut buffer = [0; 16 << 10];
        let count = self.output.read(&mut buffer)?;
        self.heard += count;
        self.unread.extend_from_slice(&buffer[..count]);
        while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Word::Done) => return Ok((false, Some(Ending::Done))),
                Ok(word) => self.words.push(word),
                Err(_) => return Ok((false, Some(Ending::Nonsense))),
            }
        }
        let ending = (self.heard > MAX_BYTES).then_some(Ending::TooMuch);
        Ok((count > 0, ending))
    }
}

/// Waits for output or the end: which of them is there.
fn wait(output: Option<&File>, ended: &OwnedFd, limit: Duration) -> io::Result<(bool, bool)> {
    let limit = Timespec::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
    let watched = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let mut fds = vec![watched(ended.as_fd())];
    fds.extend(output.map(|output| watched(output.as_fd())));
    match poll(&mut fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let has_news = |fd: &PollFd<'_>| !fd.revents().is_empty();
    Ok((fds.get(1).is_some_and(has_news), has_news(&fds[0])))
}

/// `it was killed by SIGSEGV`, `it exited with code 3`.
fn of_status(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("it was killed by {}", signal_name(signal)),
        (None, Some(code)) => format!("it exited with code {code}"),
        (None, None) => "it ended".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    let known = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::TERM, "SIGTERM"),
    ];
    let name = known.iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("signal {signal}"))
}
