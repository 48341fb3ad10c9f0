//! Plain records in shared memory, as words that may be read while they are written.
//!
//! A record is copied word by word with relaxed atomics: a reader that races with the writer gets a mixed
//! record, never undefined behaviour. Whoever needs to know that a record was whole checks a version or a
//! commit word that the writer releases afterwards.

use crate::sync::{AtomicU32, Ordering::Relaxed};
use bytemuck::Pod;
use std::marker::PhantomData;

/// A record of type `T` in `WORDS` shared words.
#[repr(transparent)]
pub struct Record<T, const WORDS: usize> {
    words: [AtomicU32; WORDS],
    _type: PhantomData<T>,
}

impl<T: Pod, const WORDS: usize> Record<T, WORDS> {
    const FITS: () = assert!(size_of::<T>() == WORDS * 4, "WORDS is the size of T");

    /// A copy of the record. Real-time safe.
    pub fn load(&self) -> T {
        const { Self::FITS };
        let mut copy = T::zeroed();
        load_words(&self.words, bytemuck::cast_slice_mut(bytemuck::bytes_of_mut(&mut copy)));
        copy
    }

    /// Replaces the record; only for the writer of its page. Real-time safe.
    pub fn store(&self, record: &T) {
        const { Self::FITS };
        store_words(&self.words, bytemuck::cast_slice(bytemuck::bytes_of(record)));
    }
}

/// Copies shared words into private ones; the shorter length counts. Real-time safe.
pub fn load_words(shared: &[AtomicU32], private: &mut [u32]) {
    for (to, from) in private.iter_mut().zip(shared) {
        *to = from.load(Relaxed);
    }
}

/// Copies private words into shared ones; the shorter length counts. Real-time safe.
pub fn store_words(shared: &[AtomicU32], private: &[u32]) {
    for (to, from) in shared.iter().zip(private) {
        to.store(*from, Relaxed);
    }
}

/// Copies private samples into shared words; the shorter length counts. Real-time safe.
pub fn store_samples(shared: &[AtomicU32], samples: &[f32]) {
    store_words(shared, bytemuck::cast_slice(samples));
}

/// Copies shared words to other shared words; the shorter length counts. Real-time safe.
pub fn copy_words(from: &[AtomicU32], to: &[AtomicU32]) {
    for (to, from) in to.iter().zip(from) {
        to.store(from.load(Relaxed), Relaxed);
    }
}
