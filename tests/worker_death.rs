//! Workers are killed, stopped, and killed again; what is heard, and what is left.

mod support;

use backline::command::Arg;
use rustix::process::Signal;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Duration;
use support::processes::{children_of, is_alive, is_stopped, signal, workers_of};
use support::render::{Piece, Rendered, Way};
use support::sound::{first_difference, peak};
use support::{Rig, file, until};

/// Workers killed in one render.
const KILLS: usize = 24;

/// Renders, and from the first block on kills a worker every now and then, each process once, at whatever
/// moment of whatever block that is.
fn render_under_fire(piece: &Piece, way: Way, kinds: &[Signal]) -> (Rendered, usize) {
    let (mut command, wav) = piece.command(way);
    let mut child = command.spawn().expect("backline starts");
    let engine = child.id();
    until_warm(&mut child, way.workers);
    let mut killed = HashSet::new();
    while is_alive(engine) && killed.len() < KILLS {
        std::thread::sleep(Duration::from_millis(10));
        if let Some(victim) = workers_of(engine).into_iter().find(|pid| !killed.contains(pid)) {
            signal(victim, kinds[killed.len() % kinds.len()]);
            killed.insert(victim);
        }
    }
    (piece.finish(child, wav), killed.len())
}

/// Reads the render's progress until its pool is warm, and goes on reading so that it never blocks.
fn until_warm(child: &mut Child, workers: usize) {
    let progress = child.stderr.take().expect("it was piped");
    let mut lines = BufReader::new(progress).lines().map_while(Result::ok);
    let warm = format!("\"ready\":{workers}");
    assert!(lines.any(|line| line.contains(&warm)), "the render never began");
    std::thread::spawn(move || lines.for_each(drop));
}

#[test]
fn workers_killed_in_a_render_change_no_sample() {
    let (patch, score) = (file("patches/demo.toml"), file("patches/demo.score"));
    let piece = Piece::of_files(&patch, &score, 20.0);
    let way = Way { workers: 4, block: 64 };
    let clean = piece.render(Way { workers: 0, ..way });
    let (hit, killed) = render_under_fire(&piece, way, &[Signal::KILL, Signal::SEGV, Signal::ABORT]);
    println!("{killed} workers were killed");
    assert!(killed > 0, "the render was over before anybody was killed");
    if hit.sha256 != clean.sha256 {
        let (clean, hit) = (clean.stereo(), hit.stereo());
        panic!(
            "after {killed} kills the left side differs from frame {:?}",
            first_difference(&clean.left, &hit.left)
        );
    }
}

#[test]
fn a_live_set_goes_on_when_every_worker_is_killed_in_turn() {
    let mut rig = Rig::recording(&["--block", "256"]);
    rig.must_all(&["/create vco 1", "/create vcf 1", "/create out out"]);
    rig.must_all(&["/connect vco1 vcf1", "/connect vcf1 out 0.5"]);
    rig.play_blocks(50);
    for worker in rig.workers() {
        signal(worker["pid"].as_u64().expect("a pid") as u32, Signal::KILL);
        rig.play_blocks(20);
    }
    until("the pool is full again", || {
        rig.workers().iter().all(|worker| matches!(worker["state"].as_str(), Some("ready" | "playing")))
    });
    assert_eq!(rig.modules().len(), 3);
    let accounts = rig.status()["accounts"].clone();
    assert_eq!((accounts["spawned"].as_u64(), accounts["alive"].as_u64()), (Some(8), Some(4)), "{accounts}");
    assert_eq!(children_of(rig.pid).len(), 4, "dead workers are reaped");
    rig.must_all(&["/create noise late", "/connect late out.right 0.1"]);
    rig.play_blocks(50);
    let heard = rig.stop().recording();
    // The last tenth of a second before the fade: everybody still plays.
    let end = &heard.left[heard.left.len() - 8_000..heard.left.len() - 2_000];
    assert!(peak(end) > 0.1, "the voice has gone silent");
}

#[test]
fn a_stopped_worker_holds_up_no_create_and_is_replaced() {
    let mut rig = Rig::start(&[]);
    let before = rig.workers();
    let stopped: Vec<u32> =
        before[..2].iter().map(|worker| worker["pid"].as_u64().expect("a pid") as u32).collect();
    for pid in &stopped {
        signal(*pid, Signal::STOP);
        until("it is stopped", || is_stopped(*pid));
    }
    for n in 1..=4 {
        rig.must(&format!("/create vco {n}"));
    }
    let playing = rig.workers();
    let on_stopped = playing
        .iter()
        .filter(|worker| stopped.iter().any(|pid| worker["pid"] == *pid))
        .map(|worker| worker["modules"].as_array().map_or(0, Vec::len))
        .sum::<usize>();
    assert_eq!(on_stopped, 0, "modules were given to a worker that did not take them: {playing:?}");
    until("workers that do not answer are replaced", || stopped.iter().any(|pid| !is_alive(*pid)));
    assert_eq!(rig.modules().len(), 4);
}

#[test]
fn a_create_is_served_as_long_as_one_worker_answers() {
    for survivor in 0..4 {
        let mut rig = Rig::start(&["--workers", "4"]);
        for (_, worker) in rig.workers().iter().enumerate().filter(|(slot, _)| *slot != survivor) {
            let pid = worker["pid"].as_u64().expect("a pid") as u32;
            signal(pid, Signal::STOP);
            until("it is stopped", || is_stopped(pid));
        }
        let made = rig.must("/create vco 1");
        assert_eq!(made.args[2], Arg::Int(survivor as i32), "nobody else could have answered");
    }
}
