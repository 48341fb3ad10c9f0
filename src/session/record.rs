//! One line of a journal: `CHECKSUM NUMBER COMMAND`, where commands that belong together stand in one line with
//! ` ; ` between them.
//!
//! In: commands. Out: the line, and from the line the same commands, bit by bit. The words are those of scores and
//! of `backline send`, so a person can read them.
//! Refused: a line whose checksum or number is not right, or that makes no sense; why, in words.

use super::scene::SceneError;
use crate::command::{Command, PortName, Value};
use crate::osc::text::{self, Word};
use crate::osc::{Reason, Refusal, decode};
use std::fmt::Write;

/// Between commands that are performed together.
const TOGETHER: &str = ";";
/// The last record of a session that ended cleanly.
const CLOSED: &str = "closed";

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Commands that were performed together.
    Did(Vec<Command>),
    /// The session ended cleanly.
    Closed,
}

/// Why a line is not believed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No newline at its end: the engine died in writing it.
    #[error("it was not written to its end")]
    Torn,
    /// Bytes that are no text.
    #[error("it is no text")]
    NotText,
    /// The checksum is not that of the rest.
    #[error("its checksum is not right")]
    Checksum,
    /// A line is missing, doubled, or from elsewhere.
    #[error("it should be record {wanted}")]
    Number {
        /// The number that should stand there.
        wanted: u64,
    },
    /// The first line is not that of a journal.
    #[error("it does not begin with {0} and its version")]
    NoHeader(&'static str),
    /// Words that cannot be split.
    #[error("its words cannot be told apart: {0}")]
    Words(Reason),
    /// No command.
    #[error("{0}")]
    Command(Refusal),
    /// A command that cannot be performed after those before it.
    #[error(transparent)]
    Scene(#[from] SceneError),
}

/// `CHECKSUM TEXT` and a newline.
pub fn sealed(text: &str) -> String {
    format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()))
}

/// The text of a line (without its newline) whose checksum is right. Only one spelling of the checksum is.
pub fn unsealed(line: &[u8]) -> Result<&str, Fault> {
    let line = std::str::from_utf8(line).map_err(|_| Fault::NotText)?;
    let (checksum, text) = line.split_once(' ').ok_or(Fault::Checksum)?;
    let is_right = checksum == format!("{:08x}", crc32fast::hash(text.as_bytes()));
    if is_right { Ok(text) } else { Err(Fault::Checksum) }
}

/// The whole line, newline included.
pub fn line(number: u64, record: &Record) -> String {
    let mut text = number.to_string();
    match record {
        Record::Closed => text.extend([" ", CLOSED]),
        Record::Did(commands) => {
            for (position, command) in commands.iter().enumerate() {
                let between = if position == 0 { String::new() } else { format!(" {TOGETHER}") };
                text.extend([between.as_str(), " ", &spelled(command)]);
            }
        }
    }
    sealed(&text)
}

/// What a line (without its newline) says, if it is record `wanted`.
pub fn parse(line: &[u8], wanted: u64) -> Result<Record, Fault> {
    let (number, words) = unsealed(line)?.split_once(' ').ok_or(Fault::Number { wanted })?;
    if number != wanted.to_string() {
        return Err(Fault::Number { wanted });
    }
    if words == CLOSED {
        return Ok(Record::Closed);
    }
    let words = text::split(words).map_err(Fault::Words)?;
    let is_between = |word: &Word| !word.is_quoted && word.text == TOGETHER;
    let commands = words.split(is_between).map(|words| command(words.to_vec()));
    Ok(Record::Did(commands.collect::<Result<_, _>>()?))
}

fn command(words: Vec<Word>) -> Result<Command, Fault> {
    let written_id = words.get(2).map(|word| word.text.clone());
    let request = text::spoken(words).and_then(decode::request).map_err(Fault::Command)?;
    Ok(match request.command {
        // The id as it was chosen: a patch file may name a module `7`, which a performer could not.
        Command::Create { type_name, id: Some(_), params } => {
            Command::Create { type_name, id: written_id, params }
        }
        other => other,
    })
}

/// A command in the words that `osc::text` reads back. Numbers keep every bit.
fn spelled(command: &Command) -> String {
    match command {
        Command::Create { type_name, id, params } => {
            let id = id.as_deref().map(|id| format!(" {}", word(id))).unwrap_or_default();
            format!("/create {}{id}{}", word(type_name), spelled_params(params))
        }
        Command::Free { target } => format!("/free {}", word(target)),
        Command::Gate { target, is_on, velocity } => {
            format!("/gate {} {} {velocity:?}", word(target), u8::from(*is_on))
        }
        Command::Set { target, params } => format!("/set {}{}", word(target), spelled_params(params)),
        Command::Connect { source, target, gain } => {
            format!("/connect {} {} {gain:?}", port(source), port(target))
        }
        Command::Disconnect { source, target } => format!("/disconnect {} {}", port(source), port(target)),
        Command::PatchClear => "/patch/clear".to_owned(),
        Command::Panic => "/panic".to_owned(),
        // Nothing else changes what is set up; a replay would stop here and say so.
        other => format!("/{other:?}"),
    }
}

fn spelled_params(params: &[(String, Value)]) -> String {
    params.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a String does not fail.
        let _ = match value {
            Value::Number(number) => write!(text, " {} {number:?}", word(name)),
            Value::Word(choice) => write!(text, " {} {}", word(name), word(choice)),
        };
        text
    })
}

fn port(name: &PortName) -> String {
    word(&name.to_string())
}

/// Quoted, unless nobody could take it for a number, an option, a comment or several words.
fn word(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    if is_plain {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
