//! Worker programs that are not what they should be, and the processes that they leave about.

use super::processes::is_alive;
use super::program;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A program beside the engine's own.
pub fn beside_engine(name: &str, build: &str) -> PathBuf {
    let path = Path::new(program()).parent().expect("it lies in a folder").join(name);
    assert!(path.is_file(), "{} is missing; build it first: {build}", path.display());
    path
}

/// The stock worker.
pub fn true_worker() -> PathBuf {
    beside_engine("backline-worker", "cargo build --workspace")
}

/// The worker that breaks on demand (workers/native/tests/support/faulty_worker.rs).
pub fn faulty_worker() -> PathBuf {
    beside_engine("examples/faulty-worker", "cargo build --workspace --examples")
}

/// The worker that dies where it is told to (workers/native/tests/support/mortal_worker.rs).
pub fn mortal_worker() -> PathBuf {
    beside_engine("examples/mortal-worker", "cargo build --workspace --examples")
}

/// A shell script that can be run.
pub fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("worker.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("our folder is writable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    path
}

/// Children that a worker starts before it becomes the true worker. All ignore TERM and sleep for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// In the worker's own group.
    InGroup = 1,
    /// In a session of its own.
    InSession = 2,
    /// In a session of its own, and no child of the worker any more.
    Daemon = 3,
    /// In a session of its own, with nothing of the worker's environment.
    CleanEnvironment = 4,
}

/// Every kind.
pub const CHILDREN: [Child; 4] = [Child::InGroup, Child::InSession, Child::Daemon, Child::CleanEnvironment];

/// A worker program that starts one child of each of `kinds`, and then is the true worker. `tag` tells the
/// children of one test from those of all others.
pub fn worker_with_children(folder: &Path, tag: u32, kinds: &[Child]) -> PathBuf {
    let sleeper = |kind: &Child| {
        let sleep = format!("trap \"\" TERM; exec sleep 9$0{}.{tag}", *kind as u32);
        let quiet = ">/dev/null 2>&1 </dev/null";
        match kind {
            Child::InGroup => format!("sh -c '{sleep}' $2 {quiet} &"),
            Child::InSession => format!("setsid sh -c '{sleep}' $2 {quiet} &"),
            Child::Daemon => format!("(setsid sh -c '{sleep}' $2 {quiet} &)"),
            Child::CleanEnvironment => format!("env -i PATH=\"$PATH\" setsid sh -c '{sleep}' $2 {quiet} &"),
        }
    };
    let mut lines: Vec<String> = kinds.iter().map(sleeper).collect();
    lines.push(format!("exec '{}' \"$@\"", true_worker().display()));
    script(folder, &lines.join("\n"))
}

/// Living children with `tag` of workers in `slot`.
pub fn children_in(slot: usize, tag: u32) -> Vec<u32> {
    let is_one = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<String> =
            line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.first().is_some_and(|name| name == "sleep")
            && words.get(1).is_some_and(|span| {
                CHILDREN.iter().any(|kind| *span == format!("9{slot}{}.{tag}", *kind as u32))
            })
    };
    let folder = Path::new("/proc").read_dir().expect("/proc is there");
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_one).filter(|pid| is_alive(*pid)).collect()
}
