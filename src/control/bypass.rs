//! Modules that break their workers again and again are rendered no more: their outputs fall to silence within a
//! block and stay there, everybody else plays on. Freeing such a module and creating it anew tries it again.

use super::Conductor;
use crate::catalogue;
use crate::supervise::blame::Verdict;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// Why all modules of a type are bypassed.
const TYPE_GIVEN_UP: &str = "ten workers died of modules of its type within ten seconds";

/// Instances that are bypassed, with the reason.
#[derive(Default)]
pub struct Bypassed(BTreeMap<u32, &'static str>);

impl Conductor {
    /// Does what follows from a death: whoever is to blame too often is bypassed.
    pub(super) fn carry_out(&mut self, verdict: &Verdict) {
        if let (Some(culprit), Some(poison)) = (verdict.blamed, verdict.poisoned) {
            self.bypass(culprit.instance, poison.words());
        }
        if let Some(type_key) = verdict.given_up_type {
            let of_type = self.cells.iter().filter(|placed| catalogue::key_of(&placed.record) == type_key);
            let instances: Vec<u32> = of_type.map(|placed| placed.record.instance).collect();
            instances.into_iter().for_each(|instance| self.bypass(instance, TYPE_GIVEN_UP));
        }
    }

    pub(super) fn bypass(&mut self, instance: u32, why: &'static str) {
        let Some(placed) = self.cells.get(instance) else { return };
        // Relaxed: in which block the fade begins is all the same.
        self.rig().control().bypassed[placed.cell as usize].store(instance, Relaxed);
        if self.bypassed.0.insert(instance, why).is_none() {
            let id = self.patch.by_instance(instance).map_or("?", |module| module.id.as_str());
            tracing::error!(id, why, "module bypassed; free it and create it again to try it again");
        }
    }

    /// A module is gone: nothing is held against its number, which is not given again.
    pub(super) fn forget_bypass(&mut self, instance: u32) {
        self.bypassed.0.remove(&instance);
        self.pool.blame().forget(instance);
        self.forget_complaints(instance);
        self.sandboxes.forget(instance);
    }

    /// Instances that are bypassed, with the reason.
    pub fn bypassed(&self) -> &BTreeMap<u32, &'static str> {
        &self.bypassed.0
    }

    /// For `status`.
    pub(super) fn bypassed_json(&self) -> serde_json::Value {
        let row = |(instance, why): (&u32, &&str)| {
            let id = self.patch.by_instance(*instance)?.id.as_str();
            Some(json!({ "id": id, "why": why }))
        };
        self.bypassed.0.iter().filter_map(row).collect()
    }
}
