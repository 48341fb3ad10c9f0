//! What control and the supervisor thread tell each other.

use super::alarm::Offence;
use super::ending::Ending;
use backline_abi::panel::Line;

/// What control asks for.
#[derive(Debug)]
pub enum Order {
    /// Have a kind of worker say what module types it has.
    Open {
        /// Number of its recipe.
        kind: usize,
    },
    /// Tell the workers of a kind, and not who speaks for it, something more.
    Teach {
        /// Number of its recipe.
        kind: usize,
        /// Name of a variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Start a worker in `slot`, pinned to `core`.
    Spawn {
        /// Number of its recipe.
        kind: usize,
        /// Slot.
        slot: usize,
        /// Core.
        core: usize,
    },
    /// The process in `slot` did what no worker may: kill its group now.
    Kill {
        /// Slot.
        slot: usize,
        /// What it did.
        offence: Offence,
    },
    /// The process in `slot` is not needed any more: TERM, 200 ms, KILL. Nobody is blamed for its end.
    Dismiss {
        /// Slot.
        slot: usize,
    },
    /// End everything and the thread.
    Close,
}

/// What the supervisor tells.
#[derive(Debug)]
pub enum Notice {
    /// Somebody who speaks for a kind of worker said something.
    Said {
        /// Number of its recipe.
        kind: usize,
        /// What.
        line: Line,
    },
    /// Nobody speaks for a kind any more.
    Silent {
        /// Number of its recipe.
        kind: usize,
        /// It had said everything.
        is_done: bool,
        /// How it ended.
        cause: String,
    },
    /// A worker was started.
    Spawned {
        /// Slot.
        slot: usize,
        /// Process.
        pid: u32,
    },
    /// A worker could not be started.
    NotSpawned {
        /// Slot.
        slot: usize,
        /// Why.
        cause: std::io::Error,
    },
    /// A worker is dead and reaped.
    Exited {
        /// Slot.
        slot: usize,
        /// Process.
        pid: u32,
        /// How.
        ending: Ending,
    },
}

/// What was done so far. At any time: spawned = alive + reaped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Workers started.
    pub spawned: u64,
    /// Workers that are not reaped.
    pub alive: u64,
    /// Workers reaped.
    pub reaped: u64,
    /// Processes known to descend from workers.
    pub descendants: u64,
    /// What dead workers had left, and we reaped.
    pub orphans_reaped: u64,
    /// Signals sent, one for a whole group.
    pub signals_sent: u64,
}
