//! Who holds a block up: a worker whose next module has all its inputs and has not committed.

use crate::pool::rig::Rig;
use backline_abi::commit::{self, next_block};
use backline_abi::layout::{BLOCKS_KEPT, ModuleMemory};
use backline_abi::plan::Plan;

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
            let slot = rig.control().places[entry.cell as usize % rig.control().places.len()].current().slot;
            let bit = 1_u64.checked_shl(slot).unwrap_or(0);
            if seen & bit != 0 || has_committed(rig, entry.cell, block) {
                continue;
            }
            seen |= bit;
            let inputs = self.plan.inputs_of(entry);
            if inputs
                .iter()
                .all(|cable| cable.is_feedback != 0 || has_committed(rig, cable.source_cell, block))
            {
                blame(Culprit { slot: slot as usize, instance: entry.instance });
            }
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

/// Whether the module of `cell` has committed `block` (or the next one) where it lives. Real-time safe.
fn has_committed(rig: &Rig, cell: u32, block: u32) -> bool {
    let control = rig.control();
    let (Some(place), Some(record)) = (control.places.get(cell as usize), control.modules.get(cell as usize))
    else {
        return true;
    };
    let place = place.current();
    let memory = ModuleMemory::of(&record.load(), rig.header.block_frames as usize, rig.arena_words());
    let word = memory.and_then(|memory| rig.arenas().get(place.slot as usize)?.commit_word(memory.commit));
    word.is_none_or(|word| {
        let seen = commit::observe(word);
        seen.lease == place.lease && (seen.block == block || seen.block == next_block(block))
    })
}
