//! Modules that left a core because somebody else had taken it go home when it has been theirs again for a while, so
//! that the cores share the work as control had placed it.
//!
//! One module at a time, between two blocks like every planned move: nobody hears it.

use super::Conductor;
use crate::pool::place::BUDGET_SHARE;
use crate::takeover::Request;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A core that was not missed for so long is there to stay.
const CALM: Duration = Duration::from_secs(2);

/// Where a module comes from, and where it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trip {
    home: usize,
    to: usize,
}

/// Who is away, by instance.
#[derive(Debug, Default)]
pub struct Homing {
    away: BTreeMap<u32, Trip>,
    disturbed: Option<Instant>,
}

impl Conductor {
    /// So many `modules` of `slot` had to go to `to`, under `first_lease` and the leases after it.
    pub(super) fn note_away(&mut self, slot: usize, to: usize, first_lease: u32, modules: u32) {
        self.homing.disturbed = Some(Instant::now());
        let rig = self.pool.rig().clone();
        for placed in self.cells.iter() {
            let place = rig.control().places[placed.cell as usize].current();
            let is_of_these = place.lease.wrapping_sub(first_lease) < modules;
            if is_of_these && place.slot as usize == to {
                // Whoever was away already has its home where it had it.
                let trip = self.homing.away.entry(placed.record.instance);
                trip.and_modify(|trip| trip.to = to).or_insert(Trip { home: slot, to });
            }
        }
    }

    /// Sends the next module home, if there is one and all has been calm.
    pub(super) fn tend_homing(&mut self) {
        if self.homing.disturbed.is_none_or(|since| since.elapsed() < CALM) {
            return;
        }
        while let Some((instance, trip)) = self.homing.away.pop_first() {
            if self.send_home(instance, trip) {
                return;
            }
        }
    }

    /// False if it stays: it is gone, went elsewhere since, or there is no room for it at home.
    fn send_home(&mut self, instance: u32, Trip { home, to }: Trip) -> bool {
        let Some(placed) = self.cells.get(instance).copied() else { return false };
        let from = self.location_of(&placed);
        let slots = self.pool.slots();
        let on_core = slots.iter().filter(|slot| slot.core == slots[home].core);
        let load_ns: f64 = on_core.map(|slot| slot.load_ns).sum();
        let fits = load_ns + placed.price_ns <= self.pool.block_ns() * BUDGET_SHARE;
        if from.slot as usize != to || to == home || !slots[home].state.is_usable() || !fits {
            return false;
        }
        self.takeover.ask(Request::Module { cell: placed.cell, from, to: home });
        self.keep_books();
        true
    }
}
