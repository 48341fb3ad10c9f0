//! Modules change workers: because theirs died, or because a new cable makes another core the better place.
//! One mechanism for both (docs/adr/0003): the place is changed, and the new worker takes the state over from
//! where it was committed last.

use super::Conductor;
use crate::patch::Patch;
use crate::patch::order::{neighbours, order};
use backline_abi::commit;
use backline_abi::layout::ModuleMemory;
use backline_abi::plan::Location;
use backline_abi::wake;
use std::sync::atomic::Ordering::Release;

impl Conductor {
    /// Looks after the pool, and moves the modules of workers that died. True if anybody died.
    pub fn tend_pool(&mut self) -> bool {
        let dead = self.pool.tend();
        for slot in &dead {
            self.evacuate(*slot);
        }
        self.hurry_the_moving();
        if self.cells.iter().any(|placed| !self.pool.slots()[placed.location.slot as usize].state.is_usable())
        {
            let stranded: Vec<usize> = (0..self.pool.slots().len())
                .filter(|slot| {
                    !self.pool.slots()[*slot].state.is_usable() && self.pool.slots()[*slot].pid == 0
                })
                .collect();
            stranded.into_iter().for_each(|slot| self.evacuate(slot));
        }
        !dead.is_empty()
    }

    /// Before a new patch is in force: modules that have not played yet go to the core of what they are patched
    /// to. No state moves; they are set up again elsewhere.
    pub(super) fn settle(&mut self, patch: &Patch) {
        for &instance in &order(patch).modules {
            if self.patch.position(instance).is_some() {
                continue;
            }
            let Some(mut placed) = self.cells.get(instance).copied() else { continue };
            let near = self.slots_near(patch, instance);
            let Some(slot) = self.nearer(placed.location.slot as usize, placed.price_ns, &near) else {
                continue;
            };
            let old = placed.location;
            if self.hand_to(&mut placed, slot).is_ok() {
                self.pool.vacate(old.slot as usize, placed.price_ns);
            } else {
                placed.location = old;
                self.rig().control().places[placed.cell as usize].put(old, Location::default());
            }
            self.cells.insert(placed);
        }
    }

    /// After a cable was run between two modules that play: if they are on different cores and one of them has
    /// no other cable, it moves to the other's core.
    pub(super) fn bring_together(&mut self, source: u32, target: u32) {
        for mover in [target, source] {
            let near = self.slots_near(&self.patch, mover);
            let (1, Some(placed)) = (near.len(), self.cells.get(mover).copied()) else { continue };
            if let Some(slot) = self.nearer(placed.location.slot as usize, placed.price_ns, &near) {
                self.move_module(mover, Some(slot));
                return;
            }
        }
    }

    /// Slots of the modules that `instance` is patched to.
    pub(super) fn slots_near(&self, patch: &Patch, instance: u32) -> Vec<usize> {
        neighbours(patch, instance)
            .into_iter()
            .filter_map(|other| Some(self.cells.get(other)?.location.slot as usize))
            .collect()
    }

    /// A slot on the core of one of `near`, if the module in `slot` is not on such a core and placement would
    /// put it there.
    fn nearer(&mut self, slot: usize, price_ns: f64, near: &[usize]) -> Option<usize> {
        let core_of = |slot: usize| self.pool.slots()[slot].core;
        if self.wanted_slot.is_some()
            || near.is_empty()
            || near.iter().any(|other| core_of(*other) == core_of(slot))
        {
            return None;
        }
        let chosen = self.pool.choose(price_ns, near).ok()?;
        near.iter().any(|other| core_of(*other) == core_of(chosen)).then_some(chosen)
    }

    fn evacuate(&mut self, slot: usize) {
        let mut homeless: Vec<(u32, u32)> = self
            .cells
            .iter()
            .filter(|placed| placed.location.slot as usize == slot)
            .map(|placed| (placed.record.instance, placed.cell))
            .collect();
        homeless.sort_unstable();
        for (instance, _) in homeless {
            self.move_module(instance, None);
        }
    }

    /// Moves a module to `wanted`, or to the best other slot. False if there is none: it stays where it is,
    /// and is tried again when the pool is tended next.
    fn move_module(&mut self, instance: u32, wanted: Option<usize>) -> bool {
        let Some(placed) = self.cells.get(instance).copied() else { return false };
        let near = self.slots_near(&self.patch, instance);
        let Some(slot) = wanted.or_else(|| self.pool.choose(0.0, &near).ok()) else { return false };
        let location = Location { slot: slot as u32, lease: self.pool.draw_lease() };
        let control = self.pool.rig().control();
        let place = &control.places[placed.cell as usize];
        // A module that moves again before it was taken over still has its state where it was before.
        let has_arrived = self.has_commit(&placed.memory, placed.location);
        let previous = if has_arrived { placed.location } else { place.previous() };
        place.put(location, previous);
        // Release: the place is stored before the move is counted (pairs with the workers' Acquire loads).
        control.moves.word.fetch_add(1, Release);
        self.pool.vacate(placed.location.slot as usize, placed.price_ns);
        self.pool.occupy(slot, placed.price_ns);
        if let Some(placed) = self.cells.get_mut(instance) {
            placed.location = location;
        }
        self.wake_everybody_about(&placed.memory, placed.location);
        self.moving.push(instance);
        true
    }

    /// Wakes everybody about modules that have not arrived at their new place: a sleeper may have looked just
    /// before the move.
    fn hurry_the_moving(&mut self) {
        let moving = std::mem::take(&mut self.moving);
        for instance in moving {
            let Some(placed) = self.cells.get(instance).copied() else { continue };
            if !self.has_commit(&placed.memory, placed.location) {
                let old = self.rig().control().places[placed.cell as usize].previous();
                self.wake_everybody_about(&placed.memory, old);
                self.moving.push(instance);
            }
        }
    }

    fn has_commit(&self, memory: &ModuleMemory, location: Location) -> bool {
        let arena = self.rig().arenas().get(location.slot as usize);
        arena
            .and_then(|arena| arena.commit_word(memory.commit))
            .is_some_and(|word| commit::observe(word).lease == location.lease)
    }

    /// Whoever sleeps on the old place looks again, and the new worker finds out.
    fn wake_everybody_about(&self, memory: &ModuleMemory, old: Location) {
        let rig = self.rig();
        if let Some(word) =
            rig.arenas().get(old.slot as usize).and_then(|arena| arena.commit_word(memory.commit))
        {
            wake::wake_commit(word);
        }
        if let Some(arena) = rig.arenas().get(old.slot as usize).and_then(|arena| arena.arena_head().ok()) {
            wake::wake(&arena.done.word);
        }
        for slot in 0..rig.arenas().len() {
            rig.ring_bell(slot);
        }
    }
}
