//! Workers that have served long enough leave while they play, and there are never fewer than there should be.

mod support;

use backline::command::Arg;
use serde_json::Value;
use std::collections::HashSet;
use support::{Rig, until};

fn done(status: &Value, why: &str) -> u64 {
    status["recycling"]["done"][why].as_u64().unwrap_or_else(|| panic!("{why}: {}", status["recycling"]))
}

fn ready_workers(rig: &mut Rig) -> i32 {
    match rig.must("/status").args.get(4) {
        Some(Arg::Int(ready)) => *ready,
        other => panic!("ready_workers is no number: {other:?}"),
    }
}

#[test]
fn after_its_jobs_a_worker_is_replaced_and_there_are_never_fewer_than_there_should_be() {
    let mut rig = Rig::start(&["--workers", "2", "--no-realtime", "--recycle-jobs", "20"]);
    rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out 0.5"]);
    let mut pids: HashSet<u64> = HashSet::new();
    let mut count = 0;
    until("both were replaced twice", || {
        for _ in 0..10 {
            count += 1;
            rig.must_all(&[&format!("/create noise n{count}"), &format!("/free n{count}")]);
            assert!(ready_workers(&mut rig) >= 2);
        }
        pids.extend(rig.workers().iter().filter_map(|worker| worker["pid"].as_u64()).filter(|pid| *pid != 0));
        done(&rig.status(), "jobs") >= 4
    });
    assert!(pids.len() >= 4, "{pids:?}");
    assert_eq!(rig.modules().len(), 2);
    rig.stop();
}

#[test]
fn after_its_time_a_worker_is_replaced() {
    let mut rig = Rig::start(&["--workers", "1", "--no-realtime", "--recycle-ttl", "1"]);
    rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out 0.5"]);
    let first = rig.workers()[0]["pid"].clone();
    until("it is replaced", || done(&rig.status(), "age") >= 1);
    assert!(rig.workers().iter().all(|worker| worker["pid"] != first), "{first}");
    assert_eq!(rig.modules().len(), 2);
    rig.stop();
}

#[test]
fn frozen_nobody_is_replaced_whatever_the_limits_say() {
    let options = ["--workers", "1", "--no-realtime", "--recycle-jobs", "1", "--freeze-recycling"];
    let mut rig = Rig::start(&options);
    for voice in 1..=20 {
        rig.must(&format!("/create vco {voice}"));
    }
    let first = rig.workers()[0].clone();
    assert_eq!(first["jobs"], 20);
    // Three seconds: the policy looks once a second.
    rig.play_blocks(3 * 48_000 / 128);
    let status = rig.status();
    assert_eq!((done(&status, "jobs"), &status["recycling"]["frozen"]), (0, &Value::Bool(true)));
    assert_eq!(rig.workers()[0]["pid"], first["pid"]);
    rig.stop();
}
