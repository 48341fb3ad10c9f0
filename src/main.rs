//! Arguments, then the subcommand, then the exit code; nothing else.

use backline::cli;
use backline::cli::args::{CommandLine, Verb};
use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

fn main() -> ExitCode {
    // While a JACK server is away its library complains at every attempt to come back; one line of ours is enough.
    let filter = EnvFilter::try_from_env("BACKLINE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,jack=off"));
    let wants_colour = std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(wants_colour)
        .with_writer(std::io::stderr)
        // A log on a full disk: complaining about that on the same disk would panic.
        .log_internal_errors(false)
        .init();
    let outcome = match CommandLine::parse().verb {
        Verb::Run(args) => cli::run::run(&args),
        Verb::Render(args) => cli::render::run(&args),
        Verb::Send(args) => cli::send::run(&args),
        Verb::Status(args) => cli::status::run(&args),
        Verb::Modules(args) => cli::modules::run(&args),
        Verb::Bench(args) => cli::bench::run(&args),
        Verb::Doctor(args) => cli::doctor::run(&args),
        Verb::Reap(args) => cli::reap::run(&args),
        Verb::Stop(args) => cli::stop::run(&args),
        Verb::Completions(args) => cli::completions::run(&args),
        Verb::Man(args) => cli::man::run(&args),
        Verb::Play(args) => cli::play::run(&args),
        Verb::Picture(args) => cli::picture::run(&args),
    };
    cli::exit::of(outcome).into()
}
