//! Python workers: forked from a zygote, exact, and held to their blocks whatever their modules do.

mod support;

use backline_abi::block::Event;
use backline_abi::complaint::Heard;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use support::zygote::{Forked, MARK, Zygote, home, modules};
use support::{Module, Stage, wait_until};

/// Index of `what` in its choices.
const RAISES: f32 = 1.0;
const OUTSIDE: f32 = 2.0;
const EXITS: f32 = 3.0;
const HANGS: f32 = 4.0;
const CHILD: f32 = 5.0;
const THREAD: f32 = 6.0;
const MEMORY: f32 = 7.0;

fn tones() -> Vec<PathBuf> {
    vec![modules().join("tones.py"), home().join("examples/granulator.py")]
}

fn wrong() -> Vec<PathBuf> {
    vec![modules().join("wrong.py")]
}

/// A stage for the workers of a zygote.
fn stage_for(test: &str, slots: usize, paths: &[PathBuf]) -> (Stage, Zygote) {
    let zygote = Zygote::ready(paths);
    (zygote.stage(test, slots), zygote)
}

fn samples(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|bits| f32::from_bits(*bits)).collect()
}

/// Sets parameter 0 of `module` at `offset_frames` of the next block, which is announced.
fn announce_set(on: &mut Stage, module: &Module, offset_frames: u32, value: f32) {
    on.announce(&[Event { instance: module.record.instance, offset_frames, kind: 0, value }]);
}

/// The same, and waits for the block.
fn set(on: &mut Stage, module: &Module, offset_frames: u32, value: f32) -> Vec<f32> {
    announce_set(on, module, offset_frames, value);
    on.await_commit(module);
    samples(&on.heard(module))
}

#[test]
fn a_zygote_says_what_there_is_and_what_there_is_not() {
    let zygote = Zygote::ready(&[modules(), PathBuf::from("/nowhere")]);
    let names: Vec<&str> = zygote.panels.iter().map(|panel| panel.name.as_str()).collect();
    assert_eq!(names, ["later", "pulse", "resonator", "wrong"]);
    assert!(
        zygote
            .panels
            .iter()
            .all(|panel| panel.is_exact == (panel.name != "later") && panel.origin.ends_with(".py"))
    );
    assert_eq!(zygote.panels[2].summary, "Two poles.");
    let faults: Vec<&str> = zygote.faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(faults, ["broken.py", "/nowhere"]);
    assert!(zygote.stages.iter().any(|words| words == "importing scipy.signal"));
}

/// What the two poles play to pulses.
fn reference(blocks: usize, block_frames: usize, every: usize) -> Vec<f32> {
    let (mut first, mut second) = (0.0_f64, 0.0_f64);
    let frames = 0..blocks * block_frames;
    frames
        .map(|frame| {
            let pulse = if frame % every == 0 { 1.0 } else { 0.0 };
            let heard = 0.1 * pulse + first;
            first = 1.8 * heard + second;
            second = -0.9 * heard;
            heard as f32
        })
        .collect()
}

#[test]
fn python_modules_play_to_the_sample() {
    let (mut on, mut zygote) = stage_for("py-plays", 1, &tones());
    let _worker = zygote.worker(&on, 0);
    let pulse = zygote.add(&mut on, "pulse", 0);
    let resonator = zygote.add(&mut on, "resonator", 0);
    on.plan(&[(&pulse, &[]), (&resonator, &[(&pulse, 0, 0)])]);
    let mut heard = Vec::new();
    for _ in 0..20 {
        heard.extend(samples(&on.play(&[&pulse, &resonator])[1]));
    }
    for (frame, (expected, heard)) in reference(20, 64, 100).iter().zip(&heard).enumerate() {
        assert!((expected - heard).abs() < 1e-6, "frame {frame}: {heard} instead of {expected}");
    }
    let silenced = set(&mut on, &resonator, 17, 0.0);
    assert!(
        silenced[..17].iter().all(|sample| *sample != 0.0)
            && silenced[17..].iter().all(|sample| *sample == 0.0)
    );
    assert!(on.head(0).prices.iter().take(3).all(|price| f32::from_bits(price.load(Relaxed)) > 0.0));
}

