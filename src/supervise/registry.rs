//! What is left of a killed engine can be found: one small file an engine, in a folder that only its user may
//! write. In: every worker started and reaped, as it happens. Out: at the next start, and for `backline reap`,
//! who is left of engines that are dead. Thread: supervisor writes, any but audio reads.
//!
//! `engine-BOOT-PID-START-HOUSE` names the engine; its lines are `+ PID START` and `- PID START`. A line without
//! its end was torn by the death of the engine and says nothing. Nobody is signalled whose number, start and
//! boot are not all those recorded: numbers are given to new processes.

use super::census::{self, Process};
use super::mark::{self, Engine};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Signal, geteuid, pidfd_send_signal};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// First line, with the version of the format.
const TITLE: &str = "backline registry 1\n";
/// A file that has grown beyond this is written anew with the living only.
const MAX_BYTES: usize = 64 * 1024;
/// Of a file larger than this only the beginning is believed: none of ours grows so far.
const MOST_READ: u64 = 1024 * 1024;
/// How long the dying are waited for.
const PATIENCE_MS: i64 = 1_000;

/// Why there is no registry. The engine goes on without.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The folder cannot be used.
    #[error(
        "{path} cannot hold the registry of processes ({why}); set XDG_RUNTIME_DIR to a folder of your own"
    )]
    Folder {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file cannot be written.
    #[error("the registry of processes {path} cannot be written")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

/// The file of this engine. Dropping it leaves the file: only [`Registry::close`] says that nobody is left.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    file: File,
    living: Vec<Process>,
    bytes: usize,
}

impl Registry {
    /// The file of `engine`'s supervisor number `house`, in the first folder that will do.
    pub fn create(engine: &Engine, house: u32) -> Result<Self, RegistryError> {
        let folder = own_folder()?;
        let Process { pid, start_ticks } = engine.process;
        let path = folder.join(format!("engine-{}-{pid}-{start_ticks}-{house}", engine.boot));
        let file =
            write_anew(&path, &[]).map_err(|cause| RegistryError::File { path: path.clone(), cause })?;
        Ok(Self { path, file, living: Vec::new(), bytes: TITLE.len() })
    }

    /// A process was started, or found to descend from one of ours.
    pub fn add(&mut self, process: Process) -> Result<(), RegistryError> {
        self.living.push(process);
        self.append('+', process)
    }

    /// It is gone.
    pub fn remove(&mut self, process: Process) -> Result<(), RegistryError> {
        self.living.retain(|other| *other != process);
        self.append('-', process)
    }

    /// Nobody is left: neither is the file.
    pub fn close(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn append(&mut self, sign: char, process: Process) -> Result<(), RegistryError> {
        let line = format!("{sign} {} {}\n", process.pid, process.start_ticks);
        self.bytes += line.len();
        let written = if self.bytes > MAX_BYTES {
            write_anew(&self.path, &self.living).map(|file| {
                self.file = file;
                self.bytes = TITLE.len() + self.living.len() * line.len();
            })
        } else {
            // One write: a whole line, or one without its end.
            self.file.write_all(line.as_bytes())
        };
        written.map_err(|cause| RegistryError::File { path: self.path.clone(), cause })
    }
}

/// A file with the living, put in place of whatever was there in one step.
fn write_anew(path: &Path, living: &[Process]) -> std::io::Result<File> {
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let mut file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(&fresh)?;
    let lines = living.iter().map(|process| format!("+ {} {}\n", process.pid, process.start_ticks));
    file.write_all(std::iter::once(TITLE.to_owned()).chain(lines).collect::<String>().as_bytes())?;
    std::fs::rename(&fresh, path)?;
    Ok(file)
}

/// Where registries may lie, best first.
fn folders() -> Vec<PathBuf> {
    let user = geteuid();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let system = user.is_root().then(|| PathBuf::from("/run"));
    let mut found: Vec<PathBuf> =
        runtime.into_iter().chain(system).map(|path| path.join("backline")).collect();
    found.push(PathBuf::from(format!("/tmp/backline-{}", user.as_raw())));
    found
}

/// The first folder that will do, made if need be.
fn own_folder() -> Result<PathBuf, RegistryError> {
    let mut refused = None;
    for path in folders() {
        let made = DirBuilder::new().mode(0o700).create(&path);
        let is_there = made.is_ok() || path.symlink_metadata().is_ok();
        let why = if is_there { fault_of(&path) } else { made.err().map(|cause| cause.to_string()) };
        match why {
            None => return Ok(path),
            Some(why) => refused.get_or_insert(RegistryError::Folder { path, why }),
        };
    }
    let nowhere = || RegistryError::Folder { path: "/tmp".into(), why: "it is not there".to_owned() };
    Err(refused.unwrap_or_else(nowhere))
}

/// What is wrong with a folder: it must be one, ours, and nobody else's to write.
fn fault_of(path: &Path) -> Option<String> {
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(cause) => return Some(cause.to_string()),
    };
    match () {
        () if !meta.is_dir() => Some("it is no folder".to_owned()),
        () if meta.uid() != geteuid().as_raw() => Some(format!("it belongs to user {}", meta.uid())),
        () if meta.mode() & 0o022 != 0 => Some("others may write there".to_owned()),
        () => None,
    }
}

