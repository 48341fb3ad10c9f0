//! One block: for each of our modules in plan order, hear, render from one state copy into the other, commit,
//! wake who listens. Everything here is real-time safe; the only system calls are the futex's.

use crate::aligned::AlignedWords;
use crate::attach::View;
use crate::mirror;
use crate::rack::{Job, Outcome, Rack};
use crate::roster::{Mine, Roster};
use crate::source::{Ear, Gathered, Interruption};
use backline_abi::block::{BlockHeader, Event, MOST_MISSED};
use backline_abi::commit::{self, Commit, NEVER, block_before, parity};
use backline_abi::complaint::Complaint;
use backline_abi::layout::{BLOCKS_KEPT, EVENTS_PER_BLOCK, MAX_MODULES, ModuleMemory};
use backline_abi::plan::MAX_CHANNELS;
use backline_abi::wake;
use backline_abi::words::{load_words, store_samples, store_words};
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Output ports of one module.
const MAX_OUTPUTS: usize = 4;

/// A block as its announcement was copied, checked.
#[derive(Clone, Copy)]
pub struct Announced {
    header: BlockHeader,
}

/// Private memory for rendering one module at a time.
pub struct Scratch {
    /// The module's state.
    pub state: AlignedWords,
    outputs: Vec<f32>,
    gathered: Gathered,
    events: Vec<Event>,
    /// Events of one module that come late, and then those of its block.
    late: Vec<Event>,
    complaint: Complaint,
    /// For each cell the block that its module failed to render last.
    failed_in: Vec<u32>,
    block_frames: usize,
}

impl Scratch {
    /// Room for any module of up to `state_words` at blocks of `block_frames`, touched.
    pub fn with_room(state_words: usize, block_frames: usize) -> Self {
        let mut scratch = Self {
            state: AlignedWords::filled(1, state_words),
            outputs: vec![1.0; MAX_OUTPUTS * MAX_CHANNELS * block_frames],
            gathered: Gathered::with_room(block_frames),
            events: Vec::with_capacity(EVENTS_PER_BLOCK),
            late: Vec::with_capacity(MOST_MISSED + EVENTS_PER_BLOCK),
            complaint: Complaint::default(),
            failed_in: vec![NEVER; MAX_MODULES],
            block_frames,
        };
        scratch.events.resize(EVENTS_PER_BLOCK, Event { instance: 1, offset_frames: 0, kind: 0, value: 0.0 });
        scratch
    }

    /// Whether a module with this memory can be rendered here. Real-time safe.
    pub fn has_room_for(memory: &ModuleMemory, state_words: usize, block_frames: usize) -> bool {
        memory.state_words <= state_words && memory.output_words <= MAX_OUTPUTS * MAX_CHANNELS * block_frames
    }

    /// Copies what is announced as `block`, `None` if that announcement is gone already.
    pub fn announced(&mut self, view: &View, block: u32) -> Option<Announced> {
        let cell = &view.control().blocks[block as usize % BLOCKS_KEPT];
        let header = cell.header.load();
        let events = (header.events as usize).min(EVENTS_PER_BLOCK);
        self.events.clear();
        self.events.extend(cell.events[..events].iter().map(|event| event.load()));
        // Acquire fence: header and events are read before the header is read again (the audio thread
        // announces a later block before it writes over this one).
        fence(Acquire);
        let is_whole = header.block == block && cell.header.load() == header;
        let frames = header.frames as usize;
        (is_whole && (1..=self.block_frames).contains(&frames)).then_some(Announced { header })
    }
}

