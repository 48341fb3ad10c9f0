//! Step 5b, too: a worker of a kind that asks for it gives up everything that rendering does not need, once all is loaded
//! and warm. In: what the engine says in the environment. Out: bits of what was obtained in `ArenaHead::sandbox`; from
//! then on calls that are refused are counted there.
//!
//! ```text
//!  warm ──▶ leave_files ──▶ threads of the rack, death notice ──▶ close ──▶ ready
//!           no_new_privs, landlock,                               no more processes,
//!           descriptors, memory: threads inherit them             calls of all threads
//! ```
//!
//! Nothing here is a reason not to play: what cannot be had is said on standard error and by the engine.

mod calls;

use crate::attach::View;
use backline_abi::confine::{self, Resource};
use backline_abi::layout::sandbox_bits;
use backline_abi::refused;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering::Release;

/// What a worker may do once everything is loaded: `none` or `strict`.
const LEVEL: &str = "BACKLINE_SANDBOX";
/// By how many MiB its memory may grow from then on; 0 for no limit.
const MEMORY_MIB: &str = "BACKLINE_MEMORY_MIB";
/// The landlock that we know; of older kernels as much of it as they have.
const NEWEST: ABI = ABI::V6;

/// What a worker gives up.
pub struct Sandbox {
    is_wanted: bool,
    memory_mib: u64,
    slot: usize,
    obtained: u32,
    /// Limits that could not be had.
    unlimited: u32,
}

impl Sandbox {
    /// What the engine asks for. A level that does not exist is taken for the strict one.
    pub fn of_environment(view: &View) -> Self {
        let word = |name| std::env::var_os(name).unwrap_or_default();
        let is_wanted = !["", "none"].iter().any(|open| word(LEVEL) == *open);
        let memory_mib = word(MEMORY_MIB).to_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        Self { is_wanted, memory_mib, slot: view.slot, obtained: 0, unlimited: 0 }
    }

    /// Before the rack makes threads: they inherit all of this. May allocate.
    pub fn leave_files(&mut self, view: &'static View) {
        if !self.is_wanted {
            return;
        }
        if let Err(cause) = refused::listen(view.head()) {
            self.miss("what is refused will kill this worker", &cause);
        }
        // While there are files.
        let threads = fs::read_dir("/proc/self/task").map_or(usize::MAX, Iterator::count);
        let descriptors = descriptors();
        let bytes = private_bytes();
        self.seal(view, &descriptors);
        self.limit_memory(bytes);
        self.limit_descriptors(&descriptors);
        if let Err(cause) = confine::renounce_new_privileges() {
            self.miss("no_new_privs", &cause);
        } else {
            self.obtained |= sandbox_bits::NO_NEW_PRIVS;
        }
        self.leave_landlock(threads);
    }

    /// When all threads are there and the death notice is armed: the last thing before a worker is ready. May allocate.
    pub fn close(mut self, view: &View) {
        if !self.is_wanted {
            return;
        }
        self.limit(Resource::Processes, 0);
        // One byte is what the kernel takes for none (`rights::leave_no_core_dump`).
        self.limit(Resource::CoreDump, 1);
        if self.unlimited == 0 {
            self.obtained |= sandbox_bits::RLIMITS;
        }
        match calls::close() {
            Ok(()) => self.obtained |= sandbox_bits::SECCOMP,
            Err(cause) => self.miss("seccomp", &cause),
        }
        // Release: whoever sees the bits sees all that was stored before (pairs with the engine's load).
        view.head().sandbox.store(self.obtained, Release);
    }

    fn miss(&self, what: &str, cause: &dyn Display) {
        eprintln!("worker {}: sandbox: {what}: {cause}", self.slot);
    }

    fn limit(&mut self, resource: Resource, most: u64) {
        if let Err(cause) = confine::limit(resource, most) {
            self.unlimited += 1;
            self.miss(&format!("limit of {resource:?} to {most}"), &cause);
        }
    }

    /// Private memory may grow by what the kind may take in all: what is mapped now (libraries, the heap of a zygote) is
    /// not what a module takes. Address space is no measure: arenas and reservations that nobody touches count there.
    fn limit_memory(&mut self, bytes: Option<u64>) {
        match (self.memory_mib, bytes) {
            (0, _) => {}
            (mib, Some(bytes)) => {
                self.limit(Resource::Memory, bytes.saturating_add(mib.saturating_mul(1 << 20)))
            }
            (_, None) => {
                self.unlimited += 1;
                self.miss("limit of Memory", &"/proc does not tell how much there is");
            }
        }
    }

    fn limit_descriptors(&mut self, descriptors: &[Descriptor]) {
        match descriptors.iter().map(|descriptor| descriptor.number).max() {
            Some(highest) => self.limit(Resource::Descriptors, highest as u64 + 1),
            None => {
                self.unlimited += 1;
                self.miss("limit of Descriptors", &"/proc does not tell which are open");
            }
        }
    }

    /// Memory of others is mapped read-only, but who has a descriptor of it can map it again, and who may change mappings
    /// can make it writable.
    fn seal(&mut self, view: &View, descriptors: &[Descriptor]) {
        match blind(view, descriptors).and_then(|()| view.seal()) {
            Ok(()) => self.obtained |= sandbox_bits::SEALED,
            Err(cause) => self.miss("sealed memory (Linux 6.10 and later)", &cause),
        }
    }

    fn leave_landlock(&mut self, threads: usize) {
        match landlock() {
            // It holds for the calling thread and those that come of it.
            Ok(true) if threads == 1 => self.obtained |= sandbox_bits::LANDLOCK,
            Ok(true) => {
                self.miss("landlock", &format!("of {threads} threads that were there only one is in it"))
            }
            Ok(false) => self.miss("landlock", &"this kernel has none"),
            Err(cause) => self.miss("landlock", &cause),
        }
    }
}

/// An open descriptor, and where it leads.
struct Descriptor {
    number: i32,
    path: Option<std::path::PathBuf>,
}

fn descriptors() -> Vec<Descriptor> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let descriptor = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some(Descriptor { number, path: fs::read_link(entry.path()).ok() })
    };
    entries.filter_map(descriptor).collect()
}

/// Private memory of this process that can be written, mapped by now.
fn private_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let data = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    data.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Descriptors of our segments lead to nothing from now on. They are not closed, because those who mapped them mean to.
fn blind(view: &View, descriptors: &[Descriptor]) -> io::Result<()> {
    let segments = Path::new("/dev/shm").join(view.name());
    let segments = segments.to_string_lossy();
    let leads_to_one = |path: &Path| {
        path.to_string_lossy().strip_prefix(segments.as_ref()).is_some_and(|rest| !rest.contains('/'))
    };
    let nothing = fs::File::open("/dev/null")?;
    let mut blinded = 0;
    for descriptor in descriptors.iter().filter(|open| open.path.as_deref().is_some_and(leads_to_one)) {
        confine::lead_to_nothing(descriptor.number, nothing.as_fd())?;
        blinded += 1;
    }
    // The control segment and all arenas; with fewer of them we have overlooked some.
    let is_whole = blinded > view.arenas().len();
    is_whole.then_some(()).ok_or_else(|| io::Error::other("/proc does not tell which descriptors lead there"))
}

/// No file is opened, no port bound or called, no process outside is signalled. False if the kernel has none of it.
fn landlock() -> Result<bool, RulesetError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
