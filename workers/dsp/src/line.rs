//! A delay line in memory that somebody else may be reading: a ring of samples, appended to and never
//! changed in place.
//!
//! The words live in a worker's arena (or, in process, on the heap). They are atomics because a worker that
//! takes a module over copies them while the old one may still be running; all accesses are relaxed and
//! compile to plain moves.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, Release},
    fence,
};

/// Samples of a line that have a stamp in common.
pub const CHUNK_SAMPLES: usize = 256;

/// A ring of `f32` samples, as long as the module asked for at creation.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    samples: &'a [AtomicU32],
    stamps: &'a [AtomicU32],
    stamp: u32,
}

impl<'a> Line<'a> {
    /// A line over `words`, each one sample's bits. Real-time safe.
    pub fn new(words: &'a [AtomicU32]) -> Self {
        Self { samples: words, stamps: &[], stamp: 0 }
    }

    /// The same; whoever writes leaves `stamp` at the chunk. Real-time safe.
    pub fn stamped(words: &'a [AtomicU32], stamps: &'a [AtomicU32], stamp: u32) -> Self {
        Self { samples: words, stamps, stamp }
    }

    /// Samples in the ring.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// True for a module that asked for no line.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The sample at `index`, or silence outside the ring. Real-time safe.
    pub fn read(&self, index: usize) -> f32 {
        self.samples.get(index).map_or(0.0, |word| f32::from_bits(word.load(Relaxed)))
    }

    /// Appends at `index`; ignored outside the ring. Real-time safe.
    pub fn write(&self, index: usize, sample: f32) {
        if let Some(word) = self.samples.get(index) {
            if let Some(stamp) = self.stamps.get(index / CHUNK_SAMPLES) {
                // Release: who sees the stamp sees that its block is being written (pairs with the acquire of
                // whoever copies the line, as the fence does).
                stamp.store(self.stamp, Release);
                // Release fence: who sees the sample sees the stamp.
                fence(Release);
            }
            word.store(sample.to_bits(), Relaxed);
        }
    }
}
