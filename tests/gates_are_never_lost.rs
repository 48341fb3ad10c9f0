//! A gate is never lost, also if the worker it is meant for misses its block.

mod support;

use rustix::process::Signal;
use support::processes::{is_alive, signal};
use support::sound::peak;
use support::{Rig, until};

/// The process that plays `id`.
fn player_of(rig: &mut Rig, id: &str) -> u32 {
    let workers = rig.workers();
    let plays = |worker: &&serde_json::Value| {
        worker["modules"].as_array().is_some_and(|ids| ids.iter().any(|other| other == id))
    };
    workers.iter().find(plays).and_then(|worker| worker["pid"].as_u64()).expect("somebody plays it") as u32
}

fn gated_voice() -> Rig {
    let mut rig = Rig::recording(&[]);
    rig.must_all(&["/create noise 1", "/create adsr 1 attack 0", "/create vca 1", "/create out out"]);
    rig.must_all(&["/connect noise1 vca1", "/connect adsr1 vca1.cv", "/connect vca1 out 0.5"]);
    rig.play_blocks(50);
    rig
}

fn assert_open(rig: Rig) {
    let heard = rig.stop().recording();
    let end = &heard.left[heard.left.len() - 8_000..heard.left.len() - 2_000];
    assert!(peak(end) > 0.1, "the gate was lost");
}

#[test]
fn a_gate_for_a_worker_that_is_stopped_is_heard_from_the_next_one() {
    let mut rig = gated_voice();
    let player = player_of(&mut rig, "adsr1");
    signal(player, Signal::STOP);
    rig.must("/gate adsr1 1");
    until("it is found out and killed", || !is_alive(player));
    rig.play_blocks(200);
    assert_open(rig);
}

#[test]
fn a_gate_that_comes_while_a_worker_is_dead_is_heard_from_the_next_one() {
    for _ in 0..10 {
        let mut rig = gated_voice();
        let player = player_of(&mut rig, "adsr1");
        signal(player, Signal::KILL);
        rig.must("/gate adsr1 1");
        rig.play_blocks(200);
        assert_open(rig);
    }
}
