//! What workers start and leave behind: it goes when they go, wherever it hides; and nobody else is touched.

mod support;

use backline::kinds::Recipe;
use backline::supervise::alarm::Offence;
use backline::supervise::audit::Audit;
use backline::supervise::ending::{Doing, Ending, How, Sentence};
use backline::supervise::orders::{Notice, Order};
use backline::supervise::process::Supervisor;
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, Stdio};
use support::fakes::{CHILDREN, children_in, script, worker_with_children};
use support::processes::{children_of, is_alive, is_asleep, is_stopped, signal};
use support::{Rig, backline, until, wait_for};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder of our own")
}

/// An engine whose workers have children, once all of them are there and known.
fn rig_with_children(folder: &TempDir, tag: u32) -> Rig {
    let mut command = backline();
    command.env("BACKLINE_WORKER", worker_with_children(folder.path(), tag, &CHILDREN));
    let mut rig = Rig::start_as(command, &["--workers", "2", "--no-realtime"]);
    until("every worker has its children, and the engine knows them", || {
        let count = [0, 1].map(|slot| children_in(slot, tag).len());
        count == [CHILDREN.len(); 2] && rig.status()["accounts"]["descendants"].as_u64() >= Some(8)
    });
    rig
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn what_a_dead_worker_had_started_goes_with_it_wherever_it_hides() {
    let (folder, tag) = (folder(), std::process::id() * 10 + 1);
    let mut rig = rig_with_children(&folder, tag);
    let (lost, kept) = (children_in(0, tag), children_in(1, tag));
    let victim = rig.workers()[0]["pid"].as_u64().expect("a pid") as u32;
    signal(victim, Signal::KILL);
    until("its children are dead and buried", || lost.iter().all(|pid| !is_there(*pid)));
    assert_eq!(children_in(1, tag), kept, "those of the other worker live");
    until("the new worker has children, too", || children_in(0, tag).len() == CHILDREN.len());
    let accounts = rig.status()["accounts"].clone();
    assert!(accounts["orphans_reaped"].as_u64() >= Some(4), "{accounts}");
    let zombies: Vec<u32> = children_of(rig.pid).into_iter().filter(|pid| !is_alive(*pid)).collect();
    assert_eq!(zombies, [0; 0], "nobody is left unburied");
    rig.stop();
    assert_eq!([0, 1].map(|slot| children_in(slot, tag).len()), [0, 0], "nor after the end");
}

#[test]
fn an_engine_that_is_interrupted_leaves_no_child_of_a_child() {
    let (folder, tag) = (folder(), std::process::id() * 10 + 2);
    let rig = rig_with_children(&folder, tag);
    rig.stop_by(Signal::INT);
    assert_eq!([0, 1].map(|slot| children_in(slot, tag).len()), [0, 0]);
}

/// A supervisor of our own, over workers that are whatever `text` says.
fn supervisor(folder: &TempDir, text: &str) -> Supervisor {
    let program = script(folder.path(), text);
    Supervisor::start(vec![Recipe::native(program)], "nobody".to_owned(), Audit::none())
        .expect("threads can be started")
}

fn spawned(supervisor: &Supervisor, slot: usize) -> u32 {
    supervisor.order(Order::Spawn { kind: 0, slot, core: 0 });
    let started = wait_for(|| supervisor.notice());
    let Some(Notice::Spawned { pid, .. }) = started else { panic!("no worker: {started:?}") };
    pid
}

fn ending(supervisor: &Supervisor) -> Ending {
    let ended = wait_for(|| supervisor.notice());
    let Some(Notice::Exited { ending, .. }) = ended else { panic!("no end: {ended:?}") };
    ending
}

/// Ignores TERM, says that it does, and sleeps.
fn stubborn(folder: &TempDir) -> String {
    format!("trap '' TERM\n: > '{}/deaf'\nwhile :; do sleep 1000; done", folder.path().display())
}

#[test]
fn a_worker_that_is_dismissed_and_does_not_leave_is_killed_and_nobody_is_blamed() {
    let folder = folder();
    let supervisor = supervisor(&folder, &stubborn(&folder));
    let pid = spawned(&supervisor, 3);
    until("it does not hear TERM any more", || folder.path().join("deaf").exists());
    supervisor.order(Order::Dismiss { slot: 3 });
    let end = ending(&supervisor);
    assert_eq!((end.how, end.sentence), (How::Signalled(9), Some(Sentence::Dismissed)));
    assert_eq!(end.doing(None), Doing::Others);
    assert!(!is_there(pid));
    let accounts = supervisor.accounts();
    assert!(accounts.signals_sent >= 2, "TERM and KILL: {accounts:?}");
    assert_eq!((accounts.spawned, accounts.alive, accounts.reaped), (1, 0, 1));
}

#[test]
fn a_worker_that_is_condemned_is_killed_with_its_group_and_the_cause_says_so() {
    let folder = folder();
    let supervisor = supervisor(&folder, &stubborn(&folder));
    let pid = spawned(&supervisor, 0);
    // Until then it may wait for a disk, and would be excused.
    until("it runs", || folder.path().join("deaf").exists() && is_asleep(pid));
    supervisor.alarm().condemn(7);
    supervisor.alarm().condemn(0);
    let end = ending(&supervisor);
    assert_eq!(end.sentence, Some(Sentence::Condemned(Offence::MissedDeadline)));
    assert!(end.cause().starts_with("condemned: "), "{}", end.cause());
    assert_eq!(end.doing(None), Doing::Hang);
}

#[test]
fn a_worker_that_somebody_stopped_is_condemned_but_not_to_blame() {
    let folder = folder();
    let supervisor = supervisor(&folder, &stubborn(&folder));
    let pid = spawned(&supervisor, 0);
    signal(pid, Signal::STOP);
    until("it is stopped", || is_stopped(pid));
    supervisor.alarm().condemn(0);
    assert_eq!(ending(&supervisor).doing(None), Doing::Others);
}

#[test]
fn closing_ends_workers_that_ignore_term() {
    let folder = folder();
    let supervisor = supervisor(&folder, &stubborn(&folder));
    let pids = [0, 1, 2].map(|slot| spawned(&supervisor, slot));
    drop(supervisor);
    assert_eq!(pids.map(is_there), [false; 3]);
}

#[test]
fn children_that_are_not_of_workers_are_neither_killed_nor_reaped() {
    let folder = folder();
    let mut own =
        Command::new("sh").args(["-c", "read line; exit 7"]).stdin(Stdio::piped()).spawn().expect("sh");
    let mut started = Command::new("sh");
    // An orphan that becomes our child, because this process is a sub-reaper by now, and that nobody marked.
    started.args(["-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"]);
    let supervisor = supervisor(&folder, "exit 0");
    let stranger: u32 = support::stdout(&support::output(started)).trim().parse().expect("a number");
    for _ in 0..5 {
        spawned(&supervisor, 0);
        ending(&supervisor);
    }
    drop(supervisor);
    assert!(is_alive(stranger), "somebody else's orphan");
    drop(own.stdin.take());
    assert_eq!(own.wait().expect("it is still ours to reap").code(), Some(7));
    signal(stranger, Signal::KILL);
}

#[test]
fn an_order_is_taken_at_once_and_every_death_is_told_once() {
    let folder = folder();
    let supervisor = supervisor(&folder, "exec sleep 1000");
    for _ in 0..200 {
        let pid = spawned(&supervisor, 1);
        supervisor.order(Order::Kill { slot: 1, offence: Offence::BrokeContract });
        assert_eq!(ending(&supervisor).how, How::Signalled(9), "of {pid}");
    }
    assert!(supervisor.notice().is_none());
    let accounts = supervisor.accounts();
    assert_eq!((accounts.spawned, accounts.alive, accounts.reaped), (200, 0, 200));
}
