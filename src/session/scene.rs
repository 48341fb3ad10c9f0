//! What is replayed after a crash: modules, parameters, cables, open gates.
//!
//! In: the commands of a journal, or the patch and the gates in force. Out: the shortest list of commands that
//! brings all of it back.
//! Thread: control, and the journal's writer. Pure: no I/O, no clock.
//! Refused: whatever the patch refuses; then nothing has changed. What a module sounds like at the moment (where
//! its oscillator stands, what its delay line holds) is not part of it and begins anew.

use crate::command::{Command, Value};
use crate::patch::{EditError, Limits, Patch, PatchModule};
use backline_abi::block::{Event, kind};
use std::collections::BTreeMap;

/// Gates that are open, by the instance of their module, each with its velocity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenGates(BTreeMap<u32, f32>);

impl OpenGates {
    /// Takes note of an event that was sent to a module; parameters are passed over.
    pub fn heard(&mut self, event: &Event) {
        match event.kind {
            kind::GATE_ON => self.0.insert(event.instance, event.value),
            kind::GATE_OFF => self.0.remove(&event.instance),
            _ => None,
        };
    }

    /// Forgets modules that are gone from `patch`; instances are never used again.
    pub fn retain(&mut self, patch: &Patch) {
        self.0.retain(|instance, _| patch.position(*instance).is_some());
    }
}

/// What is set up, and what is held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// Modules, parameters, cables.
    pub patch: Patch,
    /// Gates.
    pub gates: OpenGates,
    next_instance: u32,
}

/// Why a command cannot be replayed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SceneError {
    /// The patch does not allow it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Not a command that changes what is set up.
    #[error("a command of this kind stands in no journal")]
    NotAChange,
}

impl Scene {
    /// The scene in force.
    pub fn of(patch: &Patch, gates: &OpenGates) -> Self {
        let mut gates = gates.clone();
        gates.retain(patch);
        Self { patch: patch.clone(), gates, next_instance: 0 }
    }

    /// Performs commands that belong together, all or none.
    pub fn perform_all(&mut self, commands: &[Command]) -> Result<(), SceneError> {
        if let [only] = commands {
            return self.perform(only);
        }
        let mut trial = self.clone();
        commands.iter().try_for_each(|command| trial.perform(command))?;
        *self = trial;
        Ok(())
    }

    fn perform(&mut self, command: &Command) -> Result<(), SceneError> {
        let limits = Limits::default();
        match command {
            Command::Create { type_name, id, params } => {
                self.patch.create(type_name, id.as_deref(), params, &mut self.next_instance, &limits)?;
            }
            Command::Free { target } => {
                self.patch.free(target)?;
                self.gates.retain(&self.patch);
            }
            Command::Set { target, params } => {
                self.patch.set(target, params)?;
            }
            Command::Gate { target, is_on, velocity } => {
                let kind = if *is_on { kind::GATE_ON } else { kind::GATE_OFF };
                for instance in self.patch.gate(target)? {
                    self.gates.heard(&Event { instance, offset_frames: 0, kind, value: *velocity });
                }
            }
            Command::Connect { source, target, gain } => {
                self.patch.connect(source, target, *gain, &limits)?;
            }
            Command::Disconnect { source, target } => {
                self.patch.disconnect(source, target)?;
            }
            Command::PatchClear | Command::Panic => {
                *self = Self { next_instance: self.next_instance, ..Self::default() }
            }
            _ => return Err(SceneError::NotAChange),
        }
        Ok(())
    }

    /// The commands that make it from nothing: modules, then cables, then gates, each in the order in which they
    /// came, because sums are made and loops are cut in that order.
    pub fn commands(&self) -> Vec<Command> {
        let creates = self.patch.modules().iter().map(create);
        let connects = self.patch.connections().iter().filter_map(|cable| {
            let (source, target) = self.patch.ends(cable)?;
            Some(Command::Connect { source, target, gain: cable.gain })
        });
        let gates = self.gates.0.iter().filter_map(|(instance, velocity)| {
            let target = self.patch.by_instance(*instance)?.id.clone();
            Some(Command::Gate { target, is_on: true, velocity: *velocity })
        });
        creates.chain(connects).chain(gates).collect()
    }
}

/// The command that makes `module` as it is now, with every parameter, also where it is the default: another
/// version may have another.
fn create(module: &PatchModule) -> Command {
    let channels =
        (module.channels > 1).then(|| ("channels".to_owned(), Value::Number(module.channels as f32)));
    let params = module.panel().params.iter().zip(module.values()).map(|(param, &value)| {
        let word = param.choices.get(value as usize).map(|word| Value::Word((*word).to_owned()));
        (param.name.to_owned(), word.unwrap_or(Value::Number(value)))
    });
    Command::Create {
        type_name: module.panel().name.to_owned(),
        id: Some(module.id.clone()),
        params: channels.into_iter().chain(params).collect(),
    }
}
