//! Who runs on this machine, and what lies in its shared memory.

use super::until;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::path::Path;

/// Workers of the engine `engine`, also when it is dead: its number is on their command lines.
pub fn workers_of(engine: u32) -> Vec<u32> {
    let is_worker = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
        let program = words.first().map_or("".into(), |word| String::from_utf8_lossy(word));
        program.ends_with("backline-worker") && words.last() == Some(&engine.to_string().as_bytes())
    };
    pids().filter(is_worker).filter(|pid| is_alive(*pid)).collect()
}

/// Children of `parent`, dead ones that it has not reaped included.
pub fn children_of(parent: u32) -> Vec<u32> {
    pids().filter(|pid| stat(*pid).is_some_and(|fields| fields.get(1) == Some(&parent.to_string()))).collect()
}

/// The name that `ps` shows.
pub fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// What each thread of a process is doing: its name, the kernel's function it sleeps in, its system call.
pub fn threads_of(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let read = |task: &std::path::Path, file: &str| {
        std::fs::read_to_string(task.join(file)).unwrap_or_default().trim_end().to_owned()
    };
    tasks.map(|task| ["comm", "wchan", "syscall"].map(|file| read(&task.path(), file)).join(" ")).collect()
}

/// True if `pid` runs, sleeps or is stopped; a zombie is not alive.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| !matches!(fields.first().map(String::as_str), None | Some("Z" | "X")))
}

/// True if `pid` is stopped by a signal.
pub fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state == "T"))
}

/// True if `pid` waits for something that may be interrupted, and so for no disk.
pub fn is_asleep(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state == "S"))
}

/// Memory that `pid` has touched and not given back, KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Names of the segments that `engine` has made.
pub fn segments_of(engine: u32) -> Vec<String> {
    let Ok(folder) = Path::new("/dev/shm").read_dir() else { return Vec::new() };
    let names = folder.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let engine = engine.to_string();
    let is_of_engine = |name: &String| {
        let mut parts = name.split('-');
        parts.next() == Some("backline") && parts.nth(1) == Some(&engine)
    };
    names.filter(is_of_engine).collect()
}

/// Sends a signal to one process of ours.
pub fn signal(pid: u32, signal: Signal) {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process has a positive number");
    // ESRCH: it has died by itself, which the test will notice.
    let _ = kill_process(target, signal);
}

/// Waits until nothing of `engine` is left.
pub fn until_nothing_is_left_of(engine: u32) {
    until("the engine's workers are gone", || workers_of(engine).is_empty());
    assert_eq!(segments_of(engine), [""; 0], "segments are left of engine {engine}");
}

fn pids() -> impl Iterator<Item = u32> {
    let folder = Path::new("/proc").read_dir().expect("/proc is there");
    folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Fields of proc_pid_stat(5) from the third on: state, parent, group, ...
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(')')?;
    Some(after_name.split_whitespace().map(str::to_owned).collect())
}

/// Lets the files of `pid` grow to `bytes` at most, `None` for as long as they like.
pub fn limit_files(pid: u32, bytes: Option<u64>) {
    let pid = Pid::from_raw(pid as i32).expect("a process has a positive number");
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(pid), Resource::Fsize, limit).expect("our own child may be limited");
}
