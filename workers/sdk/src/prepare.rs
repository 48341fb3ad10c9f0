//! Assignments: set a module up before it plays, and say so. In: this worker's assignment ring. Out: its reply
//! ring. Real-time safe: a module's memory is already there, already touched.

use crate::attach::View;
use crate::block::Scratch;
use crate::mirror;
use crate::rack::Rack;
use backline_abi::commit::{self, Commit, NEVER};
use backline_abi::layout::{Answer, Assignment, ModuleMemory, assignment, status};
use backline_abi::plan::ModuleRecord;
use backline_abi::ring::{CAPACITY, Consumer, Garbled, Producer};
use backline_abi::wake::{self, now_ns};
use backline_abi::words::store_words;
use std::sync::atomic::Ordering::Relaxed;

/// Takes and answers all assignments waiting, at most a ring full. Real-time safe.
pub fn drain(view: &View, rack: &mut impl Rack, state: &mut [u32]) -> Result<(), Garbled> {
    let head = view.head();
    let ring = &view.control().rings[view.slot];
    let mut assignments =
        Consumer::<Assignment>::new(&ring.slots, &ring.tail.word, &head.assignments_head.word);
    for _ in 0..CAPACITY {
        let Some(assigned) = assignments.try_pop()? else { break };
        let taken_ns = now_ns();
        let status = perform(view, rack, state, &assigned);
        answer(
            view,
            Answer { ticket: assigned.ticket, status, taken_ns, done_ns: now_ns(), reserved: [0; 10] },
        );
    }
    Ok(())
}

fn perform(view: &View, rack: &mut impl Rack, state: &mut [u32], assigned: &Assignment) -> u32 {
    match assigned.kind {
        assignment::PING => status::DONE,
        assignment::PREPARE => {
            let Some(cell) = view.control().modules.get(assigned.cell as usize) else { return status::UNFIT };
            let record = cell.load();
            // Control may have lost patience with us and placed the module anew: then this comes too late, and
            // must not touch what the module has become since.
            let place = view.control().places[assigned.cell as usize].current();
            let is_still_meant = place.slot as usize == view.slot && place.lease == assigned.lease;
            if is_still_meant
                && record.instance == assigned.instance
                && set_up(view, rack, state, &record, assigned.lease)
            {
                status::DONE
            } else {
                status::UNFIT
            }
        }
        _ => status::UNKNOWN,
    }
}

/// Where the module of `record` lies in our arena; `None` if it does not fit the arena, the room for rendering,
/// or what its type needs. No module is set up or rendered that did not pass here. Real-time safe.
pub fn fitting_memory(view: &View, rack: &impl Rack, record: &ModuleRecord) -> Option<ModuleMemory> {
    let block_frames = view.header.block_frames as usize;
    let memory = ModuleMemory::of(record, block_frames, view.own().words().len())?;
    let fits = Scratch::has_room_for(&memory, rack.most_state_words(), block_frames)
        && rack.fits(record, view.header.rate_hz as f32);
    fits.then_some(memory)
}

/// Writes the state before the first frame into both copies, clears outputs and line, and commits `NEVER`
/// under `lease`. False if the record does not fit. Real-time safe.
pub fn set_up(
    view: &View,
    rack: &mut impl Rack,
    state: &mut [u32],
    record: &ModuleRecord,
    lease: u32,
) -> bool {
    let own = view.own();
    let words = own.words();
    let Some(memory) = fitting_memory(view, rack, record) else { return false };
    let (Some(state), Some(word)) = (state.get_mut(..memory.state_words), own.commit_word(memory.commit))
    else {
        return false;
    };
    commit::publish(word, Commit { lease: 0, block: NEVER });
    rack.init(record, view.header.rate_hz as f32, state);
    for copy in memory.states {
        store_words(&words[copy..], state);
    }
    for start in memory.outputs {
        words[start..start + memory.output_words].iter().for_each(|word| word.store(0, Relaxed));
    }
    mirror::clear(words, &memory, record.instance);
    commit::publish(word, Commit { lease, block: NEVER });
    true
}

fn answer(view: &View, answer: Answer) {
    let head = view.head();
    // The engine's end of the reply ring is private to it: it never lags by a ring, because it sends no
    // assignment while `CAPACITY` of them are unanswered. So the consumer's index is our own tail.
    let tail = &head.replies_tail.word;
    let sent = Producer::<Answer>::new(&head.replies, tail, tail).try_push(answer);
    debug_assert!(sent.is_ok(), "a ring whose head is its tail is empty");
    wake::wake(tail);
}
