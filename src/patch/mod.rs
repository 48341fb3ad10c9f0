//! Step 3 of 7: what is patched to what, and in which order it is rendered.
//!
//! In: `Command`s. Out: a [`Patch`] that is always valid, and its render [`order`].
//! Thread: control. Pure: no I/O, no clock; the same edits give the same patch and the same order.
//! Refused: whatever the panels of the modules do not allow, with the remedy in words ([`EditError`]); a
//! refused edit has changed nothing.
//!
//! Reading order: this file (what a patch is), [`edit`] (how it changes; it reads names through `port` and
//! values through `value`), [`order`] (loops, chains and the render order), [`mod@file`] (a patch as text).

use std::collections::HashMap;

use backline_dsp::catalogue::CATALOGUE;
use backline_dsp::module::{MAX_PARAMS, ModuleType};

use crate::command::PortName;

pub mod edit;
mod error;
pub mod file;
pub mod order;
mod port;
mod value;

pub use edit::Connected;
pub use error::EditError;

/// One module as the performer set it.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchModule {
    /// What the performer calls it.
    pub id: String,
    /// Number of this module, unique for the engine's life, from 1.
    pub instance: u32,
    /// Its row in the catalogue.
    pub type_index: usize,
    /// Channels of its outputs, 1..=16, fixed for life.
    pub channels: usize,
    /// Where each parameter is or glides to, in the order of the panel; 0.0 beyond it.
    pub params: [f32; MAX_PARAMS],
    /// The same for the same id, whatever happened before: what noise is seeded from.
    pub identity: u32,
}

impl PatchModule {
    /// Its panel.
    pub fn panel(&self) -> &'static ModuleType {
        &CATALOGUE[self.type_index].panel
    }

    /// The parameters it has, without the unused tail.
    pub fn values(&self) -> &[f32] {
        &self.params[..self.panel().params.len()]
    }
}

/// One cable. Named by instance, so it never leads to a later module of the same id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Connection {
    /// Instance it comes from.
    pub source: u32,
    /// Output port of the source.
    pub source_port: usize,
    /// Instance it goes to.
    pub target: u32,
    /// Input of the target: its ports first, then `inputs.len() + parameter`.
    pub target_input: usize,
    /// Factor on the signal, finite.
    pub gain: f32,
    /// It closes a loop, so it is read one block late; see [`order`]. Kept true by every edit.
    pub is_feedback: bool,
}

impl Connection {
    /// Whether both run between the same two ports.
    pub fn is_same_cable(&self, other: &Self) -> bool {
        (self.source, self.source_port, self.target, self.target_input)
            == (other.source, other.source_port, other.target, other.target_input)
    }
}

/// How much a patch may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Modules.
    pub max_modules: usize,
    /// Connections.
    pub max_connections: usize,
}

impl Default for Limits {
    /// What an engine accepts if its settings say nothing else.
    fn default() -> Self {
        Self { max_modules: 1_024, max_connections: 4_096 }
    }
}

/// Modules and the cables between them. Cloned for `/begin`, put back for `/commit`, dropped for `/abort`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// In creation order, which is the order of `instance`.
    modules: Vec<PatchModule>,
    instances: HashMap<String, u32>,
    /// In creation order.
    connections: Vec<Connection>,
}

impl Patch {
    /// Modules in creation order.
    pub fn modules(&self) -> &[PatchModule] {
        &self.modules
    }

    /// Connections in creation order.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// The module of this id.
    pub fn by_id(&self, id: &str) -> Option<&PatchModule> {
        self.by_instance(*self.instances.get(id)?)
    }

    /// The module of this instance.
    pub fn by_instance(&self, instance: u32) -> Option<&PatchModule> {
        Some(&self.modules[self.position(instance)?])
    }

    /// Where an instance stands in [`Self::modules`].
    pub fn position(&self, instance: u32) -> Option<usize> {
        self.modules.binary_search_by_key(&instance, |module| module.instance).ok()
    }

    /// The two ends of a connection of this patch, in words.
    pub fn ends(&self, connection: &Connection) -> Option<(PortName, PortName)> {
        let source = self.by_instance(connection.source)?;
        let target = self.by_instance(connection.target)?;
        Some((
            PortName { id: source.id.clone(), port: port::output_name(source, connection.source_port) },
            PortName { id: target.id.clone(), port: port::input_name(target, connection.target_input) },
        ))
    }
}

#[cfg(test)]
mod testing;
