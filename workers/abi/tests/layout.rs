//! Module memory, plans and places: what is read from shared memory is inside the arena, whole, and bounded,
//! whatever the words say.

use backline_abi::layout::{
    ARENA_HEAP_WORDS, Control, MAX_BLOCK_FRAMES, MAX_CONNECTIONS, MAX_MODULES, ModuleMemory,
};
use backline_abi::plan::{Location, ModuleRecord, Plan, PlanCell, PlanConnection, PlanEntry};
use backline_abi::segment::Segment;
use bytemuck::Zeroable;
use proptest::prelude::*;
use std::mem::offset_of;
use std::ops::Range;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

/// Words of the arenas in these tests: 1 MiB.
const ARENA_WORDS: usize = 256 * 1024;
/// Plans that the racing writer writes.
const RACED_PLANS: u32 = 20_000;

/// A control segment of our own.
fn control_segment(test: &str) -> Segment {
    let name = format!("backline-test-layout-{test}-{}", std::process::id());
    Segment::create(&name, size_of::<Control>()).expect("room for a control segment in /dev/shm")
}

fn plans(segment: &Segment) -> &[PlanCell] {
    &segment.control().expect("it is large enough").plans
}

/// Small, at a limit, or anything.
fn any_size() -> impl Strategy<Value = u32> {
    prop_oneof![0..5_000_u32, u32::MAX - 40..=u32::MAX, any::<u32>()]
}

fn any_start() -> impl Strategy<Value = u32> {
    let line = |words: u32| words / 16 * 16;
    let heap = ARENA_HEAP_WORDS as u32..ARENA_WORDS as u32 + 64;
    prop_oneof![10 => heap.prop_map(line), 1 => any_size(), 1 => any_size().prop_map(line)]
}

fn any_record() -> impl Strategy<Value = ModuleRecord> {
    (any_start(), any_size(), any_size(), prop_oneof![0..80_u32, any_size()]).prop_map(
        |(memory_start, state_words, line_words, output_planes)| ModuleRecord {
            memory_start,
            state_words,
            line_words,
            output_planes,
            ..ModuleRecord::zeroed()
        },
    )
}