#[test]
fn a_killed_python_worker_changes_no_sample() {
    let (mut on, mut zygote) = stage_for("py-killed", 2, &tones());
    let (mut dying, _other) = (zygote.worker(&on, 0), zygote.worker(&on, 1));
    // The twin that stays lives where the other one moves to.
    let types = ["pulse", "resonator", "granulator"];
    let twins = types.map(|name| zygote.add(&mut on, name, 1));
    let mut subjects = types.map(|name| zygote.add(&mut on, name, 0));
    let mut loudest = 0.0_f32;
    for block in 0..600 {
        if block == 300 {
            dying.kill();
            subjects.iter_mut().for_each(|subject| on.relocate(subject, 1));
        }
        let chain = |[pulse, resonator, granulator]: &[Module; 3]| (*pulse, *resonator, *granulator);
        let (one, two) = (chain(&twins), chain(&subjects));
        on.plan(&[
            (&one.0, &[]),
            (&one.1, &[(&one.0, 0, 0)]),
            (&one.2, &[(&one.1, 0, 0)]),
            (&two.0, &[]),
            (&two.1, &[(&two.0, 0, 0)]),
            (&two.2, &[(&two.1, 0, 0)]),
        ]);
        let heard = on.play(&[&one.0, &one.1, &one.2, &two.0, &two.1, &two.2]);
        assert_eq!(heard[..3], heard[3..], "block {block}");
        loudest = samples(&heard[5]).iter().fold(loudest, |loudest, sample| loudest.max(sample.abs()));
    }
    assert!(loudest > 0.01, "grains are heard");
    assert_eq!(on.head(1).modules_adopted.load(Relaxed), 3);
}

/// A worker with one module that does what it is told.
fn wrong_in(test: &str, slots: usize) -> (Stage, Zygote, Forked, Module) {
    let (mut on, mut zygote) = stage_for(test, slots, &wrong());
    let worker = zygote.worker(&on, 0);
    let module = zygote.add(&mut on, "wrong", 0);
    on.plan(&[(&module, &[])]);
    (on, zygote, worker, module)
}

#[test]
fn a_class_that_is_rendered_ahead_is_heard_some_blocks_later() {
    let (mut on, mut zygote) = stage_for("py-ahead", 1, &[modules().join("later.py")]);
    assert!(!zygote.panels[0].is_exact);
    let worker = zygote.worker(&on, 0);
    let module = zygote.add(&mut on, "later", 0);
    on.plan(&[(&module, &[])]);
    let mut heard = Vec::new();
    wait_until("three blocks in a row are there in time", || {
        on.announce(&[]);
        on.await_commit(&module);
        let block = samples(&on.heard(&module));
        // A block that came too late falls to silence, and the next one rises from it.
        heard.push(block[0]);
        if block.iter().any(|sample| *sample != block[0] || *sample == 0.0) {
            heard.clear();
        }
        heard.len() == 3
    });
    assert!(heard[0] >= 1.0 && heard[1] == heard[0] + 1.0 && heard[2] == heard[1] + 1.0, "{heard:?}");
    let threads = fs::read_dir(format!("/proc/{}/task", worker.pid())).expect("it lives").count();
    assert_eq!(threads, 2);
}

/// Where `code` stands in the module that does wrong.
fn line_of(code: &str) -> usize {
    let text = fs::read_to_string(modules().join("wrong.py")).expect("it is there");
    1 + text.lines().position(|line| line.contains(code)).expect("it stands there")
}

#[test]
fn an_exception_costs_its_block_and_is_told_with_file_and_line() {
    let (mut on, _zygote, mut worker, module) = wrong_in("py-raises", 1);
    let mut seen = on.head(0).complaint.serial();
    let mut complaint = |on: &Stage| on.head(0).complaint.read(&mut seen);
    assert!(samples(&on.play(&[&module])[0]).iter().all(|sample| *sample == 1.0));
    let cases = [
        (RAISES, "ValueError: as told", "raise ValueError"),
        (OUTSIDE, "IndexError: index 48 is out of bounds for axis 0 with size 48", "self.wave[48]"),
        (MEMORY, "MemoryError", "bytearray"),
    ];
    for (index, (what, error, culprit)) in cases.into_iter().enumerate() {
        let blocks = 1.0 + index as f32;
        let failed = set(&mut on, &module, 0, what);
        assert!(
            failed[0] < blocks && failed[63] == 0.0,
            "the block falls from its last sample to silence: {failed:?}"
        );
        let Some(Heard { instance, text, .. }) = complaint(&on) else { panic!("nothing is said of {error}") };
        assert_eq!(instance, module.record.instance);
        assert!(text.starts_with("Traceback") && text.contains("in render"), "{text}");
        let last_line = format!("{error} (wrong.py, line {})", line_of(culprit));
        assert_eq!(text.lines().last(), Some(last_line.as_str()), "{text}");
        // What was done to the state in the failed block is undone.
        let after = set(&mut on, &module, 0, 0.0);
        assert_eq!(after[63], blocks + 1.0);
    }
    assert!(worker.end().is_none());
}

#[test]
fn a_module_that_ends_or_hangs_its_worker_is_alone_with_it() {
    for (what, test) in [(EXITS, "py-exits"), (HANGS, "py-hangs")] {
        let (mut on, mut zygote, mut worker, module) = wrong_in(test, 2);
        let _other = zygote.worker(&on, 1);
        let good = zygote.add(&mut on, "wrong", 1);
        on.plan(&[(&module, &[]), (&good, &[])]);
        on.play(&[&module, &good]);
        announce_set(&mut on, &module, 5, what);
        on.await_commit(&good);
        if what == EXITS {
            assert_eq!(worker.await_end().code(), Some(0));
        } else {
            wait_until("the module hangs", || on.head(0).rendering.load(Acquire) == module.record.instance);
            worker.kill();
            assert_eq!(worker.await_end().signal(), Some(libc::SIGKILL));
        }
        on.plan(&[(&good, &[])]);
        for _ in 0..3 {
            on.play(&[&good]);
        }
        assert_eq!(samples(&on.heard(&good))[0], 5.0);
        let _next = zygote.worker(&on, 0);
    }
}

