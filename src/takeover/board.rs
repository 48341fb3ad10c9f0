//! What others tell the take-over thread: words in this process's own memory, each with one writer but the bell.

use backline_abi::layout::MAX_SLOTS;
use backline_abi::wake;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The words.
pub struct Board {
    /// Rung for every change; the thread sleeps on it among others.
    pub bell: AtomicU32,
    /// The thread, as the kernel counts it; 0 before it runs.
    pub thread_id: AtomicU32,
    /// 1 when the thread shall end.
    pub is_closing: AtomicU32,
    /// Requests done so far; control sleeps on it.
    pub done: AtomicU32,
    /// Block that was not there at the first deadline.
    pub overdue: Complaint,
    /// Block that was concealed.
    pub concealed: Complaint,
    /// Block that a free-running clock has given up hope for.
    pub given_up: Complaint,
    /// Nanoseconds of a block.
    pub block_ns: AtomicU64,
    /// Slots whose worker may play, one bit each.
    usable: AtomicU64,
    slots: [SlotNote; MAX_SLOTS],
    leases: AtomicU32,
}

/// Something that is said about a block, now and again.
#[derive(Default)]
pub struct Complaint {
    block: AtomicU32,
    count: AtomicU32,
}

impl Complaint {
    /// Says it about `block`. Real-time safe.
    pub fn say(&self, block: u32) {
        self.block.store(block, Relaxed);
        // Release: the block is stored before (pairs with `heard`).
        self.count.fetch_add(1, Release);
    }

    /// The block, if something was said since `count`, which is brought up to date. Real-time safe.
    pub fn heard(&self, count: &mut u32) -> Option<u32> {
        // Acquire: pairs with `say`.
        let now = self.count.load(Acquire);
        (std::mem::replace(count, now) != now).then(|| self.block.load(Relaxed))
    }
}

/// What control notes of one slot.
#[derive(Default)]
struct SlotNote {
    kind: AtomicU32,
    pid: AtomicU32,
    core: AtomicU32,
    load_ns: AtomicU32,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// Nobody is there yet.
    pub fn new() -> Self {
        Self {
            bell: AtomicU32::new(0),
            thread_id: AtomicU32::new(0),
            is_closing: AtomicU32::new(0),
            done: AtomicU32::new(0),
            overdue: Complaint::default(),
            concealed: Complaint::default(),
            given_up: Complaint::default(),
            block_ns: AtomicU64::new(0),
            usable: AtomicU64::new(0),
            slots: std::array::from_fn(|_| SlotNote::default()),
            leases: AtomicU32::new(0),
        }
    }

    /// Wakes the thread. Real-time safe: the named wake.
    pub fn ring(&self) {
        // Release: what it is rung for is stored before (pairs with the thread's load).
        self.bell.fetch_add(1, Release);
        wake::wake(&self.bell);
    }

    /// A lease that nobody ever had in this engine. Real-time safe.
    pub fn draw_lease(&self) -> u32 {
        loop {
            let lease = self.leases.fetch_add(1, Relaxed).wrapping_add(1);
            if lease != 0 {
                return lease;
            }
        }
    }

    /// The lease that is drawn next, or one before it. Real-time safe.
    pub fn next_lease(&self) -> u32 {
        self.leases.load(Relaxed).wrapping_add(1)
    }

    /// Notes what is in `slot`; it counts once the slot is usable. Control only.
    pub fn note(&self, slot: usize, kind: usize, pid: u32, core: usize, load_ns: f64) {
        let Some(note) = self.slots.get(slot) else { return };
        note.kind.store(kind as u32, Relaxed);
        note.pid.store(pid, Relaxed);
        note.core.store(core as u32, Relaxed);
        note.load_ns.store(load_ns as u32, Relaxed);
    }

    /// Says which slots have a worker that may play. Control only.
    pub fn set_usable(&self, slots: u64) {
        // Release: the notes of these slots are stored before (pairs with `usable`).
        if self.usable.swap(slots, Release) != slots {
            self.ring();
        }
    }

    /// Slots with a worker that may play. Real-time safe.
    pub fn usable(&self) -> u64 {
        // Acquire: pairs with `set_usable`.
        self.usable.load(Acquire)
    }

    /// Process in `slot`. Real-time safe.
    pub fn pid(&self, slot: usize) -> u32 {
        self.slots[slot].pid.load(Relaxed)
    }

    /// Kind of worker in `slot`: a module goes to another one of its kind only. Real-time safe.
    pub fn kind(&self, slot: usize) -> u32 {
        self.slots[slot].kind.load(Relaxed)
    }

    /// Core of `slot`. Real-time safe.
    pub fn core(&self, slot: usize) -> u32 {
        self.slots[slot].core.load(Relaxed)
    }

    /// What the modules of `slot` take of a block by their prices, ns. Real-time safe.
    pub fn load_ns(&self, slot: usize) -> u32 {
        self.slots[slot].load_ns.load(Relaxed)
    }
}
