//! Vocabulary: every setting with unit, default and range; checked once, before anything is started.

use std::net::SocketAddr;
use std::path::PathBuf;

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

/// Everything the engine is told at start.
#[derive(Debug, Clone)]
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
}