/// Somebody who outlived an engine, and was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Who.
    pub process: Process,
    /// Name of its program.
    pub name: String,
    /// Whose it was.
    pub engine_pid: u32,
}

/// What was found of dead engines.
#[derive(Debug, Default)]
pub struct Reaped {
    /// Killed, and dead.
    pub killed: Vec<Survivor>,
    /// Killed, and not dead after a second, or not ours to kill.
    pub stubborn: Vec<Survivor>,
    /// Registries removed.
    pub registries: Vec<PathBuf>,
}

/// Kills what is left of dead engines, and removes their registries. Living engines and what is theirs are not
/// touched, nor is anybody who merely has a recorded number.
pub fn reap() -> Reaped {
    let mut reaped = Reaped::default();
    let sound = folders().into_iter().filter(|folder| fault_of(folder).is_none());
    let files: Vec<PathBuf> = sound
        .filter_map(|folder| folder.read_dir().ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let own_line = ancestors();
    for path in files {
        let Some(engine) = engine_of(&path) else { continue };
        let is_past = engine.boot != census::boot_id();
        if !is_past && !engine.is_dead_in_this_boot() {
            continue;
        }
        let left = if is_past { Some(Vec::new()) } else { left_in(&path) };
        let Some(left) = left else { continue };
        let survivors = left.into_iter().filter(|process| !own_line.contains(&process.pid));
        let is_clean = kill_all(survivors.map(|process| (process, engine.process.pid)), &mut reaped);
        if is_clean && std::fs::remove_file(&path).is_ok() {
            reaped.registries.push(path);
        }
    }
    // What no registry knew: whatever carries the mark of an engine that is dead.
    let everybody = census::everybody().into_iter().filter(|facts| !facts.is_dead());
    let marked = everybody.filter(|facts| !own_line.contains(&facts.process.pid)).filter_map(|facts| {
        let engine = mark::of(facts.process.pid)?.engine;
        engine.is_dead_in_this_boot().then_some((facts.process, engine.process.pid))
    });
    kill_all(marked.collect::<Vec<_>>(), &mut reaped);
    reaped
}

/// Ourselves and whoever started us: what a dead engine's worker has started may ask us to clean up.
fn ancestors() -> Vec<u32> {
    let mut line = vec![std::process::id()];
    while let Some(facts) = line.last().and_then(|pid| census::facts(*pid)) {
        if facts.parent == 0 || line.contains(&facts.parent) {
            break;
        }
        line.push(facts.parent);
    }
    line
}

fn engine_of(path: &Path) -> Option<Engine> {
    let name = path.file_name()?.to_str()?.trim_end_matches(".new");
    let words: Vec<&str> = name.split('-').collect();
    let ["engine", boot, pid, start, _house] = words[..] else { return None };
    let process = Process { pid: pid.parse().ok()?, start_ticks: start.parse().ok()? };
    Some(Engine { boot: boot.to_owned(), process })
}

/// Who is recorded as living; `None` if the file is not of a kind we know.
fn left_in(path: &Path) -> Option<Vec<Process>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MOST_READ).read_to_end(&mut bytes).ok()?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Option<Vec<Process>> {
    // Cut inside its title: nobody had been started yet.
    if TITLE.starts_with(text) {
        return Some(Vec::new());
    }
    let lines = text.strip_prefix(TITLE)?;
    let mut living = Vec::new();
    for line in lines.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let words: Vec<&str> = line.split(' ').collect();
        let [sign, pid, start] = words[..] else { continue };
        let (Ok(pid), Ok(start_ticks)) = (pid.parse(), start.parse()) else { continue };
        let process = Process { pid, start_ticks };
        living.retain(|other| *other != process);
        if sign == "+" {
            living.push(process);
        }
    }
    Some(living)
}

