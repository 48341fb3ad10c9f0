//! What does a warm process cost, made in each of Python's ways, and taken from this pool?
//!
//! All in one run, because such figures change with the machine's hour. Python's ways are timed by a script
//! ([`peers`]), this pool by engines as processes of their own, which are asked from here.

use super::create::creates;
use super::engine::Engine;
use super::outcome::{Outcome, Times};
use super::{foreign, machine, peers};
use crate::config::Settings;
use anyhow::{Context, bail};
use backline_abi::wake::now_ns;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Workers of each pool, as in the decision record that this table goes back to.
pub const DEFAULT_WORKERS: usize = 4;
/// Most measurements of what takes a good part of a second.
pub const RARE: u64 = 20;
/// Longest wait for the successor of a killed worker.
const LIMIT_NS: u64 = 10_000_000_000;
/// Between two looks at the pool: little against the start of a worker.
const LOOK: Duration = Duration::from_millis(1);

/// Measures one part of the table and adds its rows.
type Part = fn(&Run<'_>, &mut Outcome) -> anyhow::Result<()>;

/// The table from top to bottom. Another kind of worker is another function here.
const PARTS: [Part; 7] = [
    peers::measure,
    native_memory,
    native_starts,
    native_creates,
    native_deaths,
    foreign::python,
    foreign::plugins,
];

/// What every part is given.
pub struct Run<'run> {
    /// Of the engines; `workers` is the size of the peers' pools, too.
    pub settings: &'run Settings,
    /// How often to measure what is soon done.
    pub n: u64,
    /// A folder of our own, gone at the end.
    pub folder: &'run Path,
}

impl Run<'_> {
    /// An engine that says nothing; if it does not start, what it said is the error's context.
    fn engine(&self) -> anyhow::Result<Engine> {
        self.engine_with(&[])
    }

    /// The same with further `options`.
    pub fn engine_with(&self, options: &[OsString]) -> anyhow::Result<Engine> {
        let (audit, log) = (self.folder.join("audit.jsonl"), self.folder.join("engine.log"));
        let more = options.iter().map(OsString::as_os_str);
        let options: Vec<&OsStr> = ["--audit".as_ref(), audit.as_os_str()].into_iter().chain(more).collect();
        let engine = Engine::start(self.settings, &options, File::create(&log)?.into());
        engine.with_context(|| std::fs::read_to_string(&log).unwrap_or_default())
    }
}

/// Measures everything; what takes long is measured less often than `n` times, as its row says.
pub fn run(settings: &Settings, n: u64) -> anyhow::Result<Outcome> {
    let folder = std::env::temp_dir().join(format!("backline-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let run = Run { settings, n, folder: &folder };
    let mut outcome = Outcome {
        bench: "warmup",
        settings: json!({
            "block_frames": settings.block_frames, "rate_hz": settings.rate_hz, "workers": settings.workers,
            "audio": "null", "n": n,
        }),
        times: Vec::new(),
        figures: Vec::new(),
    };
    let measured = PARTS.iter().try_for_each(|part| part(&run, &mut outcome));
    let _ = std::fs::remove_dir_all(&folder);
    measured.map(|()| outcome)
}

/// What the largest worker of a pool weighs that has never played, and which rights it runs with. Its arena is shared
/// with all others and locked in memory, so it is in `pss` and not in `private`.
fn native_memory(run: &Run<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let engine = run.engine()?;
    let weights = engine.workers()?.into_iter().map(machine::memory);
    let largest = weights.max_by_key(|memory| memory.private_kib).context("the pool is empty")?;
    let status = engine.status()?;
    let arena_kib = status["memory"]["arena_bytes"].as_u64().map(|bytes| bytes / 1024);
    let kib = json!({"pss": largest.pss_kib, "private": largest.private_kib, "arena": arena_kib});
    let realtime = status["audio"]["realtime"].clone();
    outcome.figures.push(("this pool, native: largest idle worker, KiB".to_owned(), kib));
    outcome.figures.push(("this pool, native: real-time priority granted".to_owned(), realtime));
    engine.stop()
}

/// From exec of the engine to its word that all workers are warm. As with the peers, the first start does not count.
fn native_starts(run: &Run<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut times = Times::in_ms("this pool, native: exec to ready");
    run.engine()?.stop()?;
    for _ in 0..run.n.min(RARE) {
        let engine = run.engine()?;
        times.record_ns(engine.ready_ns);
        engine.stop()?;
    }
    outcome.times.push(times);
    Ok(())
}

/// A module assigned to a worker and its word that it is set up.
fn native_creates(run: &Run<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut times = Times::in_ms("this pool, native: create to /done");
    let engine = run.engine()?;
    creates(&engine, "vco", run.n, &mut times)?;
    engine.stop()?;
    outcome.times.push(times);
    Ok(())
}

/// From the death of a worker to another process that is ready in its slot.
fn native_deaths(run: &Run<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut times = Times::in_ms("this pool, native: kill -9 to its slot ready again");
    let engine = run.engine()?;
    for turn in 0..run.n.min(RARE) {
        let slot = turn % run.settings.workers as u64;
        let (pid, _) = worker_in(slot, &engine.status()?)?;
        let killed_ns = kill(pid)?;
        await_successor(&engine, slot, pid)?;
        times.record_ns(now_ns() - killed_ns);
    }
    engine.stop()?;
    outcome.times.push(times);
    Ok(())
}

/// Kills process `pid`, and says when.
pub fn kill(pid: u64) -> anyhow::Result<u64> {
    let victim = Pid::from_raw(pid as i32).context("a worker has no process")?;
    let killed_ns = now_ns();
    kill_process(victim, Signal::KILL).context("a worker was gone before it was killed")?;
    Ok(killed_ns)
}

/// Waits until somebody else than `pid` is ready in `slot`.
pub fn await_successor(engine: &Engine, slot: u64, pid: u64) -> anyhow::Result<()> {
    let until_ns = now_ns() + LIMIT_NS;
    loop {
        let (found, is_ready) = worker_in(slot, &engine.status()?)?;
        if found != pid && is_ready {
            return Ok(());
        }
        if now_ns() >= until_ns {
            bail!("worker {slot} has no successor 10 s after it was killed");
        }
        std::thread::sleep(LOOK);
    }
}

/// Process id of the worker in `slot`, and whether it is ready.
pub fn worker_in(slot: u64, status: &Value) -> anyhow::Result<(u64, bool)> {
    let workers = status["workers"].as_array().context("the status lists no workers")?;
    let worker = workers.iter().find(|worker| worker["slot"] == slot);
    let worker = worker.with_context(|| format!("the status has no worker {slot}"))?;
    let pid = worker["pid"].as_u64().with_context(|| format!("worker {slot} has no process id"))?;
    Ok((pid, worker["state"] == "ready"))
}
