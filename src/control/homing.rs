//! Modules that left a core because somebody else had taken it go home when it has been theirs again for a while, so
//! that the cores share the work as control had placed it.
//!
//! One module at a time, between two blocks like every planned move: nobody hears it.

use super::Conductor;
use crate::takeover::Request;
use serde_json::json;
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
    /// How often a worker did not get its core.
    taken: u64,
}

impl Homing {
    /// For `status`.
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "taken": self.taken, "modules_away": self.away.len() })
    }
}

impl Conductor {
    /// So many `modules` of `slot` had to go to `to`, under `first_lease` and the leases after it.
    pub(super) fn note_away(&mut self, slot: usize, to: usize, first_lease: u32, modules: u32) {
        self.homing.disturbed = Some(Instant::now());
        self.homing.taken += 1;
        // While nobody comes home, those that were freed meanwhile would pile up.
        self.homing.away.retain(|instance, _| self.cells.get(*instance).is_some());
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
        let is_welcome =
            self.pool.slots()[home].state.is_usable() && self.pool.has_time(home, placed.price_ns);
        if from.slot as usize != to || to == home || !is_welcome {
            return false;
        }
        self.takeover.ask(Request::Module { cell: placed.cell, from, to: home });
        self.keep_books();
        true
    }
}
