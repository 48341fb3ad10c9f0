//! `backline run`: warm the pool, open audio and OSC, play until Ctrl-C.

use super::args::RunArgs;
use super::exit::Exit;
use super::warmth::Warmth;
use crate::config::{self, Resolved, Settings};
use crate::control::apply::Moment;
use crate::control::serve::Server;
use crate::control::{self, Conductor};
use crate::osc::Listener;
use crate::output::clock::{self, Opened};
use crate::output::record::Recorder;
use crate::patch::file;
use crate::session::SessionLock;
use anyhow::{Context, bail};
use backline_abi::wake::now_ns;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

/// Runs an engine until it is told to stop.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let patch = args.patch.as_deref().map(read_patch).transpose()?;
    let of_patch = args.patch.as_deref().zip(patch.as_ref().map(|(text, _)| text.as_str()));
    let resolved = config::load(args.layer(), of_patch, args.engine.config.as_deref())?;
    if args.engine.print_config {
        print_config(&resolved, args.engine.json);
        return Ok(Exit::Success);
    }
    resolved.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    let settings = resolved.settings;
    let stop = Stop::on_signals()?;
    let _lock = settings.session.as_deref().map(SessionLock::take).transpose()?;
    // What can be refused is refused before the pool is warmed.
    let listener = Listener::bind(settings.listen)?;
    let address = listener.address();
    let recording =
        settings.record.as_deref().map(|path| Recorder::start(path, settings.rate_hz, 2)).transpose()?;
    let (input, recorder) = recording.unzip();

    let mut warmth = Warmth::new(args.engine.json);
    let (mut conductor, cycle) = control::start(&settings, &mut |progress| warmth.show(progress))?;
    let warm_ms = warmth.warm_ms();
    warmth.finish();
    if let Some((_, file)) = &patch {
        load(&mut conductor, file)?;
    }
    let mut opened = clock::open(&settings, cycle, input, conductor.report().clone())?;
    conductor.clock_name.clone_from(&opened.name);
    announce(&conductor, &opened, &address.to_string(), warm_ms, args.engine.json);

    serve(&mut conductor, listener, &mut opened, &settings, &stop);
    opened.playing.stop();
    drop(conductor);
    finish(recorder, args.engine.json)?;
    Ok(stop.exit())
}

/// Text and content of a patch file.
pub(super) fn read_patch(path: &Path) -> anyhow::Result<(String, file::PatchFile)> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the patch {}", path.display()))?;
    let patch = file::load(&text).with_context(|| format!("{} was not loaded", path.display()))?;
    Ok((text, patch))
}

pub(super) fn print_config(resolved: &Resolved, is_json: bool) {
    if is_json {
        println!("{}", resolved.to_json());
    } else {
        print!("{resolved}");
    }
}

/// Puts a patch in force in one block, through the same checks as the network.
pub(super) fn load(conductor: &mut Conductor, patch: &file::PatchFile) -> anyhow::Result<()> {
    use crate::command::{Command, Due, Request};
    let commands = std::iter::once(&Command::Begin).chain(&patch.commands).chain([&Command::Commit]);
    for command in commands {
        let request =
            Request { address: "/patch".to_owned(), command: command.clone(), due: Due::Now, late_s: None };
        let replies = conductor.apply(&request, Moment { frame: 0, arrived_ns: now_ns() });
        if let Some(failure) = replies.iter().find(|reply| reply.is_failure()) {
            bail!("the patch was not loaded: {}", super::send::as_words(failure));
        }
    }
    Ok(())
}

fn announce(conductor: &Conductor, opened: &Opened, address: &str, warm_ms: f64, is_json: bool) {
    let refused = conductor.refused();
    let workers = conductor.pool().slots().len();
    if is_json {
        let (audio, notice) = (&opened.name, &opened.notice);
        say(format_args!(
            "{}",
            json!({
                "event": "ready", "osc_udp": address, "workers": workers, "warm_ms": warm_ms,
                "audio": audio, "notice": notice, "refused": refused,
            })
        ));
        return;
    }
    for line in opened.notice.iter().chain(&refused) {
        eprintln!("backline: notice: {line}");
    }
    say(format_args!(
        "ready: {workers} workers warm in {warm_ms:.0} ms, OSC on udp {address}, audio {}",
        opened.name
    ));
}

fn serve(
    conductor: &mut Conductor,
    listener: Listener,
    opened: &mut Opened,
    settings: &Settings,
    stop: &Stop,
) {
    let mut server = Server::new(listener, settings);
    while !stop.is_asked() && !conductor.is_quitting() {
        server.turn(conductor);
        conductor.report().xruns.fetch_max(opened.playing.device_xruns(), Relaxed);
        if let Some(notice) = opened.playing.tend() {
            tracing::warn!("{notice}");
        }
    }
}

fn finish(recorder: Option<Recorder>, is_json: bool) -> anyhow::Result<()> {
    let Some(recorder) = recorder else { return Ok(()) };
    let recording = recorder.finish()?;
    if is_json {
        say(format_args!(
            "{}",
            json!({
                "event": "recorded", "files": recording.files, "frames": recording.frames,
                "dropped_frames": recording.dropped_frames, "sha256": recording.sha256,
            })
        ));
    } else {
        for path in &recording.files {
            say(format_args!("recorded {}", path.display()));
        }
    }
    Ok(())
}

/// Prints a line. A reader who has left does not stop the music.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Ctrl-C and TERM.
struct Stop {
    is_asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    fn on_signals() -> std::io::Result<Self> {
        let stop = Self { is_asked: Arc::default(), signal: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            // A second signal while we are fading ends the program at once.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.is_asked.clone())?;
            signal_hook::flag::register_usize(signal, stop.signal.clone(), signal as usize)?;
            signal_hook::flag::register(signal, stop.is_asked.clone())?;
        }
        Ok(stop)
    }

    fn is_asked(&self) -> bool {
        self.is_asked.load(SeqCst)
    }

    fn exit(&self) -> Exit {
        match self.signal.load(SeqCst) as i32 {
            SIGINT => Exit::Interrupted,
            SIGTERM => Exit::Terminated,
            _ => Exit::Success,
        }
    }
}
