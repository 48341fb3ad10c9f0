//! Events on their way to the sample they are meant for.
//!
//! In: [`TimedEvent`]s from control, through a ring that neither side waits on.
//! Out: the events of one block, sorted by module and frame, as the workers want them.
//! Room is reserved for gates: a flood of parameter changes is refused by control before gates suffer.

use crate::rt::report::AudioReport;
use backline_abi::block::{Event, kind};
use backline_abi::layout::EVENTS_PER_BLOCK;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering::Relaxed;

/// Events that may be under way.
pub const CAPACITY: usize = 8_192;
/// Of these, room that only gates may use.
pub const RESERVED_FOR_GATES: usize = 2_048;

/// An event and the frame it is meant for; a frame that is past means the next block's first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimedEvent {
    /// Frames since the engine started.
    pub frame: u64,
    /// Version of the plan that holds its module: the event waits until that plan, or a later one, is in force.
    pub plan_version: u32,
    /// Cell of the module.
    pub cell: u32,
    /// What happens to whom; `offset_frames` is filled in here.
    pub event: Event,
}

/// An event in waiting, ordered so that the earliest is the greatest (the heap is a max-heap).
#[derive(Debug, Clone, Copy)]
struct Waiting {
    frame: u64,
    arrival: u64,
    cell: u32,
    event: Event,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.frame, self.arrival) == (other.frame, other.arrival)
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.frame, other.arrival).cmp(&(self.frame, self.arrival))
    }
}

/// No room for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many events are under way ({CAPACITY}); send fewer parameter changes, or spread them")]
pub struct EventsFull;

/// Control's end.
pub struct EventSender {
    ring: rtrb::Producer<TimedEvent>,
}

/// The audio thread's end.
pub struct EventQueue {
    ring: rtrb::Consumer<TimedEvent>,
    waiting: BinaryHeap<Waiting>,
    arrivals: u64,
    due: Vec<(Event, u64)>,
    block: Vec<Event>,
}

/// Both ends.
pub fn events() -> (EventSender, EventQueue) {
    let (producer, consumer) = rtrb::RingBuffer::new(CAPACITY);
    let queue = EventQueue {
        ring: consumer,
        waiting: BinaryHeap::with_capacity(CAPACITY),
        arrivals: 0,
        due: Vec::with_capacity(EVENTS_PER_BLOCK),
        block: Vec::with_capacity(EVENTS_PER_BLOCK),
    };
    (EventSender { ring: producer }, queue)
}

impl EventSender {
    /// Whether `count` more events find room, gates or not.
    pub fn has_room(&self, count: usize, are_gates: bool) -> bool {
        let reserved = if are_gates { 0 } else { RESERVED_FOR_GATES };
        self.ring.slots() >= count + reserved
    }

    /// Sends one event; gates may use the reserved room.
    pub fn send(&mut self, event: TimedEvent) -> Result<(), EventsFull> {
        if !self.has_room(1, event.event.kind >= kind::GATE_ON) {
            return Err(EventsFull);
        }
        self.ring.push(event).map_err(|_| EventsFull)
    }
}

impl EventQueue {
    /// The events of the block of `frames` from `first_frame` on, sorted by instance, frame and arrival, when
    /// plan `in_force` is in force. What presumes a later plan, or is beyond a block's room, waits for the next
    /// one; the latter is counted. `note` is told of each with its cell, in the order of frames. Real-time safe.
    pub fn due(
        &mut self,
        in_force: u32,
        first_frame: u64,
        frames: u32,
        report: &AudioReport,
        mut note: impl FnMut(u32, &Event),
    ) -> &[Event] {
        while self.waiting.len() < CAPACITY {
            // Control may have staged a plan and sent this after we looked for plans and before we look here.
            let Ok(TimedEvent { plan_version, .. }) = self.ring.peek() else { break };
            if !is_at_least(in_force, *plan_version) {
                break;
            }
            let Ok(TimedEvent { frame, cell, event, .. }) = self.ring.pop() else { break };
            let arrival = self.arrivals;
            self.waiting.push(Waiting { frame: frame.max(first_frame), arrival, cell, event });
            self.arrivals += 1;
        }
        self.due.clear();
        let end = first_frame + u64::from(frames);
        while let Some(first) = self.waiting.peek().filter(|first| first.frame < end).copied() {
            if self.due.len() == EVENTS_PER_BLOCK {
                report.deferred_events.fetch_add(1, Relaxed);
                break;
            }
            let offset_frames = first.frame.saturating_sub(first_frame) as u32;
            note(first.cell, &first.event);
            self.due.push((Event { offset_frames, ..first.event }, first.arrival));
            self.waiting.pop();
        }
        self.due.sort_unstable_by_key(|(event, arrival)| (event.instance, event.offset_frames, *arrival));
        self.block.clear();
        self.block.extend(self.due.iter().map(|(event, _)| *event));
        &self.block
    }
}

/// Whether plan `version` is `wanted` or a later one; versions wrap.
fn is_at_least(version: u32, wanted: u32) -> bool {
    version.wrapping_sub(wanted) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(instance: u32, kind: u32, frame: u64) -> TimedEvent {
        let event = Event { instance, offset_frames: 0, kind, value: 0.0 };
        TimedEvent { frame, plan_version: 0, cell: 0, event }
    }

    #[test]
    fn an_event_waits_for_the_plan_that_holds_its_module_and_nobody_overtakes_it() {
        let (mut sender, mut queue) = events();
        let report = AudioReport::default();
        let gate = TimedEvent { plan_version: 3, ..event(9, kind::GATE_ON, 0) };
        for timed in [event(1, 0, 0), gate, event(1, 1, 0)] {
            sender.send(timed).expect("room");
        }
        let mut kinds = |version, frame| -> Vec<u32> {
            queue.due(version, frame, 64, &report, |_, _| {}).iter().map(|event| event.kind).collect()
        };
        assert_eq!(kinds(2, 0), [0]);
        assert_eq!(kinds(2, 64), [0; 0]);
        assert_eq!(kinds(4, 128), [1, kind::GATE_ON]);
        assert!(is_at_least(1, u32::MAX), "versions wrap");
    }

    #[test]
    fn events_come_in_their_block_at_their_frame_in_the_order_sent() {
        let (mut sender, mut queue) = events();
        let report = AudioReport::default();
        for timed in [event(2, 0, 70), event(1, 5, 3), event(1, 6, 3), event(1, 7, 0)] {
            sender.send(timed).expect("room");
        }
        let block = queue.due(0, 0, 64, &report, |_, _| {});
        assert_eq!(
            block.iter().map(|e| (e.kind, e.offset_frames)).collect::<Vec<_>>(),
            [(7, 0), (5, 3), (6, 3)]
        );
        let block = queue.due(0, 64, 64, &report, |_, _| {});
        assert_eq!(block.iter().map(|e| (e.instance, e.offset_frames)).collect::<Vec<_>>(), [(2, 6)]);
    }

    #[test]
    fn a_flood_of_parameters_leaves_room_for_gates_and_loses_nothing_accepted() {
        let (mut sender, mut queue) = events();
        let report = AudioReport::default();
        let mut sent = 0;
        while sender.send(event(1, 0, 0)).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, CAPACITY - RESERVED_FOR_GATES);
        sender.send(event(1, kind::GATE_ON, 0)).expect("room is reserved for gates");
        let mut received = 0;
        for block in 0..20 {
            received += queue.due(0, block * 64, 64, &report, |_, _| {}).len();
        }
        assert_eq!(received, sent + 1);
        assert!(report.deferred_events.load(Relaxed) > 0);
    }
}
