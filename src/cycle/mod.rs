//! Step 6 of 7: one block. Announce it, wake the workers, wait for the sinks to a deadline, mix, guard.
//!
//! In: staged plans ([`handoff`]) and timed events ([`events`]) from control; commits from the workers.
//! Out: interleaved stereo frames to `output`; counters to `rt::report`.
//! Thread: audio (or whoever drives a free-running clock). Everything but construction is real-time safe.
//! A sink that misses the deadline is faded out in this block ([`tail`]); the audio thread never waits on.

pub mod events;
pub mod guard;
pub mod handoff;
pub mod tail;

use crate::pool::rig::Rig;
use crate::rt::report::AudioReport;
use crate::takeover::Witness;
use backline_abi::block::{BlockHeader, Event};
use backline_abi::commit::{self, FIRST, next_block, parity};
use backline_abi::layout::{BLOCKS_KEPT, EVENTS_PER_BLOCK, MAX_SLOTS};
use backline_abi::plan::Location;
use backline_abi::rights;
use backline_abi::wake::{self, WaitList, now_ns};
use events::EventQueue;
use guard::OutputGuard;
use handoff::{Inbox, Sink, StagedPlan};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};
use tail::Tails;

/// First deadline, as a part (numerator, denominator) of the time to the last one, which is 90 % of the period: 45 %
/// of it. docs/adr/0011 compares it with 60 %.
const FIRST_DEADLINE_PARTS: (u64, u64) = (1, 2);
/// Longest that the audio thread looks at a commit on another core without sleeping, when the workers of its own
/// core are through. A core that goes idle takes 30 to 40 us to wake on a virtual machine, at the end of every
/// block; docs/adr/0004 has the measurement.
const LINGER_NS: u64 = 60_000;
/// The same as a part of the block: a short block has little time to give away.
const LINGER_PARTS_OF_BLOCK: u64 = 16;

/// The audio thread's own state.
pub struct Cycle {
    rig: Arc<Rig>,
    inbox: Inbox,
    events: EventQueue,
    plan: Box<StagedPlan>,
    /// Last block announced.
    block: u32,
    /// Frames since the start, of the next block's first frame.
    frame: u64,
    frames: usize,
    began_ns: u64,
    /// Workers that have modules in this block.
    slots: SlotSet,
    tails: Tails,
    guard: OutputGuard,
    /// Blocks are heard one later, so that workers have a whole period for each.
    looks_ahead: bool,
    witness: Witness,
    report: Arc<AudioReport>,
}

impl Cycle {
    /// A cycle at frame 0 with an empty plan.
    pub fn new(
        rig: Arc<Rig>,
        inbox: Inbox,
        events: EventQueue,
        witness: Witness,
        report: Arc<AudioReport>,
    ) -> Self {
        let rate_hz = rig.header.rate_hz;
        Self {
            rig,
            inbox,
            events,
            plan: Box::new(StagedPlan::empty()),
            block: FIRST,
            frame: 0,
            frames: 0,
            began_ns: 0,
            slots: SlotSet::default(),
            tails: Tails::new(),
            guard: OutputGuard::new(rate_hz),
            looks_ahead: false,
            witness,
            report,
        }
    }

    /// Frames since the start, of the next block's first frame.
    pub fn frame(&self) -> u64 {
        self.frame
    }

    /// The output guard, for fades.
    pub fn guard(&mut self) -> &mut OutputGuard {
        &mut self.guard
    }

    /// Hears every block one later, if `looks_ahead`. Before the first block only.
    pub fn look_ahead(&mut self, looks_ahead: bool) {
        self.looks_ahead = looks_ahead;
    }

