//! A plug-in as the engine wants to hear of it.

use crate::description::{Description, Param};
use backline_abi::panel::{self, Panel};

/// Words of state before the parameters: gate, velocity.
pub const STATE_HEAD_WORDS: usize = 2;

/// The panel of a plug-in. What it keeps to itself is lost with its worker, so it is not exact: another one goes on with
/// its parameters and its gate.
pub fn panel(description: &Description) -> Panel {
    let Description { name, summary, inputs, outputs, params, is_gated, origin, latency_frames, .. } =
        description;
    let ports = |ports: &[crate::description::Port]| {
        ports
            .iter()
            .map(|port| panel::Port { name: port.name.clone(), summary: port.summary.clone() })
            .collect()
    };
    let latency = latency_frames.filter(|frames| *frames > 0);
    let late = latency.map_or(String::new(), |frames| format!(" (late by {frames} frames)"));
    Panel {
        name: name.clone(),
        summary: format!("{summary}{late}"),
        inputs: ports(inputs),
        outputs: ports(outputs),
        params: params.iter().map(param).collect(),
        is_gated: *is_gated,
        most_channels: 1,
        state_words: (STATE_HEAD_WORDS + params.len()) as u32,
        is_exact: false,
        origin: origin.display().to_string(),
    }
}

fn param(param: &Param) -> panel::Param {
    panel::Param {
        name: param.name.clone(),
        summary: param.summary.clone(),
        unit: param.unit.clone(),
        min: param.min,
        max: param.max,
        default: param.default,
        modulation: panel::Modulation::None,
        choices: param.choices.clone(),
    }
}
