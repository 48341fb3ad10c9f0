//! What must be gone of a dead engine before the next one starts: its workers.
//!
//! In: the number of an engine that is dead. Out: the workers that had to be killed, and those nothing could be
//! done about.
//! Thread: the keeper's. Workers die with the thread that started them, so as a rule nobody is left; who is, is
//! killed through a descriptor of the process, so that a number given to somebody else meanwhile is never hit.

use super::keeper::pid_of;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::time::{Duration, Instant};

/// For workers to die by themselves.
const PATIENCE: Duration = Duration::from_millis(200);
/// For the kernel to end what was killed.
const LIMIT: Duration = Duration::from_secs(1);

/// How clearing up went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Workers that had to be killed.
    pub killed: Vec<u32>,
    /// Workers that even that has not ended in time.
    pub alive: Vec<u32>,
}

/// Waits until no worker of `engine` is left, and kills those that stay.
pub fn clear(engine: u32) -> Cleared {
    let mut left = workers_of(engine);
    wait(&mut left, PATIENCE);
    let killed = left.iter().map(|(pid, _)| *pid).collect();
    for (_, process) in &left {
        // ESRCH: it has died at last.
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
    wait(&mut left, LIMIT);
    Cleared { killed, alive: left.into_iter().map(|(pid, _)| pid).collect() }
}

fn workers_of(engine: u32) -> Vec<(u32, OwnedFd)> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let workers = pids.filter(|pid| is_worker_of(engine, *pid)).filter_map(|pid: u32| {
        let process = pidfd_open(pid_of(pid)?, PidfdFlags::empty()).ok()?;
        // Asked again, now that the descriptor holds on to the process: the number may have changed hands.
        is_worker_of(engine, pid).then_some((pid, process))
    });
    workers.collect()
}

/// Whether the command line of `pid` names the segment of `engine`, `backline-BOOT-PID-START-N`, and the engine.
fn is_worker_of(engine: u32, pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let engine = engine.to_string();
    let words = || line.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok());
    let is_segment = |word: &str| {
        let mut parts = word.split('-');
        parts.next() == Some("backline") && parts.nth(1) == Some(engine.as_str())
    };
    words().any(is_segment) && words().any(|word| word == engine)
}

/// Waits until all have ended, at most `limit`; those that have are taken out.
fn wait(left: &mut Vec<(u32, OwnedFd)>, limit: Duration) {
    let until = Instant::now() + limit;
    while !left.is_empty() && Instant::now() < until {
        let timeout = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let mut fds: Vec<_> = left.iter().map(|(_, process)| PollFd::new(process, PollFlags::IN)).collect();
        let polled = poll(&mut fds, Some(&timeout));
        let has_ended: Vec<bool> = fds.iter().map(|fd| polled.is_ok() && !fd.revents().is_empty()).collect();
        let mut ended = has_ended.into_iter();
        left.retain(|_| !ended.next().unwrap_or(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_worker_that_outlives_its_engine_is_killed_and_nobody_else() {
        let sleeper = |name: &str, engine: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", "read line", "worker", name, "0", "0", engine]);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("sh is there")
        };
        // No process has a number as high as these.
        let mut worker = sleeper("backline-0-7000001-1-0", "7000001");
        let mut stranger = sleeper("backline-0-7000002-1-0", "7000002");
        let is_named = |pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.len() > 40);
        while !is_named(worker.id()) || !is_named(stranger.id()) {
            std::thread::yield_now();
        }
        assert_eq!(clear(7_000_001), Cleared { killed: vec![worker.id()], alive: vec![] });
        assert!(worker.wait().is_ok_and(|status| !status.success()));
        assert!(stranger.try_wait().is_ok_and(|status| status.is_none()), "a stranger was killed");
        assert_eq!(clear(7_000_001), Cleared::default());
        let _ = stranger.kill();
        let _ = stranger.wait();
    }
}
