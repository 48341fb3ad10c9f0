//! How long is it from a `/create` datagram to its `/done`, and to the first sample of the new module?
//!
//! A real engine (`backline run`, null clock) is started as a process of its own and asked from here over UDP,
//! as a performer's program would. The first sample is found by its index in what the engine recorded, not by
//! a clock.

use super::engine::{Engine, PATIENCE, message, packet, text};
use super::machine;
use super::outcome::{Outcome, Times};
use crate::config::Settings;
use anyhow::Context;
use backline_abi::wake::now_ns;
use rosc::{OscBundle, OscPacket, OscTime, OscType, encoder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::Stdio;
use std::time::Duration;

/// Chains of four modules that sound in the loaded run: 16 x 4 = 64 modules.
const CHAINS: usize = 16;
/// What that is called.
pub(super) const FIRST_SAMPLE: &str = "create sent to first sample in the mix, by sample index";
/// Creates whose first sample is looked up.
const FIRST_SAMPLES: u64 = 200;
/// Pauses between creates cycle through these, so that they meet every phase of a block.
const PAUSES_US: [u64; 7] = [1_100, 1_730, 2_190, 1_390, 2_470, 1_510, 1_970];

/// Runs the bench: `n` creates idle, `n` creates with 64 modules sounding.
pub fn run(settings: &Settings, n: u64) -> anyhow::Result<Outcome> {
    let folder = std::env::temp_dir().join(format!("backline-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = measure(settings, n, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

fn measure(settings: &Settings, n: u64, folder: &std::path::Path) -> anyhow::Result<Outcome> {
    let wav = folder.join("bench.wav");
    let engine = Engine::start(settings, &["--record".as_ref(), wav.as_os_str()], Stdio::inherit())?;
    let workers = engine.workers()?;
    let private = workers.iter().map(|pid| machine::memory(*pid).private_kib).max().unwrap_or(0);
    let mut figures = vec![
        ("pool warm, ms from exec to ready".to_owned(), engine.ready["warm_ms"].clone()),
        ("private memory of the largest idle worker, KiB".to_owned(), json!(private)),
    ];

    let mut floor = Times::new("datagram to an echo and back, without an engine", &[]);
    echoes(n, &mut floor)?;
    let before = Counts::take(&engine)?;
    let mut idle = Times::new("create to /done, idle", &[(0.5, 80.0), (0.99, 250.0)]);
    creates(&engine, "vco", n, &mut idle)?;
    figures.extend(Counts::take(&engine)?.since(&before, "idle"));

    let offsets = first_samples(&engine, "noise")?;
    let mut sounding = Times::new("create to /done, 64 modules sounding", &[(0.99, 500.0)]);
    play_chains(&engine)?;
    let before = Counts::take(&engine)?;
    creates(&engine, "vco", n, &mut sounding)?;
    figures.extend(Counts::take(&engine)?.since(&before, "64 sounding"));
    let status = engine.status()?;
    for key in ["concealed", "xruns", "cycle_max_us"] {
        figures.push((format!("{key} over the whole run"), status["audio"][key].clone()));
    }
    figures.push(("blocks over the whole run".to_owned(), status["audio"]["blocks"].clone()));
    engine.stop()?;

    let first = look_up(&wav, &offsets, settings, Times::new(FIRST_SAMPLE, &[]), &mut figures)?;
    let settings = json!({
        "block_frames": settings.block_frames, "rate_hz": settings.rate_hz, "workers": settings.workers,
        "audio": "null", "realtime": status["audio"]["realtime"], "refused": status["refused"], "n": n,
    });
    Ok(Outcome { bench: "create", settings, times: vec![floor, idle, sounding, first], figures })
}

/// Creates and frees a module of type `type_name` `n` times; times each create to its `/done`.
pub(super) fn creates(engine: &Engine, type_name: &str, n: u64, times: &mut Times) -> anyhow::Result<()> {
    let create = packet("/create", vec![text(type_name), text("benched")])?;
    let free = packet("/free", vec![text("benched")])?;
    for turn in 0..n {
        times.record_ns(engine.ask(&create, 1)?);
        engine.ask(&free, 1)?;
        std::thread::sleep(Duration::from_micros(PAUSES_US[turn as usize % PAUSES_US.len()]));
    }
    Ok(())
}

/// What this machine takes for two wake-ups and two datagrams, in the same rhythm as [`creates`]: a create cannot be
/// faster, and has two wake-ups more.
fn echoes(n: u64, times: &mut Times) -> anyhow::Result<()> {
    let (echo, client) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    client.connect(echo.local_addr()?)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let answer = std::thread::spawn(move || -> std::io::Result<()> {
        let mut buffer = [0; 64];
        loop {
            match echo.recv_from(&mut buffer)? {
                (0, _) => return Ok(()),
                (length, sender) => echo.send_to(&buffer[..length], sender)?,
            };
        }
    });
    let mut buffer = [0; 64];
    for turn in 0..n {
        let sent_ns = now_ns();
        client.send(&[1; 32])?;
        client.recv(&mut buffer).context("the echo does not answer")?;
        times.record_ns(now_ns() - sent_ns);
        std::thread::sleep(Duration::from_micros(PAUSES_US[turn as usize % PAUSES_US.len()]));
    }
    client.send(&[])?;
    answer.join().map_err(|_| anyhow::anyhow!("the echo panicked"))??;
    Ok(())
}

/// 16 chains of oscillator, filter, amplifier and amplifier, all into one output.
fn play_chains(engine: &Engine) -> anyhow::Result<()> {
    for chain in 0..CHAINS {
        let id = |kind: &str| format!("{kind}_{chain}");
        for (kind, id) in [("vco", id("a")), ("vcf", id("b")), ("vca", id("c")), ("vca", id("d"))] {
            engine.ask(&packet("/create", vec![text(kind), text(&id)])?, 1)?;
        }
        let ends = [(id("a"), id("b")), (id("b"), id("c")), (id("c"), id("d")), (id("d"), "out".to_owned())];
        for (source, target) in ends {
            let gain = OscType::Float(if target == "out" { 0.05 } else { 1.0 });
            engine.ask(&packet("/connect", vec![text(&source), text(&target), gain])?, 1)?;
        }
    }
    Ok(())
}

/// Creates noise that goes to the output at once; returns the frame at which each datagram was sent.
pub(super) fn first_samples(engine: &Engine, type_name: &str) -> anyhow::Result<Vec<f64>> {
    engine.ask(&packet("/create", vec![text("out"), text("out")])?, 1)?;
    let bundle = OscPacket::Bundle(OscBundle {
        timetag: OscTime { seconds: 0, fractional: 1 },
        content: vec![
            message("/create", vec![text(type_name), text("heard")]),
            message("/connect", vec![text("heard"), text("out")]),
        ],
    });
    let bundle = encoder::encode(&bundle)?;
    let free = packet("/free", vec![text("heard")])?;
    let mut frames = Vec::new();
    for turn in 0..FIRST_SAMPLES {
        let audio = engine.status()?["audio"].clone();
        let number = |key: &str| audio[key].as_f64().with_context(|| format!("the status has no {key}"));
        let sent_ns = now_ns() as f64;
        engine.ask(&bundle, 2)?;
        frames.push(number("frame")? + (sent_ns - number("frame_time_ns")?) * 1e-9 * number("rate_hz")?);
        std::thread::sleep(Duration::from_micros(6_000 + PAUSES_US[turn as usize % PAUSES_US.len()]));
        engine.ask(&free, 1)?;
        std::thread::sleep(Duration::from_millis(6));
    }
    Ok(frames)
}

/// Finds the first sample of each create in the recording.
pub(super) fn look_up(
    wav: &std::path::Path,
    sent: &[f64],
    settings: &Settings,
    mut times: Times,
    figures: &mut Vec<(String, Value)>,
) -> anyhow::Result<Times> {
    let block = u64::from(settings.block_frames);
    let rate_hz = f64::from(settings.rate_hz);
    let mut reader = hound::WavReader::open(wav).context("the engine's recording cannot be read")?;
    let samples: Vec<f32> = reader.samples::<f32>().collect::<Result<_, _>>()?;
    let block_us = block as f64 * 1e6 / rate_hz;
    let (mut at_boundary, mut in_time) = (0, 0);
    for sent in sent {
        let from = sent.max(0.0) as usize;
        let sound = samples.chunks_exact(2).skip(from).position(|frame| frame != [0.0, 0.0]);
        let frame = from + sound.context("a create was never heard")?;
        let waited = frame as f64 - sent;
        times.record_ns((waited / rate_hz * 1e9).max(0.0) as u64);
        at_boundary += u64::from((frame as u64).is_multiple_of(block));
        in_time += u64::from(waited <= 2.0 * block as f64);
    }
    figures.push(("first samples looked up".to_owned(), json!(sent.len())));
    figures.push(("of these at the first frame of a block".to_owned(), json!(at_boundary)));
    figures.push(("of these no later than two blocks after the datagram left".to_owned(), json!(in_time)));
    figures.push(("one block, us".to_owned(), json!(block_us)));
    Ok(times)
}

/// What must not happen while modules are created.
struct Counts {
    processes: u64,
    spawned: u64,
    /// Of each process: one that comes meanwhile touches its memory, and is counted as spawned.
    faults: BTreeMap<u64, u64>,
    allocations: u64,
}

impl Counts {
    fn take(engine: &Engine) -> anyhow::Result<Self> {
        let status = engine.status()?;
        let workers = status["workers"].as_array().context("the status lists no workers")?;
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        Ok(Self {
            processes: machine::processes_started(),
            spawned: number(&status["accounts"]["spawned"]),
            faults: workers
                .iter()
                .map(|worker| number(&worker["pid"]))
                .map(|pid| (pid, machine::page_faults(pid)))
                .collect(),
            allocations: workers.iter().map(|worker| number(&worker["render_allocations"])).sum::<u64>()
                + number(&status["audio"]["allocations"]),
        })
    }

    fn since(&self, before: &Self, run: &str) -> Vec<(String, Value)> {
        let since = |(pid, faults): (&u64, &u64)| Some(faults.saturating_sub(*before.faults.get(pid)?));
        let faults: u64 = self.faults.iter().filter_map(since).sum();
        vec![
            (format!("{run}: workers spawned"), json!(self.spawned - before.spawned)),
            (format!("{run}: processes started on the machine"), json!(self.processes - before.processes)),
            (format!("{run}: page faults in workers"), json!(faults)),
            (format!("{run}: allocations in render threads"), json!(self.allocations - before.allocations)),
        ]
    }
}
