//! Options of `backline bench`.

use super::EngineArgs;
use crate::config::Layer;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  backline bench create --n 1000
  backline bench cycle --block 64 --json cycle.json
  backline bench warmup --n 20          # a minute; wants numpy and scipy";

/// `backline bench`
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What to measure
    pub question: BenchQuestion,
    /// Print JSON, or write it to FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub json: Option<Option<PathBuf>>,
    /// How often to measure, 1 to 10000000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub n: Option<u64>,
    /// Sample rate in Hz, 8000 to 192000 [default: 48000]
    #[arg(long, value_name = "HZ")]
    pub rate: Option<i64>,
    /// Frames in a block, 16 to 1024 [default: 128]
    #[arg(long, value_name = "FRAMES")]
    pub block: Option<i64>,
    /// Native worker processes, 1 to 64 [default: 2 x cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<i64>,
    /// Ask for no real-time priority and no locked memory
    #[arg(long)]
    pub no_realtime: bool,
}

impl BenchArgs {
    /// What the command line says of the settings.
    pub fn layer(&self) -> Layer {
        let Self { rate, block, workers, no_realtime, .. } = *self;
        EngineArgs { rate, block, workers, no_realtime, ..EngineArgs::default() }.layer()
    }
}

/// What `backline bench` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchQuestion {
    /// From the datagram of a create to its reply, and to the first sample
    Create,
    /// How long a block takes, and how many are late
    Cycle,
    /// How soon a killed worker's modules play elsewhere, and whether a sample differs
    Takeover,
    /// What a warm process costs: Python's ways to one (cold, spawn, forkserver, fork, Pool) beside pools of 4
    Warmup,
}
