//! From what a format states to a front panel, under the same rules for all formats.

use super::error::HostError;
use super::naming::{Unique, plain};
use crate::description::{Description, MAX_INPUTS, MAX_OUTPUTS, MAX_PARAMS, Modulation, Param, Port};
use std::path::PathBuf;

/// Where a format gives no bound: further than any frequency or time, and still readable.
pub const UNBOUNDED: f32 = 1.0e6;
/// Choices beyond these are offered as a number.
const MAX_CHOICES: usize = 64;

/// What kind of value a control takes.
pub enum Kind {
    /// Any number in its range.
    Number,
    /// Whole numbers.
    Whole,
    /// 0 is off, 1 is on.
    Toggle,
    /// One of these labels, with the value the plug-in wants for it.
    Choice(Vec<(String, f32)>),
}

/// One control as its format states it.
pub struct Control {
    /// What its name is made from.
    pub name: String,
    /// What the plug-in calls it.
    pub label: String,
    /// Our spelling of its unit.
    pub unit: String,
    /// Lower bound, if any.
    pub min: Option<f32>,
    /// Upper bound, if any.
    pub max: Option<f32>,
    /// Default, if any.
    pub default: Option<f32>,
    /// What it takes.
    pub kind: Kind,
}

/// How a value that a performer set becomes what the plug-in wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    min: f32,
    max: f32,
    is_whole: bool,
    /// The plug-in's value for each choice; empty for numbers.
    points: Vec<f32>,
    /// The plug-in's value for the default.
    pub default: f32,
}

impl Scale {
    /// The plug-in's value for `value`: held in range, whole where only whole numbers count. `None` for what is
    /// no number. Real-time safe.
    pub fn plugin_value(&self, value: f32) -> Option<f32> {
        if value.is_nan() {
            return None;
        }
        let held = value.clamp(self.min, self.max);
        let held = if self.is_whole { held.round() } else { held };
        Some(self.points.get(held as usize).copied().unwrap_or(held))
    }
}

/// What a format states about one plug-in.
pub struct Statement {
    /// `ladspa:LABEL`, ...
    pub name: String,
    /// What it is, by whom.
    pub summary: String,
    /// Labels of its audio inputs.
    pub inputs: Vec<String>,
    /// Labels of its audio outputs.
    pub outputs: Vec<String>,
    /// Its controls, in its order.
    pub controls: Vec<Control>,
    /// Whether it takes notes.
    pub is_gated: bool,
    /// Where it lives.
    pub origin: PathBuf,
}

/// The panel, and for each of the plug-in's own parameters on it (`note` is not one) how values become its own.
pub fn describe(statement: Statement) -> Result<(Description, Vec<Scale>), HostError> {
    check_ports(&statement)?;
    let mut names = Unique::default();
    let mut params = Vec::new();
    if statement.is_gated {
        names.take("note".to_owned());
        params.push(note());
    }
    let offered = statement.controls.len().min(MAX_PARAMS - params.len());
    let left_out = statement.controls.len() - offered;
    let mut scales = Vec::new();
    for control in statement.controls.into_iter().take(offered) {
        let name = names.take(plain(&control.name, "param"));
        let (param, scale) = param(name, control);
        params.push(param);
        scales.push(scale);
    }
    let mut summary = statement.summary;
    if left_out > 0 {
        summary = format!("{summary}; {left_out} of its parameters are left out and keep their defaults");
    }
    let description = Description {
        name: statement.name,
        summary,
        inputs: ports("in", statement.inputs),
        outputs: ports("out", statement.outputs),
        params,
        is_gated: statement.is_gated,
        origin: statement.origin,
        is_clean_after_reset: false,
        latency_frames: None,
    };
    Ok((description, scales))
}

fn check_ports(statement: &Statement) -> Result<(), HostError> {
    let limits =
        [("inputs", statement.inputs.len(), MAX_INPUTS), ("outputs", statement.outputs.len(), MAX_OUTPUTS)];
    if let Some(&(ports, count, most)) = limits.iter().find(|(_, count, most)| count > most) {
        return Err(HostError::TooManyPorts { count, ports, most });
    }
    if statement.outputs.is_empty() { Err(HostError::Silent) } else { Ok(()) }
}

fn ports(stem: &str, labels: Vec<String>) -> Vec<Port> {
    let name = |number: usize| if number == 1 { stem.to_owned() } else { format!("{stem}{number}") };
    (1..).zip(labels).map(|(number, summary)| Port { name: name(number), summary }).collect()
}

fn note() -> Param {
    Param {
        name: "note".to_owned(),
        summary: "the key that the next gate plays".to_owned(),
        unit: "MIDI".to_owned(),
        min: 0.0,
        max: 127.0,
        default: 60.0,
        choices: Vec::new(),
        modulation: Modulation::None,
    }
}

