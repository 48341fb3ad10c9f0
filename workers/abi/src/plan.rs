//! The plan: which modules play, in which order, with which inputs; and the place of each.
//!
//! A *cell* is a module's index in every table here, 0..[`MAX_MODULES`]; it is used again after the module is
//! freed. An *instance* is a module's number for the engine's life, never used again; both travel together, so
//! that something meant for a freed module never reaches its successor in the cell.

use crate::layout::{MAX_CONNECTIONS, MAX_MODULES};
use crate::words::Record;
use bytemuck::{Pod, Zeroable};
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Parameters of a module.
pub const MAX_PARAMS: usize = 32;
/// Channels of a cable.
pub const MAX_CHANNELS: usize = 16;

/// What a worker needs to start a module: written at create, unchanged for the module's life.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct ModuleRecord {
    /// The module this record is of; 0 is none.
    pub instance: u32,
    /// Row of the worker's catalogue.
    pub type_index: u32,
    /// Channels of each output, 1..=[`MAX_CHANNELS`].
    pub channels: u32,
    /// Seed of everything random in it.
    pub identity: u32,
    /// First word of its memory in whichever arena it lives.
    pub memory_start: u32,
    /// Words of one state copy.
    pub state_words: u32,
    /// Words of line.
    pub line_words: u32,
    /// Planes (ports x channels) of output.
    pub output_planes: u32,
    /// Initial parameters.
    pub params: [f32; MAX_PARAMS],
    /// Ports that accept cables; parameters follow them.
    pub input_ports: u32,
    /// Kind of worker that has the type, as the engine counts them.
    pub kind: u32,
    /// Keeps the record a whole number of cache lines.
    pub reserved: [u32; 6],
}

/// One module in render order.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct PlanEntry {
    /// Where its record and place are.
    pub cell: u32,
    /// Which module.
    pub instance: u32,
    /// Its first connection in the plan.
    pub first_connection: u32,
    /// How many follow.
    pub connections: u32,
    /// 1 when its output goes to the mix, so that the engine listens to its commit.
    pub is_sink: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// One cable into a module.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct PlanConnection {
    /// Cell of the source.
    pub source_cell: u32,
    /// Instance of the source.
    pub source_instance: u32,
    /// Output port of the source.
    pub source_port: u32,
    /// Input of the target: ports first, then parameters.
    pub target_input: u32,
    /// Factor on the signal.
    pub gain: f32,
    /// 1 when the previous block's output is read, because the cable closes a loop.
    pub is_feedback: u32,
}

/// Counts of one plan.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct PlanCounts {
    /// Entries used.
    pub entries: u32,
    /// Connections used.
    pub connections: u32,
}

/// A plan in shared memory. `version` is 0 while it is being written.
#[repr(C)]
pub struct PlanCell {
    version: AtomicU32,
    reserved: [AtomicU32; 13],
    counts: Record<PlanCounts, 2>,
    entries: [Record<PlanEntry, 8>; MAX_MODULES],
    connections: [Record<PlanConnection, 6>; MAX_CONNECTIONS],
}

/// A plan in private memory, with room for the largest one so that reading a new one allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Modules in render order.
    pub entries: Vec<PlanEntry>,
    /// Cables, those of one entry side by side.
    pub connections: Vec<PlanConnection>,
}

impl Plan {
    /// An empty plan with room for the largest.
    pub fn with_room() -> Self {
        Self { entries: Vec::with_capacity(MAX_MODULES), connections: Vec::with_capacity(MAX_CONNECTIONS) }
    }

    /// The cables into `entry`; none if its range is not in the plan.
    pub fn inputs_of(&self, entry: &PlanEntry) -> &[PlanConnection] {
        let start = entry.first_connection as usize;
        self.connections.get(start..start.saturating_add(entry.connections as usize)).unwrap_or(&[])
    }
}

