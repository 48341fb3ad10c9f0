//! A worker was away for some blocks, or died before it could make up for them. What happened to its modules
//! meanwhile happens late, and once; loops start again.

mod support;

use backline_abi::block::{Event, kind};
use backline_abi::plan::{Plan, PlanConnection};
use support::cabling::{connection, push};
use support::fate::{End, Fate, Point};
use support::inscribed;
use support::worker::Worker;
use support::{Module, Stage};

/// The test through which this program becomes a worker.
const ENTRANCE: &str = "a_worker_that_may_die_plays_like_the_stock_worker";

fn gate(module: &Module) -> Event {
    Event { instance: module.record.instance, offset_frames: 0, kind: kind::GATE_ON, value: 0.8 }
}

/// Announces a block and remembers its events as the engine does.
fn announce(on: &mut Stage, module: &Module, events: &[Event]) {
    on.announce(events);
    let latest = &on.control().latest[module.cell as usize];
    events.iter().for_each(|event| latest.note(event, on.block));
}

/// An echo in `slots[0]` and a filter in `slots[1]` that play into each other go on after the first worker was away.
fn loop_recovers(on: &mut Stage, worker: &Worker, slots: [usize; 2]) {
    let (echo, filter) = (on.add("delay", slots[0]), on.add("vcf", slots[1]));
    let cable = |source: &Module, is_feedback| PlanConnection {
        gain: 0.5,
        is_feedback,
        ..connection(&(source, 0, 0))
    };
    let mut plan = Plan::default();
    push(&mut plan, &echo, [cable(&filter, 1)]);
    push(&mut plan, &filter, [cable(&echo, 0)]);
    on.put_in_force(&plan);
    on.play(&[&echo, &filter]);
    worker.stop();
    (0..5).for_each(|_| on.announce(&[]));
    worker.signal(libc::SIGCONT);
    on.await_commit(&filter);
    on.play(&[&echo, &filter]);
}

#[test]
fn a_loop_plays_again_after_its_worker_missed_blocks() {
    let mut on = Stage::new("loop", 1);
    let worker = Worker::ready(&on, 0);
    loop_recovers(&mut on, &worker, [0, 0]);
}

#[test]
fn a_loop_across_workers_plays_again_after_one_of_them_missed_blocks() {
    let mut on = Stage::new("loop-across", 2);
    let (worker, _other) = (Worker::ready(&on, 0), Worker::ready(&on, 1));
    loop_recovers(&mut on, &worker, [0, 1]);
}

#[test]
fn a_gate_in_a_block_that_was_never_played_opens_late() {
    let mut on = Stage::new("first-gate", 1);
    let worker = Worker::ready(&on, 0);
    let envelope = on.add("adsr", 0);
    on.plan(&[(&envelope, &[])]);
    worker.stop();
    announce(&mut on, &envelope, &[gate(&envelope)]);
    (0..5).for_each(|_| on.announce(&[]));
    worker.signal(libc::SIGCONT);
    on.await_commit(&envelope);
    assert!(on.heard(&envelope).iter().any(|bits| *bits != 0), "the gate is lost");
}

#[test]
fn a_worker_that_may_die_plays_like_the_stock_worker() {
    if inscribed::play_if_called() {
        return;
    }
    let mut on = Stage::new("may-die", 1);
    let _worker = mortal(&on, 0);
    let envelope = on.add("adsr", 0);
    on.plan(&[(&envelope, &[])]);
    on.play(&[&envelope]);
}

/// This program as a worker in `slot`.
fn mortal(on: &Stage, slot: usize) -> Worker {
    let command = inscribed::command(ENTRANCE, on.name(), slot, std::process::id());
    let mut worker = Worker::started(on, slot, command);
    worker.await_ready(on, slot);
    worker
}

#[test]
fn a_gate_in_a_missed_block_is_not_lost_with_the_worker_that_makes_up_for_it() {
    // An odd and an even number of blocks: the state stands in the one copy, or in the other.
    for missed in [3, 4] {
        let mut on = Stage::new(&format!("gate-lost-{missed}"), 2);
        let (mut player, _successor) = (mortal(&on, 0), Worker::ready(&on, 1));
        let mut envelope = on.add("adsr", 0);
        on.plan(&[(&envelope, &[])]);
        on.play(&[&envelope]);
        player.stop();
        let fate = Fate { number: 1, point: Point::Rendering, end: End::Kill, at: 0 };
        let record = &on.control().modules[envelope.cell as usize];
        record.store(&fate.inscribed(&envelope.record));
        on.plan(&[(&envelope, &[])]);
        announce(&mut on, &envelope, &[gate(&envelope)]);
        (1..missed).for_each(|_| on.announce(&[]));
        player.signal(libc::SIGCONT);
        player.await_end();
        on.control().modules[envelope.cell as usize].store(&envelope.record);
        on.relocate(&mut envelope, 1);
        on.announce(&[]);
        on.await_commit(&envelope);
        let heard = on.heard(&envelope);
        assert!(heard.iter().any(|bits| *bits != 0), "the gate is lost after {missed} blocks");
    }
}
