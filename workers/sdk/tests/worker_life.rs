//! The life of a real worker process: it joins, warms up, prepares, plays, takes over, and leaves; and it
//! refuses what it was not built for.

mod support;

use backline_abi::block::{Event, kind};
use backline_abi::commit::{Commit, NEVER, block_before};
use backline_abi::layout::{ABI_VERSION, Assignment, Header, MAGIC, assignment, stage, status};
use backline_dsp::catalogue::{self, CATALOGUE};
use backline_dsp::line::Line;
use backline_dsp::module::{Happening, Input, Setup};
use backline_dsp::play::Block;
use bytemuck::Zeroable;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use support::worker::{Worker, command, refusal, said};
use support::{BLOCK_FRAMES, Module, RATE_HZ, Stage, wait_until};

/// Exit code of a worker that could not join (sysexits' EX_CONFIG).
const REFUSED: Option<i32> = Some(78);

#[test]
fn a_worker_joins_warms_up_and_says_what_it_has_found() {
    let on = Stage::new("joins", 1);
    let worker = Worker::ready(&on, 0);
    let head = on.head(0);
    assert_eq!((head.magic.load(Acquire), head.abi_version.load(Acquire)), (MAGIC, ABI_VERSION));
    assert_eq!(head.pid.load(Acquire), worker.pid());
    assert_eq!(head.warmed_types.load(Acquire) as usize, CATALOGUE.len());
    let prices = head.prices.iter().map(|bits| f32::from_bits(bits.load(Relaxed)));
    assert!(prices.clone().take(CATALOGUE.len()).all(|price_ns| price_ns.is_finite() && price_ns > 0.0));
    assert!(prices.skip(CATALOGUE.len()).all(|price_ns| price_ns == 0.0));
}

#[test]
fn a_worker_answers_every_assignment_and_refuses_what_does_not_fit() {
    let mut on = Stage::new("answers", 1);
    let _worker = Worker::ready(&on, 0);
    let module = on.add("delay", 0);
    assert_eq!(on.commit_of(&module), Commit { lease: module.location.lease, block: NEVER });
    let ask = |on: &mut Stage, kind, cell, instance| {
        on.ask(0, Assignment { kind, cell, instance, lease: 99, ..Assignment::zeroed() }).status
    };
    let (prepare, instance) = (assignment::PREPARE, module.record.instance);
    assert_eq!(ask(&mut on, assignment::PING, 0, 0), status::DONE);
    assert_eq!(ask(&mut on, 77, 0, 0), status::UNKNOWN);
    assert_eq!(ask(&mut on, prepare, u32::MAX, instance), status::UNFIT, "no such cell");
    assert_eq!(ask(&mut on, prepare, module.cell, instance + 1), status::UNFIT, "another module's cell");
    let mut too_large = module;
    too_large.record.line_words += 1;
    on.tell(&too_large);
    assert_eq!(ask(&mut on, prepare, module.cell, instance), status::UNFIT, "not what its type needs");
    assert_eq!(on.commit_of(&module).lease, module.location.lease, "what was set up before stands");
}

/// What an oscillator plays in three blocks, with its frequency changed in the second, without any worker.
fn reference(module: &Module, event: &Event) -> Vec<Vec<u32>> {
    let (_, entry) = catalogue::find("vco").expect("the type exists");
    let params = &module.record.params[..entry.panel.params.len()];
    let setup = Setup { rate_hz: RATE_HZ as f32, channels: 1, identity: module.record.identity, params };
    let mut state = vec![0; entry.state_words];
    (entry.init)(&setup, &mut state);
    let inputs = [Input::UNPATCHED; 24];
    let blocks = (0..3).map(|block| {
        let change = Happening::Param { index: event.kind as usize, value: event.value };
        let happenings = (block == 1).then_some((event.offset_frames as usize, change));
        let mut outputs = vec![0.0_f32; BLOCK_FRAMES];
        let (inputs, line, outputs_in) = (&inputs[..6], Line::new(&[]), &mut outputs[..]);
        let block = Block { inputs, outputs: outputs_in, stride: 64, channels: 1, frames: 64, line };
        entry.play(&mut state, happenings.into_iter(), block);
        outputs.iter().map(|sample| sample.to_bits()).collect()
    });
    blocks.collect()
}

