//! Copies of delay lines, kept up while there is time: a module that comes over from a lost worker then brings along
//! kilobytes, not megabytes, and plays in the same block.
//!
//! A line lies at the same place in every arena, in chunks with a stamp each: the block in which the chunk was written
//! last, 0 for never. Equal stamps are equal samples, because a block that is rendered again writes the same. Whoever
//! is not playing a module copies chunks of it whose stamps differ from those of the one who is: those of committed
//! blocks now and then ([`Mirror::keep_up`]), the rest when the module comes over ([`bring_over`]).
//!
//! What if we die in the middle of a chunk? Its stamp says so if we were copying; if we were rendering, the block that
//! was being written stands beside the stamps. Our successor in this slot trusts neither and copies these chunks again.
//! Everything here is real-time safe but [`Mirror::with_room`].

use crate::attach::View;
use backline_abi::commit::{self, NEVER};
use backline_abi::layout::{BLOCKS_KEPT, LINE_CHUNK_WORDS, MAX_MODULES, ModuleMemory};
use backline_abi::plan::Plan;
use backline_abi::words::copy_words;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Chunks copied at once at most, 16 KiB: a worker of the same core and priority has to wait for it.
const CHUNKS_A_TURN: usize = 16;
/// Stamp of a chunk that holds nothing whole; no block has this number.
const BROKEN: u32 = 1;

/// A line that somebody plays.
#[derive(Clone, Copy)]
struct Watched {
    cell: usize,
    instance: u32,
    memory: ModuleMemory,
}

/// Which lines there are.
pub struct Mirror {
    plan: Plan,
    version: u32,
    lines: Vec<Watched>,
    /// The line that is looked at next.
    next: usize,
}

impl Mirror {
    /// No line yet, with room for the largest plan.
    pub fn with_room() -> Self {
        Self { plan: Plan::with_room(), version: 0, lines: Vec::with_capacity(MAX_MODULES), next: 0 }
    }

    /// Whether there is any line.
    pub fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Copies some of what has changed. True if there is more.
    pub fn keep_up(&mut self, view: &View) -> bool {
        self.refresh(view);
        let mut left = CHUNKS_A_TURN;
        for _ in 0..self.lines.len() {
            let line = self.lines[self.next % self.lines.len()];
            copy_committed(view, &line, &mut left);
            if left == 0 {
                return true;
            }
            self.next = (self.next + 1) % self.lines.len();
        }
        false
    }

    /// Finds the lines of the newest plan.
    fn refresh(&mut self, view: &View) {
        let control = view.control();
        // Acquire: pairs with the audio thread's announcement.
        let block = control.block.word.load(Acquire);
        let header = control.blocks[block as usize % BLOCKS_KEPT].header.load();
        if header.block != block || header.plan_version == self.version {
            return;
        }
        let Some(cell) = control.plans.get(header.plan_buffer as usize) else { return };
        if !cell.read(header.plan_version, &mut self.plan) {
            return;
        }
        self.version = header.plan_version;
        self.lines.clear();
        for entry in &self.plan.entries {
            let Some(record) = control.modules.get(entry.cell as usize).map(|cell| cell.load()) else {
                continue;
            };
            let arena_words = view.own().words().len();
            let memory = ModuleMemory::of(&record, view.header.block_frames as usize, arena_words);
            let has_line = record.line_words > 0 && record.instance == entry.instance;
            if let Some(memory) = memory.filter(|_| has_line && self.lines.len() < MAX_MODULES) {
                let cell = entry.cell as usize;
                self.lines.push(Watched { cell, instance: entry.instance, memory });
            }
        }
    }
}

/// Copies chunks of committed blocks from whoever plays the line, unless we do.
fn copy_committed(view: &View, line: &Watched, left: &mut usize) {
    let Some(place) = view.control().places.get(line.cell).map(|place| place.current()) else { return };
    let (slot, memory) = (place.slot as usize, &line.memory);
    let Some(arena) = view.arenas().get(slot).filter(|_| slot != view.slot) else { return };
    let Some(seen) = arena.commit_word(memory.commit).map(commit::observe) else { return };
    if seen.lease != place.lease || seen.block == NEVER {
        return;
    }
    let own = view.own().words();
    claim(own, memory, line.instance);
    for_each_change(arena.words(), own, memory, |stamp| {
        // A block in progress is left for later, and so is what was not whole where it came from.
        let is_committed = stamp != BROKEN && seen.block.wrapping_sub(stamp) < u32::MAX / 2;
        let is_taken = is_committed && *left > 0;
        *left -= usize::from(is_taken);
        is_taken
    });
}