    /// Fills `out` (interleaved stereo) with the next block, which began at `time_ns`; sinks that are not ready
    /// at `deadline_ns` fade out. With lookahead `out` is what was announced the last time, and the block
    /// announced now is mixed the next time. Real-time safe.
    pub fn play_block(&mut self, out: &mut [f32], time_ns: u64, deadline_ns: u64) {
        let frames = out.len() / 2;
        if !self.looks_ahead {
            self.begin(frames, time_ns, deadline_ns);
            self.wait_and_watch(deadline_ns);
            return self.finish(out);
        }
        if self.frames == 0 {
            out.fill(0.0);
        } else {
            self.wait_and_watch(deadline_ns);
            self.finish(out);
        }
        self.begin(frames, time_ns, deadline_ns);
    }

    /// Announces a block of `frames` (1..=block size) that began at `time_ns` and must be ready at
    /// `deadline_ns`, and wakes each worker that has modules. Real-time safe.
    pub fn begin(&mut self, frames: usize, time_ns: u64, deadline_ns: u64) {
        self.began_ns = now_ns();
        let frames_before = self.frames;
        self.frames = frames.clamp(1, self.rig.header.block_frames as usize);
        self.inbox.take_newest(&mut self.plan, &mut self.tails);
        let previous = self.block;
        self.block = next_block(previous);
        self.announce(deadline_ns, frames_before);
        self.report.set_position(self.frame, time_ns);
        self.wake_workers();
    }

    /// One wake for each worker that has modules. Those on other cores first: they take longest to wake, and do
    /// so while we wake the rest.
    fn wake_workers(&mut self) {
        let known = self.rig.arenas().len() as u32;
        let slots = self.plan.cells.iter().map(|cell| place_of(&self.rig, *cell).slot);
        self.slots = SlotSet::of(slots.filter(|slot| *slot < known));
        let slots = self.slots;
        let here = rights::current_core() as u32;
        let is_here = |slot: &usize| self.rig.head(*slot).core.load(Relaxed) == here;
        slots.iter().filter(|slot| !is_here(slot)).for_each(|slot| self.rig.ring_bell(slot));
        slots.iter().filter(is_here).for_each(|slot| self.rig.ring_bell(slot));
    }

    fn announce(&mut self, deadline_ns: u64, frames_before: usize) {
        let control = self.rig.control();
        let cell = &control.blocks[self.block as usize % BLOCKS_KEPT];
        let header = BlockHeader {
            block: self.block,
            frames: self.frames as u32,
            plan_version: self.plan.version,
            plan_buffer: self.plan.buffer,
            events: 0,
            frames_before: frames_before as u32,
            deadline_ns,
            first_frame: self.frame,
        };
        cell.header.store(&BlockHeader { block: 0, ..header });
        // Release fence: whoever sees an event of this block also sees that the old announcement is void.
        fence(Release);
        let block = self.block;
        let note = |cell: u32, event: &Event| {
            if let Some(latest) = control.latest.get(cell as usize) {
                latest.note(event, block);
            }
        };
        let (version, frames) = (self.plan.version, self.frames as u32);
        let events = self.events.due(version, self.frame, frames, &self.report, note);
        for (shared, event) in cell.events.iter().zip(events) {
            shared.store(event);
        }
        cell.header.store(&BlockHeader { events: events.len().min(EVENTS_PER_BLOCK) as u32, ..header });
        // Release: announcement, events and plan are stored before the block can be seen (pairs with the
        // workers' Acquire loads of `block`).
        control.block.word.store(self.block, Release);
    }

