//! Where each module of the patch is: its cell in the plan's tables, its memory, its slot and lease.
//!
//! A freed module's cell and memory are used again only two blocks later: a worker or a consumer may still be
//! in the block in which it played.

use crate::patch::PatchModule;
use crate::pool::memory::{ArenaFull, ArenaMap};
use backline_abi::commit::next_block;
use backline_abi::layout::{MAX_MODULES, ModuleMemory};
use backline_abi::plan::ModuleRecord;
use std::collections::HashMap;

/// One module that is set up in a worker.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// Index in the plan's tables.
    pub cell: u32,
    /// What the worker knows of it.
    pub record: ModuleRecord,
    /// Where its memory is in whichever arena it lives.
    pub memory: ModuleMemory,
    /// What it takes of a block, ns.
    pub price_ns: f64,
}

/// A module that is gone, and the block after which nobody can be playing it any more.
struct Buried {
    cell: u32,
    start: usize,
    words: usize,
    until_block: u32,
}

/// All cells.
pub struct Cells {
    placed: HashMap<u32, Placed>,
    free: Vec<u32>,
    map: ArenaMap,
    buried: Vec<Buried>,
    block_frames: usize,
    arena_words: usize,
    rate_hz: f32,
}

impl Cells {
    /// Nothing placed, in arenas of `arena_words`.
    pub fn new(arena_words: usize, block_frames: usize, rate_hz: f32) -> Self {
        Self {
            placed: HashMap::new(),
            free: (0..MAX_MODULES as u32).rev().collect(),
            map: ArenaMap::new(arena_words),
            buried: Vec::new(),
            block_frames,
            arena_words,
            rate_hz,
        }
    }

    /// Takes a cell and memory for `module`; it lives nowhere yet.
    pub fn take(&mut self, module: &PatchModule) -> Result<Placed, ArenaFull> {
        let mut record = record_of(module, self.rate_hz);
        // Offsets are relative: what a module needs does not depend on where it starts.
        record.memory_start = backline_abi::layout::ARENA_HEAP_WORDS as u32;
        let full = ArenaFull { needed_kib: usize::MAX / 256, largest_kib: self.arena_words / 256 };
        let words = ModuleMemory::of(&record, self.block_frames, usize::MAX).ok_or(full)?.end
            - record.memory_start as usize;
        let start = self.map.take(words)?;
        record.memory_start = start as u32;
        let memory = ModuleMemory::of(&record, self.block_frames, self.arena_words);
        let (Some(memory), Some(cell)) = (memory, self.free.pop()) else {
            self.map.give_back(start, words);
            return Err(full);
        };
        Ok(Placed { cell, record, memory, price_ns: 0.0 })
    }

    /// Gives back what [`Cells::take`] gave, for a module that never got a plan.
    pub fn untake(&mut self, placed: &Placed) {
        self.free.push(placed.cell);
        self.map.give_back(placed.record.memory_start as usize, self.words(placed));
    }

    /// Bytes of each arena that `module` takes, or would take.
    pub fn bytes_of(&self, module: &PatchModule) -> usize {
        let words = match self.get(module.instance) {
            Some(placed) => Some(self.words(placed)),
            None => {
                let memory_start = backline_abi::layout::ARENA_HEAP_WORDS as u32;
                let record = ModuleRecord { memory_start, ..record_of(module, self.rate_hz) };
                let memory = ModuleMemory::of(&record, self.block_frames, usize::MAX);
                memory.map(|memory| memory.end - record.memory_start as usize)
            }
        };
        words.map_or(usize::MAX, |words| words.saturating_mul(size_of::<u32>()))
    }

    fn words(&self, placed: &Placed) -> usize {
        placed.memory.end - placed.record.memory_start as usize
    }

    /// Remembers where a module is.
    pub fn insert(&mut self, placed: Placed) {
        self.placed.insert(placed.record.instance, placed);
    }

    /// Where a module is.
    pub fn get(&self, instance: u32) -> Option<&Placed> {
        self.placed.get(&instance)
    }

    /// Every module that is set up.
    pub fn iter(&self) -> impl Iterator<Item = &Placed> {
        self.placed.values()
    }

    /// A module is in no plan from the block after `block` on.
    pub fn bury(&mut self, instance: u32, block: u32) -> Option<Placed> {
        let placed = self.placed.remove(&instance)?;
        self.buried.push(Buried {
            cell: placed.cell,
            start: placed.record.memory_start as usize,
            words: self.words(&placed),
            until_block: next_block(next_block(block)),
        });
        Some(placed)
    }

    /// Whether anything was freed that is not free yet.
    pub fn has_buried(&self) -> bool {
        !self.buried.is_empty()
    }

    /// Frees what is no longer in use at `block`, the last one announced; `vacate` is told of each cell, whose
    /// place shall be nowhere.
    pub fn sweep(&mut self, block: u32, mut vacate: impl FnMut(u32)) {
        let is_over = |until: u32| block.wrapping_sub(until) < u32::MAX / 2;
        let (over, buried) = self.buried.drain(..).partition(|grave| is_over(grave.until_block));
        self.buried = buried;
        let over: Vec<Buried> = over;
        for grave in over {
            vacate(grave.cell);
            self.free.push(grave.cell);
            self.map.give_back(grave.start, grave.words);
        }
    }

    /// Bytes of each arena taken by modules, and bytes for modules in all.
    pub fn memory_bytes(&self) -> (usize, usize) {
        self.map.usage_bytes()
    }
}

fn record_of(module: &PatchModule, rate_hz: f32) -> ModuleRecord {
    module.row.record(module.instance, module.channels, module.identity, module.params, rate_hz)
}
