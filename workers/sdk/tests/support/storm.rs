//! A storm over shared memory: one random word after another is overwritten while a worker plays, mostly words
//! that it looks at. The numbers are the same in every run; when the worker reads them is not.

use super::{Module, Stage};
use backline_abi::block::BlockCell;
use backline_abi::layout::{AssignmentRing, Control, MAX_MODULES};
use backline_abi::plan::PlanCell;
use std::mem::offset_of;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Words of a plan's version and counts, with what is between them.
const PLAN_HEAD_WORDS: usize = 16;
/// Words of a plan's entry.
const ENTRY_WORDS: usize = 8;
/// How much of each table is hot: what a few modules use, and a little of what nobody uses.
const HOT_ROWS: usize = 8;

/// Xorshift: the same storm each time.
pub struct Dice(u64);

impl Dice {
    /// A storm of its own for every `seed` but 0.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() >> 11) as usize % end.max(1)
    }

    /// True once in `times`.
    pub fn is_one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Something to put where `before` stands: a near miss, a limit, another scale, or anything.
    pub fn garbage(&mut self, before: u32) -> u32 {
        match self.below(6) {
            0 => before.wrapping_add(1 + self.below(3) as u32),
            1 => before.wrapping_sub(1 + self.below(3) as u32),
            2 => self.below(100) as u32,
            3 => u32::MAX - self.below(100) as u32,
            4 => 1 << self.below(32),
            _ => self.roll() as u32,
        }
    }
}

/// Words of the control segment that a worker in slot 0 reads in every block.
pub fn hot_control_words() -> Vec<Range<usize>> {
    let words = |from: usize, count: usize| from / 4..from / 4 + count;
    let mut hot = vec![
        words(offset_of!(Control, block), 1),
        words(offset_of!(Control, moves), 1),
        words(offset_of!(Control, bells), 1),
        words(offset_of!(Control, rings) + offset_of!(AssignmentRing, slots), 64),
        words(offset_of!(Control, places), 4 * HOT_ROWS),
        words(offset_of!(Control, modules), 32 * HOT_ROWS),
    ];
    for block in 0..4 {
        let cell = offset_of!(Control, blocks) + block * size_of::<BlockCell>();
        hot.push(words(cell, 16));
        hot.push(words(cell + offset_of!(BlockCell, events), 4 * HOT_ROWS));
    }
    for plan in 0..4 {
        let cell = offset_of!(Control, plans) + plan * size_of::<PlanCell>();
        let connections = cell + (PLAN_HEAD_WORDS + MAX_MODULES * ENTRY_WORDS) * 4;
        hot.push(words(cell, PLAN_HEAD_WORDS));
        hot.push(words(cell + PLAN_HEAD_WORDS * 4, ENTRY_WORDS * HOT_ROWS));
        hot.push(words(connections, 6 * HOT_ROWS));
    }
    hot
}

/// Words whose garbage makes a worker leave, as it should: not too often, or the storm is all restarts.
pub fn deadly_control_words() -> Vec<Range<usize>> {
    let word = |from: usize| from / 4..from / 4 + 1;
    vec![word(offset_of!(Control, is_closing)), word(offset_of!(Control, rings))]
}

/// Words of an arena that belong to `modules`.
pub fn module_words(modules: &[Module]) -> Vec<Range<usize>> {
    let of = |module: &Module| {
        let memory = &module.memory;
        [
            memory.commit..memory.commit + 2,
            memory.outputs[0]..memory.states[0],
            memory.states[0]..memory.line,
            memory.line..memory.end,
        ]
    };
    modules.iter().flat_map(of).filter(|range| !range.is_empty()).collect()
}

/// Overwrites one word; says which and with what.
pub fn strike(dice: &mut Dice, words: &[AtomicU32], hot: &[Range<usize>]) -> String {
    let range = if dice.is_one_in(8) { 0..words.len() } else { hot[dice.below(hot.len())].clone() };
    let index = range.start + dice.below(range.len());
    let garbage = dice.garbage(words[index].load(Relaxed));
    words[index].store(garbage, Relaxed);
    format!("word {index} = {garbage:#x}")
}

impl Stage {
    /// Puts everything back that a worker reads, except what is its own to mend.
    pub fn mend(&mut self, modules: &[Module]) {
        let lowest = offset_of!(Control, bells) / 4;
        let header = self.true_header();
        let control = self.control();
        control.header.store(&header);
        control.is_closing.store(0, Relaxed);
        for slot in 0..header.slots as usize {
            let head = self.head(slot).assignments_head.word.load(Relaxed);
            control.rings[slot].tail.word.store(head, Relaxed);
            self.forget_replies(slot);
        }
        // Whatever the tails say stays.
        let rings = offset_of!(Control, rings) / 4;
        let is_tail = |index: &usize| (rings..rings + size_of_val(&control.rings) / 4).contains(index);
        let words = self.control_words().iter().enumerate().skip(lowest);
        words.filter(|(index, _)| !is_tail(index)).for_each(|(_, word)| word.store(0, Relaxed));
        modules.iter().for_each(|module| self.tell(module));
        // Further than any near miss, so that no garbage was taken for this version.
        self.plan_version += 1_000;
        self.control().moves.word.fetch_add(1, Relaxed);
    }
}
