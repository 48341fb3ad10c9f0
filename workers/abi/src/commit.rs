//! The commit word of a module: who rendered it, up to which block. One 64-bit word, one writer.
//!
//! ```text
//!  63            32 31             0
//! ┌────────────────┬────────────────┐
//! │     lease      │     block      │   the lower half is the futex that consumers sleep on
//! └────────────────┴────────────────┘
//! ```
//!
//! A *lease* is one module in one place: a new number, never used before in this engine, is drawn for every
//! module that is created and for every move of one to another worker. A commit under an old lease matches
//! nothing that anybody waits for; that is the whole fence. 2^32 leases last 31 days of one thousand six
//! hundred moves a second.
//!
//! The state after block N lies in copy `N & 1`, the outputs of block N in copy `N & 1`.

use crate::sync::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

/// What a commit word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The module instance at this place; 0 is nobody.
    pub lease: u32,
    /// Last block rendered; [`NEVER`] when the module is prepared and has not played yet.
    pub block: u32,
}

/// Block number of a module that is prepared and has not played.
pub const NEVER: u32 = 0;
/// Number of an engine's first block, and of the one after the last before the count wraps. Even, because
/// the one before it, `u32::MAX`, is odd: state copies alternate across the wrap as well.
pub const FIRST: u32 = 2;

impl Commit {
    /// As one word.
    pub const fn pack(self) -> u64 {
        (self.lease as u64) << 32 | self.block as u64
    }

    /// From one word.
    pub const fn unpack(word: u64) -> Self {
        Self { lease: (word >> 32) as u32, block: word as u32 }
    }
}

/// Publishes that `commit.block` is rendered: everything stored before is visible to whoever sees it.
/// Real-time safe.
pub fn publish(word: &AtomicU64, commit: Commit) {
    // Release: outputs and state are stored before the commit can be seen (pairs with `observe`).
    word.store(commit.pack(), Release);
}

/// Reads a commit word; if it says block N, the outputs and state of N are visible. Real-time safe.
pub fn observe(word: &AtomicU64) -> Commit {
    // Acquire: pairs with `publish`.
    Commit::unpack(word.load(Acquire))
}

/// The block after `block`.
pub const fn next_block(block: u32) -> u32 {
    match block {
        u32::MAX => FIRST,
        block => block + 1,
    }
}

/// The block before `block`.
pub const fn block_before(block: u32) -> u32 {
    match block {
        0..=FIRST => u32::MAX,
        block => block - 1,
    }
}

/// Which of the two copies belongs to `block`.
pub const fn parity(block: u32) -> usize {
    (block & 1) as usize
}

/// The block that a feedback cable hears if its source has committed `last`: the one before ours, if the source has
/// it, or is new and silent. A source that missed more than one block makes none of them good, and waits for us: then
/// it is heard as it was last. It writes nothing before we commit, because it hears us in its next block.
pub const fn heard_back(last: u32, wanted: u32) -> Option<u32> {
    let missed = wanted.wrapping_sub(last);
    if last == wanted || last == next_block(wanted) || last == NEVER {
        Some(wanted)
    } else if 2 <= missed && missed < u32::MAX / 2 {
        Some(last)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_survives_packing() {
        for commit in [Commit { lease: 7, block: 9 }, Commit { lease: u32::MAX, block: u32::MAX }] {
            assert_eq!(Commit::unpack(commit.pack()), commit);
        }
    }

    #[test]
    fn copies_alternate_across_the_wrap_and_no_block_is_called_never() {
        let mut block = u32::MAX - 3;
        for _ in 0..8 {
            let next = next_block(block);
            assert_ne!(parity(next), parity(block));
            assert_eq!(block_before(next), block);
            assert_ne!(next, NEVER);
            block = next;
        }
    }

    #[test]
    fn a_loop_waits_for_a_block_that_will_come_and_for_no_other() {
        for (last, heard) in
            [(9, Some(9)), (10, Some(9)), (8, None), (7, Some(7)), (3, Some(3)), (NEVER, Some(9))]
        {
            assert_eq!(heard_back(last, 9), heard, "the source has {last}");
        }
    }
}
