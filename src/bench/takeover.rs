//! When a worker is killed in mid-block, how soon is it known, how soon do its modules play elsewhere, and what is
//! heard of it?
//!
//! Real workers driven by the engine's own cycle in real time; a real SIGKILL at a random moment of a block; every
//! sample compared with the same patch rendered without worker processes.

use super::outcome::{Outcome, Times};
use crate::command::{Command, Due, PortName, Request, Value};
use crate::config::Settings;
use crate::control::apply::Moment;
use crate::control::in_process::InProcess;
use crate::control::offline::{Cue, Cues};
use crate::control::{self, Conductor};
use crate::cycle::Cycle;
use crate::pool::Slot;
use crate::rt::{self, AUDIO_PRIORITY};
use crate::supervise::lifecycle::State;
use crate::takeover::Reason;
use anyhow::bail;
use backline_abi::rights;
use backline_abi::wake::{now_ns, sleep_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread::JoinHandle;

/// Voices of four modules each, and a sink for all.
const VOICES: usize = 5;
/// Longest wait for one thing to happen.
const LIMIT_NS: u64 = 10_000_000_000;
/// About what passes from kill(2) to the end of a process.
const SIGNAL_NS: u64 = 60_000;
/// Goals of the issue, us: (quantile, limit).
const NOTICE_GOAL: [(f64, f64); 1] = [(0.5, 80.0)];
const REPLAY_GOAL: [(f64, f64); 1] = [(0.5, 120.0)];

/// Kills `n` workers, one after another.
pub fn run(settings: &Settings, n: u64) -> anyhow::Result<Outcome> {
    let commands = patch();
    let (mut conductor, cycle) = control::start(settings, &[], &mut |_| {})?;
    perform(&mut conductor, &commands)?;
    let stop = Arc::new(AtomicBool::new(false));
    let audio = start_audio(settings, cycle, conductor.report().clone(), stop.clone())?;
    let mut toll = Toll::new();
    for number in 0..n {
        toll.kill_one(&mut conductor, settings, number)?;
    }
    // Release: pairs with the audio thread's load.
    stop.store(true, Release);
    let Ok(played) = audio.join() else { bail!("the audio thread panicked") };
    let reference = reference(settings, commands, played.len() as u64 / 2)?;
    let frames = settings.block_frames as usize * 2;
    let differing =
        played.chunks(frames).zip(reference.chunks(frames)).filter(|(one, other)| one != other).count();
    let report = conductor.report();
    let figures = vec![
        ("workers killed".to_owned(), json!(n)),
        ("kills in which nobody was playing".to_owned(), json!(toll.idle)),
        ("workers that had been left for another reason by then".to_owned(), json!(toll.found_hanging)),
        ("blocks played".to_owned(), json!(played.len() / frames)),
        ("kills with a block concealed in the two blocks after".to_owned(), json!(toll.kills_heard)),
        ("blocks concealed in the two blocks after a kill".to_owned(), json!(toll.concealed)),
        (
            "about as long without a kill, before each: with a block concealed".to_owned(),
            json!(toll.quiet_heard),
        ),
        ("blocks concealed at all".to_owned(), json!(report.concealed.load(Relaxed))),
        ("blocks that differ from the in-process reference".to_owned(), json!(differing)),
        ("timer xruns".to_owned(), json!(report.xruns.load(Relaxed))),
        ("modules moved".to_owned(), json!(toll.modules)),
    ];
    let settings = json!({
        "block_frames": settings.block_frames, "rate_hz": settings.rate_hz, "workers": settings.workers,
        "audio": "timer", "realtime": report.has_fifo.load(Relaxed) == 1, "n": n, "modules": VOICES * 4 + 1,
    });
    Ok(Outcome {
        bench: "takeover",
        settings,
        times: vec![toll.notice, toll.moved, toll.replay, toll.total],
        figures,
    })
}

/// What the kills have cost.
struct Toll {
    notice: Times,
    moved: Times,
    replay: Times,
    total: Times,
    idle: u64,
    found_hanging: u64,
    concealed: u64,
    kills_heard: u64,
    /// What this machine conceals by itself: as many stretches of the same length in which nobody is killed.
    quiet_heard: u64,
    modules: u64,
    /// The process that was killed last.
    killed: u32,
}

impl Toll {
    fn new() -> Self {
        Self {
            notice: Times::new("kill to notice", &NOTICE_GOAL),
            moved: Times::new("notice to all places changed", &[]),
            replay: Times::new("notice (or the next block) to first replayed commit", &REPLAY_GOAL),
            total: Times::new("kill to first replayed commit", &[]),
            idle: 0,
            found_hanging: 0,
            concealed: 0,
            kills_heard: 0,
            quiet_heard: 0,
            modules: 0,
            killed: 0,
        }
    }

    /// Kills the next worker that plays, and waits until its modules play elsewhere and the pool is full again.
    fn kill_one(
        &mut self,
        conductor: &mut Conductor,
        settings: &Settings,
        number: u64,
    ) -> anyhow::Result<()> {
        self.await_full_pool(conductor)?;
        let slots = conductor.pool().slots().len();
        let playing = (0..slots).map(|step| (number as usize + step) % slots);
        let Some(victim) = playing.into_iter().find(|slot| conductor.pool().slots()[*slot].modules > 0)
        else {
            bail!("nobody plays");
        };
        let pid = conductor.pool().slots()[victim].pid;
        let period_ns = settings.block_ns();
        let concealed_before = conductor.report().concealed.load(Relaxed);
        sleep_until(next_block_ns(conductor, period_ns) + 2 * period_ns);
        self.quiet_heard += u64::from(conductor.report().concealed.load(Relaxed) != concealed_before);
        // A moment of the part of a block in which workers render, and shortly before, because a signal takes its
        // time; spread by the golden ratio.
        let busy_ns = u64::from(conductor.report().cycle_ns.load(Relaxed)).min(period_ns) + SIGNAL_NS;
        let moment_ns = (number as f64 * 0.618_033_988_749_895).fract() * busy_ns as f64;
        sleep_until(next_block_ns(conductor, period_ns) + moment_ns as u64 - SIGNAL_NS);
        let Some(target) = Pid::from_raw(pid as i32) else { bail!("worker {victim} has no process") };
        let concealed_before = conductor.report().concealed.load(Relaxed);
        let killed_ns = now_ns();
        self.killed = pid;
        if kill_process(target, Signal::KILL).is_err() {
            // It was found hanging, or died, since we looked.
            self.found_hanging += 1;
            return Ok(());
        }
        let until_ns = now_ns() + LIMIT_NS;
        let fact = loop {
            match conductor.take_over_fact() {
                Some(fact) if fact.slot == victim && fact.reason == Reason::Died => break fact,
                // The machine stood still; the worker was found out another way before the signal came.
                Some(fact) if fact.pid == pid && matches!(fact.reason, Reason::Hung | Reason::Stopped) => {
                    self.found_hanging += 1;
                    return Ok(());
                }
                _ if now_ns() >= until_ns => bail!("the death of worker {victim} was not noticed"),
                _ => sleep_until(now_ns() + 20_000),
            }
        };
        self.notice.record_ns(fact.noticed_ns.saturating_sub(killed_ns));
        self.moved.record_ns(fact.moved_ns - fact.noticed_ns);
        self.modules += u64::from(fact.modules);
        if fact.modules == 0 {
            self.idle += 1;
            return Ok(());
        }
        let rig = conductor.pool().rig();
        // Whoever took them: they may have moved on, if that worker was held up meanwhile.
        let replays = || (0..slots).map(|slot| rig.head(slot).replayed_ns.load(Relaxed));
        let replayed_ns = loop {
            match replays().filter(|replayed_ns| *replayed_ns >= fact.noticed_ns).min() {
                Some(replayed_ns) => break replayed_ns,
                None if now_ns() >= until_ns => bail!("the modules of worker {victim} play nowhere"),
                None => sleep_until(now_ns() + 20_000),
            }
        };
        // If the lost worker was through with its block, there is nothing to replay before the next one begins.
        let next_ns = next_block_ns(conductor, period_ns);
        let block_ns = next_ns - next_ns.saturating_sub(replayed_ns).div_ceil(period_ns) * period_ns;
        self.replay.record_ns(replayed_ns - fact.noticed_ns.max(block_ns.min(replayed_ns)));
        // The block of the death is over.
        sleep_until(next_ns + period_ns);
        self.concealed += conductor.report().concealed.load(Relaxed) - concealed_before;
        self.kills_heard += u64::from(conductor.report().concealed.load(Relaxed) != concealed_before);
        self.total.record_ns(replayed_ns - killed_ns);
        Ok(())
    }

    /// Waits until there is a worker in every slot, and none of them is the one that was killed.
    fn await_full_pool(&self, conductor: &mut Conductor) -> anyhow::Result<()> {
        let until_ns = now_ns() + LIMIT_NS;
        loop {
            conductor.tend_pool();
            let is_filled = |slot: &Slot| {
                slot.state == State::Vacant || (slot.state.is_usable() && slot.pid != self.killed)
            };
            if conductor.pool().slots().iter().all(is_filled) {
                return Ok(());
            }
            if now_ns() >= until_ns {
                bail!("the pool is not full again 10 s after a kill");
            }
            sleep_until(now_ns() + 500_000);
        }
    }
}

fn next_block_ns(conductor: &Conductor, period_ns: u64) -> u64 {
    let began_ns = conductor.report().position().map_or(0, |(_, began_ns)| began_ns);
    let passed = now_ns().saturating_sub(began_ns) / period_ns + 1;
    began_ns + passed * period_ns
}

/// Plays in real time until told to stop; everything that was played comes back.
fn start_audio(
    settings: &Settings,
    mut cycle: Cycle,
    report: Arc<crate::rt::report::AudioReport>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<JoinHandle<Vec<f32>>> {
    let frames = settings.block_frames as usize;
    let period_ns = settings.block_ns();
    let wants_realtime = settings.wants_realtime;
    Ok(std::thread::Builder::new().name("audio".into()).spawn(move || {
        report.introduce(wants_realtime && rights::take_fifo(AUDIO_PRIORITY).is_ok());
        rights::flush_denormals();
        let mut played = Vec::new();
        let mut out = vec![0.0; frames * 2];
        let mut due_ns = now_ns() + period_ns;
        // Acquire: pairs with the bench's store.
        while !stop.load(Acquire) {
            sleep_until(due_ns);
            if now_ns() > due_ns + period_ns {
                report.xruns.fetch_add(1, Relaxed);
                due_ns = now_ns();
            }
            rt::audio_section(|| cycle.play_block(&mut out, due_ns, due_ns + period_ns * 9 / 10));
            // The bench's own memory; a page that comes late costs the sleep, not the block.
            played.extend_from_slice(&out);
            due_ns += period_ns;
        }
        played
    })?)
}

fn reference(settings: &Settings, commands: Vec<Command>, frames: u64) -> anyhow::Result<Vec<f32>> {
    let cues = commands.into_iter().map(|command| Cue { frame: 0, request: request(command) }).collect();
    let mut samples = Vec::new();
    // A render fades out at its end; what was played here did not, so it is rendered a second longer.
    let longer = frames + u64::from(settings.rate_hz);
    InProcess::new(settings).render(Cues::new(cues), longer, |block| samples.extend_from_slice(block))?;
    samples.truncate(frames as usize * 2);
    Ok(samples)
}

fn request(command: Command) -> Request {
    Request { address: "/bench".to_owned(), command, due: Due::Now, late_s: None }
}

fn perform(conductor: &mut Conductor, commands: &[Command]) -> anyhow::Result<()> {
    for command in commands {
        let moment = Moment { frame: 0, arrived_ns: now_ns() };
        let replies = conductor.apply(&request(command.clone()), moment);
        if let Some(failure) = replies.iter().find(|reply| reply.is_failure()) {
            bail!("the patch cannot be built: {failure:?}");
        }
    }
    Ok(())
}

/// Voices of lfo, vco, vcf and delay into one sink: state, cables and lines.
fn patch() -> Vec<Command> {
    let port = |id: String, port: Option<&str>| PortName { id, port: port.map(str::to_owned) };
    let create = |kind: &str, id: String, params: &[(&str, f64)]| Command::Create {
        type_name: kind.to_owned(),
        id: Some(id),
        params: params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::Number(*value as f32)))
            .collect(),
    };
    let mut commands = vec![Command::Begin, create("out", "out".to_owned(), &[])];
    for voice in 0..VOICES {
        let id = |kind: &str| format!("{kind}{voice}");
        let frequency_hz = 110.0 * (voice + 1) as f64;
        commands.push(create("lfo", id("lfo"), &[("rate", 0.5 + voice as f64)]));
        commands.push(create("vco", id("vco"), &[("freq", frequency_hz)]));
        commands.push(create("vcf", id("vcf"), &[("cutoff", 800.0)]));
        commands.push(create(
            "delay",
            id("delay"),
            &[("time", 0.05 + 0.01 * voice as f64), ("feedback", 0.4)],
        ));
        let cable = |from: String, to: String, entry: Option<&str>, gain: f32| Command::Connect {
            source: port(from, None),
            target: port(to, entry),
            gain,
        };
        commands.push(cable(id("lfo"), id("vcf"), Some("cv"), 0.5));
        commands.push(cable(id("vco"), id("vcf"), None, 1.0));
        commands.push(cable(id("vcf"), id("delay"), None, 1.0));
        commands.push(cable(
            id("delay"),
            "out".to_owned(),
            Some(if voice % 2 == 0 { "left" } else { "right" }),
            0.2,
        ));
    }
    commands.push(Command::Commit);
    commands
}
