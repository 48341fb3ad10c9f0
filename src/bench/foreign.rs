//! What it costs to have other people's libraries warm here: rows of [`super::warmup`] for Python workers and for
//! plug-ins.
//!
//! In:  a Python class of our own, and a plug-in if the machine has it. Out: rows; what cannot be measured is named, with
//! what brings it.

use super::create::{FIRST_SAMPLE, creates, first_samples, look_up};
use super::engine::Engine;
use super::machine;
use super::outcome::{Outcome, Times};
use super::warmup::{RARE, Run, await_successor, kill, worker_in};
use anyhow::{Context, bail};
use backline_abi::wake::now_ns;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Part of this program, so that it measures wherever it was copied to.
const PROBE: &str = include_str!("../../benches/warmup/probe.py");
/// Plug-ins that nobody here wrote, of the Debian package zam-plugins, one of each format.
const PLUGINS: [&str; 3] = ["ladspa:ZamComp", "lv2:urn:zamaudio:ZamTube", "clap:com.zamaudio.ZamDelay"];
/// Longest wait for a kind of worker.
const LIMIT_NS: u64 = 90_000_000_000;
/// Between two kills.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two looks at a kind that warms up.
const LOOK: Duration = Duration::from_millis(2);

/// Python workers: how soon they are warm, what a create costs, how soon a killed one has a successor, what one weighs.
pub fn python(run: &Run<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let modules = run.folder.join("probe.py");
    std::fs::write(&modules, PROBE)?;
    let workers = run.settings.workers;
    let options =
        options(run, &format!("[kind.python]\ncount = {workers}\n"), ["--modules".into(), modules.into()])?;
    let mut warm =
        Times::in_ms(format!("this pool, {workers} Python workers with numpy and scipy: exec to all warm"));
    let engine = match start(run, &options, "python")? {
        Ok(engine) => engine,
        Err(why) => {
            outcome.figures.push(("this pool, Python".to_owned(), json!(format!("missing: {why}"))));
            return Ok(());
        }
    };
    outcome
        .figures
        .push(("this pool, Python: largest idle worker beside its arena, KiB".to_owned(), weight(&engine)?));
    engine.stop()?;
    for _ in 0..run.n.min(RARE) {
        let begun_ns = now_ns();
        let engine = start(run, &options, "python")?.map_err(anyhow::Error::msg)?;
        warm.record_ns(now_ns() - begun_ns);
        engine.stop()?;
    }
    outcome.times.push(warm);
    let engine = start(run, &options, "python")?.map_err(anyhow::Error::msg)?;
    let mut times = Times::in_ms("this pool, Python class: create to /done");
    creates(&engine, "probe", run.n, &mut times)?;
    outcome.times.push(times);
    let mut deaths =
        Times::in_ms("this pool, Python worker: kill -9 to its slot ready again, one every 0.2 s");
    let slots = slots_of(&engine.status()?, "python");
    for turn in 0..run.n.min(RARE) {
        // The zygote has one worker to spare, and needs a moment for the next.
        std::thread::sleep(PAUSE);
        let slot = slots[turn as usize % slots.len()];
        let (pid, _) = worker_in(slot, &engine.status()?)?;
        let killed_ns = kill(pid)?;
        await_successor(&engine, slot, pid)?;
        deaths.record_ns(now_ns() - killed_ns);
    }
    outcome.times.push(deaths);
    engine.stop()?;
    first_sample(run, &options, outcome)
}

/// When a Python class is heard, found by its sample in a recording.
fn first_sample(run: &Run<'_>, options: &[OsString], outcome: &mut Outcome) -> anyhow::Result<()> {
    let wav = run.folder.join("first.wav");
    let recording = [&["--record".into(), wav.clone().into()], options].concat();
    let engine = start(run, &recording, "python")?.map_err(anyhow::Error::msg)?;
    let sent = first_samples(&engine, "probe")?;
    engine.stop()?;
    let times = Times::in_ms(format!("this pool, Python class: {FIRST_SAMPLE}"));
    let mut figures = Vec::new();
    outcome.times.push(look_up(&wav, &sent, run.settings, times, &mut figures)?);
    outcome
        .figures
        .extend(figures.into_iter().map(|(name, value)| (format!("this pool, Python class: {name}"), value)));
    Ok(())
}

