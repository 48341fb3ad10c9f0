//! One module's memory in an arena, and what workers do with it, in their order.

use backline_abi::commit::{Commit, NEVER, block_before, observe, parity, publish};
use backline_abi::sync::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Release},
};
use backline_abi::words::{copy_words, load_words, store_words};
use loom::sync::atomic::fence;

/// The block that is committed when a model begins.
pub const PLAYED: u32 = 2;
/// The module's old and new lease.
pub const OLD: u32 = 1;
pub const NEW: u32 = 2;
/// Words of a state or an output: enough to be torn.
pub const WORDS: usize = 2;

/// One module's memory in one arena. A word of state and of output is the number of the last block that was
/// really rendered.
pub struct Arena {
    pub commit: AtomicU64,
    pub states: [[AtomicU32; WORDS]; 2],
    pub outputs: [[AtomicU32; WORDS]; 2],
}

/// What this model does and the shipped code does not.
#[derive(Clone, Copy, PartialEq)]
pub enum Mistake {
    None,
    /// The owner writes over the copy before last without a fence.
    NoFence,
    /// The taker lets the owner commit one block while it copies.
    LetsOneBlockPass,
}

fn row(value: u32) -> [AtomicU32; WORDS] {
    std::array::from_fn(|_| AtomicU32::new(value))
}

pub fn loaded(row: &[AtomicU32; WORDS]) -> [u32; WORDS] {
    let mut copy = [0; WORDS];
    load_words(row, &mut copy);
    copy
}

impl Arena {
    /// Holds `block` under `lease`, in both copies.
    pub fn at(lease: u32, block: u32) -> Self {
        let copies = || [row(block), row(block)];
        Self { commit: AtomicU64::new(Commit { lease, block }.pack()), states: copies(), outputs: copies() }
    }

    pub fn render(&self, lease: u32, block: u32, mistake: Mistake) {
        let last = observe(&self.commit).block;
        let before = block_before(block);
        if last != before {
            if parity(last) != parity(before) {
                copy_words(&self.states[parity(last)], &self.states[parity(before)]);
            }
            publish(&self.commit, Commit { lease, block: before });
        }
        if mistake != Mistake::NoFence {
            // Whoever sees a word of what follows also sees all commits and announcements before.
            fence(Release);
        }
        store_words(&self.outputs[parity(block)], &[block; WORDS]);
        store_words(&self.states[parity(block)], &[block; WORDS]);
        publish(&self.commit, Commit { lease, block });
    }

    /// The block that was taken over from `old`, if there was one.
    pub fn take_over(&self, old: &Arena, tries: usize, mistake: Mistake) -> Option<u32> {
        for _ in 0..tries {
            let seen = observe(&old.commit);
            if seen.lease != OLD || seen.block == NEVER {
                return None;
            }
            copy_words(&old.states[parity(seen.block)], &self.states[parity(seen.block)]);
            copy_words(&old.outputs[0], &self.outputs[0]);
            copy_words(&old.outputs[1], &self.outputs[1]);
            fence(Acquire);
            let after = observe(&old.commit);
            let has_passed = after.block == seen.block + 1 && mistake == Mistake::LetsOneBlockPass;
            if after == seen || has_passed {
                publish(&self.commit, Commit { lease: NEW, block: seen.block });
                return Some(seen.block);
            }
        }
        None
    }

    /// The outputs of `wanted`, if they are committed under `lease` and not more than `allowed` blocks were
    /// announced after `block` when they had been read.
    pub fn hear(
        &self,
        lease: u32,
        wanted: u32,
        block: u32,
        allowed: u32,
        announced: &AtomicU32,
    ) -> Option<[u32; WORDS]> {
        let seen = observe(&self.commit);
        if seen.lease != lease || (seen.block != wanted && seen.block != wanted + 1) {
            return None;
        }
        let heard = loaded(&self.outputs[parity(wanted)]);
        fence(Acquire);
        (announced.load(Acquire).wrapping_sub(block) <= allowed).then_some(heard)
    }

    pub fn set_up(&self, lease: u32) {
        publish(&self.commit, Commit { lease: 0, block: NEVER });
        for copy in [0, 1] {
            store_words(&self.outputs[copy], &[0; WORDS]);
            store_words(&self.states[copy], &[0; WORDS]);
        }
        publish(&self.commit, Commit { lease, block: NEVER });
    }
}
