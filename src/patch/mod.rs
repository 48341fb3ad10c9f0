//! Step 3 of 7: what is patched to what, and in which order it is rendered.
//!
//! In: `Command`s. Out: a [`Patch`] that is always valid, and its render [`order`].
//! Thread: control. Pure: no I/O, no clock; the same edits give the same patch and the same order.
//! Refused: whatever the panels of the modules do not allow, with the remedy in words ([`EditError`]); a
//! refused edit has changed nothing.
//!
//! Reading order: this file (what a patch is), [`edit`] (how it changes; it reads names through `port` and
//! values through `value`), [`order`] (loops, chains and the render order), [`mod@file`] (a patch as text),
//! [`replace`] (one patch gives way to another), [`save`] (a patch becomes text again).

use std::collections::HashMap;

use backline_dsp::module::{MAX_PARAMS, ModuleType};

use crate::catalogue::TypeRow;
use crate::command::{Client, PortName};

pub mod edit;
mod error;
pub mod file;
pub mod order;
mod port;
pub mod replace;
pub mod save;
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
    pub row: &'static TypeRow,
    /// Channels of its outputs, 1..=16, fixed for life.
    pub channels: usize,
    /// Where each parameter is or glides to, in the order of the panel; 0.0 beyond it.
    pub params: [f32; MAX_PARAMS],
    /// The same for the same id, whatever happened before: what noise is seeded from.
    pub identity: u32,
    /// Whose limits it counts for; `None` for what a patch file or a score made.
    pub owner: Option<Client>,
}

impl PatchModule {
    /// Its panel.
    pub fn panel(&self) -> &'static ModuleType {
        self.row.panel
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
    /// Whose limits it counts for; `None` for what a patch file or a score made.
    pub owner: Option<Client>,
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
    /// Who asks and how much of this may be theirs; `None` for a patch file or a score.
    pub client: Option<ClientLimits>,
}

/// How much of a patch may be one client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// Whose.
    pub client: Client,
    /// Modules.
    pub max_modules: usize,
    /// Connections.
    pub max_connections: usize,
}

impl Default for Limits {
    /// What an engine accepts if its settings say nothing else.
    fn default() -> Self {
        Self { max_modules: 1_024, max_connections: 4_096, client: None }
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

impl Limits {
    /// Who asks.
    pub fn owner(&self) -> Option<Client> {
        self.client.map(|limits| limits.client)
    }

    /// Whether a patch of `modules` may have one more. The limit of the whole engine wins.
    fn check_modules(&self, modules: &[PatchModule]) -> Result<(), EditError> {
        if modules.len() >= self.max_modules {
            return Err(EditError::TooManyModules { max: self.max_modules });
        }
        let Some(ClientLimits { client, max_modules: max, .. }) = self.client else { return Ok(()) };
        let own = modules.iter().filter(|module| module.owner == Some(client)).count();
        if own >= max { Err(EditError::ClientModules { client, max }) } else { Ok(()) }
    }

    /// The same for connections.
    fn check_connections(&self, connections: &[Connection]) -> Result<(), EditError> {
        if connections.len() >= self.max_connections {
            return Err(EditError::TooManyConnections { max: self.max_connections });
        }
        let Some(ClientLimits { client, max_connections: max, .. }) = self.client else { return Ok(()) };
        let own = connections.iter().filter(|cable| cable.owner == Some(client)).count();
        if own >= max { Err(EditError::ClientConnections { client, max }) } else { Ok(()) }
    }
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
