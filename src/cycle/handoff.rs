//! How a plan gets from control to the audio thread, and back to be freed. Neither side waits.
//!
//! Control stages a plan by swapping it into one shared place; if the one it finds there was not taken yet, it
//! frees that itself. The audio thread swaps the place empty and sends the plan it used so far back through a
//! ring, so it frees nothing.

use super::tail::Tails;
use backline_abi::layout::{ModuleMemory, PLANS_KEPT};
use crossbeam_utils::atomic::AtomicCell;
use std::sync::Arc;

/// A module as the audio thread looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sink {
    /// Its cell.
    pub cell: u32,
    /// Which module.
    pub instance: u32,
    /// Where its memory is in whichever arena it lives.
    pub memory: ModuleMemory,
}

/// A plan that stands in buffer `buffer` of the control segment, and what the audio thread needs of it.
#[derive(Debug)]
pub struct StagedPlan {
    /// Its version; 0 is the empty plan that stands nowhere.
    pub version: u32,
    /// Its buffer.
    pub buffer: u32,
    /// Modules that go to the mix, in plan order.
    pub sinks: Vec<Sink>,
    /// All modules, in plan order.
    pub all: Vec<Sink>,
    /// Their cells.
    pub cells: Vec<u32>,
}

impl StagedPlan {
    /// The plan before the first one.
    pub fn empty() -> Self {
        Self { version: 0, buffer: 0, sinks: Vec::new(), all: Vec::new(), cells: Vec::new() }
    }
}

type Slot = AtomicCell<Option<Box<StagedPlan>>>;

const _: () =
    assert!(AtomicCell::<Option<Box<StagedPlan>>>::is_lock_free(), "the audio thread must not lock");

/// Control's end.
pub struct Outbox {
    slot: Arc<Slot>,
    returned: rtrb::Consumer<Box<StagedPlan>>,
    /// Buffer of the plan staged last, and of those that may be in use: pending, in force, in force before.
    in_use: Vec<u32>,
}

/// The audio thread's end.
pub struct Inbox {
    slot: Arc<Slot>,
    returned: rtrb::Producer<Box<StagedPlan>>,
}

/// Both ends.
pub fn handoff() -> (Outbox, Inbox) {
    let slot = Arc::new(AtomicCell::new(None));
    let (producer, consumer) = rtrb::RingBuffer::new(PLANS_KEPT * 2);
    (
        Outbox { slot: slot.clone(), returned: consumer, in_use: Vec::new() },
        Inbox { slot, returned: producer },
    )
}

impl Outbox {
    /// A plan buffer that nobody reads, or `None` while the audio thread is between two plans.
    ///
    /// At most three are spoken for: the one pending, the one in force, and the one before, which a worker
    /// that is a block late may still be copying. The oldest of three returned or replaced is free.
    pub fn free_buffer(&mut self) -> Option<u32> {
        while let Ok(used) = self.returned.pop() {
            // It was in force until just now; whatever was in force before it is free.
            let position = self.in_use.iter().position(|buffer| *buffer == used.buffer);
            if let Some(position) = position.filter(|_| used.version != 0) {
                self.in_use.drain(..position);
            }
        }
        (0..PLANS_KEPT as u32).find(|buffer| !self.in_use.contains(buffer))
    }

    /// Puts `plan` in force from the next block on.
    pub fn stage(&mut self, plan: StagedPlan) {
        let buffer = plan.buffer;
        if let Some(never_taken) = self.slot.swap(Some(Box::new(plan))) {
            self.in_use.retain(|used| *used != never_taken.buffer);
        }
        self.in_use.push(buffer);
    }
}

impl Inbox {
    /// Replaces `plan` by the newest one staged, if there is one. A sink that is gone fades out. Real-time safe.
    pub fn take_newest(&mut self, plan: &mut Box<StagedPlan>, tails: &mut Tails) {
        // Control looks through the ring before it stages, so there is room; if not, the new plan waits a block.
        if self.returned.is_full() {
            return;
        }
        if let Some(newer) = self.slot.take() {
            let old = std::mem::replace(plan, newer);
            tails.adopt(&old.sinks, &plan.sinks);
            // Room was checked above, and this is the only producer.
            let _ = self.returned.push(old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(version: u32, buffer: u32) -> StagedPlan {
        StagedPlan { version, buffer, ..StagedPlan::empty() }
    }

    #[test]
    fn a_buffer_in_force_or_just_before_is_never_offered() {
        let (mut outbox, mut inbox) = handoff();
        let mut tails = Tails::new();
        let mut current = Box::new(StagedPlan::empty());
        let mut before = u32::MAX;
        for version in 1..200 {
            let buffer = outbox.free_buffer().expect("one of four is free");
            assert_ne!((buffer, version > 1), (current.buffer, true));
            assert_ne!(buffer, before);
            outbox.stage(plan(version, buffer));
            if version % 3 != 0 {
                before = if current.version == 0 { u32::MAX } else { current.buffer };
                inbox.take_newest(&mut current, &mut tails);
                assert_eq!(current.version, version);
            }
        }
    }
}
