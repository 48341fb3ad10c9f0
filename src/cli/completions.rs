//! `backline completions SHELL`: a script for the shell to complete our command line.

use std::io::Write;

use clap::CommandFactory;

use super::args::{CommandLine, CompletionsArgs};
use super::exit::Exit;

/// Prints the script.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "backline", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Success)
}
