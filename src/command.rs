//! Step 2 of 7: everything a performer can ask for, as one vocabulary.
//!
//! In: decoded OSC, text, a score line, a patch file; they all become `Command`s and go through the same
//! checks. Out: `Reply`, exactly one for each command.
//! Thread: control. What needs the patch to be judged (does the id exist, is the value in range?) is judged
//! by `patch`; what can be judged from the words alone is refused before a `Command` exists.

use std::net::SocketAddr;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `/create type [id] [param value]...`
    Create {
        /// Name of a module type.
        type_name: String,
        /// Id asked for; `None` lets the engine choose. A number n was already made `{type}{n}`.
        id: Option<String>,
        /// Parameters by name; `channels` (1..=16) may stand among them.
        params: Vec<(String, Value)>,
    },
    /// `/free id`
    Free {
        /// Id or pattern.
        target: String,
    },
    /// `/gate id on [velocity]`
    Gate {
        /// Id or pattern.
        target: String,
        /// Opens (or strikes again) or closes.
        is_on: bool,
        /// 0.0..=1.0.
        velocity: f32,
    },
    /// `/set id param value [param value]...`
    Set {
        /// Id or pattern.
        target: String,
        /// Parameters by name.
        params: Vec<(String, Value)>,
    },
    /// `/connect src dst [gain]`
    Connect {
        /// Output port.
        source: PortName,
        /// Input port or parameter.
        target: PortName,
        /// Factor on the signal, finite.
        gain: f32,
    },
    /// `/disconnect src dst`
    Disconnect {
        /// Output port.
        source: PortName,
        /// Input port or parameter.
        target: PortName,
    },
    /// `/begin`: gather edits.
    Begin,
    /// `/commit`: put gathered edits in force in one block.
    Commit,
    /// `/abort`: forget gathered edits.
    Abort,
    /// `/sync n`
    Sync(i32),
    /// `/status`
    Status,
    /// `/status/json`: everything `backline status` shows, as one JSON string.
    StatusJson,
    /// `/list`
    List,
    /// `/schema [type]`
    Schema(Option<String>),
    /// `/version`
    Version,
    /// `/panic`
    Panic,
    /// `/quit`
    Quit,
    /// `/notify 1` or `0`: tell this client what happens, or stop telling it.
    Notify(bool),
    /// `/patch/save name`
    PatchSave(String),
    /// `/patch/load name`
    PatchLoad(String),
    /// `/patch/clear`: frees every module, in one block.
    PatchClear,
    /// `/record/start name`
    RecordStart(String),
    /// `/record/stop`
    RecordStop,
}

impl Command {
    /// Whether it means something only where somebody listens and files are kept: on a running engine.
    pub fn needs_running_engine(&self) -> bool {
        matches!(
            self,
            Self::Notify(_)
                | Self::PatchSave(_)
                | Self::PatchLoad(_)
                | Self::RecordStart(_)
                | Self::RecordStop
        )
    }
}

/// Longest name of a patch or a recording.
pub const MAX_FILE_NAME_BYTES: usize = 64;

/// `[a-z0-9_-]{1,64}`: a name that is never a path, a hidden file, or an ending.
pub fn is_file_name(text: &str) -> bool {
    (1..=MAX_FILE_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Somebody who sends commands, told apart by the address and port they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client(pub SocketAddr);

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A parameter's value as the performer wrote it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Finite number.
    Number(f32),
    /// A choice by name, such as `saw`.
    Word(String),
}

/// `id.port`, or `id` alone for the first port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortName {
    /// Module id.
    pub id: String,
    /// Port or parameter; `None` is the main one.
    pub port: Option<String>,
}

impl std::fmt::Display for PortName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.port {
            Some(port) => write!(f, "{}.{port}", self.id),
            None => f.write_str(&self.id),
        }
    }
}

/// When a command is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// At the start of the next block.
    Now,
    /// At an instant of the monotonic clock, in nanoseconds; sample-accurate for gates and parameters.
    At(u64),
}

/// A command and what is needed to answer it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The address the performer used; it is repeated in the answer.
    pub address: String,
    /// What to do.
    pub command: Command,
    /// When to do it.
    pub due: Due,
    /// By how many seconds its time tag was already past on arrival, if it was.
    pub late_s: Option<f64>,
}

/// An argument of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// `i`
    Int(i32),
    /// `f`
    Float(f32),
    /// `d`
    Double(f64),
    /// `s`
    Text(String),
}

/// The answer to one command: an address and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// `/done`, `/fail`, `/synced`, `/status.reply`, ...
    pub address: String,
    /// Its arguments.
    pub args: Vec<Arg>,
}

impl Reply {
    /// `/done ADDRESS args...`
    pub fn done(address: &str, args: impl IntoIterator<Item = Arg>) -> Self {
        let mut all = vec![Arg::Text(address.to_owned())];
        all.extend(args);
        Self { address: "/done".to_owned(), args: all }
    }

    /// `/fail ADDRESS reason [id]`
    pub fn fail(address: &str, reason: impl std::fmt::Display, id: Option<&str>) -> Self {
        let mut args = vec![Arg::Text(address.to_owned()), Arg::Text(reason.to_string())];
        args.extend(id.map(|id| Arg::Text(id.to_owned())));
        Self { address: "/fail".to_owned(), args }
    }

    /// True for `/fail`.
    pub fn is_failure(&self) -> bool {
        self.address == "/fail"
    }
}
