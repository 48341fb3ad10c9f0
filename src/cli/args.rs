//! The whole command line, and what of it becomes settings.
//!
//! Ranges of settings are checked by `config`, with those of files, so that there is one text for each mistake.

mod bench;
mod kinds;

pub use bench::{BenchArgs, BenchQuestion};
pub use kinds::KindArgs;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::layer::Raw;
use crate::config::{Key, Layer, parse_address};
use crate::control::chaos::Spec;
use crate::session::keeper::Kept;

/// A rig of worker processes that stands warm before the set starts.
///
/// Modules (oscillators, filters, envelopes, ...) are created, patched and played over OSC. Each runs in a worker
/// process; a worker may be killed in mid-note and another goes on from the same sample.
#[derive(Debug, Parser)]
#[command(name = "backline", version, propagate_version = true, after_help = EXAMPLES)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  backline run                          warm the pool, open audio and OSC, play until Ctrl-C
  backline send create vco --id 1       make a module, print where it runs
  backline send /connect vco1 out.left 0.5
  backline render song.toml --seconds 8 --out song.wav
  backline modules vcf                  the panel of a module type
  backline doctor                       what this machine lacks for a set

Exit codes: 0 done, 1 failed, 2 usage, 69 no audio device, 70 internal, 73 no shared memory,
75 port or session in use or no engine answers, 77 not permitted, 129, 130 and 143 ended by a signal.";

/// One subcommand.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Warm the pool, open audio and OSC, play until Ctrl-C
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Render a patch to a file, as fast as it goes, with the same engine and workers
    #[command(after_help = RENDER_EXAMPLES)]
    Render(Box<RenderArgs>),
    /// Send one command to a running engine and print the reply
    #[command(after_help = SEND_EXAMPLES)]
    Send(SendArgs),
    /// Show pool, workers, modules, audio, limits, and what was refused
    Status(AskArgs),
    /// Show module types: ports, parameters with unit, range and default, price, exactness
    Modules(ModulesArgs),
    /// Measure this machine: how long a create takes, how long a block takes
    #[command(after_help = bench::EXAMPLES)]
    Bench(BenchArgs),
    /// Show what this machine lacks for a set, each with the line that mends it
    Doctor(DoctorArgs),
    /// Remove what a killed engine left behind: processes, shared memory
    Reap(ReapArgs),
    /// Ask a running engine to fade out and exit
    Stop(AskArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all subcommands to a folder
    Man(ManArgs),
    /// Play a score on a running engine, each event at its sample
    Play(PlayArgs),
    /// Draw waveform and spectrogram of a WAV file
    Picture(PictureArgs),
}

/// Options that `run` and `render` share.
#[derive(Debug, Clone, Default, Args)]
pub struct EngineArgs {
    /// Read settings from FILE instead of backline/backline.toml in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sample rate in Hz, 8000 to 192000 [default: 48000]
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    pub rate: Option<i64>,
    /// Frames in a block, 16 to 1024 [default: 128]
    #[arg(long, value_name = "FRAMES", allow_negative_numbers = true)]
    pub block: Option<i64>,
    /// Native worker processes, 1 to 64 [default: 2 x cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub workers: Option<i64>,
    /// Shared memory of one worker in MiB, 1 to 1024 [default: 16]
    #[arg(long, value_name = "MIB", allow_negative_numbers = true)]
    pub arena: Option<i64>,
    /// Modules the engine accepts, 1 to 1024 [default: 1024]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_modules: Option<i64>,
    /// Connections the engine accepts, 1 to 4096 [default: 4096]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_connections: Option<i64>,
    /// Write down everything done to worker processes in FILE [default: in the state folder]
    #[arg(long, value_name = "FILE")]
    pub audit: Option<PathBuf>,
    /// Replace a worker after S seconds, while it plays; 0 for never [default: 0]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub recycle_ttl: Option<i64>,
    /// Replace a worker after N modules were set up in it; 0 for never [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub recycle_jobs: Option<i64>,
    /// Replace a worker that takes more memory of its own than this, in MiB; 0 for never [default: 256]
    #[arg(long, value_name = "MIB", allow_negative_numbers = true)]
    pub memory_soft: Option<i64>,
    /// Kill a worker that takes more memory of its own than this, in MiB; 0 for never [default: 1024]
    #[arg(long, value_name = "MIB", allow_negative_numbers = true)]
    pub memory_hard: Option<i64>,
    /// Replace no worker that plays well, whatever these limits say
    #[arg(long)]
    pub freeze_recycling: bool,
    /// Memory that modules may take of each arena in MiB, 1 to 1024 [default: 1024]
    #[arg(long, value_name = "MIB", allow_negative_numbers = true)]
    pub max_memory: Option<i64>,
    /// Harm workers on purpose: seed=N and a probability a block for kill, segv, abort, stop, recycle
    #[arg(long, value_name = "SPEC")]
    pub chaos: Option<Spec>,
    /// Ask for no real-time priority and no locked memory
    #[arg(long)]
    pub no_realtime: bool,
    /// Workers that are not ours.
    #[command(flatten)]
    pub kinds: KindArgs,
    /// Print every setting with its unit and origin, and exit
    #[arg(long)]
    pub print_config: bool,
    /// Print JSON lines instead of text
    #[arg(long)]
    pub json: bool,
}

