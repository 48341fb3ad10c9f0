//! The Python zygote as the engine has it: a child on one end of a socket, and workers that are forked from it.

use super::c::library_folder;
use super::{Module, Stage, wait_until};
use backline_abi::layout::stage;
use backline_abi::panel::{Fault, Line, Panel};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{Ordering::Acquire, Ordering::Relaxed};

/// The mark that a zygote is started with; those of its workers are as long.
pub const MARK: &str = "boot.1.2.3.0000";

/// Where the Python worker is.
pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../python")
}

/// Where its modules for tests are.
pub fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}

/// An interpreter with numpy and scipy.
pub fn interpreter() -> PathBuf {
    let has_numpy = |python: &Path| {
        let mut command = Command::new(python);
        command.args(["-c", "import numpy, scipy.signal"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let named = std::env::var_os("BACKLINE_PYTHON").map(PathBuf::from);
    let known = ["python3", "/usr/bin/python3"].map(PathBuf::from);
    let candidates = named.map_or(known.to_vec(), |python| vec![python]);
    candidates
        .into_iter()
        .find(|python| has_numpy(python))
        .expect("no Python with numpy and scipy; install them: apt install python3-numpy python3-scipy, or set BACKLINE_PYTHON")
}

/// The library that workers in other languages load, built beside this test program.
pub fn library() -> PathBuf {
    library_folder().join("libbackline_sdk.so")
}

/// A zygote, everything that it has said, and the way to it.
pub struct Zygote {
    child: Child,
    to: UnixStream,
    from: BufReader<UnixStream>,
    /// Its types.
    pub panels: Vec<Panel>,
    /// What is no type.
    pub faults: Vec<Fault>,
    /// What it said while it was busy.
    pub stages: Vec<String>,
}

impl Zygote {
    /// Starts one with the modules in `paths`, and hears it out.
    pub fn ready(paths: &[PathBuf]) -> Self {
        Self::ready_with(paths, &[])
    }

    /// The same, with `variables` beside.
    pub fn ready_with(paths: &[PathBuf], variables: &[(&str, &str)]) -> Self {
        Self::started_with(paths, Stdio::inherit(), variables)
    }

    /// The same, with `stderr` for what it and its workers have to say to people.
    pub fn started(paths: &[PathBuf], stderr: Stdio) -> Self {
        Self::started_with(paths, stderr, &[])
    }

    fn started_with(paths: &[PathBuf], stderr: Stdio, variables: &[(&str, &str)]) -> Self {
        // SAFETY: integer arguments only. Orphans of the zygote come to us, as they come to the engine.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
        let (ours, theirs) = UnixStream::pair().expect("two sockets");
        let files: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let child = Command::new(interpreter())
            .args(["-m", "backline", "--zygote"])
            .env("PYTHONPATH", home())
            .env("BACKLINE_SDK", library())
            .env("BACKLINE_MODULES", files.join(":"))
            .env("BACKLINE_PRELOAD", "numpy:scipy.signal:scipy.fft")
            .env("BACKLINE_WARD", MARK)
            .envs(variables.iter().copied())
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("Python starts");
        let from = BufReader::new(ours.try_clone().expect("a socket"));
        let mut zygote = Self { child, to: ours, from, panels: vec![], faults: vec![], stages: vec![] };
        loop {
            match serde_json::from_str(&zygote.line()).expect("a line of a worker") {
                Line::Type(panel) => zygote.panels.push(panel),
                Line::Fault(fault) => zygote.faults.push(fault),
                Line::Stage(words) => zygote.stages.push(words),
                Line::Ready(types) => {
                    assert_eq!(types, zygote.panels.len());
                    return zygote;
                }
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the zygote is there");
        assert!(line.ends_with('\n'), "the zygote has gone");
        line
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A stage for its workers.
    pub fn stage(&self, test: &str, slots: usize) -> Stage {
        let on = Stage::new(test, slots);
        on.mean_panels(&self.panels);
        on
    }

    /// Enters a module of type `name`, and has the worker in `slot` set it up.
    pub fn add(&self, on: &mut Stage, name: &str, slot: usize) -> Module {
        on.add_described(&self.panels, name, 5, slot)
    }

    /// Its answer to any line.
    pub fn answer(&mut self, order: &str) -> serde_json::Value {
        writeln!(self.to, "{order}").expect("the zygote is there");
        serde_json::from_str(&self.line()).expect("an answer is JSON")
    }

    /// Asks for a worker in `slot` for an engine that is process `engine`, with `mark`.
    pub fn fork(&mut self, on: &Stage, slot: usize, engine: u32, mark: &str) -> Result<Forked, String> {
        on.head(slot).stage.store(stage::EMPTY, Relaxed);
        let core = slot % std::thread::available_parallelism().map_or(1, usize::from);
        let words = [on.name().to_owned(), slot.to_string(), core.to_string(), engine.to_string()];
        let order = serde_json::json!({ "fork": { "words": words, "mark": mark } });
        let answer = self.answer(&order.to_string());
        match answer["forked"].as_u64() {
            Some(pid) => Ok(Forked { pid: pid as libc::pid_t, end: None }),
            None => Err(answer["not_forked"].as_str().expect("a reason").to_owned()),
        }
    }

    /// A worker that is ready in `slot`.
    pub fn worker(&mut self, on: &Stage, slot: usize) -> Forked {
        let mut worker = self.fork(on, slot, std::process::id(), MARK).expect("a worker");
        wait_until("a Python worker is ready", || {
            assert!(worker.end().is_none(), "the worker ended before it was ready: {:?}", worker.end());
            let head = on.head(slot);
            head.pid.load(Acquire) == worker.pid() && head.stage.load(Acquire) == stage::READY
        });
        worker
    }

    /// Closes our end, and waits for its end.
    pub fn close(mut self) -> ExitStatus {
        self.to.shutdown(std::net::Shutdown::Both).expect("it was open");
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // It may be dead and reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A worker that a zygote has forked: our child, although we have not started it.
pub struct Forked {
    pid: libc::pid_t,
    end: Option<ExitStatus>,
}

impl Forked {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// How it ended, if it has.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.wait(libc::WNOHANG)
    }

    fn wait(&mut self, options: libc::c_int) -> Option<ExitStatus> {
        if self.end.is_none() {
            let mut status = 0;
            // SAFETY: the status lives through the call.
            let reaped = unsafe { libc::waitpid(self.pid, &mut status, options) };
            assert!(reaped >= 0, "it is our child: {}", std::io::Error::last_os_error());
            self.end = (reaped == self.pid).then(|| ExitStatus::from_raw(status));
        }
        self.end
    }

    /// Waits for its end.
    pub fn await_end(&mut self) -> ExitStatus {
        wait_until("a Python worker ends", || self.end().is_some());
        self.end.expect("it was waited for")
    }

    /// Kills it with everything in its group, and returns when it is dead.
    pub fn kill(&mut self) {
        if self.end.is_none() {
            // SAFETY: integer arguments only; it is not reaped, so its group is its own.
            unsafe { libc::kill(-self.pid, libc::SIGKILL) };
            self.wait(0);
        }
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        self.kill();
    }
}
