//! LADSPA: a shared library with one function that hands out descriptors.
//!
//! In:  a library and a label. Out: its panel, and instances.
//! Refused: descriptors without what `ladspa.h` demands; too many ports.

mod abi;
mod hints;
mod instance;
mod library;

use super::error::HostError;
use super::naming::split_unit;
use super::panel::{Control, Scale, Statement, describe};
use super::{Format, Instance, Plugin};
use crate::description::Description;
use library::{Ladspa, Library};
use std::path::Path;
use std::rc::Rc;

/// One opened LADSPA type.
pub struct LadspaPlugin {
    ladspa: Rc<Ladspa>,
    description: Description,
    layout: Rc<Layout>,
    rate_hz: f32,
    max_frames: usize,
}

/// Which port is what.
struct Layout {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    controls: Vec<usize>,
    /// Where it tells its latency.
    latency: Option<usize>,
    /// One for each of the first of `controls`.
    scales: Vec<Scale>,
    /// What each port of `controls` starts with, offered or not.
    defaults: Vec<f32>,
}

/// Labels in a library.
pub fn ids(origin: &Path) -> Result<Vec<String>, HostError> {
    Library::open(origin)?.labels()
}

/// Opens type `label`.
pub fn open(label: &str, origin: &Path, rate_hz: f32, max_frames: usize) -> Result<LadspaPlugin, HostError> {
    let ladspa = Rc::new(Library::open(origin)?.find(label, origin)?);
    let chosen = |is_wanted: &dyn Fn(&abi::Port) -> bool| -> Vec<usize> {
        (0..ladspa.ports.len()).filter(|&index| is_wanted(&ladspa.ports[index])).collect()
    };
    let inputs = chosen(&|port| port.is_audio() && port.is_input());
    let outputs = chosen(&|port| port.is_audio() && port.is_output());
    let controls = chosen(&|port| port.is_control() && port.is_input());
    let latency = chosen(&|port| port.is_control() && port.is_output() && port.tells_latency());
    let labels = |ports: &[usize]| ports.iter().map(|&index| ladspa.ports[index].name.clone()).collect();
    let stated: Vec<Control> = controls.iter().map(|&index| control(&ladspa.ports[index], rate_hz)).collect();
    let statement = Statement {
        name: Format::Ladspa.name(label),
        summary: format!("{} by {}", ladspa.name, ladspa.maker),
        inputs: labels(&inputs),
        outputs: labels(&outputs),
        controls: stated,
        is_gated: false,
        origin: origin.to_owned(),
    };
    let unoffered: Vec<f32> =
        statement.controls.iter().map(|control| control.default.unwrap_or(0.0)).collect();
    let (description, scales) = describe(statement)?;
    let offered = scales.iter().map(|scale| scale.default);
    let defaults = offered.chain(unoffered.iter().skip(scales.len()).copied()).collect();
    let latency = latency.first().copied();
    let layout = Rc::new(Layout { inputs, outputs, controls, latency, scales, defaults });
    Ok(LadspaPlugin { ladspa, description, layout, rate_hz, max_frames })
}

fn control(port: &abi::Port, rate_hz: f32) -> Control {
    let (name, unit) = split_unit(&port.name);
    let hints = hints::read(port.hint, port.lower, port.upper, rate_hz);
    Control {
        name: name.to_owned(),
        label: port.name.clone(),
        unit: unit.to_owned(),
        min: hints.min,
        max: hints.max,
        default: Some(hints.default),
        kind: hints.kind,
    }
}

impl Plugin for LadspaPlugin {
    fn description(&self) -> &Description {
        &self.description
    }

    fn start(&self) -> Result<Box<dyn Instance>, HostError> {
        let (ladspa, layout) = (Rc::clone(&self.ladspa), Rc::clone(&self.layout));
        Ok(Box::new(instance::LadspaInstance::start(ladspa, layout, self.rate_hz, self.max_frames)?))
    }
}
