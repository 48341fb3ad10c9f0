//! The ring: a producer and a consumer that do not wait for each other.

use super::{IsSwapped, model, together};
use backline_abi::ring::{CAPACITY, Consumer, Full, Producer, RING_WORDS};
use backline_abi::sync::AtomicU32;
use loom::sync::Arc;

type Record = [u32; 16];

/// What the producer's process writes.
struct ProducerPage {
    slots: Vec<AtomicU32>,
    tail: AtomicU32,
}

/// What the consumer's process writes.
struct ConsumerPage {
    head: AtomicU32,
}

/// A ring whose indices begin just before they wrap and that already holds records `0..queued`.
fn ring_with(queued: u32) -> Arc<(ProducerPage, ConsumerPage)> {
    let start = u32::MAX - 1;
    let mut slots = vec![0; RING_WORDS];
    for number in 0..queued {
        let slot = (start.wrapping_add(number) % CAPACITY) as usize * 16;
        slots[slot..slot + 16].fill(number);
    }
    let slots = slots.into_iter().map(AtomicU32::new).collect();
    let tail = AtomicU32::new(start.wrapping_add(queued));
    Arc::new((ProducerPage { slots, tail }, ConsumerPage { head: AtomicU32::new(start) }))
}

/// Pops once; what comes must be record `popped`, whole.
fn pop(consumer: &mut Consumer<'_, Record>, popped: &mut u32) -> bool {
    match consumer.try_pop() {
        Ok(Some(record)) => {
            assert_eq!(record, [*popped; 16], "lost, duplicated or torn");
            *popped += 1;
            true
        }
        Ok(None) => false,
        Err(garbled) => panic!("{garbled}"),
    }
}

/// One thread tries to push `tries` records, another to pop as many; then what is left is popped.
fn push_and_pop(queued: u32, tries: u32, is_swapped: IsSwapped) {
    let ring = ring_with(queued);
    let push_some = move |(page, peer): &(ProducerPage, ConsumerPage)| {
        let mut producer = Producer::<Record>::new(&page.slots, &page.tail, &peer.head);
        let mut sent = queued;
        for _ in 0..tries {
            match producer.try_push([sent; 16]) {
                Ok(()) => sent += 1,
                Err(Full(refused)) => assert_eq!(refused, [sent; 16]),
            }
        }
        sent
    };
    let pop_some = move |(peer, page): &(ProducerPage, ConsumerPage)| {
        let mut consumer = Consumer::<Record>::new(&peer.slots, &peer.tail, &page.head);
        let mut popped = 0;
        (0..tries).for_each(|_| {
            pop(&mut consumer, &mut popped);
        });
        popped
    };
    let (sent, mut popped) = together(&ring, is_swapped, push_some, pop_some);
    let (peer, page) = &*ring;
    let mut consumer = Consumer::<Record>::new(&peer.slots, &peer.tail, &page.head);
    while pop(&mut consumer, &mut popped) {}
    assert_eq!(popped, sent);
}

#[test]
fn an_empty_ring_passes_records_whole_and_in_order_while_its_indices_wrap() {
    model(|is_swapped| push_and_pop(0, 3, is_swapped));
}

#[test]
fn a_full_ring_writes_no_slot_that_is_still_being_read() {
    model(|is_swapped| push_and_pop(CAPACITY, 2, is_swapped));
}

#[test]
fn an_almost_full_ring_takes_one_more_and_then_what_was_freed() {
    model(|is_swapped| push_and_pop(CAPACITY - 1, 3, is_swapped));
}
