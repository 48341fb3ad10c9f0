//! Commit words: who sees one sees what it stands for, as long as it is read in time.

use super::arena::{Arena, Mistake, NEW, OLD, PLAYED, WORDS, loaded};
use super::{model, together};
use backline_abi::commit::{Commit, observe, parity, publish};
use backline_abi::sync::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use backline_abi::words::store_words;
use loom::sync::Arc;
use loom::thread;

#[test]
fn whoever_sees_the_commit_of_a_block_sees_its_samples() {
    model(|is_swapped| {
        let look = |arena: &Arena| {
            let seen = observe(&arena.commit).block;
            assert_eq!(loaded(&arena.outputs[parity(seen)]), [seen; WORDS]);
            assert_eq!(loaded(&arena.states[parity(seen)]), [seen; WORDS]);
        };
        let render = |arena: &Arena| arena.render(OLD, PLAYED + 1, Mistake::None);
        together(&Arc::new(Arena::at(OLD, PLAYED)), is_swapped, render, look);
    });
}

#[test]
fn a_commit_of_an_old_lease_matches_nothing_while_the_cell_is_used_again() {
    model(|is_swapped| {
        let play_another = |arena: &Arena| {
            arena.set_up(NEW);
            store_words(&arena.outputs[parity(PLAYED)], &[9; WORDS]);
            publish(&arena.commit, Commit { lease: NEW, block: PLAYED });
        };
        // The old module committed this very block; only the lease tells them apart.
        let look = |arena: &Arena| {
            if observe(&arena.commit) == (Commit { lease: NEW, block: PLAYED }) {
                assert_eq!(loaded(&arena.outputs[parity(PLAYED)]), [9; WORDS]);
            }
        };
        together(&Arc::new(Arena::at(OLD, PLAYED)), is_swapped, play_another, look);
    });
}

/// The audio thread goes on, the source with it, and a consumer still reads block `PLAYED` for its `block`.
fn late_consumer(block: u32, allowed: u32, mistake: Mistake) {
    model(move |is_swapped| {
        let shared = Arc::new((Arena::at(OLD, PLAYED), AtomicU32::new(PLAYED)));
        let audio = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.1.store(PLAYED + 1, Relaxed);
                shared.1.store(PLAYED + 2, Release);
            }
        });
        let render = move |(arena, announced): &(Arena, AtomicU32)| {
            if announced.load(Acquire) == PLAYED + 2 {
                arena.render(OLD, PLAYED + 2, mistake);
            }
        };
        let hear =
            move |(arena, announced): &(Arena, AtomicU32)| arena.hear(OLD, PLAYED, block, allowed, announced);
        let ((), heard) = together(&shared, is_swapped, render, hear);
        assert!(heard.is_none_or(|heard| heard == [PLAYED; WORDS]), "torn: {heard:?}");
        audio.join().expect("the audio thread ends");
    });
}

#[test]
fn a_late_consumer_hears_its_block_whole_or_finds_that_it_is_too_late() {
    late_consumer(PLAYED, 1, Mistake::None);
}

#[test]
fn a_feedback_cable_hears_the_block_before_whole_or_finds_that_it_is_too_late() {
    late_consumer(PLAYED + 1, 0, Mistake::None);
}

#[test]
#[should_panic(expected = "torn")]
fn a_source_without_its_fence_would_be_heard_torn() {
    late_consumer(PLAYED, 1, Mistake::NoFence);
}
