//! `backline modules`: the panel of every module type, and what it costs on this machine.

use std::io::Write;

use backline_dsp::catalogue::{self, CATALOGUE, Entry};
use backline_dsp::module::{MAX_CHANNELS, Modulation, ModuleType, Param, Port};
use serde_json::json;

use super::args::ModulesArgs;
use super::exit::Exit;
use super::send::as_written;
use crate::nearest::{hint, shown};

mod price;

use price::price_ns;

/// Our own modules are taken over without a changed sample; what keeps its state to itself is not.
const IS_EXACT: bool = true;

/// Prints the panels.
pub fn run(args: &ModulesArgs) -> anyhow::Result<Exit> {
    let entries: Vec<&Entry> = match &args.type_name {
        None => CATALOGUE.iter().collect(),
        Some(name) => match catalogue::find(name) {
            Some((_, entry)) => vec![entry],
            None => {
                let hint = hint(name, CATALOGUE.iter().map(|entry| entry.panel.name));
                eprintln!("backline: there is no module type '{}'{hint}", shown(name));
                return Ok(Exit::Failure);
            }
        },
    };
    let mut out = std::io::stdout().lock();
    for entry in entries {
        let price_ns = price_ns(entry);
        if args.json {
            writeln!(out, "{}", as_json(&entry.panel, price_ns))?;
        } else {
            writeln!(out, "{}", as_text(&entry.panel, price_ns))?;
        }
    }
    Ok(Exit::Success)
}

fn as_json(panel: &ModuleType, price_ns: f64) -> serde_json::Value {
    let ports = |ports: &[Port]| -> Vec<_> {
        ports.iter().map(|port| json!({"name": port.name, "summary": port.summary})).collect()
    };
    json!({
        "type": panel.name,
        "summary": panel.summary,
        "exact": IS_EXACT,
        "gated": panel.is_gated,
        "sink": panel.is_sink,
        "max_channels": MAX_CHANNELS,
        "inputs": ports(panel.inputs),
        "outputs": ports(panel.outputs),
        "params": panel.params.iter().map(param_as_json).collect::<Vec<_>>(),
        "price": {"ns_per_frame": (price_ns * 100.0).round() / 100.0, "channels": 1, "measured": "here and now"},
    })
}

fn param_as_json(param: &Param) -> serde_json::Value {
    json!({
        "name": param.name,
        "summary": param.summary,
        "unit": param.unit,
        "min": as_written(param.min),
        "max": as_written(param.max),
        "default": as_written(param.default),
        "choices": param.choices,
        "cable": match param.modulation {
            Modulation::Octaves => "octaves",
            Modulation::FullScale => "full-scale",
            Modulation::None => "none",
        },
    })
}

fn as_text(panel: &ModuleType, price_ns: f64) -> String {
    let mut text = format!("{}: {}\n", panel.name, panel.summary);
    let gate = if panel.is_gated { "yes" } else { "no" };
    let exact = if IS_EXACT { "yes" } else { "no" };
    text += &format!(
        "  exact={exact} gate={gate} price={price_ns:.1} ns a frame (one channel, measured here and now)\n"
    );
    for (kind, ports) in [("in", panel.inputs), ("out", panel.outputs)] {
        for port in ports {
            text += &format!("  {kind:<5}  {:<10} {}\n", port.name, port.summary);
        }
    }
    for param in panel.params {
        text += &format!("  param  {:<10} {}; {}\n", param.name, range(param), param.summary);
    }
    text
}

/// `0.1..=20000 Hz, default 220, cable: octaves`
fn range(param: &Param) -> String {
    let cable = match param.modulation {
        Modulation::Octaves => "cable: octaves",
        Modulation::FullScale => "cable: full scale",
        Modulation::None => "no cable",
    };
    if let Some(default) = param.choices.get(param.default as usize) {
        return format!("{}, default {default}, {cable}", param.choices.join("|"));
    }
    let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
    format!("{}..={}{unit}, default {}, {cable}", param.min, param.max, param.default)
}

#[cfg(test)]
mod tests;
