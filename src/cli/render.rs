//! `backline render`: a patch and a score to a file, by the same engine and workers, as fast as they go; or
//! `--in-process`, by the reference.

use super::args::RenderArgs;
use super::exit::Exit;
use super::run::{load, print_config};
use super::set::Set;
use super::warmth::Warmth;
use crate::command::{Command, Due, Request};
use crate::config::{self, Settings};
use crate::control;
use crate::control::chaos::{Chaos, Injected};
use crate::control::in_process::InProcess;
use crate::control::offline::{self, Cue, Cues};
use crate::kinds::Kind;
use crate::kinds::find::find;
use crate::osc::score;
use crate::output::wav::{SampleHash, WavFiles, WavShape};
use crate::patch::file::PatchFile;
use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;
use std::io::IsTerminal;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Renders and says what it rendered.
pub fn run(args: &RenderArgs) -> anyhow::Result<Exit> {
    let set = Set::read(&args.patch)?;
    let resolved = config::load(args.layer(), Some((set.path(), &set.text)), args.engine.config.as_deref())?;
    if args.engine.print_config {
        print_config(&resolved, args.engine.json);
        return Ok(Exit::Success);
    }
    resolved.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    let settings = resolved.settings;
    // The reference has our own modules only.
    let kinds = if args.in_process { Vec::new() } else { find(&settings)? };
    set.check(&kinds)?;
    let cues = cues(args, &settings)?;
    let total_frames = (args.seconds * f64::from(settings.rate_hz)).round().max(1.0) as u64;
    let mut out = Out::create(args, &settings, total_frames)?;
    let started = Instant::now();
    let toll = if args.in_process {
        in_process(&settings, &set.content()?, cues, total_frames, &mut out)?;
        Toll::default()
    } else {
        by_workers(args, &settings, &kinds, set, cues, total_frames, &mut out)?
    };
    out.finish(args, toll, started.elapsed().as_secs_f64())
}

fn cues(args: &RenderArgs, settings: &Settings) -> anyhow::Result<Cues> {
    let Some(path) = &args.score else { return Ok(Cues::new(Vec::new())) };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the score {}", path.display()))?;
    let lines = score::parse(&text).with_context(|| format!("{} was not played", path.display()))?;
    if let Some((seconds, request)) = lines.iter().find(|(_, it)| it.command.needs_running_engine()) {
        anyhow::bail!(
            "{} was not played: at {seconds} s, {} needs a running engine; a render takes its patch from the \
             command line (play the score on an engine with: backline play)",
            path.display(),
            request.address
        );
    }
    let frame_of = |seconds: f64| (seconds * f64::from(settings.rate_hz)).round().max(0.0) as u64;
    Ok(Cues::new(
        lines.into_iter().map(|(seconds, request)| Cue { frame: frame_of(seconds), request }).collect(),
    ))
}

fn by_workers(
    args: &RenderArgs,
    settings: &Settings,
    kinds: &[Kind],
    set: Set,
    cues: Cues,
    total_frames: u64,
    out: &mut Out,
) -> anyhow::Result<Toll> {
    let mut chaos = args.engine.chaos.clone().map(Chaos::start).transpose()?;
    let mut warmth = Warmth::new(args.engine.json);
    let (mut conductor, mut cycle) = control::start(settings, kinds, &mut |progress| warmth.show(progress))?;
    conductor.await_kinds(&mut |news| news.iter().for_each(|event| warmth.show_news(event)));
    warmth.finish();
    load(&mut conductor, &set.content()?)?;
    let harm = chaos.as_mut();
    offline::render(&mut conductor, &mut cycle, cues, total_frames, harm, |block| out.listen(block))?;
    Ok(Toll {
        concealed: conductor.report().concealed.load(Relaxed),
        injected: chaos.map(|chaos| chaos.injected()).unwrap_or_default(),
    })
}

fn in_process(
    settings: &Settings,
    patch: &PatchFile,
    cues: Cues,
    total_frames: u64,
    out: &mut Out,
) -> anyhow::Result<()> {
    let request = |command: &Command| Request {
        address: "/patch".to_owned(),
        command: command.clone(),
        due: Due::Now,
        late_s: None,
    };
    let commands = std::iter::once(&Command::Begin).chain(&patch.commands).chain([&Command::Commit]);
    let opening = commands.map(|command| Cue { frame: 0, request: request(command) });
    let cues = Cues::new(opening.chain(cues).collect());
    Ok(InProcess::new(settings).render(cues, total_frames, |block| out.listen(block))?)
}

/// What was done to the workers, and what it cost.
#[derive(Default)]
struct Toll {
    concealed: u64,
    injected: Injected,
}

/// The file, its checksum, and the bar.
struct Out {
    wav: WavFiles,
    hash: SampleHash,
    peak: f32,
    failure: Option<anyhow::Error>,
    bar: ProgressBar,
}

impl Out {
    fn create(args: &RenderArgs, settings: &Settings, total_frames: u64) -> anyhow::Result<Self> {
        let is_shown = !args.engine.json && std::io::stderr().is_terminal();
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Ok(Self {
            wav: WavFiles::create(&args.out, WavShape::new(settings.rate_hz, 2))?,
            hash: SampleHash::new(),
            peak: 0.0,
            failure: None,
            bar: ProgressBar::with_draw_target(Some(total_frames), target),
        })
    }

    fn listen(&mut self, block: &[f32]) {
        if self.failure.is_none()
            && let Err(failure) = self.wav.write(block)
        {
            self.failure = Some(failure.into());
        }
        self.hash.update(block);
        self.peak = block.iter().fold(self.peak, |peak, sample| peak.max(sample.abs()));
        self.bar.inc(block.len() as u64 / 2);
    }

    fn finish(self, args: &RenderArgs, toll: Toll, took_s: f64) -> anyhow::Result<Exit> {
        self.bar.finish_and_clear();
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let frames = self.wav.frames();
        let paths = self.wav.finish()?;
        let (sha256, peak) = (self.hash.finish(), self.peak);
        if args.engine.json {
            println!(
                "{}",
                json!({
                    "event": "rendered", "files": paths, "frames": frames, "peak": peak,
                    "concealed": toll.concealed, "faults": toll.injected.total(),
                    "injected": toll.injected.to_json(), "sha256": sha256, "seconds_taken": took_s,
                })
            );
        } else {
            if args.engine.chaos.is_some() {
                println!("{}, {} blocks concealed", toll.injected, toll.concealed);
            }
            println!("{frames} frames in {took_s:.2} s, peak {peak:.3}, sha256 {sha256}");
            paths.iter().for_each(|path| println!("rendered {}", path.display()));
        }
        Ok(Exit::Success)
    }
}
