//! `backline modules`: the panel of every module type, and what it costs on this machine.

use std::io::Write;

use anyhow::Context;
use backline_abi::panel::Fault;

use backline_dsp::module::{Modulation, Param, Port};
use serde_json::json;

use super::args::ModulesArgs;
use super::exit::Exit;
use super::send::as_written;
use crate::catalogue::{self, TypeRow};
use crate::config::{self, Layer};
use crate::kinds::describe::describe;
use crate::kinds::find::find;
use crate::kinds::route::answers_for;
use crate::nearest::shown;

mod price;

use price::price_ns;

/// Prints the panels.
pub fn run(args: &ModulesArgs) -> anyhow::Result<Exit> {
    offer_other_kinds(args)?;
    let rows = match &args.type_name {
        None => catalogue::all(),
        Some(name) => match catalogue::find(name) {
            Some(row) => vec![row],
            None => {
                let hint = catalogue::hint_for(name);
                eprintln!("backline: there is no module type '{}'{hint}", shown(name));
                return Ok(Exit::Failure);
            }
        },
    };
    let mut out = std::io::stdout().lock();
    for row in rows {
        let price_ns = row.entry.map(price_ns);
        if args.json {
            writeln!(out, "{}", as_json(row, price_ns))?;
        } else {
            writeln!(out, "{}", as_text(row, price_ns))?;
        }
    }
    Ok(Exit::Success)
}

/// Asks every other kind of worker that would be warm what it has. What gives no module type is told on standard error.
fn offer_other_kinds(args: &ModulesArgs) -> anyhow::Result<()> {
    let layer = args.kinds.layer(Layer::default());
    let settings = config::load(layer, None, args.config.as_deref())?.settings;
    let kinds = find(&settings)?;
    for (index, kind) in kinds.iter().enumerate() {
        let name = &kind.manifest.name;
        let (panels, mut faults) =
            describe(kind).with_context(|| format!("{name} workers cannot be asked"))?;
        let unfit = catalogue::add(index + 1, &panels, |type_name| {
            answers_for(&kinds, &settings.routes, index + 1, type_name)
        });
        faults.extend(unfit.into_iter().map(|unfit| Fault { name: unfit.name, reason: unfit.reason }));
        for fault in faults {
            eprintln!("backline: {name}: {} gives no module type: {}", fault.name, fault.reason);
        }
    }
    Ok(())
}

fn as_json(row: &TypeRow, price_ns: Option<f64>) -> serde_json::Value {
    let panel = row.panel;
    let price = price_ns.map(
        |ns| json!({"ns_per_frame": (ns * 100.0).round() / 100.0, "channels": 1, "measured": "here and now"}),
    );
    let ports = |ports: &[Port]| -> Vec<_> {
        ports.iter().map(|port| json!({"name": port.name, "summary": port.summary})).collect()
    };
    json!({
        "type": panel.name,
        "summary": panel.summary,
        "exact": row.is_exact,
        "gated": panel.is_gated,
        "sink": panel.is_sink,
        "max_channels": row.most_channels,
        "origin": row.origin,
        "inputs": ports(panel.inputs),
        "outputs": ports(panel.outputs),
        "params": panel.params.iter().map(param_as_json).collect::<Vec<_>>(),
        "price": price,
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

fn as_text(row: &TypeRow, price_ns: Option<f64>) -> String {
    let panel = row.panel;
    let mut text = format!("{}: {}\n", panel.name, panel.summary);
    let gate = if panel.is_gated { "yes" } else { "no" };
    let exact = if row.is_exact { "yes" } else { "no" };
    let price = price_ns.map_or("measured when its workers warm up".to_owned(), |price_ns| {
        format!("{price_ns:.1} ns a frame (one channel, measured here and now)")
    });
    text += &format!("  exact={exact} gate={gate} price={price}\n");
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
