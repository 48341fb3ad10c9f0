//! Vocabulary: the lines in which a scan is told, and those in which a child tells its parent.

use crate::description::Description;
use serde::{Deserialize, Serialize};

/// One line of `--scan` and `--describe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A plug-in that can be used: it was opened, started and run.
    Type(Description),
    /// One that cannot.
    Fault(Fault),
}

/// A plug-in or a file that cannot be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The plug-in, or the file if it was not known yet which of its plug-ins it is about.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// What a child tells its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// What it does next; if nothing else comes, that is what it died of.
    Step {
        /// Which of the file's plug-ins, from 0; none while the file as a whole is opened.
        index: Option<usize>,
        /// The plug-in, or the file.
        name: String,
        /// What is done with it.
        doing: Doing,
    },
    /// The plug-ins of the file.
    Names(Vec<String>),
    /// A result.
    Line(Line),
    /// All said.
    Done,
}

/// What is done with a plug-in while it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Its library is loaded and it is asked what it is.
    Open,
    /// An instance is made and activated.
    Start,
    /// A few blocks are rendered.
    Run,
    /// The instance is reset.
    Reset,
    /// The instance is given up.
    Stop,
}

impl Doing {
    /// `while it was ...`.
    pub fn participle(self) -> &'static str {
        match self {
            Doing::Open => "opened",
            Doing::Start => "started",
            Doing::Run => "run",
            Doing::Reset => "reset",
            Doing::Stop => "stopped",
        }
    }
}
