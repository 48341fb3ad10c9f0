//! `backline bench warmup` measures what there is to measure, and names what is missing. How long anything took is
//! nobody's business here.

mod support;

use serde_json::Value;
use support::{backline, output, stderr, stdout};

const OWN_TIMES: [&str; 3] = [
    "this pool, native: exec to ready",
    "this pool, native: create to /done",
    "this pool, native: kill -9 to its slot ready again",
];
const PEER_TIMES: [&str; 8] = [
    "cold process: exec to libraries usable",
    "spawn: start to first line",
    "spawn: start to libraries usable",
    "forkserver, no preload: start to libraries usable",
    "forkserver, preloaded: start to libraries usable",
    "fork of a loaded parent: start to libraries usable",
    "multiprocessing.Pool: start to all workers usable",
    "multiprocessing.Pool: assign and get the result",
];
const OWN_MEMORY: &str = "this pool, native: largest idle worker, KiB";
const PEER_MEMORY: [&str; 2] = [
    "multiprocessing.Pool: largest idle worker, KiB",
    "Pool forked of a loaded parent: largest idle worker, KiB",
];
const REMEDY: &str = "apt install python3-numpy python3-scipy";

/// What a run with two of each says, with `python` as the interpreter if that is given.
fn told(python: Option<&str>) -> Value {
    let mut command = backline();
    command.args(["bench", "warmup", "--n", "2", "--workers", "2", "--json"]);
    if let Some(python) = python {
        command.env("BACKLINE_PYTHON", python);
    }
    let ended = output(command);
    assert!(ended.status.success(), "{}", stderr(&ended));
    serde_json::from_str(&stdout(&ended)).expect("the bench prints JSON")
}

fn row<'told>(told: &'told Value, name: &str) -> Option<&'told Value> {
    told["results"].as_array().expect("a list of rows").iter().find(|row| row["name"] == name)
}

fn must_have_times(told: &Value, name: &str) {
    let row = row(told, name).unwrap_or_else(|| panic!("no row {name:?} in {told}"));
    assert_eq!((&row["n"], &row["unit"]), (&2.into(), &"ms".into()), "{row}");
}

fn must_have_memory(told: &Value, name: &str) {
    let kib = |key: &str| told["figures"][name][key].as_u64();
    let (pss, private) = (kib("pss"), kib("private"));
    assert!(private.is_some_and(|private| private > 0), "{name}: {told}");
    assert!(pss >= private, "{name}: what is private is part of what is proportional: {told}");
}

fn must_be_missing(told: &Value, name: &str) {
    let said = told["figures"][name].as_str().unwrap_or_else(|| panic!("{name:?} is not named in {told}"));
    assert!(said.starts_with("missing") && said.contains(REMEDY), "{name}: {said}");
    assert!(row(told, name).is_none(), "{name} is missing and measured");
}

fn must_have_own_rows(told: &Value) {
    assert_eq!(told["bench"], "warmup");
    OWN_TIMES.iter().for_each(|name| must_have_times(told, name));
    must_have_memory(told, OWN_MEMORY);
}

#[test]
fn every_row_is_measured_or_named_with_the_package_that_brings_it() {
    let told = told(None);
    must_have_own_rows(&told);
    for name in
        ["this pool, Python class: create to /done", "this pool, plug-in (ladspa:ZamComp): create to /done"]
    {
        must_have_times(&told, name);
    }
    if told["figures"]["Python of the peers"].is_object() {
        PEER_TIMES.iter().for_each(|name| must_have_times(&told, name));
        PEER_MEMORY.iter().for_each(|name| must_have_memory(&told, name));
    } else {
        println!("SKIPPED: there is no Python with numpy and scipy; they come with: {REMEDY}");
        PEER_TIMES.iter().chain(&PEER_MEMORY).for_each(|name| must_be_missing(&told, name));
    }
}

#[test]
fn an_interpreter_that_will_not_do_costs_its_own_rows_only() {
    let told = told(Some("/bin/false"));
    must_have_own_rows(&told);
    PEER_TIMES.iter().chain(&PEER_MEMORY).for_each(|name| must_be_missing(&told, name));
}