#[test]
fn a_worker_plays_announced_blocks_like_the_module_alone() {
    let mut on = Stage::new("plays", 1);
    let _worker = Worker::ready(&on, 0);
    let (vco, out) = (on.add("vco", 0), on.add("out", 0));
    on.plan(&[(&vco, &[]), (&out, &[(&vco, 0, 0)])]);
    let event = Event { instance: vco.record.instance, offset_frames: 17, kind: 0, value: 880.0 };
    let struck = Event { instance: out.record.instance, offset_frames: 3, kind: kind::GATE_ON, value: 1.0 };
    let events = [event, struck];
    for (block, expected) in reference(&vco, &event).into_iter().enumerate() {
        on.announce(if block == 1 { &events } else { &[] });
        on.await_commit(&out);
        assert_eq!(on.heard(&vco), expected, "in block {block}");
        assert_eq!(
            on.heard(&out),
            [expected.clone(), expected].concat(),
            "both sides of the mix in block {block}"
        );
    }
    wait_until("the last block is called done", || on.head(0).done.word.load(Acquire) == on.block);
    assert_eq!(on.head(0).blocks_rendered.load(Relaxed), 3);
    assert_eq!(on.head(0).silenced_blocks.load(Relaxed), 0);
}

/// Two noises through two echoes, alike to the bit; the second pair is moved by `disturb` after some blocks.
fn moved_beside_its_twin(test: &str, mut disturb: impl FnMut(&mut Stage, &mut Vec<Worker>)) {
    let mut on = Stage::new(test, 2);
    let mut workers = vec![Worker::ready(&on, 0), Worker::ready(&on, 1)];
    // The twin that stays lives in slot 1, where the other one moves to.
    let (noise, echo) = (on.add("noise", 1), on.add("delay", 1));
    let (mut moved_noise, mut moved_echo) = (on.add("noise", 0), on.add("delay", 0));
    for block in 0..24 {
        if block == 12 {
            disturb(&mut on, &mut workers);
            let last = on.block;
            on.relocate(&mut moved_noise, 1);
            on.relocate(&mut moved_echo, 1);
            wait_until("both are taken over", || {
                [&moved_noise, &moved_echo]
                    .iter()
                    .all(|module| on.commit_of(module).lease == module.location.lease)
            });
            for block in [last, block_before(last)] {
                let [old, new] = [0, 1].map(|slot| on.outputs_in(slot, &moved_echo, block));
                assert_eq!(
                    old, new,
                    "outputs of block {block} of {last} are there for whoever still needs them"
                );
            }
        }
        on.plan(&[
            (&noise, &[]),
            (&echo, &[(&noise, 0, 0)]),
            (&moved_noise, &[]),
            (&moved_echo, &[(&moved_noise, 0, 0)]),
        ]);
        let heard = on.play(&[&noise, &moved_noise, &echo, &moved_echo]);
        assert!(heard[0].iter().any(|bits| *bits != 0), "the noise is heard");
        assert_eq!(heard[0], heard[1], "noise in block {block}");
        assert_eq!(heard[2], heard[3], "echo in block {block}");
    }
    assert_eq!(on.head(1).modules_adopted.load(Relaxed), 2);
    assert_eq!(on.head(1).modules_skipped.load(Relaxed), 0);
}

#[test]
fn a_module_that_moves_goes_on_bit_by_bit() {
    moved_beside_its_twin("moves", |_, _| {});
}

#[test]
fn a_module_of_a_killed_worker_goes_on_bit_by_bit_in_another() {
    moved_beside_its_twin("killed", |_, workers| workers.remove(0).kill());
}

#[test]
fn a_module_of_a_stopped_worker_goes_on_bit_by_bit_in_another() {
    moved_beside_its_twin("stopped", |_, workers| workers[0].signal(libc::SIGSTOP));
}

#[test]
fn a_worker_that_missed_blocks_goes_on_with_the_newest() {
    let mut on = Stage::new("missed", 1);
    let worker = Worker::ready(&on, 0);
    let vco = on.add("vco", 0);
    on.plan(&[(&vco, &[])]);
    on.play(&[&vco]);
    worker.signal(libc::SIGSTOP);
    (0..5).for_each(|_| on.announce(&[]));
    worker.signal(libc::SIGCONT);
    on.await_commit(&vco);
    assert_eq!(on.head(0).modules_skipped.load(Relaxed), 1);
}