impl EngineArgs {
    fn layer(&self) -> Layer {
        self.kinds
            .layer(Layer::default())
            .option(Key::Rate, self.rate.map(Raw::Whole))
            .option(Key::Block, self.block.map(Raw::Whole))
            .option(Key::Workers, self.workers.map(Raw::Whole))
            .option(Key::ArenaMib, self.arena.map(Raw::Whole))
            .option(Key::MaxModules, self.max_modules.map(Raw::Whole))
            .option(Key::MaxConnections, self.max_connections.map(Raw::Whole))
            .option(Key::Audit, self.audit.clone().map(Raw::Path))
            .option(Key::RecycleTtl, self.recycle_ttl.map(Raw::Whole))
            .option(Key::RecycleJobs, self.recycle_jobs.map(Raw::Whole))
            .option(Key::MemorySoft, self.memory_soft.map(Raw::Whole))
            .option(Key::MemoryHard, self.memory_hard.map(Raw::Whole))
            .option(Key::FreezeRecycling, self.freeze_recycling.then_some(Raw::Truth(true)))
            .option(Key::MaxMemoryMib, self.max_memory.map(Raw::Whole))
            .option(Key::Realtime, self.no_realtime.then_some(Raw::Truth(false)))
    }
}

const RUN_EXAMPLES: &str = "\
Examples:
  backline run                                      sound card if there is one
  backline run set.toml --block 64 --workers 8
  backline run --audio null --listen 127.0.0.1:0    no sound card; prints the port that was free
  backline run --listen 0.0.0.0:57190 --allow 192.168.1.0/24

Settings, strongest first: command line, [settings] of the patch, backline.toml, defaults.";

/// `backline run`
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Patch file (TOML) to start with
    pub patch: Option<PathBuf>,
    /// Clock of the block cycle: auto, cpal (ALSA), jack, or null (a timer, no sound card) [default: auto]
    #[arg(long, value_name = "CLOCK")]
    pub audio: Option<String>,
    /// Audio device by name, as `backline doctor` lists them
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// Where OSC arrives over UDP; port 0 picks a free one [default: 127.0.0.1:57190]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Network that may send OSC, when --listen lets other machines in; may be given more than once
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// Let anybody who can reach --listen send OSC
    #[arg(long)]
    pub insecure: bool,
    /// Record the output to a WAV file (32-bit float)
    #[arg(long, value_name = "FILE.wav")]
    pub record: Option<PathBuf>,
    /// Name of the session; two engines of one name exclude each other, and one that crashed goes on
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// Run the engine alone: nobody starts it again when it crashes
    #[arg(long)]
    pub no_keeper: bool,
    /// What a keeper tells the engine it starts
    #[arg(long, hide = true, value_name = "PID,RESTARTS,NAME")]
    pub kept: Option<Kept>,
    /// Blocks of output held back so that a hang can be replayed, 0 or 1 [default: 0]
    #[arg(long, value_name = "BLOCKS", allow_negative_numbers = true)]
    pub lookahead: Option<i64>,
    /// Folder of /patch/save and /patch/load [default: backline/patches in the data folder]
    #[arg(long, value_name = "FOLDER")]
    pub patches: Option<PathBuf>,
    /// Folder of /record/start [default: backline/recordings in the data folder]
    #[arg(long, value_name = "FOLDER")]
    pub recordings: Option<PathBuf>,
    /// Commands that may wait for their time tag, 1 to 65536 [default: 16384]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_scheduled: Option<i64>,
    /// Modules of one client, 1 to 1024 [default: 1024]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub client_max_modules: Option<i64>,
    /// Connections of one client, 1 to 4096 [default: 4096]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub client_max_connections: Option<i64>,
    /// Memory of the modules of one client in MiB, 1 to 1024 [default: 1024]
    #[arg(long, value_name = "MIB", allow_negative_numbers = true)]
    pub client_max_memory: Option<i64>,
    /// Commands of one client that may wait for their time tag, 1 to 65536 [default: 16384]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub client_max_scheduled: Option<i64>,
    /// Options that `render` has, too.
    #[command(flatten)]
    pub engine: EngineArgs,
}

