//! LV2: Turtle files that describe, beside a library that plays; read by lilv, run by livi.
//!
//! In:  a bundle and a URI. Out: its panel, and instances.
//! Refused: plug-ins that need a host feature livi lacks, or have ports of a kind it does not know.

mod control;
mod instance;

use super::error::HostError;
use super::panel::{Control, Scale, Statement, describe};
use super::{Format, Instance, Plugin};
use crate::description::Description;
use control::Words;
use livi::lilv::World as LilvWorld;
use livi::lilv::node::Node;
use livi::lilv::plugin::Plugin as LilvPlugin;
use livi::lilv::port::Port as LilvPort;
use livi::{FeaturesBuilder, PortIndex, PortType, World};
use std::cell::OnceCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// What livi gives every plug-in of a process; a thread of it does the work that plug-ins put off.
pub type Features = Arc<livi::Features>;

/// One opened LV2 type.
pub struct Lv2Plugin {
    plugin: livi::Plugin,
    features: Features,
    description: Description,
    layout: Rc<Layout>,
    rate_hz: f32,
    max_frames: usize,
}

/// Which port is what.
struct Layout {
    controls: Vec<PortIndex>,
    control_outputs: Vec<PortIndex>,
    audio_inputs: usize,
    cv_inputs: usize,
    audio_outputs: usize,
    cv_outputs: usize,
    atom_inputs: usize,
    atom_outputs: usize,
    /// Which of the atom inputs takes the notes.
    midi_input: Option<usize>,
    /// Which of `control_outputs` tells the latency.
    latency: Option<usize>,
    /// One for each of the first of `controls`.
    scales: Vec<Scale>,
    /// What each port of `controls` starts with, offered or not.
    defaults: Vec<f32>,
}

/// Only this bundle: neither the time nor the accidents of all others.
fn load(bundle: &Path) -> World {
    let folder = format!("{}/", bundle.display());
    let uri = LilvWorld::new().new_file_uri(None, &folder);
    World::with_load_bundle(uri.as_uri().unwrap_or_default())
}

/// URIs in a bundle. Reads its files, runs nothing.
pub fn ids(bundle: &Path) -> Vec<String> {
    let world = load(bundle);
    let plugins = world.raw().plugins();
    plugins.iter().filter_map(|plugin| plugin.uri().as_uri().map(str::to_owned)).collect()
}

/// Opens type `uri`.
pub fn open(
    uri: &str,
    bundle: &Path,
    rate_hz: f32,
    max_frames: usize,
    features: &OnceCell<Features>,
) -> Result<Lv2Plugin, HostError> {
    let world = load(bundle);
    let raw = world.raw().plugins().iter().find(|plugin| plugin.uri().as_uri() == Some(uri));
    let raw = raw.ok_or_else(|| HostError::NotInside { origin: bundle.to_owned() })?;
    let words = Words::new(world.raw());
    let plugin = world.plugin_by_uri(uri).ok_or_else(|| refusal(&raw, &words))?;
    let bounds = FeaturesBuilder { min_block_length: 1, max_block_length: max_frames };
    let features = match features.get() {
        Some(features) => features,
        None => {
            let made = world.try_build_features(bounds);
            let refused = |cause: livi::error::FeatureError| HostError::Unopened {
                origin: bundle.to_owned(),
                cause: cause.into(),
            };
            features.get_or_init({
                let made = made.map_err(refused)?;
                || made
            })
        }
    };
    let (description, layout) = panel(&plugin, &raw, &words, bundle, rate_hz)?;
    let (layout, features) = (Rc::new(layout), Arc::clone(features));
    Ok(Lv2Plugin { plugin, features, description, layout, rate_hz, max_frames })
}

fn panel(
    plugin: &livi::Plugin,
    raw: &LilvPlugin,
    words: &Words<'_>,
    bundle: &Path,
    rate_hz: f32,
) -> Result<(Description, Layout), HostError> {
    let of_kind = |kind: PortType| -> Vec<LilvPort> {
        plugin.ports_with_type(kind).filter_map(|port| raw.port_by_index(port.index.0)).collect()
    };
    let labels = |audio: &[LilvPort], cv: &[LilvPort]| -> Vec<String> {
        let cv = cv.iter().map(|port| format!("CV: {}", control::label(port)));
        audio.iter().map(control::label).chain(cv).collect()
    };
    let (audio_inputs, cv_inputs) = (of_kind(PortType::AudioInput), of_kind(PortType::CVInput));
    let (audio_outputs, cv_outputs) = (of_kind(PortType::AudioOutput), of_kind(PortType::CVOutput));
    let atom_inputs = of_kind(PortType::AtomSequenceInput);
    let midi_input = atom_inputs.iter().position(|port| port.supports_event(&words.midi));
    let (inputs, outputs) = (of_kind(PortType::ControlInput), of_kind(PortType::ControlOutput));
    let controls: Vec<Control> = inputs.iter().map(|port| words.control(port, rate_hz)).collect();
    let unoffered: Vec<f32> = controls.iter().map(|control| control.default.unwrap_or(0.0)).collect();
    let statement = Statement {
        name: Format::Lv2.name(&plugin.uri()),
        summary: words.summary(raw),
        inputs: labels(&audio_inputs, &cv_inputs),
        outputs: labels(&audio_outputs, &cv_outputs),
        controls,
        is_gated: midi_input.is_some(),
        origin: bundle.to_owned(),
    };
    let (description, scales) = describe(statement)?;
    let offered = scales.iter().map(|scale| scale.default);
    let layout = Layout {
        defaults: offered.chain(unoffered.iter().skip(scales.len()).copied()).collect(),
        controls: inputs.iter().map(|port| PortIndex(port.index())).collect(),
        latency: outputs.iter().position(|port| words.tells_latency(port)),
        control_outputs: outputs.iter().map(|port| PortIndex(port.index())).collect(),
        audio_inputs: audio_inputs.len(),
        cv_inputs: cv_inputs.len(),
        audio_outputs: audio_outputs.len(),
        cv_outputs: cv_outputs.len(),
        atom_inputs: atom_inputs.len(),
        atom_outputs: of_kind(PortType::AtomSequenceOutput).len(),
        midi_input,
        scales,
    };
    Ok((description, layout))
}

/// Why livi does not offer a plug-in that is there.
fn refusal(raw: &LilvPlugin, words: &Words<'_>) -> HostError {
    let known = livi::Features::supported_features();
    let uri = |node: Node| node.as_uri().unwrap_or_default().to_owned();
    let lacking = raw.required_features().iter().map(uri).find(|feature| !known.contains(feature.as_str()));
    if let Some(feature) = lacking {
        return HostError::Lacks { feature };
    }
    match raw.iter_ports().find(|port| !words.is_known(port)) {
        Some(port) => {
            let kinds: Vec<String> = port.classes().iter().map(uri).collect();
            HostError::UnknownPort { port: control::label(&port), kind: kinds.join(", ") }
        }
        None => HostError::Malformed { rule: "a plug-in has a name and a URI" },
    }
}

impl Plugin for Lv2Plugin {
    fn description(&self) -> &Description {
        &self.description
    }

    fn start(&self) -> Result<Box<dyn Instance>, HostError> {
        Ok(Box::new(instance::Lv2Instance::start(self)?))
    }
}
