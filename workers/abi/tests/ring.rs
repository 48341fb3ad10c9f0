//! The ring beside a `VecDeque`, at every place of its 32-bit indices, and with every index its peer could
//! scribble.

use backline_abi::layout::Assignment;
use backline_abi::ring::{CAPACITY, Consumer, Full, Garbled, Producer, RECORD_WORDS, RING_WORDS};
use backline_abi::sync::{AtomicU32, Ordering::Relaxed};
use bytemuck::Zeroable;
use proptest::prelude::*;
use std::collections::VecDeque;

/// Pairs of indices in the test that scribbles.
const CORRUPTIONS: u32 = 1_000_000;

/// Both sides' memory.
struct Memory {
    slots: Vec<AtomicU32>,
    tail: AtomicU32,
    head: AtomicU32,
}

impl Memory {
    fn at(head: u32, tail: u32) -> Self {
        let slots = (0..RING_WORDS).map(|_| AtomicU32::new(0)).collect();
        Self { slots, tail: AtomicU32::new(tail), head: AtomicU32::new(head) }
    }

    fn empty_at(index: u32) -> Self {
        Self::at(index, index)
    }

    fn producer(&self) -> Producer<'_, Assignment> {
        Producer::new(&self.slots, &self.tail, &self.head)
    }

    fn consumer(&self) -> Consumer<'_, Assignment> {
        Consumer::new(&self.slots, &self.tail, &self.head)
    }
}

/// A record that shows in its first and in its last word which one it is.
fn record(number: u32) -> Assignment {
    let mut record = Assignment { kind: number, ticket: !number, ..Assignment::zeroed() };
    record.reserved[10] = number;
    record
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Push,
    Pop,
    /// A new process takes the consumer's place and forgets what was meant for the old one.
    SkipAll,
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![60 => Just(Step::Push), 50 => Just(Step::Pop), 1 => Just(Step::SkipAll)];
    prop::collection::vec(step, 0..600)
}

/// Anywhere, but mostly where the indices are about to wrap.
fn any_start() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), u32::MAX - 200..=u32::MAX, any::<u32>()]
}

proptest! {
    #[test]
    fn a_ring_is_a_queue_of_limited_length(start in any_start(), steps in any_steps()) {
        let memory = Memory::empty_at(start);
        let (mut producer, mut consumer) = (memory.producer(), memory.consumer());
        let mut queue = VecDeque::new();
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Push if queue.len() == CAPACITY as usize => {
                    prop_assert_eq!(producer.try_push(record(number)), Err(Full(record(number))));
                }
                Step::Push => {
                    prop_assert_eq!(producer.try_push(record(number)), Ok(()));
                    queue.push_back(record(number));
                }
                Step::Pop => prop_assert_eq!(consumer.try_pop(), Ok(queue.pop_front())),
                Step::SkipAll => {
                    consumer.skip_all();
                    queue.clear();
                }
            }
        }
        for expected in queue {
            prop_assert_eq!(consumer.try_pop(), Ok(Some(expected)));
        }
        prop_assert_eq!(consumer.try_pop(), Ok(None));
    }

    #[test]
    fn an_impossible_tail_is_garbled_and_a_possible_one_gives_at_most_a_ring_full(head: u32, tail in any_tail()) {
        let tail = head.wrapping_add(tail);
        let memory = Memory::at(head, tail);
        let queued = tail.wrapping_sub(head);
        let mut consumer = memory.consumer();
        if queued > CAPACITY {
            prop_assert_eq!(consumer.try_pop(), Err(Garbled { index: tail, own: head }));
            prop_assert_eq!(memory.head.load(Relaxed), head, "a garbled ring is left as it was found");
        } else {
            for _ in 0..queued {
                prop_assert_eq!(consumer.try_pop(), Ok(Some(Assignment::zeroed())));
            }
            prop_assert_eq!(consumer.try_pop(), Ok(None));
        }
    }

    #[test]
    fn a_scribbled_head_costs_records_but_no_push_leaves_its_slot(tail: u32, head in any_tail()) {
        let head = tail.wrapping_sub(head);
        let memory = Memory::at(head, tail);
        let has_room = tail.wrapping_sub(head) < CAPACITY;
        prop_assert_eq!(memory.producer().try_push(record(7)).is_ok(), has_room);
        let start = (tail % CAPACITY) as usize * RECORD_WORDS;
        let elsewhere = memory.slots.iter().enumerate().filter(|(word, _)| !(start..start + RECORD_WORDS).contains(word));
        prop_assert!(elsewhere.into_iter().all(|(_, word)| word.load(Relaxed) == 0));
    }
}

/// Distances between the indices: possible ones, those just beyond, and any.
fn any_tail() -> impl Strategy<Value = u32> {
    prop_oneof![0..=CAPACITY, CAPACITY + 1..CAPACITY + 4, u32::MAX - 4..=u32::MAX, any::<u32>()]
}

#[test]
fn whoever_takes_a_garbled_ring_over_skips_to_its_tail_and_goes_on() {
    let memory = Memory::at(5, 5_000);
    let mut consumer = memory.consumer();
    assert_eq!(consumer.try_pop(), Err(Garbled { index: 5_000, own: 5 }));
    consumer.skip_all();
    assert_eq!(consumer.try_pop(), Ok(None));
    assert_eq!(memory.producer().try_push(record(1)), Ok(()));
    assert_eq!(consumer.try_pop(), Ok(Some(record(1))));
}

#[test]
fn a_million_scribbled_indices_neither_panic_nor_loop() {
    let memory = Memory::empty_at(0);
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut garbled = 0;
    for number in 0..CORRUPTIONS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Every other pair is near: those far apart are all alike.
        let distance = if number % 2 == 0 { random as u32 % (3 * CAPACITY) } else { (random >> 8) as u32 };
        memory.head.store((random >> 32) as u32, Relaxed);
        memory.tail.store(((random >> 32) as u32).wrapping_add(distance), Relaxed);
        let _ = memory.producer().try_push(record(number));
        let mut consumer = memory.consumer();
        let popped = (0..=CAPACITY).take_while(|_| matches!(consumer.try_pop(), Ok(Some(_)))).count();
        assert!(popped <= CAPACITY as usize, "{popped} records in a ring of {CAPACITY}");
        garbled += u32::from(consumer.try_pop().is_err());
    }
    assert!(garbled > CORRUPTIONS / 4, "only {garbled} pairs were impossible; the test does not test");
}
