//! The audit log: one line of JSON for everything that was done to a process. In: [`Event`]s, from control and
//! supervisor, through a bounded channel. Out: lines in a file, with monotonic and wall time. Thread: one of its
//! own, so that a disk that is slow or full holds nobody up.
//!
//! Full channel: the event is lost and counted. Full disk, lost folder: said loudly once, counted, tried again;
//! the engine goes on. The file is cut at [`MAX_BYTES`]: what was written before is kept once, as `FILE.1`.

use super::census;
use backline_abi::wake::now_ns;
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::fs::OFlags;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{Error, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Size at which the file is put aside and a new one begun.
pub const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Events that may wait to be written.
const ROOM: usize = 4_096;
/// Between two attempts to open a file that could not be opened or written.
const RETRY: Duration = Duration::from_secs(1);
/// Logs of engines without a session that are kept beside the new one.
const KEPT: usize = 16;

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The supervisor began.
    Opened {
        /// Its engine.
        engine_pid: u32,
    },
    /// A worker was started.
    Spawned {
        /// Slot.
        slot: usize,
        /// Process.
        pid: u32,
        /// Core.
        core: usize,
    },
    /// A worker could not be started.
    NotSpawned {
        /// Slot.
        slot: usize,
        /// Why.
        cause: String,
    },
    /// A slot's process may not live on.
    Condemned {
        /// Slot.
        slot: usize,
        /// Process.
        pid: u32,
        /// Why.
        why: &'static str,
    },
    /// We sent a signal.
    Signal {
        /// `group` or `process`.
        to: &'static str,
        /// Which.
        pid: u32,
        /// Name of the signal.
        signal: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A process was started that speaks for a kind of worker.
    HeraldSpawned {
        /// Kind.
        kind: usize,
        /// Process.
        pid: u32,
    },
    /// A worker is dead and reaped.
    Exited {
        /// Slot; none for a process that spoke for a kind of worker.
        slot: Option<usize>,
        /// Process.
        pid: u32,
        /// Exit code, if it exited.
        code: Option<i32>,
        /// Signal, if one killed it.
        signal: Option<i32>,
        /// In words.
        cause: String,
        /// CPU time in user mode, ms.
        user_ms: u64,
        /// CPU time in the kernel, ms.
        system_ms: u64,
    },
    /// Something that a dead worker had started is dead and reaped.
    OrphanReaped {
        /// Process.
        pid: u32,
        /// Name of its program.
        name: String,
    },
    /// A worker's modules went to a new one, because it had served long enough.
    Recycled {
        /// Slot that was left.
        slot: usize,
        /// Slot of the new worker.
        into: usize,
        /// Why.
        why: &'static str,
    },
    /// A module's worker made a system call that its sandbox refuses; told once for each module and call.
    RefusedCall {
        /// Slot.
        slot: usize,
        /// Process.
        pid: u32,
        /// The module, if one was being rendered.
        id: Option<String>,
        /// Name of the call.
        call: String,
    },
    /// The death of a worker was judged.
    Judged {
        /// Slot.
        slot: usize,
        /// Whose doing it was.
        doing: &'static str,
        /// Instance that is blamed.
        blamed: Option<u32>,
        /// Block in which it happened.
        block: Option<u32>,
        /// Pause before the slot is filled again, ms.
        pause_ms: u64,
    },
    /// A module is rendered no more.
    Poisoned {
        /// Instance.
        instance: u32,
        /// Why.
        why: &'static str,
    },
    /// No module of a type is rendered any more.
    TypeGivenUp {
        /// Its name.
        type_name: &'static str,
    },
    /// A slot stays empty.
    SlotGivenUp {
        /// Slot.
        slot: usize,
        /// Why.
        cause: String,
    },
    /// The supervisor ended.
    Closed {
        /// Processes that it could not get rid of.
        left: usize,
    },
}

#[derive(Serialize)]
struct Line {
    mono_ns: u64,
    wall_s: f64,
    #[serde(flatten)]
    event: Event,
}

#[derive(Debug, Default)]
struct Tally {
    written: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug)]