/// Renders every module of ours that has not committed `announced` yet. `waited_ns` grows by the time spent
/// waiting for others. A module that has missed exactly the block before makes it return `Behind`, if
/// `may_go_back`.
pub fn render(
    view: &View,
    rack: &mut impl Rack,
    roster: &mut Roster,
    scratch: &mut Scratch,
    announced: &Announced,
    may_go_back: bool,
    waited_ns: &mut u64,
) -> Result<(), Interruption> {
    let BlockHeader { plan_version, plan_buffer, .. } = announced.header;
    if !roster.refresh(view, rack, &mut scratch.state, plan_version, plan_buffer) {
        return Err(Interruption::TooLate);
    }
    for index in 0..roster.modules.len() {
        let mine = roster.modules[index];
        let cables = &roster.cables[mine.first_cable..mine.first_cable + mine.cables];
        let Some(last) = last_commit(view, &mine) else { continue };
        let block = announced.header.block;
        if has_rendered(view, last, block) {
            continue;
        }
        if may_go_back && last == block_before(block_before(block)) {
            return Err(Interruption::Behind);
        }
        let ear = Ear { view, block, frames: announced.header.frames as usize, moves: roster.moves() };
        scratch.gathered.gather(&ear, &mine, cables, waited_ns)?;
        if roster.is_stale(view) {
            return Err(Interruption::LookAgain);
        }
        view.head().rendering.store(mine.record.instance, Relaxed);
        render_module(view, rack, scratch, &mine, last, announced);
        view.head().rendering.store(0, Relaxed);
        note_replay(view);
    }
    Ok(())
}

/// Notes when the first module was rendered after one was taken over.
fn note_replay(view: &View) {
    let head = view.head();
    if head.replayed_ns.load(Relaxed) < head.adopted_ns.load(Relaxed) {
        head.replayed_ns.store(wake::now_ns(), Relaxed);
    }
}

/// Whether a module whose last commit is `last` is through with `block`. It may be ahead of us, at most at the
/// newest block: whoever had it before was there when it came here.
fn has_rendered(view: &View, last: u32, block: u32) -> bool {
    // Acquire: pairs with the audio thread's announcement.
    let newest = view.control().block.word.load(Acquire);
    last != NEVER && last.wrapping_sub(block) <= newest.wrapping_sub(block)
}

fn last_commit(view: &View, mine: &Mine) -> Option<u32> {
    let last = commit::observe(view.own().commit_word(mine.memory.commit)?);
    (last.lease == mine.lease).then_some(last.block)
}

fn render_module(
    view: &View,
    rack: &mut impl Rack,
    scratch: &mut Scratch,
    mine: &Mine,
    last: u32,
    announced: &Announced,
) {
    let block = announced.header.block;
    let Some(word) = view.own().commit_word(mine.memory.commit) else { return };
    let Some(latest) = view.control().latest.get(mine.cell) else { return };
    scratch.late.clear();
    if last != block_before(block) {
        latest.missed(mine.record.instance, last, block, |event| scratch.late.push(event));
        catch_up(view, rack, scratch, mine, last, block);
    }
    // Release fence: whoever sees a word of what is written from here on (line, outputs, state) also sees the
    // commits and the announcement before it (pairs with the fences of those who copy: `roster::take_over`,
    // `source`).
    fence(Release);
    let words = view.own().words();
    let memory = &mine.memory;
    let state = &mut scratch.state[..memory.state_words];
    load_words(&words[memory.states[parity(block_before(block))]..], state);
    let outputs = &mut scratch.outputs[..memory.output_words];
    let mut events = events_of(&scratch.events, mine.record.instance);
    if !scratch.late.is_empty() {
        scratch.late.extend_from_slice(events);
        events = &scratch.late;
    }
    let is_bypassed = view.control().bypassed.get(mine.cell).is_some_and(|instance| {
        // Relaxed: whether the fade begins in this block or the next is all the same.
        instance.load(Relaxed) == mine.record.instance
    });
    if is_bypassed {
        let start = memory.outputs[parity(block_before(block))];
        fade_out(&words[start..start + memory.output_words], outputs, scratch.block_frames, announced);
    } else {
        mirror::begin_block(words, memory, block);
        let outcome = rack.render(Job {
            record: &mine.record,
            state,
            inputs: &scratch.gathered.inputs(),
            outputs,
            stride: scratch.block_frames,
            frames: announced.header.frames as usize,
            events,
            line: &words[memory.line..memory.line + memory.line_words],
            stamps: &words[memory.stamps..memory.stamps + memory.stamp_words],
            block,
            first_frame: announced.header.first_frame,
            is_free_running: announced.header.deadline_ns == u64::MAX,
            complaint: &mut scratch.complaint,
        });
        mirror::end_block(words, memory);
        if outcome == Outcome::Failed {
            view.head().complaint.write(mine.record.instance, &scratch.complaint);
        }
        let has_failed = outcome != Outcome::Rendered;
        if has_failed {
            load_words(&words[memory.states[parity(block_before(block))]..], state);
            rack.hear(&mine.record, events, state);
            let start = memory.outputs[parity(block_before(block))];
            fade_out(&words[start..start + memory.output_words], outputs, scratch.block_frames, announced);
        }
        if let Some(failed_in) = scratch.failed_in.get_mut(mine.cell) {
            if !has_failed && *failed_in == block_before(block) {
                fade_in(outputs, scratch.block_frames, announced);
            }
            *failed_in = if has_failed { block } else { NEVER };
        }
    }
    silence_if_not_finite(view, rack, mine, scratch);
    store_samples(&words[memory.outputs[parity(block)]..], &scratch.outputs[..memory.output_words]);
    store_words(&words[memory.states[parity(block)]..], &scratch.state[..memory.state_words]);
    commit::publish(word, Commit { lease: mine.lease, block });
    if mine.has_listener {
        wake::wake_commit(word);
    }
}

