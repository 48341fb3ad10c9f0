//! The worker process: what the engine tells it in its environment, and its life.
//!
//! `BACKLINE_PRELOAD`: names of plug-ins, a line each, to be described. `BACKLINE_TYPES`: those that were found good, a line
//! each, name and file with a tab between, to be played. `BACKLINE_RATE`, `BACKLINE_BLOCK`: Hz, frames.
//! `BACKLINE_INSTANCES`: how many of each plug-in can play here at one time.

use crate::panel::panel;
use crate::rack::PluginRack;
use crate::report;
use crate::scan::Scanner;
use backline_abi::panel::{Fault, Line};
use std::io::{self, Write};
use std::path::PathBuf;

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Started by hand, or by an engine of another version.
    #[error("{0} is missing in the environment; workers are started by `backline run --plugin NAME`")]
    Unset(&'static str),
    /// A plug-in that was good when it was described.
    #[error("{name} cannot be opened: {reason}")]
    Plugin {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// The engine cannot be joined.
    #[error(transparent)]
    Attach(#[from] backline_sdk::AttachError),
}

fn variable(name: &'static str) -> Result<String, WorkerError> {
    std::env::var(name).map_err(|_| WorkerError::Unset(name))
}

fn number<T: std::str::FromStr>(name: &'static str) -> Result<T, WorkerError> {
    variable(name)?.parse().map_err(|_| WorkerError::Unset(name))
}

/// Tries every plug-in that shall be preloaded, each in a process of its own run by `program`, and tells what it is.
pub fn describe(program: PathBuf, out: &mut impl Write) -> Result<(), WorkerError> {
    let names: Vec<String> =
        variable("BACKLINE_PRELOAD")?.lines().filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let scanner = Scanner::new(program, number("BACKLINE_RATE")?);
    let mut outcome = Ok(());
    let mut say = |line: &Line| {
        if outcome.is_ok() {
            let text = serde_json::to_string(line).map_err(io::Error::from);
            outcome = text.and_then(|text| writeln!(out, "{text}").and_then(|()| out.flush()));
        }
    };
    say(&Line::Stage(format!("trying {} plug-ins", names.len())));
    scanner.describe(&names, &mut |line| match line {
        report::Line::Type(description) => say(&Line::Type(panel(&description))),
        report::Line::Fault(fault) => say(&Line::Fault(Fault { name: fault.name, reason: fault.reason })),
    });
    // Whoever listened is gone, and needs no answer.
    drop(outcome);
    Ok(())
}

/// Opens the plug-ins and plays them until the engine closes.
pub fn run(arguments: Vec<String>) -> Result<(), WorkerError> {
    let types = variable("BACKLINE_TYPES")?;
    let plugins: Vec<(String, String)> = types
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, origin)| (name.to_owned(), origin.to_owned()))
        .collect();
    let (rate_hz, block_frames) = (number("BACKLINE_RATE")?, number("BACKLINE_BLOCK")?);
    let rack = PluginRack::open(&plugins, rate_hz, block_frames, number("BACKLINE_INSTANCES")?);
    let rack =
        rack.map_err(|(name, error)| WorkerError::Plugin { name, reason: crate::host::reason(&error) })?;
    Ok(backline_sdk::run(arguments.into_iter(), rack)?)
}
