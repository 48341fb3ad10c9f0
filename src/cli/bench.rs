//! `backline bench`: one question, the whole distribution, and the machine it was measured on.

use super::args::{BenchArgs, BenchQuestion};
use super::exit::Exit;
use crate::bench::{create, cycle, takeover, warmup};
use crate::config;
use anyhow::Context;

/// Measurements when `--n` does not say.
const DEFAULT_N: u64 = 2_000;

/// Measures and prints.
pub fn run(args: &BenchArgs) -> anyhow::Result<Exit> {
    let mut settings = config::load(args.layer(), None, None)?.settings;
    if args.question == BenchQuestion::Warmup && args.workers.is_none() {
        settings.workers = warmup::DEFAULT_WORKERS;
    }
    let n = args.n.unwrap_or(DEFAULT_N);
    let outcome = match args.question {
        BenchQuestion::Create => create::run(&settings, n)?,
        BenchQuestion::Cycle => cycle::run(&settings, n)?,
        BenchQuestion::Takeover => takeover::run(&settings, n)?,
        BenchQuestion::Warmup => warmup::run(&settings, n)?,
    };
    match &args.json {
        None => print!("{}", outcome.table()),
        Some(None) => println!("{}", outcome.to_json()),
        Some(Some(path)) => {
            let text = outcome.to_json().to_string();
            std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
            print!("{}", outcome.table());
        }
    }
    Ok(Exit::Success)
}