fn param(name: String, control: Control) -> (Param, Scale) {
    let (min, max, kind) = match control.kind {
        Kind::Toggle => (Some(0.0), Some(1.0), Kind::Toggle),
        Kind::Choice(points) if (1..=MAX_CHOICES).contains(&points.len()) => {
            (Some(0.0), Some((points.len() - 1) as f32), Kind::Choice(points))
        }
        Kind::Choice(_) => (control.min, control.max, Kind::Number),
        kind => (control.min, control.max, kind),
    };
    let mut summary = control.label;
    match (min, max) {
        (None, None) => summary.push_str("; no bounds are given"),
        (None, _) => summary.push_str("; no lower bound is given"),
        (_, None) => summary.push_str("; no upper bound is given"),
        _ => {}
    }
    if matches!(kind, Kind::Whole) {
        summary.push_str("; whole numbers");
    }
    let is_whole = !matches!(kind, Kind::Number);
    let (min, max) = range(min, max, control.default);
    let wanted = control.default.unwrap_or(0.0);
    let (choices, points, default) = match kind {
        Kind::Toggle => (words(["off", "on"]), Vec::new(), if wanted > 0.0 { 1.0 } else { 0.0 }),
        Kind::Choice(points) => {
            let values: Vec<f32> = points.iter().map(|(_, value)| *value).collect();
            (words(points.iter().map(|(label, _)| label.as_str())), values.clone(), nearest(&values, wanted))
        }
        Kind::Whole => (Vec::new(), Vec::new(), wanted.round().clamp(min, max)),
        Kind::Number => (Vec::new(), Vec::new(), wanted.clamp(min, max)),
    };
    let plugin_default = points.get(default as usize).copied().unwrap_or(default);
    let scale = Scale { min, max, is_whole, points, default: plugin_default };
    let modulation = Modulation::None;
    (Param { name, summary, unit: control.unit, min, max, default, choices, modulation }, scale)
}

/// A range that is one: finite, not upside down, with what is missing filled in around the default.
fn range(min: Option<f32>, max: Option<f32>, default: Option<f32>) -> (f32, f32) {
    let finite = |bound: Option<f32>| bound.filter(|bound| bound.is_finite());
    let default = finite(default).unwrap_or(0.0);
    let min = finite(min).unwrap_or((-UNBOUNDED).min(default));
    let max = finite(max).unwrap_or(UNBOUNDED.max(default));
    (min.min(max), max.max(min))
}

/// Index of the value nearest to `wanted`.
fn nearest(values: &[f32], wanted: f32) -> f32 {
    let distance = |index: &usize| (values[*index] - wanted).abs();
    let index = (0..values.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
    index.unwrap_or(0) as f32
}

fn words<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names = Unique::default();
    labels.into_iter().map(|label| names.take(plain(label, "choice"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(kind: Kind) -> Control {
        let text = |text: &str| text.to_owned();
        let (min, max, default) = (Some(0.0), Some(10.0), Some(5.0));
        Control { name: text("Gain"), label: text("Gain"), unit: text("dB"), min, max, default, kind }
    }

    fn statement(controls: Vec<Control>) -> Statement {
        let (name, summary) = ("ladspa:test".to_owned(), "Test".to_owned());
        let (inputs, outputs) = (vec!["L".to_owned(), "R".to_owned()], vec!["Out".to_owned()]);
        Statement { name, summary, inputs, outputs, controls, is_gated: true, origin: PathBuf::new() }
    }

    #[test]
    fn the_first_parameters_are_offered_and_the_rest_are_counted() {
        let many = (0..40).map(|_| control(Kind::Number)).collect();
        let (panel, scales) = describe(statement(many)).expect("it can be described");
        assert_eq!((panel.params.len(), scales.len()), (MAX_PARAMS, MAX_PARAMS - 1));
        assert_eq!((panel.params[0].name.as_str(), panel.params[31].name.as_str()), ("note", "gain_31"));
        assert!(panel.summary.contains("9 of its parameters are left out"), "{}", panel.summary);
        assert_eq!(panel.inputs[1].name, "in2");
    }

    #[test]
    fn too_many_outputs_are_refused_and_not_cut_off() {
        let mut wide = statement(Vec::new());
        wide.outputs = vec!["Out".to_owned(); MAX_OUTPUTS + 1];
        let refusal = describe(wide).expect_err("it is too wide").to_string();
        assert_eq!(refusal, "it has 5 audio outputs, and a module has at most 4");
    }

    #[test]
    fn a_choice_is_an_index_outside_and_the_plugins_own_value_inside() {
        let points = vec![("Low pass".to_owned(), 10.0), ("High pass".to_owned(), 20.0)];
        let mut chosen = control(Kind::Choice(points));
        chosen.default = Some(19.0);
        let (param, scale) = param("mode".to_owned(), chosen);
        assert_eq!(param.choices, ["low_pass", "high_pass"]);
        assert_eq!((param.min, param.max, param.default, scale.default), (0.0, 1.0, 1.0, 20.0));
        assert_eq!((scale.plugin_value(0.0), scale.plugin_value(7.0)), (Some(10.0), Some(20.0)));
    }

    #[test]
    fn a_value_is_held_in_range_and_what_is_no_number_is_dropped() {
        let (_, scale) = param("gain".to_owned(), control(Kind::Whole));
        assert_eq!((scale.plugin_value(3.4), scale.plugin_value(99.0)), (Some(3.0), Some(10.0)));
        assert_eq!(scale.plugin_value(f32::NAN), None);
    }

    #[test]
    fn a_missing_bound_is_said() {
        let mut open = control(Kind::Number);
        (open.max, open.default) = (None, None);
        let (param, _) = param("gain".to_owned(), open);
        assert_eq!((param.min, param.max, param.default), (0.0, UNBOUNDED, 0.0));
        assert!(param.summary.contains("no upper bound"));
    }
}
