//! What a CLAP plug-in says about itself when it is asked.

use super::NoteDialect;
use super::ours::Backline;
use crate::host::Format;
use crate::host::naming::{split_unit, unit_of_value};
use crate::host::panel::{Control, Kind, Statement};
use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::note_ports::{NoteDialects, NotePortInfoBuffer, PluginNotePorts};
use clack_extensions::params::{ParamInfo, ParamInfoBuffer, ParamInfoFlags, PluginParams};
use clack_host::plugin::PluginDescriptor;
use clack_host::prelude::*;
use std::borrow::Cow;
use std::ffi::CStr;
use std::path::Path;

/// Longest text of a value that is read.
const MAX_TEXT_BYTES: usize = 128;
/// Choices beyond these are offered as a number.
const MAX_CHOICES: usize = 64;

/// What a plug-in said.
pub struct Stated {
    pub statement: Statement,
    /// One for each of the statement's controls.
    pub params: Vec<ClapId>,
    /// Channels of each audio input.
    pub inputs: Vec<usize>,
    /// Channels of each audio output.
    pub outputs: Vec<usize>,
    pub notes: Option<NoteDialect>,
}

/// Asks an instance.
pub fn read(descriptor: &PluginDescriptor, instance: &mut PluginInstance<Backline>, origin: &Path) -> Stated {
    let (name, vendor) = (text(descriptor.name()), text(descriptor.vendor()));
    let about = text(descriptor.description());
    let about = if about.is_empty() { String::new() } else { format!(": {about}") };
    let plugin = instance.plugin_handle();
    let (inputs, input_labels) = ports(&plugin, true);
    let (outputs, output_labels) = ports(&plugin, false);
    let notes = note_dialect(&plugin);
    let (params, controls) = params(&plugin).into_iter().unzip();
    let statement = Statement {
        name: Format::Clap.name(&text(descriptor.id())),
        summary: format!("{name}{about}, by {vendor}"),
        inputs: input_labels,
        outputs: output_labels,
        controls,
        is_gated: notes.is_some(),
        origin: origin.to_owned(),
    };
    Stated { statement, params, inputs, outputs, notes }
}

fn text(text: Option<&CStr>) -> Cow<'_, str> {
    text.map(CStr::to_string_lossy).unwrap_or_default()
}

/// Channels of each port, and a label for each channel.
fn ports(plugin: &PluginMainThreadHandle<'_>, is_input: bool) -> (Vec<usize>, Vec<String>) {
    let (mut channels, mut labels) = (Vec::new(), Vec::new());
    let Some(extension) = plugin.get_extension::<PluginAudioPorts>() else { return (channels, labels) };
    let mut buffer = AudioPortInfoBuffer::new();
    for index in 0..extension.count(plugin, is_input) {
        let Some(port) = extension.get(plugin, index, is_input, &mut buffer) else { continue };
        let count = port.channel_count as usize;
        let name = String::from_utf8_lossy(port.name).into_owned();
        channels.push(count);
        labels.extend((1..=count).map(|number| channel_label(&name, number, count)));
    }
    (channels, labels)
}

fn channel_label(port: &str, number: usize, count: usize) -> String {
    match (count, number) {
        (1, _) => port.to_owned(),
        (2, 1) => format!("{port}, left"),
        (2, _) => format!("{port}, right"),
        _ => format!("{port}, channel {number}"),
    }
}

/// How the first note input wants its notes; none if there is no such input, or it only takes what we cannot say.
fn note_dialect(plugin: &PluginMainThreadHandle<'_>) -> Option<NoteDialect> {
    let extension = plugin.get_extension::<PluginNotePorts>()?;
    let mut buffer = NotePortInfoBuffer::new();
    let first = (extension.count(plugin, true) > 0).then_some(0)?;
    let port = extension.get(plugin, first, true, &mut buffer)?;
    let takes = |dialect: NoteDialects| port.supported_dialects.contains(dialect);
    if takes(NoteDialects::CLAP) {
        Some(NoteDialect::Clap)
    } else {
        takes(NoteDialects::MIDI).then_some(NoteDialect::Midi)
    }
}

/// Parameters a performer can set.
fn params(plugin: &PluginMainThreadHandle<'_>) -> Vec<(ClapId, Control)> {
    let Some(extension) = plugin.get_extension::<PluginParams>() else { return Vec::new() };
    let mut buffer = ParamInfoBuffer::new();
    let mut found = Vec::new();
    for index in 0..extension.count(plugin) {
        let Some(info) = extension.get_info(plugin, index, &mut buffer) else { continue };
        if info.flags.intersects(ParamInfoFlags::IS_READONLY | ParamInfoFlags::IS_HIDDEN) {
            continue;
        }
        found.push((info.id, control(plugin, &extension, &info)));
    }
    found
}

fn control(plugin: &PluginMainThreadHandle<'_>, extension: &PluginParams, info: &ParamInfo<'_>) -> Control {
    let text_of = |value: f64| -> Option<String> {
        let mut text = [0; MAX_TEXT_BYTES];
        let text = extension.value_to_text(plugin, info.id, value, &mut text).ok()?;
        Some(String::from_utf8_lossy(text).trim().to_owned())
    };
    let label = String::from_utf8_lossy(info.name).into_owned();
    let (name, unit) = split_unit(&label);
    let unit_of_default =
        || text_of(info.default_value).and_then(|text| unit_of_value(&text)).unwrap_or_default();
    let unit = if unit.is_empty() { unit_of_default() } else { unit };
    // The module is the way to a parameter through the plug-in's groups: `Oscillators/Osc 1`.
    let module = String::from_utf8_lossy(info.module).trim_matches('/').to_owned();
    Control {
        name: name.to_owned(),
        unit: unit.to_owned(),
        label: if module.is_empty() { label.clone() } else { format!("{module}: {label}") },
        min: Some(info.min_value as f32),
        max: Some(info.max_value as f32),
        default: Some(info.default_value as f32),
        kind: kind(info, text_of),
    }
}

fn kind(info: &ParamInfo<'_>, text_of: impl Fn(f64) -> Option<String>) -> Kind {
    let is_stepped = info.flags.contains(ParamInfoFlags::IS_STEPPED);
    let steps = info.max_value - info.min_value;
    if info.flags.contains(ParamInfoFlags::IS_ENUM) && (0.0..MAX_CHOICES as f64).contains(&steps) {
        let values = (0..=steps as u32).map(|step| info.min_value + f64::from(step));
        let points: Option<Vec<(String, f32)>> =
            values.map(|value| Some((text_of(value)?, value as f32))).collect();
        if let Some(points) = points {
            return Kind::Choice(points);
        }
    }
    match is_stepped {
        true if info.min_value == 0.0 && info.max_value == 1.0 => Kind::Toggle,
        true => Kind::Whole,
        false => Kind::Number,
    }
}
