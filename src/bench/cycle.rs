//! How long does one block take, from waking the workers to the last commit, and what does a hop from one
//! worker to the next cost?
//!
//! Real workers, driven by the engine's own cycle on a thread with its priority, paced in real time by a timer,
//! because a machine that never sleeps between blocks wakes faster than one on stage.

use super::outcome::{Outcome, Times};
use crate::command::{Command, Due, PortName, Request};
use crate::config::Settings;
use crate::control::apply::Moment;
use crate::control::{self, Conductor};
use crate::cycle::Cycle;
use crate::rt::{self, AUDIO_PRIORITY};
use anyhow::bail;
use backline_abi::rights;
use backline_abi::wake::{now_ns, sleep_until};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};

/// Blocks rendered before measuring begins.
const SETTLING_BLOCKS: u64 = 100;

/// One arrangement of modules.
struct Scene {
    name: String,
    goals: Vec<(f64, f64)>,
    /// Type and slot of each module, in order.
    modules: Vec<(&'static str, usize)>,
    /// Whether each module is patched into the next.
    is_chain: bool,
}

/// Runs every scene for `n` blocks.
pub fn run(settings: &Settings, n: u64) -> anyhow::Result<Outcome> {
    let mut times = Vec::new();
    let mut figures = Vec::new();
    let mut has_fifo = true;
    for scene in scenes(settings.workers) {
        let (measured, was_fifo) = measure(settings, scene, n)?;
        has_fifo &= was_fifo;
        times.push(measured);
    }
    let period_us = f64::from(settings.block_frames) * 1e6 / f64::from(settings.rate_hz);
    figures.push(("period, us".to_owned(), json!(period_us)));
    for length in [4_u32, 8] {
        let chain = |length: u32| {
            let name = format!("chain of {length}, two workers of one core");
            times.iter().find(|times| times.name == name).map(|times| times.quantile_us(0.5))
        };
        if let (Some(short), Some(long)) = (chain(length), chain(length * 2)) {
            let hop = (long - short) / f64::from(length);
            figures.push((
                format!("a module and its hop on one core, us ({length} to {})", length * 2),
                json!(hop),
            ));
        }
    }
    let settings = json!({
        "block_frames": settings.block_frames, "rate_hz": settings.rate_hz, "workers": settings.workers,
        "audio": "timer", "realtime": has_fifo, "n": n,
    });
    Ok(Outcome { bench: "cycle", settings, times, figures })
}

fn scenes(workers: usize) -> Vec<Scene> {
    let cores = core_affinity::get_core_ids().map_or(1, |cores| cores.len()).max(1);
    let chain = |length: usize, slot_of: &dyn Fn(usize) -> usize| -> Vec<(&'static str, usize)> {
        let kind = |index: usize| match index {
            0 => "vco",
            last if last == length - 1 => "out",
            _ => "vca",
        };
        (0..length).map(|index| (kind(index), slot_of(index))).collect()
    };
    let mut scenes = Vec::new();
    for length in [1_usize, 4, 8, 16] {
        let goals = if length == 16 { vec![(0.5, 120.0)] } else { vec![] };
        // Workers i and i + cores share a core.
        let same_core = |index: usize| (index % 2 * cores) % workers;
        scenes.push(Scene {
            name: format!("chain of {length}, two workers of one core"),
            goals,
            modules: if length == 1 { vec![("out", 0)] } else { chain(length, &same_core) },
            is_chain: true,
        });
    }
    scenes.push(Scene {
        name: "chain of 16, one worker".to_owned(),
        goals: vec![],
        modules: chain(16, &|_| 0),
        is_chain: true,
    });
    scenes.push(Scene {
        name: "chain of 16, another core at every step".to_owned(),
        goals: vec![],
        modules: chain(16, &|index| index % cores.min(workers)),
        is_chain: true,
    });
    for count in [1_usize, 32, 64] {
        scenes.push(Scene {
            name: format!("{count} independent modules on {workers} workers"),
            goals: if count == 32 { vec![(0.5, 90.0)] } else { vec![] },
            modules: (0..count).map(|index| ("vco", index % workers)).collect(),
            is_chain: false,
        });
    }
    scenes
}

fn measure(settings: &Settings, scene: Scene, n: u64) -> anyhow::Result<(Times, bool)> {
    let (mut conductor, mut cycle) = control::start(settings, &[], &mut |_| {})?;
    let frames = settings.block_frames as usize;
    let period_ns = settings.block_ns();
    let wants_realtime = settings.wants_realtime;
    let mut times = Times::new(scene.name.clone(), &scene.goals);
    let report = conductor.report().clone();
    let is_built = Arc::new(AtomicBool::new(false));
    let is_built_there = is_built.clone();
    let thread = std::thread::Builder::new().name("audio".into()).spawn(move || {
        let has_fifo = wants_realtime && rights::take_fifo(AUDIO_PRIORITY).is_ok();
        report.introduce(has_fifo);
        let mut out = vec![0.0; frames * 2];
        let mut due_ns = now_ns() + period_ns;
        while !is_built_there.load(Acquire) {
            sleep_until(due_ns);
            play(&mut cycle, frames, due_ns, period_ns, &mut out);
            due_ns = (due_ns + period_ns).max(now_ns());
        }
        for block in 0..SETTLING_BLOCKS + n {
            sleep_until(due_ns);
            let took_ns = rt::audio_section(|| play(&mut cycle, frames, due_ns, period_ns, &mut out));
            if block >= SETTLING_BLOCKS {
                times.record_ns(took_ns);
            }
            due_ns = (due_ns + period_ns).max(now_ns());
        }
        (times, has_fifo)
    })?;
    while conductor.report().thread_id.load(Relaxed) == 0 {
        std::thread::yield_now();
    }
    let built = build(&mut conductor, &scene);
    // Release: pairs with the audio thread's load.
    is_built.store(true, Release);
    built?;
    let Ok(measured) = thread.join() else { bail!("the audio thread panicked") };
    let concealed = conductor.report().concealed.load(Relaxed);
    tracing::info!(concealed, "scene done");
    Ok(measured)
}

/// One block; returns how long it took until everything had committed.
fn play(cycle: &mut Cycle, frames: usize, due_ns: u64, period_ns: u64, out: &mut [f32]) -> u64 {
    let began_ns = now_ns();
    let deadline_ns = began_ns + 10 * period_ns;
    cycle.begin(frames, due_ns, deadline_ns);
    cycle.wait_for_all(deadline_ns);
    let took_ns = now_ns() - began_ns;
    cycle.finish(out);
    took_ns
}

fn build(conductor: &mut Conductor, scene: &Scene) -> anyhow::Result<()> {
    for (index, (type_name, slot)) in scene.modules.iter().enumerate() {
        conductor.place_next_in(*slot);
        let id = Some(format!("m{index}"));
        perform(conductor, Command::Create { type_name: (*type_name).to_owned(), id, params: Vec::new() })?;
    }
    for index in 1..if scene.is_chain { scene.modules.len() } else { 0 } {
        let end = |index: usize| PortName { id: format!("m{index}"), port: None };
        perform(conductor, Command::Connect { source: end(index - 1), target: end(index), gain: 1.0 })?;
    }
    conductor.place_next_anywhere();
    Ok(())
}

fn perform(conductor: &mut Conductor, command: Command) -> anyhow::Result<()> {
    let request = Request { address: "/bench".to_owned(), command, due: Due::Now, late_s: None };
    let replies = conductor.apply(&request, Moment { frame: 0, arrived_ns: now_ns() });
    match replies.iter().find(|reply| reply.is_failure()) {
        Some(failure) => bail!("the scene cannot be built: {failure:?}"),
        None => Ok(()),
    }
}
