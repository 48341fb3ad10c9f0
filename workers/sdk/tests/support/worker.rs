//! Real worker processes: started as the engine starts them, killed when the test is through with them.

use super::{Stage, is_so_in_time, wait_until};
use backline_abi::layout::stage;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{Ordering::Acquire, Ordering::Relaxed};

/// The stock worker, built beside this test program.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("backline-worker"))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "there is no backline-worker beside {}; build it first: cargo build --workspace",
            own.display()
        )
    })
}

/// The command line of a worker in `slot` of the stage called `name`, for an engine that is process `engine`.
pub fn command(name: &str, slot: usize, engine: u32) -> Command {
    let mut command = Command::new(program());
    let core = slot % std::thread::available_parallelism().map_or(1, usize::from);
    command.arg(name).args([slot.to_string(), core.to_string(), engine.to_string()]);
    command
}

/// A worker process.
pub struct Worker {
    child: Child,
}

impl Worker {
    /// Starts one in `slot` and waits until it is ready.
    pub fn ready(on: &Stage, slot: usize) -> Self {
        let mut worker = Self::started(on, slot, command(on.name(), slot, std::process::id()));
        worker.await_ready(on, slot);
        worker
    }

    /// Starts `command`, which is for `slot`, and does not wait.
    pub fn started(on: &Stage, slot: usize, mut command: Command) -> Self {
        on.head(slot).stage.store(stage::EMPTY, Relaxed);
        Self { child: command.spawn().expect("the worker program starts") }
    }

    /// Waits until it is ready in `slot`.
    pub fn await_ready(&mut self, on: &Stage, slot: usize) {
        wait_until("a worker is ready", || {
            assert!(self.end().is_none(), "the worker ended before it was ready: {:?}", self.end());
            let head = on.head(slot);
            head.pid.load(Acquire) == self.pid() && head.stage.load(Acquire) == stage::READY
        });
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Whether it is stopped.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    }

    /// Stops it, and returns when it is stopped.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        wait_until("a worker stops", || self.is_stopped());
    }

    /// Waits for its end.
    pub fn await_end(&mut self) -> ExitStatus {
        wait_until("a worker ends", || self.end().is_some());
        self.end().expect("it was waited for")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: integer arguments only; the process is our child and not reaped while `self` lives.
        let refused = unsafe { libc::kill(self.child.id() as libc::pid_t, signal) } != 0;
        assert!(!refused, "signal {signal}: {}", std::io::Error::last_os_error());
    }

    /// Kills it, and returns when it is dead.
    pub fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead and reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one in `slot` that is expected to end at once: its exit code and what it said.
pub fn refusal(on: &Stage, slot: usize) -> (Option<i32>, String) {
    said(command(on.name(), slot, std::process::id()))
}

/// Runs `command` to its end: its exit code and what it said. No code if it had to be killed.
pub fn said(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the worker program starts");
    if !is_so_in_time(|| child.try_wait().expect("it is our child").is_some()) {
        child.kill().expect("it is our child");
    }
    let Output { status, stderr, .. } = child.wait_with_output().expect("it is our child");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}
