//! Somebody else takes a core: modules play on another one meanwhile, nobody is blamed, and later they go home.

mod support;

use backline_abi::rights;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use support::{Rig, file, until};

/// Above every thread of the engine.
const HIGHER_PRIORITY: u32 = 90;

/// Has `core` to itself for two or three blocks of those that are played here. False if it may not.
fn take(core: usize) -> bool {
    let spin = move || {
        let since = Instant::now();
        let may = rights::pin_to(core) && rights::take_fifo(HIGHER_PRIORITY).is_ok();
        while may && since.elapsed() < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        may
    };
    std::thread::spawn(spin).join().expect("it only spins")
}

fn number(value: &Value) -> usize {
    value.as_u64().expect("a number") as usize
}

/// Core on which each module is.
fn cores(rig: &mut Rig) -> BTreeMap<String, usize> {
    let of = |worker: &Value| -> Vec<(String, usize)> {
        let modules = worker["modules"].as_array().expect("a list").iter();
        modules.map(|id| (id.as_str().expect("an id").to_owned(), number(&worker["core"]))).collect()
    };
    rig.workers().iter().flat_map(of).collect()
}

fn processes(rig: &mut Rig) -> Vec<usize> {
    rig.workers().iter().map(|worker| number(&worker["pid"])).collect()
}

#[test]
fn modules_leave_a_core_that_is_taken_and_come_back_and_nobody_is_blamed() {
    let demo = file("patches/demo.toml").display().to_string();
    let mut rig = Rig::start(&[&demo, "--workers", "4", "--block", "1024"]);
    let (home, workers) = (cores(&mut rig), processes(&mut rig));
    if rig.status()["audio"]["realtime"] != true || home.values().all(|core| core == &home["out"]) {
        println!("skipped: it needs real-time priority and two cores");
        rig.stop();
        return;
    }
    // Where `out` is, there is the audio thread.
    let core = *home.values().find(|core| **core != home["out"]).expect("there are two");
    until("modules leave the core that is taken", || {
        assert!(take(core), "a thread of ours may not have the priority that the engine's have");
        cores(&mut rig) != home
    });
    until("they are home again", || {
        std::thread::sleep(Duration::from_millis(100));
        cores(&mut rig) == home
    });
    assert_eq!(processes(&mut rig), workers, "nobody was replaced");
    let told = rig.status()["cores"].clone();
    assert!(told["taken"].as_u64() >= Some(1) && told["modules_away"] == 0, "{told}");
    assert_eq!(rig.status()["bypassed"], serde_json::json!([]), "and nobody was blamed");
    rig.stop();
}
