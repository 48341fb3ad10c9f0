//! One module, or all of one slot, get a new place. The order of the stores is the whole hand-over (docs/adr/0003):
//! previous place, new place under a new lease, count of moves, wake.

use super::board::Board;
use crate::pool::rig::Rig;
use backline_abi::commit;
use backline_abi::layout::ModuleMemory;
use backline_abi::plan::Location;
use backline_abi::wake;
use std::sync::atomic::Ordering::Release;

/// Changes places; the take-over thread has the only one.
pub struct Mover<'r> {
    /// Whose places.
    pub rig: &'r Rig,
    /// Where leases come from.
    pub board: &'r Board,
}

impl Mover<'_> {
    /// Moves every module in slot `from` to slot `to`, which may be the same with a new process in it; returns how
    /// many. Real-time safe.
    pub fn slot(&self, from: usize, to: usize) -> u32 {
        let mut moved = 0;
        for (cell, place) in self.rig.control().places.iter().enumerate() {
            let place = place.current();
            if place.slot as usize == from && !place.is_nowhere() && self.relocate(cell, place, to) {
                moved += 1;
            }
        }
        if moved > 0 {
            self.tell(to);
        }
        moved
    }

    /// Moves the module of `cell`, if it is at `from`. Real-time safe.
    pub fn module(&self, cell: u32, from: Location, to: usize) -> bool {
        let place = self.rig.control().places.get(cell as usize).map(|place| place.current());
        let is_moved = place == Some(from) && self.relocate(cell as usize, from, to);
        if is_moved {
            self.tell(to);
        }
        is_moved
    }

    /// Whether any module is in `slot`. Real-time safe.
    pub fn has_modules(&self, slot: usize) -> bool {
        let places = self.rig.control().places.iter().map(|place| place.current());
        places.into_iter().any(|place| place.slot as usize == slot && !place.is_nowhere())
    }

    fn relocate(&self, cell: usize, from: Location, to: usize) -> bool {
        let place = &self.rig.control().places[cell];
        // A module that moves again before it was taken over still has its state where it was before. If it is taken
        // over at `from` just now, its next worker finds that out (`Place::sources`).
        let [left, before] = place.sources();
        let previous = [from, left].into_iter().find(|at| self.has_arrived(cell, *at)).unwrap_or(before);
        place.relocate(from, Location { slot: to as u32, lease: self.board.draw_lease() }, previous)
    }

    fn has_arrived(&self, cell: usize, at: Location) -> bool {
        let record = self.rig.control().modules[cell].load();
        let memory = ModuleMemory::of(&record, self.rig.header.block_frames as usize, self.rig.arena_words());
        let arena = self.rig.arenas().get(at.slot as usize);
        let word = memory.and_then(|memory| arena?.commit_word(memory.commit));
        word.is_some_and(|word| commit::observe(word).lease == at.lease)
    }

    /// Whoever sleeps on anything looks again, and the new worker finds out.
    fn tell(&self, to: usize) {
        let moves = &self.rig.control().moves.word;
        // Release: the places are stored before the move is counted (pairs with everybody's Acquire loads).
        moves.fetch_add(1, Release);
        wake::wake(moves);
        self.rig.ring_bell(to);
    }
}