    /// Waits a moment without sleeping for a module of another core, if nobody on this core wants to run. True
    /// if it has committed.
    fn linger_on(&self, module: &Sink, deadline_ns: u64) -> bool {
        let here = rights::current_core() as u32;
        let has_work_here = |slot: usize| {
            let head = self.rig.head(slot);
            head.core.load(Relaxed) == here && head.done.word.load(Relaxed) != self.block
        };
        if self.slots.iter().any(has_work_here) {
            return false;
        }
        let block_ns = self.frames as u64 * 1_000_000_000 / u64::from(self.rig.header.rate_hz);
        let until_ns = deadline_ns.min(now_ns() + LINGER_NS.min(block_ns / LINGER_PARTS_OF_BLOCK));
        while now_ns() < until_ns {
            if committed(&self.rig, module, self.block).is_some() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Sleeps until `sink` has committed, or looks promising, or a module has moved, or `deadline_ns`.
    fn sleep_on(&self, sink: &Sink, deadline_ns: u64) {
        let moves = &self.rig.control().moves.word;
        // Acquire: the place is read after the moves are counted (pairs with the take-over thread's increment).
        let moved = moves.load(Acquire);
        let place = place_of(&self.rig, sink.cell);
        let arena = self.rig.arenas().get(place.slot as usize);
        let Some(word) = arena.and_then(|arena| arena.commit_word(sink.memory.commit)) else {
            return wake::sleep_until(deadline_ns);
        };
        let seen = commit::observe(word);
        if seen.lease == place.lease && seen.block == self.block {
            return;
        }
        let mut either = WaitList::<2>::new();
        either.add_commit(word, seen.pack());
        either.add(moves, moved);
        either.wait(deadline_ns);
    }

    /// Waits for the sinks to the last deadline, and has those looked at who owe the block at the first one. If we
    /// come late ourselves, nobody is accused: the machine stood still. Real-time safe.
    fn wait_and_watch(&self, deadline_ns: u64) {
        let now_ns = now_ns();
        let first_ns =
            now_ns + deadline_ns.saturating_sub(now_ns) / FIRST_DEADLINE_PARTS.1 * FIRST_DEADLINE_PARTS.0;
        if self.wait(first_ns) {
            return;
        }
        if first_ns > now_ns {
            self.witness.overdue(self.block);
        }
        if !self.wait(deadline_ns) && first_ns > now_ns {
            self.witness.concealed(self.block);
        }
    }

    /// Says that the block does not come, on a clock that waits for everybody. `is_hopeless` if it never will.
    pub fn complain(&self, is_hopeless: bool) {
        if is_hopeless {
            self.witness.given_up(self.block);
        } else {
            self.witness.overdue(self.block);
        }
    }

    /// Waits until every sink has committed the block, at most until `deadline_ns`. Real-time safe.
    pub fn wait(&self, deadline_ns: u64) -> bool {
        self.plan.sinks.iter().all(|sink| self.wait_for(sink, deadline_ns, Self::sleep_on))
    }

    /// Waits until every module of the plan has committed the block, sink or not, at most until
    /// `deadline_ns`: a free-running clock goes on only then. Those of this core first, so that the rest can be
    /// lingered on. Real-time safe.
    pub fn wait_for_all(&self, deadline_ns: u64) -> bool {
        let here = rights::current_core() as u32;
        let is_here = |module: &Sink| {
            let slot = place_of(&self.rig, module.cell).slot as usize;
            slot < self.rig.arenas().len() && self.rig.head(slot).core.load(Relaxed) == here
        };
        let modules = &self.plan.all;
        let near = modules.iter().filter(|module| is_here(module));
        // Then all, not the others: one may change cores between the two looks.
        near.chain(modules).all(|module| self.wait_for(module, deadline_ns, Self::sleep_on_done))
    }

    fn wait_for(&self, module: &Sink, deadline_ns: u64, sleep: impl Fn(&Self, &Sink, u64)) -> bool {
        while committed(&self.rig, module, self.block).is_none() {
            if now_ns() >= deadline_ns {
                return false;
            }
            if !self.linger_on(module, deadline_ns) {
                sleep(self, module, deadline_ns);
            }
        }
        true
    }

    fn sleep_on_done(&self, module: &Sink, deadline_ns: u64) {
        let moves = &self.rig.control().moves.word;
        // Acquire: as in `sleep_on`.
        let moved = moves.load(Acquire);
        let slot = place_of(&self.rig, module.cell).slot as usize;
        if slot >= self.rig.arenas().len() {
            return wake::sleep_until(deadline_ns);
        }
        let done = &self.rig.head(slot).done.word;
        // Acquire: pairs with the worker's store after its last commit.
        let seen = done.load(Acquire);
        if committed(&self.rig, module, self.block).is_none() {
            let mut either = WaitList::<2>::new();
            either.add(done, seen);
            either.add(moves, moved);
            either.wait(deadline_ns);
        }
    }

    /// Mixes what the sinks have committed into `out` (interleaved stereo, `frames` of the block), fades out
    /// what is missing, guards the result, and counts. Real-time safe.
    pub fn finish(&mut self, out: &mut [f32]) {
        out.fill(0.0);
        let frames = self.frames.min(out.len() / 2);
        let out = &mut out[..frames * 2];
        let stride = self.rig.header.block_frames as usize;
        let (mut concealed, mut silenced) = (0, 0);
        for index in 0..self.plan.sinks.len() {
            let sink = self.plan.sinks[index];
            match committed(&self.rig, &sink, self.block) {
                Some(planes) => silenced += self.tails.mix(&sink, planes, stride, out),
                None => {
                    self.tails.conceal(&sink);
                    concealed += 1;
                }
            }
        }
        self.tails.ramp_down(out);
        silenced += self.guard.apply(out);
        self.frame += frames as u64;
        self.count(concealed, silenced, frames);
    }

    fn count(&self, concealed: u64, silenced: u64, frames: usize) {
        let report = &self.report;
        let cycle_ns = (now_ns() - self.began_ns).min(u64::from(u32::MAX)) as u32;
        let period_ns = frames as u64 * 1_000_000_000 / u64::from(self.rig.header.rate_hz);
        let load_ppm = (u64::from(cycle_ns) * 1_000_000 / period_ns.max(1)).min(u64::from(u32::MAX)) as u32;
        report.blocks.fetch_add(1, Relaxed);
        report.concealed.fetch_add(concealed, Relaxed);
        report.silenced_samples.fetch_add(silenced, Relaxed);
        report.cycle_ns.store(cycle_ns, Relaxed);
        report.cycle_max_ns.fetch_max(cycle_ns, Relaxed);
        report.load_peak_ppm.fetch_max(load_ppm, Relaxed);
        // A mean over about 64 blocks.
        let mean = u64::from(report.load_ppm.load(Relaxed));
        report.load_ppm.store(((mean * 63 + u64::from(load_ppm)) / 64) as u32, Relaxed);
    }
}

fn place_of(rig: &Rig, cell: u32) -> Location {
    rig.control().places[cell as usize].current()
}

/// The samples of `module` for `block`, if it has committed them: planes of output. Real-time safe.
///
/// What it committed before it moved counts as well: nobody writes over that before two blocks later, and a worker
/// that dies when it is through with a block owes nothing.
fn committed<'r>(rig: &'r Rig, module: &Sink, block: u32) -> Option<&'r [AtomicU32]> {
    let place = &rig.control().places[module.cell as usize];
    // The newer place first: whoever sees a move there sees the older one, too.
    let current = place.current();
    let [left, previous] = place.sources();
    [current, left, previous].into_iter().find_map(|place| committed_at(rig, module, block, place))
}

fn committed_at<'r>(rig: &'r Rig, module: &Sink, block: u32, place: Location) -> Option<&'r [AtomicU32]> {
    let arena = rig.arenas().get(place.slot as usize)?;
    let seen = commit::observe(arena.commit_word(module.memory.commit)?);
    if seen.lease != place.lease || seen.block != block {
        return None;
    }
    let start = module.memory.outputs[parity(block)];
    arena.words().get(start..start + module.memory.output_words)
}

/// A set of worker slots.
#[derive(Clone, Copy, Default)]
struct SlotSet(u64);

const _: () = assert!(MAX_SLOTS <= 64, "one bit a slot");

impl SlotSet {
    fn of(slots: impl Iterator<Item = u32>) -> Self {
        Self(slots.filter(|slot| *slot < MAX_SLOTS as u32).fold(0, |set, slot| set | 1 << slot))
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_SLOTS).filter(move |slot| self.0 >> slot & 1 == 1)
    }
}
