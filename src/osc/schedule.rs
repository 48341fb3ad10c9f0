//! Keeps what is due later, in order of its time.
//!
//! In:  things and the instant each is due. Out: the same, earliest first; of one instant, first come first.
//! Thread: control. Full schedule: the newcomer is handed back. Nothing that was accepted is ever dropped but
//! by `clear`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Things a schedule holds unless told otherwise.
pub const DEFAULT_LIMIT: usize = 16_384;

/// What is due later.
#[derive(Debug)]
pub struct Schedule<T> {
    waiting: BinaryHeap<Entry<T>>,
    arrivals: u64,
    limit: usize,
}

/// No room; here is what was brought.
#[derive(Debug, thiserror::Error)]
#[error("the schedule is full with {limit} events; send later, or /panic to clear it")]
pub struct Full<T> {
    /// What was to be scheduled.
    pub item: T,
    /// Room there is in all.
    pub limit: usize,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }
}

impl<T> Schedule<T> {
    /// An empty schedule for at most `limit` things.
    pub fn with_limit(limit: usize) -> Self {
        Self { waiting: BinaryHeap::new(), arrivals: 0, limit }
    }

    /// Keeps `item` until `due_ns`.
    pub fn push(&mut self, due_ns: u64, item: T) -> Result<(), Full<T>> {
        if self.waiting.len() >= self.limit {
            return Err(Full { item, limit: self.limit });
        }
        self.waiting.push(Entry { due_ns, arrival: self.arrivals, item });
        self.arrivals += 1;
        Ok(())
    }

    /// The earliest thing, with its time, if that is not after `up_to_ns`.
    pub fn pop_due(&mut self, up_to_ns: u64) -> Option<(u64, T)> {
        if self.next_due()? > up_to_ns {
            return None;
        }
        self.waiting.pop().map(|entry| (entry.due_ns, entry.item))
    }

    /// When the earliest thing is due.
    pub fn next_due(&self) -> Option<u64> {
        self.waiting.peek().map(|entry| entry.due_ns)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many things wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[derive(Debug)]
struct Entry<T> {
    due_ns: u64,
    arrival: u64,
    item: T,
}

impl<T> Entry<T> {
    fn order(&self) -> (u64, u64) {
        (self.due_ns, self.arrival)
    }
}

/// Backwards, because the heap gives its greatest first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.order().cmp(&self.order())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<T> Eq for Entry<T> {}
