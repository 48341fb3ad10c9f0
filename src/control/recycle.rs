//! Workers that have served long enough leave while they play: one at a time, make before break.
//!
//! A new process is started in the spare slot, on the core of the one that shall leave. When it is warm it takes all
//! the other's modules between two blocks; then the old one is dismissed, and its slot is the spare. So there are
//! never fewer workers ready than the pool has, and nobody hears it.

use super::Conductor;
use crate::config::RecyclePolicy;
use crate::supervise::alarm::Offence;
use crate::supervise::audit::Event;
use crate::supervise::lifecycle::State;
use crate::supervise::recycle::{Due, due, is_over_hard_limit};
use crate::takeover::Request;
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two looks at what workers have done.
const LOOK: Duration = Duration::from_secs(1);

/// How far a change of workers has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nobody leaves.
    Idle,
    /// A new worker warms up in the spare slot.
    Warming { leaving: usize, into: usize, why: Due },
    /// The old one was told to leave.
    Leaving { slot: usize, why: Due },
}

/// What is kept of it.
pub struct Recycling {
    policy: RecyclePolicy,
    step: Step,
    looked: Instant,
    done: [u64; Due::ALL.len()],
}

impl Recycling {
    /// Nobody leaves yet.
    pub fn new(policy: RecyclePolicy) -> Self {
        Self { policy, step: Step::Idle, looked: Instant::now(), done: [0; Due::ALL.len()] }
    }

    /// For `status`.
    pub fn to_json(&self) -> serde_json::Value {
        let counts =
            Due::ALL.iter().zip(self.done).map(|(why, count)| (why.words().to_owned(), json!(count)));
        let leaving = match self.step {
            Step::Idle => None,
            Step::Warming { leaving: slot, .. } | Step::Leaving { slot, .. } => Some(slot),
        };
        json!({
            "frozen": self.policy.is_frozen,
            "ttl_s": self.policy.ttl_s,
            "jobs": self.policy.jobs,
            "memory_soft_mib": self.policy.soft_mib,
            "memory_hard_mib": self.policy.hard_mib,
            "leaving": leaving,
            "done": counts.collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Conductor {
    /// Begins to replace the worker in `slot`. False if it is not ready, another one is being replaced, there is no
    /// slot to spare, or recycling is frozen.
    pub fn recycle(&mut self, slot: usize) -> bool {
        !self.recycling.policy.is_frozen && self.begin_to_replace(slot, Due::Asked)
    }

    /// Workers that were replaced so far.
    pub fn recycled(&self) -> u64 {
        self.recycling.done.iter().sum()
    }

    /// Looks after it: the next step of whoever leaves, and once a second who shall be next.
    pub(super) fn tend_recycling(&mut self) {
        match self.recycling.step {
            Step::Idle if self.recycling.looked.elapsed() >= LOOK => {
                self.recycling.looked = Instant::now();
                self.look_for_the_next();
            }
            Step::Idle => {}
            Step::Warming { leaving, into, why } => self.relieve(leaving, into, why),
            Step::Leaving { slot, why } => {
                if self.pool.slots()[slot].state == State::Vacant {
                    self.recycling.done[why as usize] += 1;
                    self.recycling.step = Step::Idle;
                }
            }
        }
    }

    fn look_for_the_next(&mut self) {
        for slot in 0..self.pool.slots().len() {
            let policy = self.pool.policy_for(slot, self.recycling.policy);
            let Some(service) = self.pool.service(slot) else { continue };
            if is_over_hard_limit(&policy, &service) {
                self.pool.condemn(slot, Offence::TooMuchMemory);
                self.keep_books();
            } else if self.leaves_unheard(slot)
                && let Some(why) = due(&policy, &service)
                && self.begin_to_replace(slot, why)
            {
                return;
            }
        }
    }

    fn begin_to_replace(&mut self, leaving: usize, why: Due) -> bool {
        let is_ready = self.pool.slots().get(leaving).is_some_and(|slot| slot.state.is_usable());
        if !is_ready || self.recycling.step != Step::Idle {
            return false;
        }
        let Some(into) =
            self.pool.fill_spare(self.pool.slots()[leaving].kind, self.pool.slots()[leaving].core)
        else {
            return false;
        };
        self.recycling.step = Step::Warming { leaving, into, why };
        true
    }

    /// `into` takes over from `leaving` once it is ready. Whoever died meanwhile has left already.
    fn relieve(&mut self, leaving: usize, into: usize, why: Due) {
        match (self.pool.slots()[leaving].state, self.pool.slots()[into].state) {
            (_, State::GivenUp) => self.recycling.step = Step::Idle,
            (old, new) if old.is_usable() && new.is_usable() => {
                self.keep_books();
                if !self.takeover.ask(Request::Slot { from: leaving, to: into }) {
                    return;
                }
                self.pool.supervisor().audit().note(Event::Recycled {
                    slot: leaving,
                    into,
                    why: why.words(),
                });
                self.retire(leaving, why);
            }
            (State::BackingOff, new) if new.is_usable() => self.retire(leaving, why),
            _ => {}
        }
    }

    fn retire(&mut self, slot: usize, why: Due) {
        self.pool.retire(slot);
        self.keep_books();
        self.recycling.step = Step::Leaving { slot, why };
    }
}
