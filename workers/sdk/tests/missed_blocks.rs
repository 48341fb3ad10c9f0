//! A worker was away for some blocks, or died before it could make up for them. What happened to its modules
//! meanwhile happens late, and once; loops start again.

mod support;

use backline_abi::block::{Event, kind};
use backline_abi::plan::{Plan, PlanConnection, PlanEntry};
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

#[test]
fn a_loop_plays_again_after_its_worker_missed_blocks() {
    let mut on = Stage::new("loop", 1);
    let worker = Worker::ready(&on, 0);
    let (echo, filter) = (on.add("delay", 0), on.add("vcf", 0));
    let entry = |module: &Module, first_connection| PlanEntry {
        cell: module.cell,
        instance: module.record.instance,
        first_connection,
        connections: 1,
        is_sink: 1,
        reserved: [0; 3],
    };
    let cable = |source: &Module, is_feedback| PlanConnection {
        source_cell: source.cell,
        source_instance: source.record.instance,
        source_port: 0,
        target_input: 0,
        gain: 0.5,
        is_feedback,
    };
    let (entries, connections) =
        (vec![entry(&echo, 0), entry(&filter, 1)], vec![cable(&filter, 1), cable(&echo, 0)]);
    on.put_in_force(&Plan { entries, connections });
    on.play(&[&echo, &filter]);
    worker.stop();
    (0..5).for_each(|_| on.announce(&[]));
    worker.signal(libc::SIGCONT);
    on.await_commit(&filter);
    on.play(&[&echo, &filter]);
}

#[test]
fn a_loop_across_workers_plays_again_after_one_of_them_missed_blocks() {
    let mut on = Stage::new("loop-across", 2);
    let (worker, _other) = (Worker::ready(&on, 0), Worker::ready(&on, 1));
    let (echo, filter) = (on.add("delay", 0), on.add("vcf", 1));
    let entry = |module: &Module, first_connection| PlanEntry {
        cell: module.cell,
        instance: module.record.instance,
        first_connection,
        connections: 1,
        is_sink: 1,
        reserved: [0; 3],
    };
    let cable = |source: &Module, is_feedback| PlanConnection {
        source_cell: source.cell,
        source_instance: source.record.instance,
        source_port: 0,
        target_input: 0,
        gain: 0.5,
        is_feedback,
    };
    let (entries, connections) =
        (vec![entry(&echo, 0), entry(&filter, 1)], vec![cable(&filter, 1), cable(&echo, 0)]);
    on.put_in_force(&Plan { entries, connections });
    on.play(&[&echo, &filter]);
    worker.stop();
    (0..5).for_each(|_| on.announce(&[]));
    worker.signal(libc::SIGCONT);
    on.await_commit(&filter);
    on.play(&[&echo, &filter]);
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
