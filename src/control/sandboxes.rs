//! Workers in a sandbox: what of it they obtained, and what they were refused since. A kind that asks for a sandbox and
//! gets less is named loudly, and plays. A refused call is told to whoever started the engine, to the log and to the audit
//! log, once for each module and call; how many there were stands in `status`.
//!
//! Nothing a worker says here is believed but as a number: whom it names must be a module that plays with it.

use super::Conductor;
use crate::kinds::manifest::Sandbox;
use crate::supervise::audit::Event;
use backline_abi::layout::{sandbox_bits, stage};
use backline_abi::plan::Location;
use backline_abi::refused::RefusedCall;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use syscalls::Sysno;

/// Different calls that are told in all; a worker that scribbles numbers does not fill the log.
const MOST_TOLD: usize = 4_096;

/// What is known of all sandboxes.
#[derive(Default)]
pub struct Sandboxes {
    /// For each slot the process that was looked at last, and how many calls it had been refused.
    seen: Vec<(u32, u32)>,
    /// Modules (0 for none) and the calls of theirs that were told.
    told: HashSet<(u32, u16)>,
    /// For each kind what its workers did not obtain, as it was told last.
    missing: BTreeMap<usize, u32>,
    news: Vec<Value>,
}

impl Sandboxes {
    /// What there is to tell since the last time, as events.
    pub(super) fn take_news(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.news)
    }

    /// A module is gone: its number is not given again.
    pub(super) fn forget(&mut self, instance: u32) {
        self.told.retain(|(told, _)| *told != instance);
    }
}

impl Conductor {
    /// Looks whether workers obtained what their kind asks for, and what they were refused.
    pub(super) fn watch_sandboxes(&mut self) {
        let slots = self.pool.slots().len();
        self.sandboxes.seen.resize(slots, (0, 0));
        for slot in 0..slots {
            let kind = self.pool.slots()[slot].kind;
            if self.sandbox_of(kind) == Sandbox::Strict {
                self.note_missing(slot, kind);
                self.hear_refused_call(slot, kind);
            }
        }
    }

    fn note_missing(&mut self, slot: usize, kind: usize) {
        let missing = self.missing_in(slot);
        let told = self.sandboxes.missing.entry(kind).or_default();
        let before = *told;
        *told |= missing;
        let all = *told;
        if all != before {
            let (kind, missing) = (self.kind_name(kind).to_owned(), names(all).join(", "));
            tracing::error!(slot, kind, missing, "worker is not in the whole sandbox that its kind asks for");
            self.sandboxes.news.push(json!({ "event": "sandbox", "kind": kind, "missing": missing }));
        }
    }

    /// What the worker in `slot` should have obtained and has not; nothing before it is ready.
    fn missing_in(&self, slot: usize) -> u32 {
        let head = self.rig().head(slot);
        // Acquire: a worker that is ready has stored what it obtained (pairs with its store of the stage).
        let is_ready = head.stage.load(Acquire) == stage::READY && self.pool.slots()[slot].state.is_usable();
        if is_ready { all() & !head.sandbox.load(Relaxed) } else { 0 }
    }

    fn hear_refused_call(&mut self, slot: usize, kind: usize) {
        let head = self.rig().head(slot);
        // Acquire: pairs with the worker's count, which follows the call.
        let (pid, count) = (head.pid.load(Relaxed), head.refused_calls.load(Acquire));
        let refused = RefusedCall::decode(head.refused_call.load(Relaxed));
        let before = std::mem::replace(&mut self.sandboxes.seen[slot], (pid, count));
        if count == 0 || before == (pid, count) {
            return;
        }
        let module = self.module_in(slot, refused.instance);
        let told = (module.as_ref().map_or(0, |(instance, _)| *instance), refused.call);
        if self.sandboxes.told.len() >= MOST_TOLD || !self.sandboxes.told.insert(told) {
            return;
        }
        let (id, call) = (module.map(|(_, id)| id), name_of(refused.call));
        tracing::warn!(slot, pid, id, call, "sandbox: a system call was refused");
        let audit = self.pool.supervisor().audit();
        audit.note(Event::RefusedCall { slot, pid, id: id.clone(), call: call.clone() });
        let kind = self.kind_name(kind).to_owned();
        self.sandboxes.news.push(json!({ "event": "refused_call", "kind": kind, "id": id, "call": call }));
    }

    /// Number and name of the module whose number ends so, if it plays in `slot`, or did so before it moved.
    fn module_in(&self, slot: usize, low: u16) -> Option<(u32, String)> {
        let is_here = |location: &Location| !location.is_nowhere() && location.slot as usize == slot;
        let placed = self.cells.iter().find(|placed| {
            let place = &self.rig().control().places[placed.cell as usize];
            let [left, previous] = place.sources();
            low != 0
                && placed.record.instance as u16 == low
                && [place.current(), left, previous].iter().any(is_here)
        })?;
        let instance = placed.record.instance;
        Some((instance, self.patch.by_instance(instance)?.id.clone()))
    }

    /// In words, which kinds are not in the sandbox that they ask for.
    pub(super) fn refused_sandboxes(&self) -> Vec<String> {
        let mut missing = BTreeMap::<usize, u32>::new();
        for (slot, entry) in self.pool.slots().iter().enumerate() {
            if self.sandbox_of(entry.kind) == Sandbox::Strict {
                *missing.entry(entry.kind).or_default() |= self.missing_in(slot);
            }
        }
        let words = |(kind, bits): (usize, u32)| {
            let (kind, missing) = (self.kind_name(kind), names(bits).join(", "));
            format!("sandbox of {kind} workers: {missing}; use a newer kernel, or set sandbox = \"none\"")
        };
        missing.into_iter().filter(|(_, bits)| *bits != 0).map(words).collect()
    }

    /// For `status`: the sandbox of the worker in `slot`.
    pub(super) fn sandbox_json(&self, slot: usize) -> Value {
        let head = self.rig().head(slot);
        json!({
            "wanted": self.sandbox_of(self.pool.slots()[slot].kind).word(),
            "obtained": names(head.sandbox.load(Relaxed)),
            "refused_calls": head.refused_calls.load(Relaxed),
        })
    }
}

fn all() -> u32 {
    sandbox_bits::NAMES.iter().fold(0, |all, (bit, _)| all | bit)
}

fn names(bits: u32) -> Vec<&'static str> {
    sandbox_bits::NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
}

/// Engine and workers run on one machine, so its numbers are theirs.
fn name_of(call: u16) -> String {
    Sysno::new(call.into()).map_or_else(|| format!("system call {call}"), |call| call.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_names_and_what_is_none_has_its_number() {
        assert_eq!(name_of(Sysno::socket as u16), "socket");
        assert_eq!(name_of(Sysno::openat as u16), "openat");
        assert_eq!(name_of(u16::MAX), "system call 65535");
    }

    #[test]
    fn every_bit_of_a_sandbox_has_a_name() {
        assert_eq!(names(all()), ["no_new_privs", "rlimits", "landlock", "seccomp", "sealed"]);
        assert_eq!(names(1 << 30), [""; 0], "what was scribbled is nothing");
    }
}
