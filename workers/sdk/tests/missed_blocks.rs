//! A worker was away for some blocks, or died before it could make up for them. What happened to its modules
//! meanwhile happens late, and once; loops start again.

mod support;

use backline_abi::block::{Event, kind};
use backline_abi::plan::{Plan, PlanConnection};
use support::cabling::{connection, push};
use support::worker::Worker;
use support::{Module, Stage};

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
