//! Who holds a block up: a worker whose next module has all its inputs and has not committed, or has not even committed
//! the block before, which such a module hears back.

use crate::pool::rig::Rig;
use backline_abi::commit::{self, Commit, block_before, heard_back, next_block};
use backline_abi::layout::{BLOCKS_KEPT, ModuleMemory};
use backline_abi::plan::{Location, Plan};

/// Finds culprits. Keeps a copy of the plan, with room for the largest.
pub struct Judge {
    plan: Plan,
    version: u32,
}

/// A worker that holds the block up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Culprit {
    /// Its slot.
    pub slot: usize,
    /// Instance of the module that it owes.
    pub instance: u32,
}

impl Default for Judge {
    fn default() -> Self {
        Self::new()
    }
}

impl Judge {
    /// Knows no plan yet.
    pub fn new() -> Self {
        Self { plan: Plan::with_room(), version: 0 }
    }

    /// Calls `blame` for each worker that holds `block` up. A worker renders its modules in plan order, so only
    /// the first that it owes counts. Real-time safe.
    pub fn find(&mut self, rig: &Rig, block: u32, mut blame: impl FnMut(Culprit)) {
        if !self.has_plan_of(rig, block) {
            return;
        }
        let mut seen = 0_u64;
        for entry in &self.plan.entries {
            let slot = place_of(rig, entry.cell).slot;
            let bit = 1_u64.checked_shl(slot).unwrap_or(0);
            if seen & bit != 0 || has_committed(rig, entry.cell, block) {
                continue;
            }
            seen |= bit;
            let inputs = self.plan.inputs_of(entry).iter();
            let (mut back, mut forward) = (inputs.clone(), inputs);
            if !forward.all(|cable| cable.is_feedback != 0 || has_committed(rig, cable.source_cell, block)) {
                continue;
            }
            let behind =
                back.find(|cable| cable.is_feedback != 0 && !is_heard_back(rig, cable.source_cell, block));
            let (slot, instance) = behind.map_or((slot, entry.instance), |cable| {
                (place_of(rig, cable.source_cell).slot, cable.source_instance)
            });
            blame(Culprit { slot: slot as usize, instance });
        }
    }

    fn has_plan_of(&mut self, rig: &Rig, block: u32) -> bool {
        let header = rig.control().blocks[block as usize % BLOCKS_KEPT].header.load();
        if header.block != block {
            return false;
        }
        if header.plan_version == self.version {
            return true;
        }
        self.version = 0;
        let cell = rig.control().plans.get(header.plan_buffer as usize);
        let is_whole = cell.is_some_and(|cell| cell.read(header.plan_version, &mut self.plan));
        self.version = if is_whole { header.plan_version } else { 0 };
        is_whole
    }
}

fn place_of(rig: &Rig, cell: u32) -> Location {
    rig.control().places.get(cell as usize).map_or(Location::default(), |place| place.current())
}

/// What the module of `cell` has committed last where it lives: inside `None` if it has nothing there yet. `None` if
/// there is no such module or place, and so nothing to wait for.
fn committed(rig: &Rig, cell: u32) -> Option<Option<Commit>> {
    let record = rig.control().modules.get(cell as usize)?.load();
    let place = place_of(rig, cell);
    let memory = ModuleMemory::of(&record, rig.header.block_frames as usize, rig.arena_words())?;
    let word = rig.arenas().get(place.slot as usize)?.commit_word(memory.commit)?;
    Some(Some(commit::observe(word)).filter(|seen| seen.lease == place.lease))
}

/// Whether the module of `cell` has committed `block` (or the next one) where it lives. Real-time safe.
fn has_committed(rig: &Rig, cell: u32, block: u32) -> bool {
    let is_so = |seen: Commit| seen.block == block || seen.block == next_block(block);
    committed(rig, cell).is_none_or(|seen| seen.is_some_and(is_so))
}

/// Whether a feedback cable from the module of `cell` is heard in `block`. Real-time safe.
fn is_heard_back(rig: &Rig, cell: u32, block: u32) -> bool {
    let is_so = |seen: Commit| heard_back(seen.block, block_before(block)).is_some();
    committed(rig, cell).is_none_or(|seen| seen.is_some_and(is_so))
}
