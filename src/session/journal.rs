//! A journal: a header, then one record a line.
//!
//! In: a header and a scene, or the bytes of a file. Out: the bytes, and from the bytes what was set up.
//! Every prefix of a journal loads: a last line without its end is dropped. From the first line that is not as it
//! was written nothing is believed; which line that is, and why, is told.
//! Refused: a journal of a newer version. Its first line has this form in every version.

use super::record::{self, Fault, Record};
use super::scene::Scene;
use crate::command::Command;
use std::net::SocketAddr;

/// The version this engine writes and reads.
pub const VERSION: u32 = 1;
/// First word of every journal.
const NAME: &str = "backline-journal";

/// What is needed to start again, beside the scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Version of the engine that wrote it.
    pub engine: String,
    /// Where OSC arrives: the port that was really bound.
    pub listen: Option<SocketAddr>,
    /// Sample rate.
    pub rate_hz: Option<u32>,
    /// Frames in a block.
    pub block_frames: Option<u32>,
}

/// A line that was not believed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// Why.
    pub fault: Fault,
}

impl BadLine {
    /// True if it is the line in which the engine died, as is to be expected.
    pub fn is_torn(&self) -> bool {
        self.fault == Fault::Torn
    }
}

/// What a journal says.
#[derive(Debug, Default)]
pub struct Past {
    /// Its header, if that can be read.
    pub header: Option<Header>,
    /// What was set up at the end of the last good record.
    pub scene: Scene,
    /// Good records.
    pub records: usize,
    /// The session ended cleanly: there is nothing to replay.
    pub is_closed: bool,
    /// What ends the journal before its end, if anything does.
    pub bad_line: Option<BadLine>,
}

/// A journal of a newer engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is a journal of version {found}, and this engine reads version {VERSION}; start the newer engine, \
     choose another --session, or move the journal away"
)]
pub struct Newer {
    /// Its version.
    pub found: u32,
}

/// A new journal that begins with `scene`; also how many records it has.
pub fn encode(header: &Header, scene: &Scene) -> (String, u64) {
    let mut text = record::sealed(&spelled(header));
    let mut number = 0;
    for command in scene.commands() {
        number += 1;
        text.push_str(&record::line(number, &Record::Did(vec![command])));
    }
    (text, number)
}

/// Reads a journal as far as it can be believed.
pub fn read(bytes: &[u8]) -> Result<Past, Newer> {
    let mut past = Past::default();
    for (line, bytes) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let read = match bytes.strip_suffix(b"\n") {
            None => Err(Fault::Torn),
            Some(bytes) if line == 1 => past.read_header(bytes)?,
            Some(bytes) => past.read_record(bytes),
        };
        if let Err(fault) = read {
            past.bad_line = Some(BadLine { line, fault });
            break;
        }
    }
    Ok(past)
}

impl Past {
    fn read_header(&mut self, bytes: &[u8]) -> Result<Result<(), Fault>, Newer> {
        let text = match record::unsealed(bytes) {
            Ok(text) => text,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut words = text.split(' ');
        let is_journal = words.next() == Some(NAME);
        match words.next().and_then(|version| version.parse().ok()) {
            Some(VERSION) if is_journal => {
                self.header = Some(header(words));
                Ok(Ok(()))
            }
            Some(found) if is_journal && found > VERSION => Err(Newer { found }),
            _ => Ok(Err(Fault::NoHeader(NAME))),
        }
    }

    fn read_record(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match record::parse(bytes, self.records as u64 + 1)? {
            // Whoever closes a journal writes nothing after it.
            _ if self.is_closed => return Err(Fault::Number { wanted: self.records as u64 }),
            Record::Closed => self.is_closed = true,
            Record::Did(commands) => self.scene.perform_all(&commands)?,
        }
        self.records += 1;
        Ok(())
    }

    /// Whether the session ended in a crash and had got as far as to set something up.
    pub fn is_to_be_replayed(&self) -> bool {
        !self.is_closed && self.records > 0
    }

    /// The commands that bring back what was set up.
    pub fn commands(&self) -> Vec<Command> {
        self.scene.commands()
    }
}

fn spelled(header: &Header) -> String {
    let Header { engine, listen, rate_hz, block_frames } = header;
    let mut text = format!("{NAME} {VERSION} engine={engine}");
    let entries = [
        ("listen", listen.map(|address| address.to_string())),
        ("rate", rate_hz.map(|hz| hz.to_string())),
        ("block", block_frames.map(|frames| frames.to_string())),
    ];
    for (key, value) in entries {
        text.extend(value.map(|value| format!(" {key}={value}")));
    }
    text
}

/// Words nobody knows are passed over: they tell a person something, or a later engine.
fn header<'a>(words: impl Iterator<Item = &'a str>) -> Header {
    let mut header = Header { engine: String::new(), listen: None, rate_hz: None, block_frames: None };
    for (key, value) in words.filter_map(|word| word.split_once('=')) {
        match key {
            "engine" => header.engine = value.to_owned(),
            "listen" => header.listen = value.parse().ok(),
            "rate" => header.rate_hz = value.parse().ok(),
            "block" => header.block_frames = value.parse().ok(),
            _ => {}
        }
    }
    header
}