/// Brings our copy of the line of `instance` up to the one in the arena `from`, which nobody writes any more.
pub fn bring_over(from: &[AtomicU32], own: &[AtomicU32], memory: &ModuleMemory, instance: u32) {
    if memory.line_words > 0 {
        claim(own, memory, instance);
        for_each_change(from, own, memory, |_| true);
    }
}

/// Clears the line of `instance` before its first block.
pub fn clear(own: &[AtomicU32], memory: &ModuleMemory, instance: u32) {
    own[memory.line..memory.line + memory.line_words].iter().for_each(|word| word.store(0, Relaxed));
    if memory.line_words > 0 {
        own[memory.line_owner].store(instance, Relaxed);
        own[memory.line_block].store(0, Relaxed);
        own[memory.stamps..memory.stamps + memory.stamp_words]
            .iter()
            .for_each(|stamp| stamp.store(0, Relaxed));
    }
}

/// Sees to it that the stamps in our arena are about the line of `instance`.
fn claim(own: &[AtomicU32], memory: &ModuleMemory, instance: u32) {
    let owner = &own[memory.line_owner];
    if owner.load(Relaxed) == instance {
        return;
    }
    owner.store(0, Relaxed);
    own[memory.line_block].store(0, Relaxed);
    own[memory.stamps..memory.stamps + memory.stamp_words]
        .iter()
        .for_each(|stamp| stamp.store(BROKEN, Relaxed));
    // Release: whoever comes after us in this slot sees a claim only with the stamps it is about.
    owner.store(instance, Release);
}

/// Says, before the first sample of `block` is written, that chunks with its stamp are not whole.
pub fn begin_block(own: &[AtomicU32], memory: &ModuleMemory, block: u32) {
    if memory.line_words > 0 {
        // Relaxed: the stamps that come after it are stored with release (`Line::write`).
        own[memory.line_block].store(block, Relaxed);
    }
}

/// Says that they are.
pub fn end_block(own: &[AtomicU32], memory: &ModuleMemory) {
    if memory.line_words > 0 {
        // Release: the samples are there before we say so (pairs with the acquire in `is_whole`).
        own[memory.line_block].store(0, Release);
    }
}

/// Whoever was in this slot before us died in the middle of a block: what it wrote last is not whole.
fn disown_unfinished(own: &[AtomicU32], memory: &ModuleMemory) {
    let block = own[memory.line_block].load(Relaxed);
    if block == 0 {
        return;
    }
    let stamps = &own[memory.stamps..memory.stamps + memory.stamp_words];
    for stamp in stamps.iter().filter(|stamp| stamp.load(Relaxed) == block) {
        stamp.store(BROKEN, Relaxed);
    }
    // Release: whoever comes after us in this slot finds the block gone only with its stamps.
    own[memory.line_block].store(0, Release);
}

/// Copies each chunk whose stamp differs, if `is_wanted` by the stamp of the other side.
fn for_each_change(
    from: &[AtomicU32],
    own: &[AtomicU32],
    memory: &ModuleMemory,
    mut is_wanted: impl FnMut(u32) -> bool,
) {
    disown_unfinished(own, memory);
    for chunk in 0..memory.stamp_words {
        let stamp_at = memory.stamps + chunk;
        let (Some(theirs), ours) = (from.get(stamp_at), &own[stamp_at]) else { return };
        // Acquire: the samples of a committed block are read after its stamp.
        let stamp = theirs.load(Acquire);
        if (ours.load(Relaxed) == stamp && stamp != BROKEN) || !is_wanted(stamp) {
            continue;
        }
        let start = memory.line + chunk * LINE_CHUNK_WORDS;
        let end = (start + LINE_CHUNK_WORDS).min(memory.line + memory.line_words);
        ours.store(BROKEN, Relaxed);
        // Release fence: the chunk is marked as broken before any of it changes.
        fence(Release);
        copy_words(from.get(start..end).unwrap_or(&[]), &own[start..end]);
        if is_whole(from, memory, stamp_at, stamp) {
            // Release: the samples are there before the stamp says so.
            ours.store(stamp, Release);
        }
    }
}

/// Whether a chunk that was just copied is what its stamp says: it has not been written since, and is not of the block
/// that is being written.
fn is_whole(from: &[AtomicU32], memory: &ModuleMemory, stamp_at: usize, stamp: u32) -> bool {
    // Acquire fence: the samples were read before (pairs with the fence in `Line::write`).
    fence(Acquire);
    let now = |at: usize| from.get(at).map(|word| word.load(Acquire));
    now(stamp_at) == Some(stamp) && now(memory.line_block).is_some_and(|block| block != stamp)
}
