//! Who is blamed when a worker dies: real workers, real faults of their own, and signals that others send.

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::path::PathBuf;
use support::fakes::faulty_worker;
use support::processes::{is_alive, is_stopped, signal};
use support::{Rig, backline, until};
use tempfile::TempDir;

/// An engine with workers that break on demand, and its log.
struct Stage {
    rig: Rig,
    log: PathBuf,
    _folder: TempDir,
}

impl Stage {
    fn new(workers: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let log = folder.path().join("audit.jsonl");
        let mut command = backline();
        command.env("BACKLINE_WORKER", faulty_worker());
        let path = log.to_str().expect("temporary folders have plain names");
        let rig = Rig::start_as(command, &["--workers", workers, "--no-realtime", "--audit", path]);
        Self { rig, log, _folder: folder }
    }

    fn events(&self, event: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == event).collect()
    }

    /// Waits for the first death that is its own doing.
    fn first_own_doing(&self) -> Value {
        let own = |line: &Value| line["doing"] != "somebody else";
        let found = support::wait_for(|| self.events("judged").into_iter().find(own));
        found.unwrap_or_else(|| panic!("nobody died by its own doing: {}", self.rig.log()))
    }
}

fn is_full(rig: &mut Rig) -> bool {
    rig.workers().iter().all(|worker| matches!(worker["state"].as_str(), Some("ready" | "playing")))
}

/// A module breaks its worker again and again. It is blamed, and poisoned when it did so twice in a block or three
/// times in all; others play on.
fn assert_poisoned(frequency_hz: u32, doing: &str) {
    let mut stage = Stage::new("3");
    stage.rig.must_all(&["/create out out", "/create noise good", "/connect good out 0.1"]);
    stage.rig.must(&format!("/create vco bad freq {frequency_hz}"));
    // What is patched to nothing is rendered, too.
    let judged = stage.first_own_doing();
    assert_eq!(judged["doing"], doing, "{judged}");
    assert!(judged["blamed"].is_u64() && judged["pause_ms"].as_u64() > Some(0), "{judged}");
    until("it is poisoned", || !stage.events("poisoned").is_empty());
    let poisoned = &stage.events("poisoned")[0];
    assert_eq!(poisoned["instance"], judged["blamed"]);
    let blamed = stage.events("judged").into_iter().filter(|line| line["blamed"].is_u64());
    assert!(blamed.into_iter().all(|line| line["blamed"] == judged["blamed"]), "nobody else is blamed");
    until("it is bypassed", || stage.rig.status()["bypassed"][0]["id"] == "bad");
    until("the pool is full again", || is_full(&mut stage.rig));
    // Nobody dies of it any more.
    let spawned = stage.rig.status()["accounts"]["spawned"].clone();
    stage.rig.play_blocks(200);
    assert_eq!(stage.rig.status()["accounts"]["spawned"], spawned);
    stage.rig.must("/free bad");
    assert_eq!(stage.rig.status()["bypassed"], serde_json::json!([]));
    assert_eq!(stage.rig.modules().len(), 2);
    stage.rig.stop();
}

#[test]
fn a_module_that_faults_is_blamed_and_poisoned() {
    assert_poisoned(661, "a fault of its own");
}

#[test]
fn a_module_that_aborts_is_blamed_and_poisoned() {
    assert_poisoned(662, "a fault of its own");
}

#[test]
fn a_module_that_exits_is_blamed_and_poisoned_even_with_code_0() {
    assert_poisoned(663, "a fault of its own");
}

#[test]
fn a_module_that_panics_is_blamed_and_poisoned() {
    assert_poisoned(665, "a fault of its own");
}

#[test]
fn a_module_that_overflows_its_stack_is_blamed_and_poisoned() {
    assert_poisoned(666, "a fault of its own");
}

#[test]
fn signals_of_faults_that_others_send_blame_nobody_even_in_mid_render() {
    let mut stage = Stage::new("2");
    stage.rig.must("/create out out");
    for voice in 1..=12 {
        stage.rig.must_all(&[&format!("/create vco {voice}"), &format!("/connect vco{voice} out 0.05")]);
    }
    let kinds = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE, Signal::ABORT, Signal::KILL];
    for round in 0..30 {
        let busy = || {
            let workers = stage.rig.workers();
            workers.iter().find(|worker| worker["state"] == "playing").map(|worker| worker["pid"].clone())
        };
        let found = support::wait_for(busy).expect("somebody plays");
        signal(found.as_u64().expect("a pid") as u32, kinds[round % kinds.len()]);
        until("it is judged", || stage.events("judged").len() > round);
    }
    for judged in stage.events("judged") {
        let (doing, blamed) = (&judged["doing"], &judged["blamed"]);
        assert_eq!((doing, blamed), (&"somebody else".into(), &Value::Null), "{judged}");
    }
    assert_eq!(stage.rig.modules().len(), 13);
    stage.rig.stop();
}

#[test]
fn a_worker_that_is_stopped_is_replaced_and_nobody_is_blamed() {
    let mut stage = Stage::new("1");
    stage.rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out 0.5"]);
    let pid = stage.rig.workers()[0]["pid"].as_u64().expect("a pid") as u32;
    signal(pid, Signal::STOP);
    // It is found out and killed while we look.
    until("it is stopped", || is_stopped(pid) || !is_alive(pid));
    let _ = stage.rig.ask("/create vco 2");
    until("it is replaced", || !stage.events("judged").is_empty());
    let judged = &stage.events("judged")[0];
    assert_eq!((&judged["doing"], &judged["blamed"]), (&"somebody else".into(), &Value::Null), "{judged}");
    assert_eq!(stage.events("condemned").len(), 1);
    stage.rig.stop();
}

#[test]
fn a_module_that_hangs_its_worker_is_blamed_for_the_hang() {
    let mut stage = Stage::new("1");
    stage.rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out 0.5"]);
    stage.rig.must("/create vco bad freq 664");
    // Sooner or later the worker does not answer; that is how it is found out.
    until("it is found out", || {
        let _ = stage.rig.ask("/create noise");
        !stage.events("condemned").is_empty()
    });
    let judged = stage.first_own_doing();
    assert_eq!(judged["doing"], "a hang of its own", "{judged}");
    assert!(judged["blamed"].is_u64(), "{judged}");
    stage.rig.must("/free bad");
    stage.rig.stop();
}