struct Writer {
    lines: Option<Sender<Line>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread writes what is waiting and ends when there is no sender any more.
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A hand on the log; the last one to be dropped waits until everything is written.
#[derive(Debug, Clone)]
pub struct Audit {
    path: Option<PathBuf>,
    tally: Arc<Tally>,
    writer: Arc<Writer>,
}

impl Audit {
    /// A log at `path`; without one, events are counted as lost. Never fails: a log that cannot be written is no
    /// reason not to play.
    pub fn start(path: Option<PathBuf>) -> Self {
        let tally = Arc::<Tally>::default();
        let (sender, lines) = bounded(ROOM);
        let thread = path.clone().and_then(|path| {
            let log = Log::new(path, tally.clone());
            let spawned = std::thread::Builder::new().name("audit".into()).spawn(move || log.run(&lines));
            spawned.map_err(|cause| tracing::error!(%cause, "there is no audit log")).ok()
        });
        let lines = thread.is_some().then_some(sender);
        Self { path, tally, writer: Arc::new(Writer { lines, thread }) }
    }

    /// No log.
    pub fn none() -> Self {
        Self::start(None)
    }

    /// Writes `event` down, sooner or later. Does not wait.
    pub fn note(&self, event: Event) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = Line { mono_ns: now_ns(), wall_s: wall.as_micros() as f64 / 1e6, event };
        let is_taken = self.writer.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok());
        if !is_taken {
            self.tally.lost.fetch_add(1, Relaxed);
        }
    }

    /// Where it is.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Lines written, and events lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.tally.written.load(Relaxed), self.tally.lost.load(Relaxed))
    }
}

/// `audit-SESSION.jsonl`, or with the process for a name, in `folder`. Makes room among the logs of engines that had
/// no session.
pub fn usual_path(folder: &Path, session: Option<&str>) -> PathBuf {
    let name = session.map_or_else(|| format!("pid-{}", std::process::id()), str::to_owned);
    if session.is_none() {
        make_room(folder);
    }
    folder.join(format!("audit-{name}.jsonl"))
}

/// Removes all but the newest logs that are named by a process that is gone.
fn make_room(folder: &Path) {
    let Ok(entries) = folder.read_dir() else { return };
    let is_log = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let rest = name.strip_prefix("audit-pid-").and_then(|rest| rest.split_once('.'));
        rest.and_then(|(pid, _)| pid.parse().ok()).is_some_and(|pid| census::facts(pid).is_none())
    };
    let mut logs: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(is_log)
        .filter_map(|path| Some((path.symlink_metadata().ok()?.modified().ok()?, path)))
        .collect();
    logs.sort_by(|one, other| other.cmp(one));
    for (_, path) in logs.into_iter().skip(KEPT) {
        let _ = std::fs::remove_file(path);
    }
}

/// The thread's own state.
struct Log {
    path: PathBuf,
    tally: Arc<Tally>,
    file: Option<File>,
    bytes: u64,
    /// The last write may have stopped inside a line.
    is_torn: bool,
    tried: Option<Instant>,
}

impl Log {
    fn new(path: PathBuf, tally: Arc<Tally>) -> Self {
        Self { path, tally, file: None, bytes: 0, is_torn: false, tried: None }
    }

    fn run(mut self, lines: &Receiver<Line>) {
        while let Ok(first) = lines.recv() {
            let waiting: Vec<Line> = std::iter::once(first).chain(lines.try_iter().take(ROOM)).collect();
            let count = waiting.len() as u64;
            let is_written = self.write(&waiting);
            let counter = if is_written { &self.tally.written } else { &self.tally.lost };
            counter.fetch_add(count, Relaxed);
        }
    }

    fn write(&mut self, lines: &[Line]) -> bool {
        let is_too_soon = self.tried.is_some_and(|tried| tried.elapsed() < RETRY);
        if self.file.is_none() && is_too_soon {
            return false;
        }
        let written = self.try_write(lines);
        if let Err(cause) = &written {
            if self.tried.is_none() {
                let path = self.path.display();
                tracing::error!(%path, %cause, "the audit log is not written; make room, or set audit to another file");
            }
            self.file = None;
            self.tried = Some(Instant::now());
        } else if self.tried.take().is_some() {
            tracing::warn!(path = %self.path.display(), "the audit log is written again");
        }
        written.is_ok()
    }

