//! CLAP: a shared library with a factory; the plug-in itself is asked what it has.
//!
//! In:  a library and an id. Out: its panel, and instances.
//! Threads: CLAP's main thread and its audio thread are one and the same here, the thread of the [`super::Host`].
//! What a plug-in asks for on its main thread is done when an instance starts and when it is reset.

mod instance;
mod library;
mod ours;
mod panel;

use super::error::HostError;
use super::panel::{Scale, describe};
use super::{Instance, Plugin};
use crate::description::Description;
use clack_host::plugin::PluginDescriptor;
use clack_host::prelude::*;
use ours::{Backline, MainThread, Requests, answer_callback};
use std::ffi::{CStr, CString};
use std::path::Path;
use std::rc::Rc;

/// What this host is called by plug-ins that ask.
const HOST: [&str; 4] = ["Backline", "Backline", "", env!("CARGO_PKG_VERSION")];

/// One opened CLAP type.
pub struct ClapPlugin {
    entry: PluginEntry,
    id: CString,
    description: Description,
    layout: Rc<Layout>,
    rate_hz: f32,
    max_frames: usize,
}

/// How a plug-in wants to hear of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoteDialect {
    Clap,
    Midi,
}

/// What an instance needs to know about its plug-in.
struct Layout {
    /// Channels of each audio input.
    inputs: Vec<usize>,
    /// Channels of each audio output.
    outputs: Vec<usize>,
    /// How it takes notes, if it does.
    notes: Option<NoteDialect>,
    /// Id of each parameter on the panel, `note` not counted.
    params: Vec<ClapId>,
    scales: Vec<Scale>,
}

fn instantiate(entry: &PluginEntry, id: &CStr) -> Result<PluginInstance<Backline>, HostError> {
    let refused = HostError::Refused { step: "be instantiated" };
    let [name, vendor, url, version] = HOST;
    let Ok(host) = HostInfo::new(name, vendor, url, version) else { return Err(refused) };
    let made = PluginInstance::new(|_| Requests::default(), |_| MainThread, entry, id, &host);
    let mut instance = made.map_err(|_cause| refused)?;
    answer_callback(&mut instance);
    Ok(instance)
}

/// Ids in a library.
pub fn ids(origin: &Path) -> Result<Vec<String>, HostError> {
    let entry = library::open(origin)?;
    let factory = entry.get_plugin_factory().ok_or(HostError::Malformed { rule: "there is a factory" })?;
    let id = |plugin: &PluginDescriptor| Some(plugin.id()?.to_string_lossy().into_owned());
    Ok(factory.plugin_descriptors().filter_map(id).collect())
}

/// Opens type `id`.
pub fn open(id: &str, origin: &Path, rate_hz: f32, max_frames: usize) -> Result<ClapPlugin, HostError> {
    let entry = library::open(origin)?;
    let factory = entry.get_plugin_factory().ok_or(HostError::Malformed { rule: "there is a factory" })?;
    let is_it =
        |plugin: &&PluginDescriptor| plugin.id().is_some_and(|known| known.to_bytes() == id.as_bytes());
    let descriptor = factory.plugin_descriptors().find(is_it);
    let descriptor = descriptor.ok_or_else(|| HostError::NotInside { origin: origin.to_owned() })?;
    let id = descriptor.id().unwrap_or_default().to_owned();
    let mut instance = instantiate(&entry, &id)?;
    let stated = panel::read(descriptor, &mut instance, origin);
    drop(instance);
    let (description, scales) = describe(stated.statement)?;
    let params = stated.params.into_iter().take(scales.len()).collect();
    let (inputs, outputs, notes) = (stated.inputs, stated.outputs, stated.notes);
    let layout = Rc::new(Layout { inputs, outputs, notes, params, scales });
    Ok(ClapPlugin { entry, id, description, layout, rate_hz, max_frames })
}

impl Plugin for ClapPlugin {
    fn description(&self) -> &Description {
        &self.description
    }

    fn start(&self) -> Result<Box<dyn Instance>, HostError> {
        Ok(Box::new(instance::ClapInstance::start(self)?))
    }
}
