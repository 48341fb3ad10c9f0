//! Where modules lie in the arenas. All arenas are mirrors: a module has the same offset in every one of
//! them, so that it can move to any worker without anything being allocated. One list of free ranges serves
//! them all.

use backline_abi::layout::ARENA_HEAP_WORDS;
use std::collections::BTreeMap;

/// Modules start on a cache line.
const LINE_WORDS: usize = 16;

/// No room for a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "worker memory is full: the module needs {needed_kib} KiB in one piece, the largest free piece is \
     {largest_kib} KiB; free modules, or start with a larger --arena"
)]
pub struct ArenaFull {
    /// KiB the module needs.
    pub needed_kib: usize,
    /// KiB in the largest free piece.
    pub largest_kib: usize,
}

/// Free ranges of an arena's heap, in words: start to length.
#[derive(Debug)]
pub struct ArenaMap {
    free: BTreeMap<usize, usize>,
    heap_words: usize,
}

impl ArenaMap {
    /// The heap of an arena of `arena_words`.
    pub fn new(arena_words: usize) -> Self {
        let heap_words = arena_words.saturating_sub(ARENA_HEAP_WORDS);
        Self { free: BTreeMap::from([(ARENA_HEAP_WORDS, heap_words)]), heap_words }
    }

    /// The first free range of `words`.
    pub fn take(&mut self, words: usize) -> Result<usize, ArenaFull> {
        let words = words.next_multiple_of(LINE_WORDS);
        let Some((start, length)) =
            self.free.iter().map(|(s, l)| (*s, *l)).find(|(_, length)| *length >= words)
        else {
            let largest = self.free.values().max().copied().unwrap_or(0);
            return Err(ArenaFull { needed_kib: words.div_ceil(256), largest_kib: largest / 256 });
        };
        self.free.remove(&start);
        if length > words {
            self.free.insert(start + words, length - words);
        }
        Ok(start)
    }

    /// Gives back what [`ArenaMap::take`] gave.
    pub fn give_back(&mut self, start: usize, words: usize) {
        let (mut start, mut length) = (start, words.next_multiple_of(LINE_WORDS));
        if let Some((&before, &before_length)) = self.free.range(..start).next_back()
            && before + before_length == start
        {
            self.free.remove(&before);
            (start, length) = (before, before_length + length);
        }
        if let Some(after) = self.free.remove(&(start + length)) {
            length += after;
        }
        self.free.insert(start, length);
    }

    /// Bytes taken and bytes in all.
    pub fn usage_bytes(&self) -> (usize, usize) {
        let free: usize = self.free.values().sum();
        ((self.heap_words - free) * 4, self.heap_words * 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_arena_says_what_is_needed_and_what_is_free() {
        let mut map = ArenaMap::new(ARENA_HEAP_WORDS + 512);
        assert_eq!(map.take(1024), Err(ArenaFull { needed_kib: 4, largest_kib: 2 }));
    }

    proptest! {
        #[test]
        fn ranges_never_overlap_and_everything_comes_back(sizes in prop::collection::vec(1_usize..200, 1..60)) {
            let mut map = ArenaMap::new(ARENA_HEAP_WORDS + 4096);
            let mut taken: Vec<(usize, usize)> = Vec::new();
            for (turn, words) in sizes.iter().enumerate() {
                if turn % 3 == 2 && let Some((start, words)) = taken.pop() {
                    map.give_back(start, words);
                }
                if let Ok(start) = map.take(*words) {
                    for (other, length) in &taken {
                        prop_assert!(start >= other + length || start + words <= *other);
                    }
                    taken.push((start, *words));
                }
            }
            for (start, words) in taken {
                map.give_back(start, words);
            }
            prop_assert_eq!(map.usage_bytes().0, 0);
            prop_assert_eq!(map.free.len(), 1);
        }
    }
}