    fn try_write(&mut self, lines: &[Line]) -> Result<(), Error> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&serde_json::to_string(line).map_err(Error::other)?);
            text.push('\n');
        }
        self.open()?;
        if self.bytes > 0 && self.bytes + text.len() as u64 > MAX_BYTES {
            self.file = None;
            std::fs::rename(&self.path, aside(&self.path))?;
            self.open()?;
        }
        if self.is_torn {
            text.insert(0, '\n');
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        self.is_torn = true;
        file.write_all(text.as_bytes())?;
        self.is_torn = false;
        self.bytes += text.len() as u64;
        Ok(())
    }

    fn open(&mut self) -> Result<(), Error> {
        if self.file.is_none() {
            let (file, bytes, is_whole) = open(&self.path)?;
            (self.file, self.bytes, self.is_torn) = (Some(file), bytes, !is_whole);
        }
        Ok(())
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// A regular file, its size, and whether it ends with a whole line. What is no regular file could block for ever.
fn open(path: &Path) -> Result<(File, u64, bool), Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let mut options = OpenOptions::new();
    let file = options.read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Error::other("it is no regular file"));
    }
    let mut last = [b'\n'];
    if let Some(end) = meta.len().checked_sub(1) {
        file.read_exact_at(&mut last, end)?;
    }
    Ok((file, meta.len(), last == [b'\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawned(pid: u32) -> Event {
        Event::Spawned { slot: 1, pid, core: 0 }
    }

    #[test]
    fn every_event_is_a_line_of_json_with_both_times() {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let path = folder.path().join("deep/audit.jsonl");
        let audit = Audit::start(Some(path.clone()));
        (1..=3).for_each(|pid| audit.note(spawned(pid)));
        drop(audit);
        let text = std::fs::read_to_string(&path).expect("it was written");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        assert_eq!(
            lines.iter().map(|line| line["pid"].as_u64()).collect::<Vec<_>>(),
            [Some(1), Some(2), Some(3)]
        );
        for line in &lines {
            assert_eq!(line["event"], "spawned");
            assert!(line["mono_ns"].as_u64() > Some(0) && line["wall_s"].as_f64() > Some(1.7e9), "{line}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_loses_events_and_counts_them() {
        for path in ["/dev/full", "/proc/nowhere/audit.jsonl", "/dev"] {
            let audit = Audit::start(Some(path.into()));
            (0..10).for_each(|pid| audit.note(spawned(pid)));
            let tally = audit.tally.clone();
            drop(audit);
            let counts = (tally.written.load(Relaxed), tally.lost.load(Relaxed));
            assert_eq!(counts, (0, 10), "{path}");
        }
        let none = Audit::none();
        none.note(spawned(1));
        assert_eq!(none.counts(), (0, 1));
    }

    #[test]
    fn a_log_is_cut_at_its_limit_and_one_older_part_is_kept() {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let path = folder.path().join("audit.jsonl");
        let older = b"{}\n".repeat(MAX_BYTES as usize / 3);
        std::fs::write(&path, &older).expect("our folder is writable");
        let audit = Audit::start(Some(path.clone()));
        audit.note(spawned(7));
        drop(audit);
        assert_eq!(std::fs::read(aside(&path)).expect("it was put aside"), older);
        assert_eq!(std::fs::read_to_string(&path).expect("it was begun anew").lines().count(), 1);
    }

    #[test]
    fn a_line_that_was_torn_spoils_no_other() {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "{}\n{\"mono_ns\":1,\"wal").expect("our folder is writable");
        let mut log = Log::new(path, Arc::default());
        let line = || Line { mono_ns: 1, wall_s: 1.0, event: spawned(1) };
        assert!(log.write(&[line()]) && log.write(&[line()]));
        log.is_torn = true;
        assert!(log.write(&[line()]) && !log.is_torn);
        let text = std::fs::read_to_string(&log.path).expect("it was written");
        let whole = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        assert_eq!(whole.count(), 4, "{text}");
    }
}
