//! `backline bench`.
use super::args::BenchArgs;
use super::exit::Exit;
/// bench
pub fn run(_args: &BenchArgs) -> anyhow::Result<Exit> { Ok(Exit::Success) }