impl PlanCell {
    /// Writes `plan` as `version` (not 0). Only the engine's control thread, and only into a buffer that no
    /// block in progress uses.
    pub fn write(&self, version: u32, plan: &Plan) {
        self.version.store(0, Relaxed);
        // Release fence: whoever sees one of the words below also sees version 0 (pairs with the fence in `read`).
        fence(Release);
        self.counts.store(&PlanCounts {
            entries: plan.entries.len() as u32,
            connections: plan.connections.len() as u32,
        });
        for (cell, entry) in self.entries.iter().zip(&plan.entries) {
            cell.store(entry);
        }
        for (cell, connection) in self.connections.iter().zip(&plan.connections) {
            cell.store(connection);
        }
        // Release: all words are stored before the version is (pairs with the first load in `read`).
        self.version.store(version, Release);
    }

    /// Copies the plan into `plan` if it is still `version` and was not written meanwhile. Real-time safe:
    /// `plan` has room ([`Plan::with_room`]).
    #[must_use]
    pub fn read(&self, version: u32, plan: &mut Plan) -> bool {
        // Acquire: pairs with the last store in `write`. 0 is no version: it says that somebody is writing.
        if version == 0 || self.version.load(Acquire) != version {
            return false;
        }
        let counts = self.counts.load();
        plan.entries.clear();
        plan.connections.clear();
        plan.entries.extend(self.entries.iter().take(counts.entries as usize).map(Record::load));
        plan.connections.extend(self.connections.iter().take(counts.connections as usize).map(Record::load));
        // Acquire fence: the words above are read before the version is read again (pairs with `write`).
        fence(Acquire);
        self.version.load(Relaxed) == version
    }
}

/// Where a module lives: the slot, and the lease under which it commits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Location {
    /// Worker slot.
    pub slot: u32,
    /// Lease; 0 is nowhere.
    pub lease: u32,
}

impl Location {
    const fn pack(self) -> u64 {
        (self.slot as u64) << 32 | self.lease as u64
    }

    const fn unpack(word: u64) -> Self {
        Self { slot: (word >> 32) as u32, lease: word as u32 }
    }

    /// True for a module that lives nowhere.
    pub const fn is_nowhere(self) -> bool {
        self.lease == 0
    }
}

/// The place of one cell's module: where it lives, and where its last state is if it just moved.
///
/// A module may move on before its new worker has taken it over, and be taken over there in that very moment: whoever
/// sends it on cannot tell. So there are two places to take it from, and the newer one counts if it ever arrived there.
#[repr(C)]
pub struct Place {
    current: AtomicU64,
    left: AtomicU64,
    previous: AtomicU64,
}

impl Place {
    /// Where it lives. Real-time safe.
    pub fn current(&self) -> Location {
        // Acquire: whoever sees a new place also sees `previous` and the module's record (pairs with `put`).
        Location::unpack(self.current.load(Acquire))
    }

    /// Where its state comes from after a move, the newer place first: where it left last, in case it ever arrived
    /// there, and where it had arrived before. Read it after [`Place::current`]. Real-time safe.
    pub fn sources(&self) -> [Location; 2] {
        // Acquire: whoever sees what it left also sees where it had arrived before that (pairs with `relocate`).
        let left = Location::unpack(self.left.load(Acquire));
        [left, Location::unpack(self.previous.load(Relaxed))]
    }

    /// Puts a new module somewhere, or nobody; engine's control thread only, and only while no plan in force or
    /// staged has the cell.
    pub fn put(&self, current: Location) {
        self.left.store(0, Relaxed);
        self.previous.store(0, Relaxed);
        // Release: pairs with `current`.
        self.current.store(current.pack(), Release);
    }

    /// Moves the module that is at `from` to `to`; engine's take-over thread only. `previous` is a place where it has
    /// committed, the last one before `from`, or any if it has at `from`. False if it is not at `from` any more: control
    /// has given the cell to somebody else. Then `from` and `previous` name leases that are not the new module's, so
    /// nobody takes anything from there. Real-time safe.
    #[must_use]
    pub fn relocate(&self, from: Location, to: Location, previous: Location) -> bool {
        self.previous.store(previous.pack(), Relaxed);
        // Release: pairs with `sources`.
        self.left.store(from.pack(), Release);
        // Release: whoever sees the new place also sees where it comes from (pairs with `current`).
        self.current.compare_exchange(from.pack(), to.pack(), Release, Relaxed).is_ok()
    }
}
