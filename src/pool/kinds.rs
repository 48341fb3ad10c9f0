//! Workers of other kinds: they are started when their kind has said what module types it has, while the set may play
//! already, and kept as many as their manifest says.

use super::{Heard, Pool, Slot};
use crate::config::RecyclePolicy;
use crate::kinds::Kind;
use crate::supervise::lifecycle::State;
use crate::supervise::orders::Order;
use backline_abi::panel::{Panel, fingerprint};
use std::sync::atomic::Ordering::Relaxed;

/// The types of a kind, for its workers: a line each, its name, a tab, the file it comes from.
const TYPES_VARIABLE: &str = "BACKLINE_TYPES";

/// (kind, number within it) of each slot for workers of `others`, one to spare for each kind.
pub fn slots_of(others: &[Kind]) -> Vec<(usize, usize)> {
    let of_kind = |(index, kind): (usize, &Kind)| {
        (0..=kind.manifest.count).map(move |number| (index + 1, number)).collect::<Vec<_>>()
    };
    others.iter().enumerate().flat_map(of_kind).collect()
}

impl Pool {
    /// Has `kind` say what module types it has; what it says comes from [`Pool::take_heard`].
    pub fn open(&mut self, kind: usize) {
        self.supervisor.order(Order::Open { kind });
    }

    /// What was said of kinds since the last time.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// The types of `kind`: its workers are held to them.
    pub fn describe(&mut self, kind: usize, panels: &[Panel]) {
        let meant = fingerprint(panels);
        for slot in self.slots_of_kind(kind) {
            // Relaxed: it is stored before a worker is started, which is what makes it read.
            self.rig.control().catalogues[slot].store(meant, Relaxed);
        }
        // Where they are, so that its workers need not look for them again.
        let line = |panel: &Panel| format!("{}\t{}\n", panel.name, panel.origin);
        let value = panels.iter().map(line).collect();
        self.supervisor.order(Order::Teach { kind, name: TYPES_VARIABLE, value });
    }

    /// Keeps as many workers of `kind` as there shall be, and replaces those that have played their one module.
    pub fn keep_up(&mut self, kind: usize) {
        let of_kind = self.kinds[kind];
        for slot in self.slots_of_kind(kind) {
            let Slot { state, modules, jobs, .. } = self.slots[slot];
            if of_kind.is_single_use && state.is_usable() && modules == 0 && jobs > 0 {
                self.retire(slot);
            }
        }
        let is_kept = |state: State| !matches!(state, State::Vacant | State::Retired | State::GivenUp);
        loop {
            let kept = self.slots_of_kind(kind).filter(|slot| is_kept(self.slots[*slot].state)).count();
            let vacant = self.slots_of_kind(kind).find(|slot| self.slots[*slot].state == State::Vacant);
            let Some(slot) = vacant.filter(|_| kept < of_kind.count) else { return };
            self.fill_slot(slot);
        }
    }

    /// Workers of `kind` that are ready, and how many there shall be.
    pub fn readiness(&self, kind: usize) -> (usize, usize) {
        let ready = self.slots_of_kind(kind).filter(|slot| self.slots[*slot].state.is_usable()).count();
        (ready, self.kinds[kind].count)
    }

    /// `policy` for the worker in `slot`: a kind may have a limit of its own.
    pub fn policy_for(&self, slot: usize, policy: RecyclePolicy) -> RecyclePolicy {
        match self.kinds[self.slots[slot].kind].memory_mib {
            0 => policy,
            hard_mib => RecyclePolicy { hard_mib, soft_mib: hard_mib - hard_mib / 4, ..policy },
        }
    }

    /// Whether all workers of `kind` play the one module that they play, and none is on its way.
    pub fn is_taken(&self, kind: usize) -> bool {
        let (ready, count) = self.readiness(kind);
        let mut slots = self.slots_of_kind(kind);
        let is_playing = |slot: usize| self.slots[slot].modules > 0 || !self.slots[slot].state.is_usable();
        self.kinds[kind].is_single_use && ready >= count && slots.all(is_playing)
    }

    /// Whether every slot of `kind` is given up.
    pub fn has_given_up(&self, kind: usize) -> bool {
        self.slots_of_kind(kind).all(|slot| self.slots[slot].state == State::GivenUp)
    }

    fn slots_of_kind(&self, kind: usize) -> impl Iterator<Item = usize> + use<> {
        let slots: Vec<usize> = (0..self.slots.len()).filter(|slot| self.slots[*slot].kind == kind).collect();
        slots.into_iter()
    }
}
