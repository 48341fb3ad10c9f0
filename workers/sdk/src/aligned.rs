//! Words that begin a cache line, because whoever computes on a state many words at a time wants them so.

use std::ops::{Deref, DerefMut};

/// Words of a cache line.
pub const LINE_WORDS: usize = 16;

/// So many words, the first at the start of a cache line. They never move.
pub struct AlignedWords {
    words: Vec<u32>,
    start: usize,
    count: usize,
}

impl AlignedWords {
    /// `count` times `word`.
    pub fn filled(word: u32, count: usize) -> Self {
        let words = vec![word; count + LINE_WORDS];
        let start = words.as_ptr().align_offset(LINE_WORDS * size_of::<u32>()).min(LINE_WORDS);
        Self { words, start, count }
    }
}

impl Deref for AlignedWords {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.words[self.start..self.start + self.count]
    }
}

impl DerefMut for AlignedWords {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.words[self.start..self.start + self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_a_cache_line_whatever_their_number() {
        for count in [0, 1, 15, 16, 17, 1_000] {
            let words = AlignedWords::filled(7, count);
            assert_eq!((words.len(), words.as_ptr().align_offset(64)), (count, 0));
            assert!(words.iter().all(|word| *word == 7));
        }
    }
}
