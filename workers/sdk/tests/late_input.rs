//! A module that moves to a worker which is not where the module is: through with the block already while the
//! module's input is not there yet, or behind what the module has rendered.

mod support;

use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;
use support::worker::Worker;
use support::{Stage, wait_until};

/// Longer than a worker sleeps before it looks again at an input that is not there.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

#[test]
fn a_module_taken_over_in_a_block_that_is_done_is_rendered_when_its_input_comes() {
    let mut on = Stage::new("late-input", 2);
    let (source, idle) = (Worker::ready(&on, 0), Worker::ready(&on, 1));
    let (noise, mut echo, other) = (on.add("noise", 0), on.add("delay", 0), on.add("vco", 1));
    on.plan(&[(&other, &[]), (&noise, &[]), (&echo, &[(&noise, 0, 0)])]);
    for _ in 0..4 {
        on.play(&[&other, &noise, &echo]);
    }

    source.signal(libc::SIGSTOP);
    on.announce(&[]);
    wait_until("the other worker is through with the block", || {
        on.head(1).done.word.load(Acquire) == on.block
    });
    on.relocate(&mut echo, 1);
    wait_until("it has taken the module over", || on.commit_of(&echo).lease == echo.location.lease);
    assert!(!on.has_committed(&echo), "its input is not there");
    // It looks in vain and goes back to its loop. However long this takes, the rest must hold.
    std::thread::sleep(LONG_ENOUGH);
    source.signal(libc::SIGCONT);
    on.await_commit(&noise);
    on.await_commit(&echo);
    drop((source, idle));
}

#[test]
fn a_module_that_is_ahead_of_its_new_worker_is_not_rendered_again() {
    let mut on = Stage::new("ahead", 2);
    let (player, behind) = (Worker::ready(&on, 0), Worker::ready(&on, 1));
    let mut tone = on.add("vco", 0);
    on.plan(&[(&tone, &[])]);
    on.play(&[&tone]);
    wait_until("the idle worker has seen the block too", || on.head(1).done.word.load(Acquire) == on.block);

    behind.signal(libc::SIGSTOP);
    on.play(&[&tone]);
    on.play(&[&tone]);
    let heard = on.heard(&tone);
    on.relocate(&mut tone, 1);
    behind.signal(libc::SIGCONT);
    wait_until("it is through with the block", || on.head(1).done.word.load(Acquire) == on.block);
    assert!(on.has_committed(&tone));
    assert_eq!(on.heard(&tone), heard, "what its old worker rendered");
    assert_eq!(on.head(1).modules_skipped.load(Acquire), 0);
    drop((player, behind));
}

#[test]
fn a_module_that_arrives_while_it_is_sent_on_goes_on_from_where_it_arrived() {
    let mut on = Stage::new("sent-on", 3);
    let (player, passed) = (Worker::ready(&on, 0), Worker::ready(&on, 1));
    let last = Worker::ready(&on, 2);
    let (twin, mut noise) = (on.add("noise", 2), on.add("noise", 0));
    on.plan(&[(&twin, &[]), (&noise, &[])]);
    on.play(&[&twin, &noise]);
    let first = noise.location;
    on.relocate(&mut noise, 1);
    // Whoever sends it on has seen that it has not arrived; meanwhile it does, and plays.
    for _ in 0..3 {
        on.play(&[&twin, &noise]);
    }
    on.send_on(&mut noise, 2, first);
    for _ in 0..3 {
        let heard = on.play(&[&twin, &noise]);
        assert_eq!(heard[0], heard[1]);
    }
    assert_eq!(on.head(2).modules_skipped.load(Acquire), 0);
    drop((player, passed, last));
}