#[test]
fn what_was_meant_for_a_dead_worker_is_not_for_the_next_one() {
    let mut on = Stage::new("next", 1);
    Worker::ready(&on, 0).kill();
    let forgotten = Assignment { kind: assignment::PING, ..Assignment::zeroed() };
    (0..3).for_each(|_| {
        on.send(0, forgotten);
    });
    let _next = Worker::ready(&on, 0);
    assert_eq!(on.ask(0, forgotten).status, status::DONE, "only what was asked of it is answered");
    assert!(on.hear(0).is_none());
}

#[test]
fn a_worker_leaves_when_the_engine_closes() {
    let on = Stage::new("leaves", 1);
    let mut worker = Worker::ready(&on, 0);
    on.control().is_closing.store(1, Release);
    on.ring_bells();
    assert_eq!(worker.await_end().code(), Some(0));
    assert_eq!(on.head(0).stage.load(Acquire), stage::LEFT);
}

#[test]
fn a_worker_refuses_another_build_and_names_both_values() {
    let on = Stage::new("refuses", 1);
    let header = on.true_header();
    let others = [
        ("segment magic", MAGIC, 7, Header { magic: 7, ..header }),
        ("segment version", ABI_VERSION.into(), 901, Header { abi_version: 901, ..header }),
        ("control segment size", header.control_bytes.into(), 902, Header { control_bytes: 902, ..header }),
        ("arena head size", header.arena_head_bytes.into(), 903, Header { arena_head_bytes: 903, ..header }),
        ("arena size", header.arena_bytes, 905, Header { arena_bytes: 905, ..header }),
        ("block limit", 1_024, 1_025, Header { block_frames: 1_025, ..header }),
        ("block limit", 1, 0, Header { block_frames: 0, ..header }),
        ("slot limit", 64, 65, Header { slots: 65, ..header }),
    ];
    for (what, worker, engine, other) in others {
        on.control().header.store(&other);
        let (code, message) = refusal(&on, 0);
        assert_eq!(code, REFUSED, "{what}: {message}");
        let expected =
            format!("worker speaks {what} {worker}, engine {engine}; rebuild both: cargo build --workspace");
        assert!(message.contains(&expected), "{message}");
        assert_eq!(on.head(0).pid.load(Acquire), 0, "it left the arena alone");
    }
    on.control().header.store(&header);
    on.mean_catalogue(904);
    let (code, message) = refusal(&on, 0);
    assert_eq!(code, REFUSED, "{message}");
    let expected = format!("module catalogue {}, engine 904", backline_dsp::play::fingerprint());
    assert!(message.contains(&expected), "{message}");
}

#[test]
fn a_worker_refuses_a_wrong_call() {
    let on = Stage::new("call", 1);
    let (code, message) = refusal(&on, 1);
    assert_eq!(code, REFUSED);
    assert!(message.contains("usage: NAME SLOT"), "a slot the engine does not have: {message}");
    let (code, message) = said(command("backline-test-nowhere", 0, std::process::id()));
    assert_eq!(code, REFUSED);
    assert!(message.contains("backline-test-nowhere"), "it says which segment: {message}");
    let (code, message) = said(command(on.name(), 0, 1));
    assert_eq!(code, REFUSED);
    assert!(message.contains("no engine to work for"), "somebody else's child: {message}");
    let (code, message) = said(Command::new(support::worker::program()));
    assert_eq!(code, REFUSED);
    assert!(message.contains("usage: NAME SLOT"), "{message}");
}

/// Tells this program, started again, that it is the engine that will be killed.
const ENGINE_OF: &str = "BACKLINE_TEST_ENGINE_OF";

#[test]
fn a_worker_dies_with_its_engine() {
    if let Ok(name) = std::env::var(ENGINE_OF) {
        let mut worker = command(&name, 0, std::process::id()).spawn().expect("the worker program starts");
        worker.wait().expect("it is our child");
        return;
    }
    let on = Stage::new("orphan", 1);
    let mut engine = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "a_worker_dies_with_its_engine", "--nocapture"])
        .env(ENGINE_OF, on.name())
        .stdout(Stdio::null())
        .spawn()
        .expect("this program starts again");
    wait_until("the worker is ready", || on.head(0).stage.load(Acquire) == stage::READY);
    let pid = on.head(0).pid.load(Acquire);
    engine.kill().expect("it is our child");
    engine.wait().expect("it is our child");
    wait_until("the worker is dead", || {
        // Gone, or waiting for whoever inherits it.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')')
            .is_none_or(|(_, rest)| matches!(rest.trim_start().chars().next(), Some('Z' | 'X')))
    });
    assert_eq!(on.head(0).stage.load(Acquire), stage::READY, "it was killed, it did not leave");
}
