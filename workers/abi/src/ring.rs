//! A lock-free single-producer single-consumer ring of 64-byte records between two processes.
//!
//! The two ends never write the same page: records and `tail` lie in the producer's memory, `head` in the
//! consumer's. Either side may be killed at any point:
//! - the producer before it stores `tail`: the record was never sent;
//! - the consumer before it stores `head`: the next process in its place sees the record again;
//! - either side scribbling on its own index: the other side's checks bound what it reads, see [`Garbled`].
//!
//! Indices count records since the beginning, modulo 2^32; the slot is the index modulo [`CAPACITY`].

use crate::sync::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
use crate::words::{load_words, store_words};
use bytemuck::Pod;
use std::marker::PhantomData;

/// Records a ring holds. A power of two, so that indices may wrap at 2^32.
pub const CAPACITY: u32 = 64;
/// Words in a record: one cache line.
pub const RECORD_WORDS: usize = 16;
/// Words of all slots of a ring.
pub const RING_WORDS: usize = CAPACITY as usize * RECORD_WORDS;

const _: () = assert!(CAPACITY.is_power_of_two());

/// The ring is full; the record comes back.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// The other side's index is impossible: it scribbled on its own memory. The side that sees this must stop
/// using the ring and condemn its peer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("ring index {index} is impossible beside {own}; its writer has scribbled on its memory")]
pub struct Garbled {
    /// What the other side's index reads.
    pub index: u32,
    /// Our own index.
    pub own: u32,
}

fn slot(slots: &[AtomicU32], index: u32) -> &[AtomicU32] {
    let start = (index % CAPACITY) as usize * RECORD_WORDS;
    slots.get(start..start + RECORD_WORDS).unwrap_or(&[])
}

/// Writing end. Whoever builds it vouches that it is the only one.
pub struct Producer<'a, T> {
    slots: &'a [AtomicU32],
    tail: &'a AtomicU32,
    head: &'a AtomicU32,
    _type: PhantomData<T>,
}

impl<'a, T: Pod> Producer<'a, T> {
    const FITS: () = assert!(size_of::<T>() == RECORD_WORDS * 4, "records are 64 bytes");

    /// An end over `slots` ([`RING_WORDS`] of them) and `tail` in the producer's memory, `head` in the consumer's.
    pub fn new(slots: &'a [AtomicU32], tail: &'a AtomicU32, head: &'a AtomicU32) -> Self {
        const { Self::FITS };
        Self { slots, tail, head, _type: PhantomData }
    }

    /// Queues `record`, or hands it back if the consumer has fallen behind. Wait-free, real-time safe.
    ///
    /// A consumer that scribbles on `head` can lose its own records; it cannot make this write elsewhere.
    pub fn try_push(&mut self, record: T) -> Result<(), Full<T>> {
        let tail = self.tail.load(Acquire); // our own last store
        // Acquire: the consumer has finished reading what it freed (pairs with `try_pop`).
        let head = self.head.load(Acquire);
        if tail.wrapping_sub(head) >= CAPACITY {
            return Err(Full(record));
        }
        store_words(slot(self.slots, tail), bytemuck::cast_slice(bytemuck::bytes_of(&record)));
        // Release: the slot is written before the consumer can see it (pairs with `try_pop`).
        self.tail.store(tail.wrapping_add(1), Release);
        Ok(())
    }
}

/// Reading end. Whoever builds it vouches that it is the only one.
pub struct Consumer<'a, T> {
    slots: &'a [AtomicU32],
    tail: &'a AtomicU32,
    head: &'a AtomicU32,
    _type: PhantomData<T>,
}

impl<'a, T: Pod> Consumer<'a, T> {
    const FITS: () = assert!(size_of::<T>() == RECORD_WORDS * 4, "records are 64 bytes");

    /// The other end of [`Producer::new`].
    pub fn new(slots: &'a [AtomicU32], tail: &'a AtomicU32, head: &'a AtomicU32) -> Self {
        const { Self::FITS };
        Self { slots, tail, head, _type: PhantomData }
    }

    /// The oldest record, `None` if there is none. Wait-free, real-time safe.
    pub fn try_pop(&mut self) -> Result<Option<T>, Garbled> {
        let head = self.head.load(Acquire); // our own last store
        // Acquire: the slot was written before `tail` moved past it (pairs with `try_push`).
        let tail = self.tail.load(Acquire);
        match tail.wrapping_sub(head) {
            0 => Ok(None),
            1..=CAPACITY => {
                let mut record = T::zeroed();
                load_words(
                    slot(self.slots, head),
                    bytemuck::cast_slice_mut(bytemuck::bytes_of_mut(&mut record)),
                );
                // Release: the slot was read before the producer may write it again (pairs with `try_push`).
                self.head.store(head.wrapping_add(1), Release);
                Ok(Some(record))
            }
            _ => Err(Garbled { index: tail, own: head }),
        }
    }

    /// Forgets everything queued: a new process takes over a slot whose old one is confirmed dead.
    pub fn skip_all(&mut self) {
        self.head.store(self.tail.load(Acquire), Release);
    }
}