/// Plug-ins that are warm: what a create costs.
pub fn plugins(run: &Run<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let plugins = PLUGINS.into_iter().flat_map(|name| ["--plugin".into(), name.into()]);
    let options = options(run, "[kind.plugin]\ntrust = \"own\"\n", plugins)?;
    let title = |name: &str| format!("this pool, plug-in ({name}): create to /done");
    let engine = match start(run, &options, "plugin")? {
        Ok(engine) => engine,
        Err(why) => {
            let missing = json!(format!("missing: {why}"));
            outcome.figures.extend(PLUGINS.map(|name| (title(name), missing.clone())));
            return Ok(());
        }
    };
    let status = engine.status()?;
    for name in PLUGINS {
        if !offers(&status, name) {
            outcome.figures.push((title(name), json!("missing; apt install zam-plugins")));
            continue;
        }
        let mut times = Times::in_ms(title(name));
        creates(&engine, name, run.n, &mut times)?;
        outcome.times.push(times);
    }
    engine.stop()
}

/// Options of `backline run`: settings of our own, and `more`.
fn options(
    run: &Run<'_>,
    settings: &str,
    more: impl IntoIterator<Item = OsString>,
) -> anyhow::Result<Vec<OsString>> {
    let path: PathBuf = run.folder.join("backline.toml");
    std::fs::write(&path, settings).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(["--config".into(), path.into()].into_iter().chain(more).collect())
}

/// An engine whose `kind` is warm, or why it never will be.
fn start(run: &Run<'_>, options: &[OsString], kind: &str) -> anyhow::Result<Result<Engine, String>> {
    let engine = match run.engine_with(options) {
        Ok(engine) => engine,
        Err(refusal) => return Ok(Err(format!("{refusal:#}"))),
    };
    let until_ns = now_ns() + LIMIT_NS;
    loop {
        let status = engine.status()?;
        let kinds = status["kinds"].as_array().context("the status lists no kinds")?;
        let found =
            kinds.iter().find(|row| row["kind"] == kind).context("the engine does not know this kind")?;
        match found["state"].as_str() {
            Some("warm") => return Ok(Ok(engine)),
            Some("closed") => return Ok(Err(found["stage"].as_str().unwrap_or("closed").to_owned())),
            _ if now_ns() >= until_ns => bail!("{kind} workers were not warm after 90 s"),
            _ => std::thread::sleep(LOOK),
        }
    }
}

fn offers(status: &Value, type_name: &str) -> bool {
    let kinds = status["kinds"].as_array().into_iter().flatten();
    kinds.flat_map(|kind| kind["types"].as_array().into_iter().flatten()).any(|name| name == type_name)
}

fn slots_of(status: &Value, kind: &str) -> Vec<u64> {
    let workers = status["workers"].as_array().into_iter().flatten();
    workers.filter(|worker| worker["kind"] == kind).filter_map(|worker| worker["slot"].as_u64()).collect()
}

/// The heaviest Python worker that has never played.
fn weight(engine: &Engine) -> anyhow::Result<Value> {
    let status = engine.status()?;
    let workers = status["workers"].as_array().context("the status lists no workers")?;
    let pids = workers
        .iter()
        .filter(|worker| worker["kind"] == "python")
        .filter_map(|worker| worker["pid"].as_u64());
    let weights = pids.map(|pid| (machine::pss_beside_segments_kib(pid), machine::memory(pid).private_kib));
    let (pss, private) = weights.max().context("there is no Python worker")?;
    Ok(json!({ "pss": pss, "private": private }))
}
