//! Vocabulary: every setting with unit, default, range and origin; checked once, before anything is started.
//!
//! In: layers of settings, strongest first: command line, `[settings]` of the patch, `backline.toml`.
//! Out: [`Settings`] that hold, and for each where it came from.
//! Thread: main, at start. Refused: unknown keys of `backline.toml`, values out of range, an address that other
//! machines reach without a word about who may.
//!
//! Reading order: this file, [`key`] (the table of settings), [`value`] (what they may be), [`layer`] (where values
//! come from), [`mod@resolve`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::kinds::route::Routes;
use etcetera::BaseStrategy;
use ipnet::IpNet;

pub mod key;
pub mod layer;
pub mod resolve;
pub mod value;

pub use key::Key;
pub use layer::Layer;
pub use resolve::{Resolved, load, resolve};
pub use value::parse_address;

/// Which clock drives the block cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioClock {
    /// The sound card if there is one, else the null clock with a notice.
    Auto,
    /// A device of cpal's default host (ALSA).
    Cpal,
    /// A JACK server.
    Jack,
    /// A timer, in real time, without a device.
    Null,
}

impl AudioClock {
    /// Every clock, in the order of the help text.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Cpal, Self::Jack, Self::Null];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpal => "cpal",
            Self::Jack => "jack",
            Self::Null => "null",
        }
    }
}

impl Settings {
    /// Length of a block, ns.
    pub fn block_ns(&self) -> u64 {
        u64::from(self.block_frames) * 1_000_000_000 / u64::from(self.rate_hz)
    }
}

/// Everything the engine is told at start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Clock of the block cycle.
    pub audio: AudioClock,
    /// Device by name, for `Cpal` and `Jack`.
    pub device: Option<String>,
    /// Sample rate in Hz, 8,000..=192,000.
    pub rate_hz: u32,
    /// Frames in a block, 16..=1,024.
    pub block_frames: u32,
    /// Native worker processes, 1..=64; default 2 x cores.
    pub workers: usize,
    /// Where OSC arrives; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Networks that may send OSC, besides this machine. Empty: see `insecure`.
    pub allow: Vec<IpNet>,
    /// Anybody who can reach `listen` may send OSC.
    pub insecure: bool,
    /// File to record the output to.
    pub record: Option<PathBuf>,
    /// Name of the session; two engines of one name exclude each other.
    pub session: Option<String>,
    /// Blocks of output held back so that a hang can be replayed, 0 or 1.
    pub lookahead_blocks: u32,
    /// Ask for FIFO priority and locked memory.
    pub wants_realtime: bool,
    /// Arena of one worker in MiB, 1..=1,024.
    pub arena_mib: u32,
    /// Modules the whole engine accepts, 1..=1,024.
    pub max_modules: usize,
    /// Connections the whole engine accepts, 1..=4,096.
    pub max_connections: usize,
    /// File of the audit log; in the state folder if nobody says.
    pub audit: Option<PathBuf>,
    /// When workers are replaced while they play.
    pub recycling: RecyclePolicy,
    /// Memory that modules may take of each arena, MiB, 1..=1,024; the arena itself is a limit, too.
    pub max_memory_mib: usize,
    /// Commands that may wait for their time, 1..=65,536.
    pub max_scheduled: usize,
    /// Modules of one client, 1..=1,024.
    pub client_max_modules: usize,
    /// Connections of one client, 1..=4,096.
    pub client_max_connections: usize,
    /// Memory that the modules of one client may take of each arena, MiB, 1..=1,024.
    pub client_max_memory_mib: usize,
    /// Commands of one client that may wait for their time, 1..=65,536.
    pub client_max_scheduled: usize,
    /// Folder of `/patch/save` and `/patch/load`; `None` if this user has no home.
    pub patches: Option<PathBuf>,
    /// Folder of `/record/start`.
    pub recordings: Option<PathBuf>,
    /// Folders with kinds of worker, beside those that are found by themselves.
    pub kinds: Vec<PathBuf>,
    /// Files and folders with Python classes; empty for the user's own folder.
    pub modules: Vec<PathBuf>,
    /// Plug-ins to preload: `lv2:URI`, `clap:ID`, `ladspa:LABEL`.
    pub plugins: Vec<String>,
    /// Python interpreter; found if nobody says.
    pub python: Option<PathBuf>,
    /// What `[kind.NAME]` says instead of that kind's manifest.
    pub kind_changes: BTreeMap<String, toml::Table>,
    /// Types that a certain kind of worker shall play.
    pub routes: Routes,
}