#[test]
fn threads_and_children_of_a_module_carry_the_mark_and_stop_nobody() {
    let (mut on, _zygote, worker, module) = wrong_in("py-children", 1);
    set(&mut on, &module, 63, CHILD);
    set(&mut on, &module, 63, THREAD);
    let after = set(&mut on, &module, 0, 0.0);
    assert!(after[63] > 3.0);
    let children = format!("/proc/{0}/task/{0}/children", worker.pid());
    let children = fs::read_to_string(children).expect("/proc shows the children of a task");
    let child = children.split_whitespace().next().expect("there is a child");
    let environment = fs::read(format!("/proc/{child}/environ")).expect("it is our descendant");
    assert!(
        String::from_utf8_lossy(&environment)
            .split('\0')
            .any(|entry| entry == format!("BACKLINE_WARD={MARK}"))
    );
    let threads = fs::read_dir(format!("/proc/{}/task", worker.pid())).expect("it lives").count();
    assert_eq!(threads, 2);
}

/// Field `number` of /proc/PID/stat, as proc(5) counts them.
fn stat(pid: u32, number: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let (_, rest) = stat.rsplit_once(") ").expect("a name stands in brackets");
    rest.split(' ').nth(number - 3).expect("there are 52").to_owned()
}

#[test]
fn a_forked_worker_is_ours_with_its_own_mark_group_and_name() {
    let (on, mut zygote) = stage_for("py-fork", 2, &wrong());
    let mark = "boot.1.2.3.0042";
    let worker = zygote.fork(&on, 0, std::process::id(), mark).expect("a worker");
    assert_eq!(
        stat(worker.pid(), 4),
        std::process::id().to_string(),
        "it is our child as soon as it is told"
    );
    wait_until("it is ready", || on.head(0).stage.load(Acquire) == backline_abi::layout::stage::READY);
    assert_eq!(stat(worker.pid(), 5), worker.pid().to_string(), "it leads its own group");
    let environment = fs::read(format!("/proc/{}/environ", worker.pid())).expect("it is our child");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let marks: Vec<&str> =
        environment.split('\0').filter(|entry| entry.starts_with("BACKLINE_WARD=")).collect();
    assert_eq!(marks, [format!("BACKLINE_WARD={mark}")]);
    let name = fs::read_to_string(format!("/proc/{}/comm", worker.pid())).expect("it lives");
    assert_eq!(name.trim(), "backline-python");
    let sockets = fs::read_dir(format!("/proc/{}/fd", worker.pid()))
        .expect("it is our child")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count();
    assert_eq!(sockets, 0, "the socket is the zygote's");
    assert_eq!(stat(zygote.pid(), 20), "1", "the zygote has one thread");
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).expect("it lives");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("signals");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a set of signals");
    // Two of them belong to the C library, and who ignores them is nobody's business.
    assert_eq!(ignored & !(0b11 << 31), 0, "no signal is ignored");
}

#[test]
fn a_zygote_refuses_what_it_cannot_do_and_goes_on() {
    // The stranger below says on standard error why it leaves.
    let mut zygote = Zygote::started(&wrong(), Stdio::null());
    let on = zygote.stage("py-refuses", 1);
    let answer = zygote.answer("{\"fork\":{\"words\":[\"only one\"],\"mark\":\"x\"}}");
    assert!(answer["not_forked"].as_str().is_some_and(|reason| reason.contains("is no order")), "{answer}");
    assert!(zygote.answer("nonsense")["not_forked"].is_string());
    let refused = zygote.fork(&on, 0, std::process::id(), &"x".repeat(MARK.len() + 1)).err();
    assert!(refused.is_some_and(|reason| reason.contains("does not fit")));
    // Process 1 does not become its parent.
    let mut stranger = zygote.fork(&on, 0, 1, MARK).expect("a process");
    assert_eq!(stranger.await_end().code(), Some(78));
    let _worker = zygote.worker(&on, 0);
}

#[test]
fn a_zygote_leaves_when_its_socket_closes_and_its_workers_play_on() {
    let (mut on, mut zygote) = stage_for("py-closes", 1, &wrong());
    let mut worker = zygote.worker(&on, 0);
    let module = zygote.add(&mut on, "wrong", 0);
    assert!(zygote.close().success());
    on.plan(&[(&module, &[])]);
    on.play(&[&module]);
    assert!(worker.end().is_none());
    on.control().is_closing.store(1, std::sync::atomic::Ordering::Release);
    on.ring_bells();
    assert_eq!(worker.await_end().code(), Some(0));
}
