//! Modules change workers while they play: because theirs died, or because a new cable makes another core the
//! better place. The take-over thread does it ([`crate::takeover`]); control asks, keeps the books, and has lost
//! workers replaced.

use super::Conductor;
use super::cells::Placed;
use crate::patch::Patch;
use crate::patch::order::{neighbours, order};
use crate::supervise::alarm::Offence;
use crate::supervise::lifecycle::State;
use crate::takeover::{Fact, Reason, Request};
use backline_abi::plan::Location;

impl Conductor {
    /// Looks after the pool: hears what the take-over thread did, and what the supervisor says of processes. True
    /// if anybody died.
    pub fn tend_pool(&mut self) -> bool {
        while let Some(fact) = self.takeover.fact() {
            self.hear(&fact);
        }
        let dead = self.pool.tend();
        for death in &dead {
            self.carry_out(&death.verdict);
        }
        self.keep_books();
        self.tend_kinds();
        self.hear_complaints();
        self.watch_sandboxes();
        self.tend_homing();
        self.tend_recycling();
        !dead.is_empty()
    }

    /// The next thing that the take-over thread has to tell, for benches that time it; it is heard here, too.
    pub fn take_over_fact(&mut self) -> Option<Fact> {
        let fact = self.takeover.fact()?;
        self.hear(&fact);
        Some(fact)
    }

    fn hear(&mut self, fact: &Fact) {
        let Fact { reason, slot, pid, to, modules, rendering, first_lease, .. } = *fact;
        match reason {
            Reason::Late => return self.pool.note_late(slot),
            // It was told to leave, and had nothing that anybody hears.
            Reason::Died if self.pool.slots()[slot].state == State::Retired => return,
            // It had nothing to lose; its end is told when it is judged.
            Reason::Died if modules == 0 && to.is_some() => return,
            Reason::Starved => {
                tracing::info!(slot, modules, to, "worker did not get its core: others play its modules");
                return to.into_iter().for_each(|to| self.note_away(slot, to, first_lease, modules));
            }
            Reason::Died | Reason::Stopped | Reason::Hung => self.pool.note_left(slot, pid, rendering),
        }
        let to = to.map_or("nowhere, until a worker is ready".to_owned(), |to| format!("worker {to}"));
        tracing::warn!(slot, pid, modules, to, "worker {}: its modules went on elsewhere", reason.words());
        // The take-over thread has raised the alarm; this is so that nothing new is placed there.
        if matches!(reason, Reason::Stopped | Reason::Hung) && self.pool.slots()[slot].pid == pid {
            self.pool.condemn(slot, Offence::MissedDeadline);
        }
    }

    /// Counts who plays what, by the places in shared memory, and tells the pool and the take-over thread.
    pub(super) fn keep_books(&mut self) {
        let mut loads = vec![(0, 0.0); self.pool.slots().len()];
        for placed in self.cells.iter() {
            if let Some((modules, load_ns)) = loads.get_mut(self.location_of(placed).slot as usize) {
                *modules += 1;
                *load_ns += placed.price_ns;
            }
        }
        self.pool.recount(&loads);
        let board = self.takeover.board();
        let mut usable = 0_u64;
        for (slot, entry) in self.pool.slots().iter().enumerate() {
            if entry.state.is_usable() && entry.pid != 0 {
                board.note(slot, entry.kind, entry.pid, entry.core, entry.load_ns);
                usable |= 1 << slot;
            }
        }
        board.set_usable(usable);
    }

    /// Where a module lives at the moment.
    pub(super) fn location_of(&self, placed: &Placed) -> Location {
        self.rig().control().places[placed.cell as usize].current()
    }

    /// Slot in which a module lives at the moment.
    pub(super) fn slot_of(&self, instance: u32) -> Option<usize> {
        Some(self.location_of(self.cells.get(instance)?).slot as usize)
    }

    /// Before a new patch is in force: modules that have not played yet go to the core of what they are patched
    /// to. No state moves; they are set up again elsewhere.
    pub(super) fn settle(&mut self, patch: &Patch) {
        for &instance in &order(patch).modules {
            if self.patch.position(instance).is_some() {
                continue;
            }
            let Some(placed) = self.cells.get(instance).copied() else { continue };
            let near = self.slots_near(patch, instance);
            let old = self.location_of(&placed);
            let Some(slot) = self.nearer(old.slot as usize, placed.price_ns, &near) else { continue };
            if self.hand_to(&placed, slot).is_err() {
                self.rig().control().places[placed.cell as usize].put(old);
            }
            self.keep_books();
        }
    }

    /// After a cable was run between two modules that play: if they are on different cores and one of them has
    /// no other cable, it moves to the other's core.
    pub(super) fn bring_together(&mut self, source: u32, target: u32) {
        for mover in [target, source] {
            let near = self.slots_near(&self.patch, mover);
            let (1, Some(placed)) = (near.len(), self.cells.get(mover).copied()) else { continue };
            // One that keeps its state to itself would lose it.
            if !self.is_exact(mover) {
                continue;
            }
            let from = self.location_of(&placed);
            if let Some(to) = self.nearer(from.slot as usize, placed.price_ns, &near) {
                self.takeover.ask(Request::Module { cell: placed.cell, from, to });
                self.keep_books();
                return;
            }
        }
    }

    /// Whether another worker goes on with a module bit by bit.
    pub(super) fn is_exact(&self, instance: u32) -> bool {
        self.patch.by_instance(instance).is_some_and(|module| module.row.is_exact)
    }

    /// Whether the worker in `slot` could leave without being heard.
    pub(super) fn leaves_unheard(&self, slot: usize) -> bool {
        let mut here = self.cells.iter().filter(|placed| self.location_of(placed).slot as usize == slot);
        here.all(|placed| self.is_exact(placed.record.instance))
    }

    /// Slots of the modules that `instance` is patched to.
    pub(super) fn slots_near(&self, patch: &Patch, instance: u32) -> Vec<usize> {
        neighbours(patch, instance).into_iter().filter_map(|other| self.slot_of(other)).collect()
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
        let chosen = self.pool.choose(self.pool.slots()[slot].kind, price_ns, near).ok()?;
        near.iter().any(|other| core_of(*other) == core_of(chosen)).then_some(chosen)
    }
}