/// A module that is bypassed, or failed: every plane falls from its last sample to silence within the block, and stays there.
fn fade_out(before: &[AtomicU32], outputs: &mut [f32], stride: usize, announced: &Announced) {
    let BlockHeader { frames, frames_before, .. } = announced.header;
    let last = (frames_before as usize).clamp(1, stride) - 1;
    for (plane, before) in outputs.chunks_exact_mut(stride).zip(before.chunks_exact(stride)) {
        let from = f32::from_bits(before[last].load(Relaxed));
        for (frame, sample) in plane.iter_mut().take(frames as usize).enumerate() {
            *sample = from * (1.0 - (frame + 1) as f32 / frames as f32);
        }
    }
}

/// The first block after one that failed.
fn fade_in(outputs: &mut [f32], stride: usize, announced: &Announced) {
    let frames = announced.header.frames as usize;
    for plane in outputs.chunks_exact_mut(stride) {
        for (frame, sample) in plane.iter_mut().take(frames).enumerate() {
            *sample *= (frame + 1) as f32 / frames as f32;
        }
    }
}

/// A module that missed blocks goes on from its last state as if they had not been, but for what happened to it in them:
/// `scratch.late`. Its state must stand in the copy that the next block reads; if it stands in the one that the next
/// block writes, it is moved there and committed first, so that there is a whole copy at every instant. What such a commit
/// says to have been is in that copy: whoever takes the module over from it does not hear the late events again.
fn catch_up(view: &View, rack: &mut impl Rack, scratch: &mut Scratch, mine: &Mine, last: u32, block: u32) {
    let (from, to) = (parity(last), parity(block_before(block)));
    if last == NEVER {
        // It stands in both.
        return;
    }
    view.head().modules_skipped.fetch_add(1, Relaxed);
    let Some(word) = view.own().commit_word(mine.memory.commit).filter(|_| from != to) else { return };
    let (words, memory) = (view.own().words(), &mine.memory);
    let state = &mut scratch.state[..memory.state_words];
    load_words(&words[memory.states[from]..], state);
    rack.hear(&mine.record, &scratch.late, state);
    scratch.late.clear();
    store_words(&words[memory.states[to]..], state);
    commit::publish(word, Commit { lease: mine.lease, block: block_before(block) });
}

/// The events of one module; they are sorted by instance.
fn events_of(events: &[Event], instance: u32) -> &[Event] {
    let start = events.partition_point(|event| event.instance < instance);
    let count = events[start..].partition_point(|event| event.instance == instance);
    &events[start..start + count]
}

/// A module whose output is not a number is silent for the block and starts anew.
fn silence_if_not_finite(view: &View, rack: &mut impl Rack, mine: &Mine, scratch: &mut Scratch) {
    let outputs = &mut scratch.outputs[..mine.memory.output_words];
    if outputs.iter().all(|sample| sample.is_finite()) {
        return;
    }
    outputs.fill(0.0);
    view.head().silenced_blocks.fetch_add(1, Relaxed);
    let rate_hz = view.header.rate_hz as f32;
    rack.init(&mine.record, rate_hz, &mut scratch.state[..mine.memory.state_words]);
}
