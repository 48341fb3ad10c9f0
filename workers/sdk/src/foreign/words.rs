//! Our own words of a module's state, before the author's: what it was told last. They travel with the state, so whoever
//! takes the module over knows them.
//!
//! ```text
//!  0        1          2 ..               multiple of 16 ..
//!  gate     velocity   parameters         the author's words
//! ```

use crate::aligned::LINE_WORDS;
use backline_abi::block::{Event, kind};
use backline_abi::plan::MAX_PARAMS;

const GATE: usize = 0;
const VELOCITY: usize = 1;
const PARAMS: usize = 2;
/// The gate is open.
const OPEN: u32 = 1;
/// It was opened or struck again, and no frame has been rendered since.
const STRUCK: u32 = 2;
/// The author's words are not there yet: the module is rendered ahead, and nothing of it has come back.
const UNBEGUN: u32 = 4;

/// Our own words of one module.
pub struct OwnWords<'a> {
    words: &'a mut [u32],
    params: usize,
}

impl<'a> OwnWords<'a> {
    /// How many there are for a type with so many parameters: whole cache lines, so the author's words begin one.
    pub const fn count(params: usize) -> usize {
        (PARAMS + params).next_multiple_of(LINE_WORDS)
    }

    /// Ours, and the author's. `state` is at least as long as ours are.
    pub fn split(state: &'a mut [u32], params: usize) -> (Self, &'a mut [u32]) {
        let (words, authors) = state.split_at_mut(Self::count(params));
        (Self { words, params }, authors)
    }

    /// Before the first frame.
    pub fn begin(&mut self, params: &[f32; MAX_PARAMS]) {
        self.words.fill(0);
        let words = &mut self.words[PARAMS..PARAMS + self.params];
        words.iter_mut().zip(params).for_each(|(word, value)| *word = value.to_bits());
    }

    /// The author's words are not there yet.
    pub fn mark_unbegun(&mut self) {
        self.words[GATE] |= UNBEGUN;
    }

    /// Now they are.
    pub fn mark_begun(&mut self) {
        self.words[GATE] &= !UNBEGUN;
    }

    /// Whether they are not, in a whole state.
    pub fn is_unbegun(state: &[u32]) -> bool {
        state[GATE] & UNBEGUN != 0
    }

    /// Parameters have their values from now on, and the gate stands as it does.
    pub fn happen(&mut self, event: &Event) {
        match event.kind {
            kind::GATE_ON => {
                self.words[GATE] |= OPEN | STRUCK;
                self.words[VELOCITY] = event.value.to_bits();
            }
            kind::GATE_OFF => self.words[GATE] &= !OPEN,
            index if (index as usize) < self.params => {
                self.words[PARAMS + index as usize] = event.value.to_bits();
            }
            _ => {}
        }
    }

    /// The values of the parameters.
    pub fn params(&self) -> &[f32] {
        bytemuck::cast_slice(&self.words[PARAMS..PARAMS + self.params])
    }

    /// Whether the gate is open.
    pub fn is_open(&self) -> bool {
        self.words[GATE] & OPEN != 0
    }

    /// Velocity of the last gate.
    pub fn velocity(&self) -> f32 {
        f32::from_bits(self.words[VELOCITY])
    }

    /// Whether the gate was struck since this was asked last.
    pub fn take_struck(&mut self) -> bool {
        let is_struck = self.words[GATE] & STRUCK != 0;
        self.words[GATE] &= !STRUCK;
        is_struck
    }
}
