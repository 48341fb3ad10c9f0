//! A patch gives way to that of a file: modules that are in both, under the same id and of the same type, go on
//! as they are; all others are new or gone.
//!
//! In: the patch in force and the commands of a file. Out: the patch that comes after it, and the parameters that
//! change in what goes on. All or nothing, like every edit.

use std::collections::HashMap;

use super::{Connection, EditError, Limits, Patch, PatchModule};
use crate::command::Command;

/// What a patch becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    /// The patch to come.
    pub patch: Patch,
    /// (instance, parameter, value) of modules that go on with another value.
    pub changes: Vec<(u32, usize, f32)>,
    /// Modules that go on.
    pub kept: usize,
}

impl Patch {
    /// What this patch becomes when `commands`, creates and connects of a file, take its place. New modules take
    /// their instances from `next_instance`, and belong to nobody; what goes on stays whose it was.
    pub fn replaced_by(
        &self,
        commands: &[Command],
        next_instance: &mut u32,
        limits: &Limits,
    ) -> Result<Replacement, EditError> {
        let target = made_of(commands, limits)?;
        let mut numbers = HashMap::new();
        let mut modules = Vec::with_capacity(target.modules.len());
        let mut changes = Vec::new();
        let mut above = self.modules.last().map_or(1, |newest| newest.instance.saturating_add(1));
        for module in &target.modules {
            let number = match self.going_on(module) {
                Some(old) => {
                    let pairs = old.values().iter().zip(module.values()).enumerate();
                    let changed = pairs.filter(|(_, (old, new))| old.to_bits() != new.to_bits());
                    changes.extend(changed.map(|(index, (_, new))| (old.instance, index, *new)));
                    modules.push(PatchModule { instance: old.instance, owner: old.owner, ..module.clone() });
                    old.instance
                }
                None => {
                    let instance = above.max(*next_instance);
                    *next_instance = instance.checked_add(1).ok_or(EditError::OutOfInstances)?;
                    above = *next_instance;
                    modules.push(PatchModule { instance, ..module.clone() });
                    instance
                }
            };
            numbers.insert(module.instance, number);
        }
        let kept = modules.iter().filter(|module| self.position(module.instance).is_some()).count();
        // The order of modules rests on their instances.
        modules.sort_by_key(|module| module.instance);
        let connections = target.connections.iter().map(|cable| self.renumbered(cable, &numbers)).collect();
        let instances = modules.iter().map(|module| (module.id.clone(), module.instance)).collect();
        Ok(Replacement { patch: Patch { modules, instances, connections }, changes, kept })
    }

    /// The module of this patch that goes on as `wanted`.
    fn going_on(&self, wanted: &PatchModule) -> Option<&PatchModule> {
        let is_same = |old: &&PatchModule| {
            (old.row, old.channels, old.identity) == (wanted.row, wanted.channels, wanted.identity)
        };
        self.by_id(&wanted.id).filter(is_same)
    }

    fn renumbered(&self, cable: &Connection, numbers: &HashMap<u32, u32>) -> Connection {
        let number = |instance: u32| numbers.get(&instance).copied().unwrap_or(instance);
        let mut cable = Connection { source: number(cable.source), target: number(cable.target), ..*cable };
        cable.owner = self.connections.iter().find(|old| old.is_same_cable(&cable)).and_then(|old| old.owner);
        cable
    }
}

/// The patch of a file on its own.
fn made_of(commands: &[Command], limits: &Limits) -> Result<Patch, EditError> {
    // Nobody's: only the limits of the whole engine count.
    let limits = Limits { client: None, ..*limits };
    let (mut patch, mut next_instance) = (Patch::default(), 1);
    for command in commands {
        match command {
            Command::Create { type_name, id, params } => {
                patch.create(type_name, id.as_deref(), params, &mut next_instance, &limits)?;
            }
            Command::Connect { source, target, gain } => {
                patch.connect(source, target, *gain, &limits)?;
            }
            // A file holds nothing else.
            _ => {}
        }
    }
    Ok(patch)
}

#[cfg(test)]
#[path = "replace_tests.rs"]
mod tests;
