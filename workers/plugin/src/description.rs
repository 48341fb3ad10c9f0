//! Vocabulary: what a plug-in looks like from outside, in words and numbers that can be sent as JSON.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Audio inputs a plug-in may have; one with more is refused.
pub const MAX_INPUTS: usize = 8;
/// Audio outputs a plug-in may have; one with more is refused.
pub const MAX_OUTPUTS: usize = 4;
/// Parameters offered, `note` included; what a plug-in has beyond these keeps its default.
pub const MAX_PARAMS: usize = 32;

/// The front panel of one plug-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// `ladspa:LABEL`, `lv2:URI` or `clap:ID`.
    pub name: String,
    /// One line for a person choosing.
    pub summary: String,
    /// Audio inputs: `in`, `in2`, ...
    pub inputs: Vec<Port>,
    /// Audio outputs: `out`, `out2`, ...
    pub outputs: Vec<Port>,
    /// Parameters, in the order of `Instance::set`.
    pub params: Vec<Param>,
    /// Whether it takes notes: `Instance::gate` plays the note that its first parameter, `note`, says.
    pub is_gated: bool,
    /// The file it lives in; of an LV2 plug-in, its bundle.
    pub origin: PathBuf,
    /// Whether an instance that was reset plays as a new one: measured in one trial, as many do not keep to their format
    /// there.
    pub is_clean_after_reset: bool,
    /// Frames by which its output is late, if it says so: measured with every parameter at its default.
    pub latency_frames: Option<u32>,
}

/// One audio input or output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// The name in `id.NAME`.
    pub name: String,
    /// What the plug-in calls it.
    pub summary: String,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// Letters `a` to `z`, digits and `_`; no other parameter of this plug-in has it.
    pub name: String,
    /// What the plug-in calls it, and what its range does not tell.
    pub summary: String,
    /// `Hz`, `dB`, ..., or empty for a plain number.
    pub unit: String,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Value of a new instance.
    pub default: f32,
    /// For a parameter that chooses by word, the words; the value is the index.
    pub choices: Vec<String>,
    /// How a cable into it counts.
    pub modulation: Modulation,
}

/// How a cable into a parameter counts. Plug-ins read a parameter once a block, so none takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modulation {
    /// It takes no cable.
    None,
}