/// True if none of them is left.
fn kill_all(survivors: impl IntoIterator<Item = (Process, u32)>, reaped: &mut Reaped) -> bool {
    let mut is_clean = true;
    for (process, engine_pid) in survivors {
        let Some(pidfd) = process.open() else { continue };
        let Some(facts) = census::facts(process.pid).filter(|facts| !facts.is_dead()) else { continue };
        let survivor = Survivor { process, name: facts.name, engine_pid };
        let patience = Timespec { tv_sec: PATIENCE_MS / 1_000, tv_nsec: 0 };
        let is_dead = pidfd_send_signal(&pidfd, Signal::KILL).is_ok()
            && poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience)).is_ok_and(|count| count == 1);
        is_clean &= is_dead;
        if is_dead { &mut reaped.killed } else { &mut reaped.stubborn }.push(survivor);
    }
    is_clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> Process {
        Process { pid, start_ticks: u64::from(pid) * 10 }
    }

    #[test]
    fn a_registry_cut_at_any_byte_names_only_those_who_were_started_before() {
        let whole = format!("{TITLE}+ 7 70\n+ 8 80\n- 7 70\n+ 9 90\n");
        assert_eq!(parse(&whole), Some(vec![process(8), process(9)]));
        for end in 0..whole.len() {
            let living = parse(&whole[..end]).expect("every prefix is readable");
            assert!(living.iter().all(|other| [7, 8, 9].map(process).contains(other)), "cut at {end}");
        }
        assert_eq!(parse("backline registry 2\n+ 7 70\n"), None, "a newer one is left alone");
        assert_eq!(parse(&format!("{TITLE}+ x y\nnonsense\n+ 7\n")), Some(vec![]));
    }

    #[test]
    fn a_registry_is_found_by_its_name_and_gone_when_it_is_closed() {
        // A living engine: no other test sweeps its registry away.
        let engine = Engine::own();
        let mut registry = Registry::create(&engine, 4_000_000).expect("there is a folder for it");
        assert_eq!(engine_of(&registry.path), Some(engine));
        registry.add(process(1)).expect("it can be written");
        registry.add(process(2)).expect("it can be written");
        registry.remove(process(1)).expect("it can be written");
        assert_eq!(left_in(&registry.path), Some(vec![process(2)]));
        let path = registry.path.clone();
        registry.close();
        assert!(!path.exists());
    }

    #[test]
    fn a_registry_stays_small_however_many_come_and_go() {
        let mut registry = Registry::create(&Engine::own(), 4_000_001).expect("there is a folder for it");
        registry.add(process(1)).expect("it can be written");
        for pid in 2..6_000 {
            registry.add(process(pid)).expect("it can be written");
            registry.remove(process(pid)).expect("it can be written");
        }
        let bytes = registry.path.metadata().expect("it is there").len();
        assert!(bytes <= MAX_BYTES as u64 + 64, "{bytes} bytes");
        assert_eq!(left_in(&registry.path), Some(vec![process(1)]));
        registry.close();
    }

    #[test]
    fn a_folder_that_others_may_write_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder of our own");
        assert_eq!(fault_of(folder.path()), None);
        let open = folder.path().join("open");
        DirBuilder::new().mode(0o777).create(&open).expect("our folder is writable");
        rustix::fs::chmod(&open, rustix::fs::Mode::from(0o777)).expect("it is ours");
        assert_eq!(fault_of(&open).as_deref(), Some("others may write there"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/tmp", &link).expect("our folder is writable");
        assert_eq!(fault_of(&link).as_deref(), Some("it is no folder"));
        assert!(fault_of(Path::new("/nonexistent")).is_some());
    }
}