/// Everything that a module writes.
fn ranges(memory: &ModuleMemory) -> [Range<usize>; 9] {
    let span = |start: usize, words: usize| start..start + words;
    [
        span(memory.commit, 2),
        span(memory.outputs[0], memory.output_words),
        span(memory.outputs[1], memory.output_words),
        span(memory.states[0], memory.state_words),
        span(memory.states[1], memory.state_words),
        span(memory.line, memory.line_words),
        span(memory.line_owner, usize::from(memory.line_words > 0)),
        span(memory.line_block, usize::from(memory.line_words > 0)),
        span(memory.stamps, memory.stamp_words),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn module_memory_is_inside_the_heap_and_nothing_overlaps(
        record in any_record(),
        block_frames in prop_oneof![0..=MAX_BLOCK_FRAMES, any::<usize>()],
        arena_words in prop_oneof![Just(ARENA_WORDS), 0..ARENA_WORDS],
    ) {
        let Some(memory) = ModuleMemory::of(&record, block_frames, arena_words) else { return Ok(()) };
        prop_assert!(memory.commit.is_multiple_of(2), "a commit word is aligned");
        let mut from = ARENA_HEAP_WORDS;
        for range in ranges(&memory) {
            prop_assert!(from <= range.start && range.start <= range.end, "{memory:?}");
            from = range.end;
        }
        prop_assert!(from <= memory.end && memory.end <= arena_words, "{memory:?}");
    }

    #[test]
    fn what_fits_an_arena_is_never_refused(
        start in (ARENA_HEAP_WORDS / 16)..(ARENA_WORDS / 32),
        state_words in 0..4_096_u32,
        line_words in 0..10_000_u32,
        output_planes in 0..64_u32,
        block_frames in 1..=MAX_BLOCK_FRAMES,
    ) {
        let memory_start = start as u32 * 16;
        let record = ModuleRecord { memory_start, state_words, line_words, output_planes, ..ModuleRecord::zeroed() };
        prop_assume!((memory_start + 32 + 2 * (state_words + 16) + line_words + line_words / 256 + 128) as usize
            + 2 * (output_planes as usize * block_frames + 16) <= ARENA_WORDS);
        let memory = ModuleMemory::of(&record, block_frames, ARENA_WORDS);
        prop_assert!(memory.is_some_and(|memory| memory.commit == memory_start as usize));
    }
}

fn entry(mark: u32) -> PlanEntry {
    let (cell, instance, is_sink) = (mark, mark, mark);
    PlanEntry { cell, instance, first_connection: mark, connections: mark, is_sink, reserved: [mark; 3] }
}

fn connection(mark: u32) -> PlanConnection {
    PlanConnection {
        source_cell: mark,
        source_instance: mark,
        source_port: mark,
        target_input: mark,
        gain: f32::from_bits(mark),
        is_feedback: mark,
    }
}

/// A plan in which every word is `mark`, and whose length depends on it.
fn marked_plan(mark: u32) -> Plan {
    let length = (mark % 40) as usize;
    Plan { entries: vec![entry(mark); length], connections: vec![connection(mark); 3 * length] }
}

fn is_marked_plan(plan: &Plan, mark: u32) -> bool {
    let length = (mark % 40) as usize;
    plan.entries.len() == length
        && plan.connections.len() == 3 * length
        && plan.entries.iter().all(|other| *other == entry(mark))
        && plan
            .connections
            .iter()
            .all(|other| bytemuck::bytes_of(other) == bytemuck::bytes_of(&connection(mark)))
}

#[test]
fn a_plan_is_read_as_it_was_written_and_only_under_its_version() {
    let segment = control_segment("round-trip");
    let mut read = Plan::with_room();
    for (cell, mark) in plans(&segment).iter().zip([17, 0, 39, 5]) {
        assert!(!cell.read(mark + 1, &mut read), "nothing was written yet");
        cell.write(mark + 1, &marked_plan(mark));
        assert!(!cell.read(mark + 2, &mut read), "a version that was never written");
        assert!(cell.read(mark + 1, &mut read) && is_marked_plan(&read, mark));
    }
}

#[test]
fn a_plan_that_is_being_written_is_never_read() {
    let segment = control_segment("unwritten");
    let cell = &plans(&segment)[0];
    cell.write(1, &marked_plan(7));
    let version =
        segment.words().get(offset_of!(Control, plans) / 4).expect("the first word of the first plan");
    assert_eq!(version.load(Relaxed), 1);
    version.store(0, Relaxed);
    let mut read = Plan::with_room();
    assert!(!cell.read(1, &mut read));
    assert!(!cell.read(0, &mut read), "0 is no version, it says that somebody is writing");
}

#[test]
fn the_largest_plan_fits_and_allocates_nothing() {
    let segment = control_segment("largest");
    let cell = &plans(&segment)[3];
    let largest =
        Plan { entries: vec![entry(9); MAX_MODULES], connections: vec![connection(9); MAX_CONNECTIONS] };
    cell.write(1, &largest);
    let mut read = Plan::with_room();
    let (entries, connections) = (read.entries.as_ptr(), read.connections.as_ptr());
    assert!(cell.read(1, &mut read));
    assert_eq!((read.entries.len(), read.connections.len()), (MAX_MODULES, MAX_CONNECTIONS));
    assert_eq!((read.entries.as_ptr(), read.connections.as_ptr()), (entries, connections));
}

#[test]
fn absurd_counts_and_ranges_in_a_plan_give_no_more_than_there_is() {
    let segment = control_segment("absurd");
    let cell = &plans(&segment)[0];
    let mut read = Plan::with_room();
    for absurd in [MAX_MODULES as u32 + 1, MAX_CONNECTIONS as u32 + 1, u32::MAX - 1, u32::MAX] {
        cell.write(1, &marked_plan(3));
        let counts = offset_of!(Control, plans) / 4 + 14;
        for (word, written) in segment.words()[counts..counts + 2].iter().zip([3, 9]) {
            assert_eq!(word.swap(absurd, Relaxed), written, "the counts of the plan lie elsewhere");
        }
        assert!(cell.read(1, &mut read));
        assert!(read.entries.len() <= MAX_MODULES && read.connections.len() <= MAX_CONNECTIONS);
        let beyond = PlanEntry { first_connection: absurd, connections: absurd, ..entry(0) };
        assert_eq!(read.inputs_of(&beyond), []);
    }
}

#[test]
fn a_reader_that_races_with_the_writer_never_takes_a_mixed_plan() {
    let segment = control_segment("race");
    let cell = &plans(&segment)[0];
    let newest = AtomicU32::new(0);
    let accepted = std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut accepted = 0_u32;
            let mut plan = Plan::with_room();
            loop {
                let version = newest.load(Acquire);
                // Also the version that is being written just now: it may be there when we look again.
                for version in [version, version + 1] {
                    if cell.read(version, &mut plan) {
                        assert!(is_marked_plan(&plan, version), "a mixed plan was taken for {version}");
                        accepted += 1;
                    }
                }
                if version == RACED_PLANS {
                    return accepted;
                }
            }
        });
        for version in 1..=RACED_PLANS {
            cell.write(version, &marked_plan(version));
            newest.store(version, Release);
        }
        reader.join().expect("the reader took whole plans only")
    });
    assert!(accepted > 0, "the last plan stands still and is taken");
}

#[test]
fn a_place_says_where_a_module_is_and_where_its_state_comes_from() {
    let segment = control_segment("place");
    let place = &segment.control().expect("it is large enough").places[MAX_MODULES - 1];
    assert!(place.current().is_nowhere() && place.sources().iter().all(|source| source.is_nowhere()));
    let (first, second) = (Location { slot: 63, lease: u32::MAX }, Location { slot: 0, lease: 1 });
    place.put(first);
    assert_eq!((place.current(), place.sources()), (first, [Location::default(); 2]));
    assert!(place.relocate(first, second, first));
    assert_eq!((place.current(), place.sources()), (second, [first; 2]));
    let third = Location { slot: 2, lease: 9 };
    assert!(!place.relocate(first, third, first), "it is not there any more");
    assert_eq!(place.current(), second);
    assert!(place.relocate(second, third, first));
    assert_eq!((place.current(), place.sources()), (third, [second, first]));
}

#[test]
fn whoever_sees_a_new_place_sees_a_previous_one_that_is_not_older() {
    let segment = control_segment("place-race");
    let place = &segment.control().expect("it is large enough").places[0];
    let location = |lease: u32| Location { slot: lease % 3, lease };
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for lease in 1..=RACED_PLANS {
                let before = location(lease - 1);
                assert!(place.relocate(place.current(), location(lease), before), "one mover");
            }
        });
        loop {
            let current = place.current();
            let [left, previous] = place.sources();
            assert_eq!(current, location(current.lease), "slot and lease are one word");
            for source in [left, previous] {
                assert!(
                    current.is_nowhere() || source.lease >= current.lease - 1,
                    "{source:?} before {current:?}"
                );
            }
            assert!(previous.lease >= left.lease, "{previous:?} belongs to {left:?} or to a later move");
            if current.lease == RACED_PLANS {
                break;
            }
        }
    });
}