impl Default for Settings {
    /// What holds when nobody says anything else; the number of workers is twice that of the cores we may use.
    fn default() -> Self {
        Self {
            audio: AudioClock::Auto,
            device: None,
            rate_hz: 48_000,
            block_frames: 128,
            workers: (2 * usable_cores()).min(key::MAX_WORKERS),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            allow: Vec::new(),
            insecure: false,
            record: None,
            session: None,
            lookahead_blocks: 0,
            wants_realtime: true,
            arena_mib: 16,
            max_modules: 1_024,
            max_connections: 4_096,
            audit: None,
            recycling: RecyclePolicy::default(),
            max_memory_mib: 1_024,
            max_scheduled: 16_384,
            client_max_modules: 1_024,
            client_max_connections: 4_096,
            client_max_memory_mib: 1_024,
            client_max_scheduled: 16_384,
            patches: own_folder("patches"),
            recordings: own_folder("recordings"),
            kinds: Vec::new(),
            modules: Vec::new(),
            plugins: Vec::new(),
            python: None,
            kind_changes: BTreeMap::new(),
            routes: Routes::new(),
        }
    }
}

/// What a worker may reach before another one takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecyclePolicy {
    /// Age in seconds; 0 for no limit.
    pub ttl_s: u64,
    /// Modules set up in it; 0 for no limit.
    pub jobs: u64,
    /// Memory of its own in MiB beyond which it is replaced; 0 for no limit.
    pub soft_mib: u64,
    /// Memory of its own in MiB beyond which it is killed; 0 for no limit.
    pub hard_mib: u64,
    /// Nobody who plays well is replaced.
    pub is_frozen: bool,
}

impl Default for RecyclePolicy {
    fn default() -> Self {
        Self { ttl_s: 0, jobs: 0, soft_mib: 256, hard_mib: 1_024, is_frozen: false }
    }
}

/// A folder of ours where this user keeps data: `$XDG_DATA_HOME/backline/NAME`.
fn own_folder(name: &str) -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.data_dir().join("backline").join(name))
}

/// Where OSC arrives unless told otherwise.
pub const DEFAULT_PORT: u16 = 57_190;

/// Cores this process may run on. To be asked before any thread is pinned: it sees the caller's own mask.
pub fn usable_cores() -> usize {
    core_affinity::get_core_ids().map_or(1, |cores| cores.len().max(1))
}

/// Settings were refused; nothing has been started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A settings file that cannot be read.
    #[error("cannot read the settings in {path}; mend it, or name another with --config")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A settings file that is not TOML.
    #[error("{path}, line {line}: this is not TOML: {problem}")]
    Syntax {
        /// Which.
        path: String,
        /// Where.
        line: usize,
        /// In the words of the parser.
        problem: String,
    },
    /// A key that means nothing.
    #[error("there is no setting '{name}' ({origin}){hint}")]
    UnknownKey {
        /// As written.
        name: String,
        /// Where from.
        origin: Origin,
        /// Nearest and known names.
        hint: String,
    },
    /// A setting about this machine, in a file about music.
    #[error(
        "{key} cannot be set by a patch ({origin}); say {flag} on the command line, or {key} in backline.toml"
    )]
    NotInPatch {
        /// Which.
        key: &'static str,
        /// Its option.
        flag: &'static str,
        /// Where from.
        origin: Origin,
    },
    /// A value that will not do.
    #[error("{key} cannot be {value} ({origin}): it takes {wanted}")]
    BadValue {
        /// Which.
        key: &'static str,
        /// As written.
        value: String,
        /// Where from.
        origin: Origin,
        /// Range and unit, or words.
        wanted: String,
    },
    /// An address other machines can reach.
    #[error(
        "listen {listen} ({origin}) lets other machines in; \
         say which, as in --allow 192.168.1.0/24, or let anybody in with --insecure"
    )]
    Exposed {
        /// The address.
        listen: SocketAddr,
        /// Where from.
        origin: Origin,
    },
}

/// Who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// A line of `backline.toml` or of the file given by `--config`.
    File {
        /// Which file.
        path: String,
        /// Where in it.
        line: usize,
    },
    /// A line of the patch's `[settings]`.
    Patch {
        /// Which file.
        path: String,
        /// Where in it.
        line: usize,
    },
    /// An option.
    CommandLine(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::Patch { path, line } => write!(f, "patch {path}, line {line}"),
            Self::CommandLine(flag) => write!(f, "command line, {flag}"),
        }
    }
}

#[cfg(test)]
mod tests;