impl RunArgs {
    /// What the command line says of the settings.
    pub fn layer(&self) -> Layer {
        let text = |text: &Option<String>| text.clone().map(Raw::Text);
        self.engine
            .layer()
            .option(Key::Audio, text(&self.audio))
            .option(Key::Device, text(&self.device))
            .option(Key::Listen, text(&self.listen))
            .option(Key::Allow, (!self.allow.is_empty()).then(|| Raw::List(self.allow.clone())))
            .option(Key::Insecure, self.insecure.then_some(Raw::Truth(true)))
            .option(Key::Record, self.record.clone().map(Raw::Path))
            .option(Key::Session, text(&self.session))
            .option(Key::Lookahead, self.lookahead.map(Raw::Whole))
            .option(Key::Patches, self.patches.clone().map(Raw::Path))
            .option(Key::Recordings, self.recordings.clone().map(Raw::Path))
            .option(Key::MaxScheduled, self.max_scheduled.map(Raw::Whole))
            .option(Key::ClientMaxModules, self.client_max_modules.map(Raw::Whole))
            .option(Key::ClientMaxConnections, self.client_max_connections.map(Raw::Whole))
            .option(Key::ClientMaxMemoryMib, self.client_max_memory.map(Raw::Whole))
            .option(Key::ClientMaxScheduled, self.client_max_scheduled.map(Raw::Whole))
    }
}

const RENDER_EXAMPLES: &str = "\
Examples:
  backline render song.toml --seconds 8 --out song.wav
  backline render song.toml --seconds 8 --out song.wav --score song.score
  backline render song.toml --seconds 8 --out song.wav --chaos seed=7,kill=0.05    # the same bits

A score has one event a line: SECONDS ADDRESS ARGS..., for example
  0.500 /gate adsr1 1        # comments start with #";

/// `backline render`
#[derive(Debug, Clone, Args)]
pub struct RenderArgs {
    /// Patch file (TOML)
    pub patch: PathBuf,
    /// Length in seconds, above 0 to 86400
    #[arg(long, value_name = "S", value_parser = seconds, allow_negative_numbers = true)]
    pub seconds: f64,
    /// WAV file to write (32-bit float)
    #[arg(long, value_name = "FILE.wav")]
    pub out: PathBuf,
    /// Events to play, one a line
    #[arg(long, value_name = "FILE")]
    pub score: Option<PathBuf>,
    /// Render the same graph in this process, without workers
    #[arg(long, conflicts_with = "chaos")]
    pub in_process: bool,
    /// Options that `run` has, too.
    #[command(flatten)]
    pub engine: EngineArgs,
}

impl RenderArgs {
    /// What the command line says of the settings.
    pub fn layer(&self) -> Layer {
        self.engine.layer()
    }
}

const SEND_EXAMPLES: &str = "\
Examples:
  backline send create vco --id 1 --freq 220
  backline send /set vco1 freq 440
  backline send --to 127.0.0.1:9000 /gate 'adsr*' 1

Exit codes: 0 on /done, 1 on /fail, 2 if the command makes no sense, 75 if no engine answers in 2 s.";

/// `backline send`
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// Where the engine listens; must stand before the command
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:57190", value_parser = engine_address)]
    pub to: SocketAddr,
    /// Print the reply as JSON; must stand before the command
    #[arg(long)]
    pub json: bool,
    /// OSC address (the leading / may be left out) and arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub words: Vec<String>,
}

/// `backline status` and `backline stop`
#[derive(Debug, Clone, Args)]
pub struct AskArgs {
    /// Where the engine listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:57190", value_parser = engine_address)]
    pub to: SocketAddr,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// `backline modules`
#[derive(Debug, Clone, Default, Args)]
pub struct ModulesArgs {
    /// One type only, such as vco
    #[arg(value_name = "TYPE")]
    pub type_name: Option<String>,
    /// Read settings from FILE instead of backline/backline.toml in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Workers that are not ours.
    #[command(flatten)]
    pub kinds: KindArgs,
    /// Print JSON lines, one a type
    #[arg(long)]
    pub json: bool,
}

/// `backline doctor`
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Print JSON lines, one a check
    #[arg(long)]
    pub json: bool,
}

/// `backline reap`
#[derive(Debug, Clone, Args)]
pub struct ReapArgs {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// `backline completions`
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// `backline man`
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Write backline.1 and a page for each subcommand to this folder
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// `backline play`
#[derive(Debug, Clone, Args)]
pub struct PlayArgs {
    /// Events to play, one a line: SECONDS ADDRESS ARGS...
    pub score: PathBuf,
    /// Where the engine listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:57190", value_parser = engine_address)]
    pub to: SocketAddr,
}

/// `backline picture`
#[derive(Debug, Clone, Args)]
pub struct PictureArgs {
    /// WAV file to draw
    #[arg(value_name = "IN.wav")]
    pub input: PathBuf,
    /// PNG file to write
    #[arg(value_name = "OUT.png")]
    pub output: PathBuf,
}

fn engine_address(text: &str) -> Result<SocketAddr, String> {
    parse_address(text).ok_or_else(|| "expected ADDRESS:PORT such as 127.0.0.1:57190, or a port".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if seconds > 0.0 && seconds <= 86_400.0 {
        Ok(seconds)
    } else {
        Err("expected more than 0 and at most 86400 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests;
