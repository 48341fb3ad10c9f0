//! A module moves to another worker while its old one is still running.

use super::arena::{Arena, Mistake, NEW, OLD, PLAYED, WORDS, loaded};
use super::{model, together};
use backline_abi::commit::{NEVER, parity};
use backline_abi::sync::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
use loom::sync::Arc;
use loom::thread;

/// The old owner renders `blocks` while the new one copies; what it takes must be one block's and whole.
fn hand_over(blocks: &'static [u32], mistake: Mistake) {
    model(move |is_swapped| {
        let arenas = Arc::new([Arena::at(OLD, PLAYED), Arena::at(0, NEVER)]);
        let play_on =
            move |[old, _]: &[Arena; 2]| blocks.iter().for_each(|block| old.render(OLD, *block, mistake));
        let take_over = move |[old, new]: &[Arena; 2]| new.take_over(old, 2, mistake);
        let ((), taken) = together(&arenas, is_swapped, play_on, take_over);
        let (Some(block), new) = (taken, &arenas[1]) else { return };
        let last_rendered = if blocks.contains(&block) { block } else { PLAYED };
        assert_eq!(loaded(&new.states[parity(block)]), [last_rendered; WORDS], "torn state of block {block}");
        if last_rendered == block {
            assert_eq!(loaded(&new.outputs[parity(block)]), [block; WORDS], "torn output of block {block}");
        }
    });
}

#[test]
fn a_copy_from_an_owner_that_goes_on_playing_is_whole_or_not_taken() {
    hand_over(&[PLAYED + 1, PLAYED + 2], Mistake::None);
}

#[test]
fn a_copy_from_an_owner_that_catches_up_is_whole_or_not_taken() {
    hand_over(&[PLAYED + 2], Mistake::None);
}

#[test]
#[should_panic(expected = "torn")]
fn a_taker_that_let_one_block_pass_would_take_a_torn_copy() {
    hand_over(&[PLAYED + 2], Mistake::LetsOneBlockPass);
}

#[test]
#[should_panic(expected = "torn")]
fn an_owner_without_its_fence_would_be_copied_torn() {
    hand_over(&[PLAYED + 1, PLAYED + 2], Mistake::NoFence);
}

#[test]
fn whoever_takes_an_output_takes_it_from_the_place_whose_commit_it_saw() {
    model(|is_swapped| {
        // The lease that the module's place names; the place itself is the lease less one.
        let place = AtomicU32::new(OLD);
        let shared = Arc::new(([Arena::at(OLD, PLAYED), Arena::at(0, NEVER)], place));
        let late = thread::spawn({
            let shared = shared.clone();
            move || shared.0[0].render(OLD, PLAYED + 1, Mistake::None)
        });
        // The engine's part of a move, and then the new worker's.
        let relocate = |(arenas, place): &([Arena; 2], AtomicU32)| {
            place.store(NEW, Release);
            if arenas[1].take_over(&arenas[0], 1, Mistake::None).is_some() {
                arenas[1].render(NEW, PLAYED + 1, Mistake::None);
            }
        };
        let hear = |(arenas, place): &([Arena; 2], AtomicU32)| {
            let lease = place.load(Acquire);
            for wanted in [PLAYED, PLAYED + 1] {
                let announced = AtomicU32::new(PLAYED + 1);
                let heard = arenas[lease as usize - 1].hear(lease, wanted, PLAYED + 1, 0, &announced);
                assert!(
                    heard.is_none_or(|heard| heard == [wanted; WORDS]),
                    "{heard:?} for {wanted} under {lease}"
                );
            }
        };
        together(&shared, is_swapped, relocate, hear);
        late.join().expect("the old owner ends");
    });
}
