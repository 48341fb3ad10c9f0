//! The tree keeps its direction: a stage names later stages only, files stay readable, unsafe stays where it is.

use std::fs;
use std::path::{Path, PathBuf};

/// Stages in the order a sound travels; each may use itself and what stands behind it. `control`, `bench` and
/// `cli` stand in front: they may use all, nobody uses them.
const FLOW: [&str; 11] = [
    "cli",
    "bench",
    "control",
    "session",
    "osc",
    "patch",
    "cycle",
    "takeover",
    "pool",
    "supervise",
    "output",
];
/// Open to all.
const VOCABULARY: [&str; 7] = ["catalogue", "command", "config", "kinds", "rt", "nearest", "pattern"];
/// What the flow allows although it points backwards, each with its reason.
const EXCEPTIONS: [(&str, &str); 2] = [
    // Clocks drive the cycle and hand its blocks to the device.
    ("output", "cycle"),
    // The exactness of a cycle is told by its memory: the rig stands under both.
    ("output", "pool"),
];
/// Files that may contain unsafe code.
const UNSAFE: [&str; 15] = [
    "workers/abi/src/confine.rs",
    "workers/abi/src/crash.rs",
    "workers/abi/src/death.rs",
    "workers/abi/src/segment.rs",
    "workers/abi/src/wake.rs",
    "workers/abi/src/refused.rs",
    "workers/abi/src/rights.rs",
    "workers/sdk/src/c_api/exports.rs",
    "workers/sdk/src/c_api/functions.rs",
    "workers/sdk/src/c_api/reading.rs",
    "workers/plugin/src/host/clap/library.rs",
    "workers/plugin/src/host/ladspa/instance.rs",
    "workers/plugin/src/host/ladspa/library.rs",
    "workers/plugin/src/host/lv2/instance.rs",
    "src/rt/probe.rs",
];
const MOST_LINES: usize = 450;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the tree can be read").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["src", "tests", "workers"] {
        rust_files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 80, "the tree is larger than that: {}", found.len());
    found
}

/// Code without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file is text");
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_stage_uses_later_stages_only() {
    let rank = |stage: &str| FLOW.iter().position(|name| *name == stage);
    let src = root().join("src");
    for path in all_files().iter().filter(|path| path.starts_with(&src)) {
        let inside = path.strip_prefix(&src).expect("it is inside");
        let stage =
            inside.iter().next().and_then(|part| part.to_str()).unwrap_or_default().trim_end_matches(".rs");
        for used in code(path).split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let is_allowed = VOCABULARY.contains(&used.as_str())
                || rank(&used).is_none()
                || rank(stage) <= rank(&used)
                || EXCEPTIONS.contains(&(stage, used.as_str()));
            let is_vocabulary_clean = !VOCABULARY.contains(&stage) || rank(&used).is_none();
            assert!(is_allowed && is_vocabulary_clean, "{} uses crate::{used}", inside.display());
        }
    }
}

#[test]
fn files_stay_short_enough_to_hold_in_the_head() {
    for path in all_files() {
        let lines = fs::read_to_string(&path).expect("a source file is text").lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines; split it", path.display());
    }
}

#[test]
fn unsafe_code_lives_in_few_files_and_every_block_says_why() {
    for path in all_files() {
        let name = path.strip_prefix(root()).expect("it is inside").display().to_string();
        let has_unsafe =
            ["unsafe {", "unsafe impl", "unsafe fn"].iter().any(|word| code(&path).contains(word));
        let is_test = name.starts_with("tests/") || name.contains("/tests/");
        assert!(!has_unsafe || is_test || UNSAFE.contains(&name.as_str()), "{name} has unsafe code");
    }
    for name in ["workers/dsp/src/lib.rs", "src/osc/mod.rs"] {
        let text = fs::read_to_string(root().join(name)).expect("it is there");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{name} must forbid unsafe code");
    }
}

#[test]
fn the_engine_does_not_link_the_worker_sdk_and_workers_link_neither_audio_nor_osc() {
    let manifest = |name: &str| fs::read_to_string(root().join(name)).expect("it is there");
    let engine = manifest("Cargo.toml");
    let own = engine.split("[dependencies]").nth(1).expect("the engine has dependencies");
    assert!(!own.contains("backline-sdk"), "the engine links the SDK");
    for worker in ["abi", "sdk", "dsp", "native", "plugin"] {
        let text = manifest(&format!("workers/{worker}/Cargo.toml"));
        assert!(!text.contains("cpal") && !text.contains("rosc"), "{worker} links audio or OSC");
    }
}
