//! `backline run`: warm the pool, open audio and OSC, play until Ctrl-C.
//!
//! Without more said this process becomes the keeper (`cli/keep.rs`), and its child the engine, which is here.

use super::args::RunArgs;
use super::exit::Exit;
use super::keep::keep;
use super::news;
use super::recover::Recovery;
use super::set::Set;
use super::signals::Stop;
use super::warmth::Warmth;
use crate::config::{self, Resolved, Settings};
use crate::control::apply::Moment;
use crate::control::chaos::{Chaos, Injected};
use crate::control::files::Files;
use crate::control::filework::FileWork;
use crate::control::serve::Server;
use crate::control::{self, Conductor};
use crate::kinds::Kind;
use crate::kinds::find::find;
use crate::osc::Listener;
use crate::output::clock::{self, Opened};
use crate::output::record::{Recorder, Recording};
use crate::output::tap;
use crate::patch::file;
use crate::session::SessionLock;
use anyhow::{Context, bail};
use backline_abi::wake::now_ns;
use serde_json::json;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

/// Runs an engine, and its keeper, until it is told to stop.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let is_restart = args.kept.as_ref().is_some_and(|kept| kept.restarts > 0);
    // The journal has what came of it.
    let not_needed = |refusal: anyhow::Error| tracing::warn!("{refusal:#}; the engine goes on without it");
    let mut set = match args.patch.as_deref().map(Set::read).transpose() {
        Err(refusal) if is_restart => {
            not_needed(refusal);
            None
        }
        set => set?,
    };
    let of_patch = set.as_ref().map(|set| (set.path(), set.text.as_str()));
    let resolved = config::load(args.layer(), of_patch, args.engine.config.as_deref())?;
    if args.engine.print_config {
        print_config(&resolved, args.engine.json);
        return Ok(Exit::Success);
    }
    let kinds = find(&resolved.settings)?;
    match set.as_ref().map_or(Ok(()), |set| set.check(&kinds)) {
        Err(refusal) if is_restart => {
            not_needed(refusal);
            set = None;
        }
        checked => checked?,
    }
    if args.kept.is_none() && !args.no_keeper {
        return keep(&resolved.settings);
    }
    resolved.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    let play = || play(args, set, &kinds, resolved.settings);
    if args.no_keeper {
        return play();
    }
    // A panic is a crash, which the keeper mends; an exit code would end the set.
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|_| std::process::abort())
}

/// The engine, from the first thing that can be refused to the last sample.
fn play(args: &RunArgs, set: Option<Set>, kinds: &[Kind], mut settings: Settings) -> anyhow::Result<Exit> {
    let stop = Stop::on_signals()?;
    let _lock = settings.session.as_deref().map(SessionLock::take).transpose()?;
    // What can be refused is refused before the pool is warmed.
    let mut recovery = Recovery::read(&settings, args.kept.as_ref())?;
    recovery.adjust(&mut settings);
    let listener = Listener::bind(settings.listen)?;
    let address = listener.address();
    let wav = settings.record.as_deref().map(|path| recovery.recording(path));
    let recording = wav.map(|path| Recorder::start(&path, settings.rate_hz, 2)).transpose()?;
    let (input, recorder) = recording.unzip();

    let mut warmth = Warmth::new(args.engine.json);
    let (mut conductor, cycle) = control::start(&settings, kinds, &mut |progress| warmth.show(progress))?;
    let warm_ms = warmth.warm_ms();
    let mut news = Vec::new();
    if recovery.is_due() || recovery.is_waiting() || set.as_ref().is_some_and(Set::is_waiting) {
        conductor.await_kinds(&mut |more| {
            more.iter().for_each(|event| warmth.show_news(event));
            news.extend(more);
        });
    }
    warmth.finish();
    recovery.settle()?;
    let (handle, tap) = tap::tap(input);
    let work = FileWork::start(settings.patches.as_deref(), settings.recordings.as_deref()).context(
        "cannot start the threads that work on files; is the limit on processes reached (ulimit -u)?",
    )?;
    conductor.open_files(Files::new(work, handle, recorder.as_ref().map(Recorder::gauge)));
    match set {
        _ if recovery.is_due() => recovery.replay(&mut conductor),
        Some(set) => {
            let file = set.content()?;
            load(&mut conductor, &file)?;
            conductor.came_from(file);
        }
        None => {}
    }
    let mut opened = clock::open(&settings, cycle, tap, conductor.report().clone())?;
    conductor.clock_name.clone_from(&opened.name);
    // From here on nothing is refused any more, so what ends without saying so is a crash.
    recovery.begin_journal(&mut conductor, address);
    announce(&conductor, &opened, &address.to_string(), warm_ms, args.engine.json);
    news::say(&news, args.engine.json);

    let mut chaos = args.engine.chaos.clone().map(Chaos::start).transpose()?;
    serve(&mut conductor, listener, &mut opened, &settings, &stop, args.engine.json, chaos.as_mut());
    opened.playing.stop();
    conductor.session.close(settings.session.is_some());
    if let Some(chaos) = chaos {
        say_injected(chaos.injected(), conductor.report().concealed.load(Relaxed), args.engine.json);
    }
    let at_run_time = conductor.close_recording();
    drop(conductor);
    if let Some(recorder) = recorder {
        say_recorded(&recorder.finish()?, args.engine.json);
    }
    if let Some(recording) = at_run_time {
        say_recorded(&recording, args.engine.json);
    }
    Ok(stop.exit())
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
    let workers = conductor.settings().workers;
    if is_json {
        let (audio, notice) = (&opened.name, &opened.notice);
        say(format_args!(
            "{}",
            json!({
                "event": "ready", "osc_udp": address, "workers": workers, "warm_ms": warm_ms,
                "audio": audio, "notice": notice, "refused": refused,
                "restarted": conductor.session.restarts,
                "recovered_modules": conductor.session.recovered_modules,
            })
        ));
        return;
    }
    for line in opened.notice.iter().chain(&refused) {
        let _ = writeln!(std::io::stderr(), "backline: notice: {line}");
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
    is_json: bool,
    mut chaos: Option<&mut Chaos>,
) {
    let mut server = Server::new(listener, settings);
    while !stop.is_asked() && !conductor.is_quitting() {
        server.turn(conductor);
        news::say(&conductor.take_news(), is_json);
        if let Some(chaos) = &mut chaos {
            chaos.strike_live(conductor);
        }
        conductor.report().xruns.fetch_max(opened.playing.device_xruns(), Relaxed);
        if let Some(notice) = opened.playing.tend() {
            tracing::warn!("{notice}");
        }
    }
}

fn say_injected(injected: Injected, concealed: u64, is_json: bool) {
    if is_json {
        let (faults, injected) = (injected.total(), injected.to_json());
        say(format_args!(
            "{}",
            json!({ "event": "chaos", "faults": faults, "injected": injected, "concealed": concealed })
        ));
    } else {
        say(format_args!("{injected}, {concealed} blocks concealed"));
    }
}

fn say_recorded(recording: &Recording, is_json: bool) {
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
}

/// Prints a line. A reader who has left does not stop the music.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
