//! The engine's shared memory: one control segment, one arena a slot. Created before anything else, unlinked
//! when dropped; what a killed engine left is found by its name and swept.

use crate::supervise::census::{Process, boot_id};
use backline_abi::layout::{ABI_VERSION, ArenaHead, Control, Header, MAGIC};
use backline_abi::segment::{Segment, SegmentError, free_bytes};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What the rig is made for.
#[derive(Debug, Clone, Copy)]
pub struct RigSpec {
    /// Sample rate, Hz.
    pub rate_hz: u32,
    /// Frames of the longest block.
    pub block_frames: u32,
    /// Worker slots that are filled at the start.
    pub slots: usize,
    /// Slots beside these, for a worker's successor while it still plays.
    pub spares: usize,
    /// Slots for workers of other kinds.
    pub others: usize,
    /// Bytes of each arena, whole pages.
    pub arena_bytes: usize,
    /// Workers shall ask for FIFO priority and locked memory.
    pub wants_realtime: bool,
}

/// All segments, mapped: the control segment writable, arenas read-only.
pub struct Rig {
    /// Identity, as written to the control segment.
    pub header: Header,
    control: Segment,
    arenas: Vec<Segment>,
}

impl Rig {
    /// Creates, sizes and touches everything.
    pub fn create(spec: &RigSpec) -> Result<Self, SegmentError> {
        let slots = spec.slots + spec.spares + spec.others;
        let needed = (size_of::<Control>() + slots * spec.arena_bytes) as u64;
        let free = free_bytes();
        if needed > free {
            return Err(SegmentError::NoRoom { needed, free });
        }
        let name = fresh_name();
        let control = Segment::create(&name, size_of::<Control>())?;
        let arenas = (0..slots)
            .map(|slot| {
                let arena = Segment::create(&format!("{name}-{slot}"), spec.arena_bytes)?;
                arena.touch_for_writing();
                arena.protect()?;
                Ok(arena)
            })
            .collect::<Result<Vec<_>, SegmentError>>()?;
        control.touch_for_writing();
        let header = Header {
            magic: MAGIC,
            abi_version: ABI_VERSION,
            control_bytes: size_of::<Control>() as u32,
            arena_head_bytes: size_of::<ArenaHead>() as u32,
            rate_hz: spec.rate_hz,
            block_frames: spec.block_frames,
            slots: slots as u32,
            arena_bytes: spec.arena_bytes as u64,
            engine_pid: std::process::id(),
            worker_priority: if spec.wants_realtime { crate::rt::WORKER_PRIORITY } else { 0 },
            locks_memory: spec.wants_realtime.into(),
            reserved: [0; 3],
        };
        control.control()?.header.store(&header);
        let catalogues = &control.control()?.catalogues;
        catalogues.iter().for_each(|meant| meant.store(backline_dsp::play::fingerprint(), Relaxed));
        Ok(Self { header, control, arenas })
    }

    /// Name of the control segment; arena i is `{name}-{i}`.
    pub fn name(&self) -> &str {
        self.control.name()
    }

    /// The control segment. Real-time safe.
    pub fn control(&self) -> &Control {
        self.control.control().expect("it was created with this size")
    }

    /// All arenas by slot. Real-time safe.
    pub fn arenas(&self) -> &[Segment] {
        &self.arenas
    }

    /// What worker `slot` tells about itself. Real-time safe.
    pub fn head(&self, slot: usize) -> &ArenaHead {
        self.arenas[slot].arena_head().expect("it was created larger than this")
    }

    /// Words of each arena.
    pub fn arena_words(&self) -> usize {
        self.arenas.first().map_or(0, |arena| arena.words().len())
    }

    /// Rings the bell of worker `slot`: there is a block or an assignment. Real-time safe: the named wake.
    pub fn ring_bell(&self, slot: usize) {
        if let Some(bell) = self.control().bells.get(slot) {
            // Release: what the bell is rung for is stored before it can be heard (pairs with the worker's load).
            bell.word.fetch_add(1, std::sync::atomic::Ordering::Release);
            backline_abi::wake::wake(&bell.word);
        }
    }
}

/// `backline-BOOT-PID-START-N`: which boot, which process, when it started, which rig of that process.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let start = start_ticks(pid).unwrap_or(0);
    format!("backline-{}-{pid}-{start}-{}", boot_id(), COUNT.fetch_add(1, Relaxed))
}

/// When process `pid` started, in clock ticks since boot; `None` if it is gone.
pub fn start_ticks(pid: u32) -> Option<u64> {
    Process::of_pid(pid).map(|process| process.start_ticks)
}

/// Unlinks segments whose engine is dead, and returns their names. A living engine's are never touched, nor
/// those of a process that merely has a dead engine's number.
pub fn sweep() -> Vec<String> {
    let Ok(folder) = std::fs::read_dir("/dev/shm") else { return Vec::new() };
    let names = folder.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| is_orphan(name))
        .filter(|name| std::fs::remove_file(format!("/dev/shm/{name}")).is_ok())
        .collect()
}

fn is_orphan(name: &str) -> bool {
    let mut parts = name.split('-');
    if parts.next() != Some("backline") {
        return false;
    }
    let (Some(boot), Some(pid), Some(start)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { return false };
    boot != boot_id() || start_ticks(pid) != Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_of_dead_engines_are_orphans() {
        assert!(!is_orphan(&fresh_name()), "our own");
        assert!(!is_orphan("somebody-else"), "not ours at all");
        let start = start_ticks(std::process::id()).expect("we run");
        assert!(
            is_orphan(&format!("backline-{}-{}-{}-0", boot_id(), std::process::id(), start + 1)),
            "a recycled pid"
        );
        assert!(is_orphan(&format!("backline-00000000-{}-{start}-0", std::process::id())), "another boot");
    }
}
