//! Types that take too long for a block are rendered by a second thread, and heard some blocks later.
//!
//! ```text
//!  render thread                                                  second thread
//!  block N ──▶ room (inputs, events, gate, params) ──── queue ──▶ its copy of the state ──▶ render
//!  block N ◀── lane's timeline, at N ◀── room (outputs of N - k, state) ◀── queue ───────────┘
//! ```
//!
//! The render thread never waits: what is not there when it is wanted has been rendered too late, and its block fails, which
//! is said now and then. Only a free-running engine, which waits for everybody, waits for this, too. Rooms go round and are
//! never freed; each queue has room for all of them.
//!
//! What if the second thread hangs? All that it renders is late, and after a second the process dies of the module that it
//! hangs in, so that the others go on elsewhere.
//!
//! What if the worker dies? The arena has the state of the newest block that came back; what was on its way is lost, so
//! these types are not exact. Whoever takes the module over begins with that state, and is heard k blocks later.

pub mod lane;
mod progress;
pub mod room;
mod second;

use super::words::OwnWords;
use crate::c_api::functions::Functions;
use crate::rack::{Job, Outcome};
use backline_abi::block::Event;
use backline_abi::crash;
use backline_abi::wake::{self, now_ns};
use lane::{Beginning, Lane};
use progress::Progress;
use room::{Room, Sizes};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::thread::JoinHandle;

/// Modules that one worker renders ahead at most.
const MOST_LANES: usize = 32;
/// Bytes that all of it may take: of large modules there can be fewer.
const MOST_BYTES: usize = 64 << 20;
/// Stack of the second thread; all of it is locked if memory is.
const STACK_BYTES: usize = 4 << 20;
/// Longest sleep of a render thread that waits; whatever there is to see wakes it before.
const LOOK_AGAIN_NS: u64 = 100_000_000;

/// What the second thread needs to know.
#[derive(Clone, Copy)]
pub struct Terms {
    /// What it calls.
    pub functions: Functions,
    /// Sample rate.
    pub rate_hz: f32,
    /// Frames of the longest block.
    pub block_frames: usize,
    /// FIFO priority of the render thread, if it has any.
    pub priority: Option<u32>,
}

/// What the render thread has of it.
pub struct Ahead {
    to_second: Producer<Box<Room>>,
    from_second: Consumer<Box<Room>>,
    bell: Arc<Bell>,
    #[expect(clippy::vec_box, reason = "a room travels by its address; none is moved")]
    free: Vec<Box<Room>>,
    lanes: Vec<Lane>,
    runs: u64,
    progress: Progress,
    second: Option<JoinHandle<()>>,
}

/// Rung when a room is on its way, or nothing will come any more.
#[derive(Default)]
struct Bell {
    word: AtomicU32,
    /// Rung when a room has come back.
    returned: AtomicU32,
    is_closing: AtomicU32,
}

impl Bell {
    fn ring(&self) {
        // Release: pairs with the second thread's load before it looks into its queue.
        self.word.fetch_add(1, Release);
        wake::wake(&self.word);
    }
}

impl Ahead {
    /// Makes all rooms and the second thread, for types of these sizes. Returns when that thread is about to wait for the
    /// first block.
    pub fn start(terms: Terms, sizes: Sizes) -> std::io::Result<Self> {
        let lanes = (MOST_BYTES / sizes.lane_bytes(terms.block_frames)).clamp(1, MOST_LANES);
        let rooms = lanes * sizes.rooms_a_lane();
        let (to_second, inbox) = RingBuffer::new(rooms);
        let (outbox, from_second) = RingBuffer::new(rooms);
        let bell = Arc::new(Bell::default());
        let thread = second::Second::with_room(terms, &sizes, lanes, inbox, outbox, Arc::clone(&bell));
        let (started, has_started) = std::sync::mpsc::channel();
        let second = std::thread::Builder::new()
            .name("backline-ahead".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || thread.run(&started))?;
        // It says so, or it is gone; then every block comes too late, and is said to.
        let _ = has_started.recv();
        Ok(Self {
            to_second,
            from_second,
            bell,
            free: (0..rooms).map(|_| Box::new(Room::of(&sizes, terms.block_frames))).collect(),
            lanes: (0..lanes).map(|_| Lane::of(&sizes, terms.block_frames, terms.rate_hz)).collect(),
            runs: 0,
            progress: Progress::of(terms.rate_hz),
            second: Some(second),
        })
    }

    /// Sends a block of a type on its way, and hears the one that is due. Real-time safe.
    pub fn render(&mut self, job: &mut Job<'_>, params: usize, ahead_blocks: usize) -> Outcome {
        self.collect();
        let Some(index) = self.lane_of(job, ahead_blocks) else {
            job.complaint
                .say("this worker renders no more modules ahead; give it fewer, or start more workers");
            return Outcome::Failed;
        };
        let lane = &mut self.lanes[index];
        let is_sent = match self.free.pop() {
            Some(mut room) if lane.may_send() => {
                room.fill(job, params, lane.send(index));
                // The queue has room for all rooms there are, so nothing comes back here.
                self.to_second.push(room).map_err(|rtrb::PushError::Full(room)| self.free.push(room)).is_ok()
            }
            room => {
                self.free.extend(room);
                false
            }
        };
        lane.has_sent(is_sent);
        lane.note(job.state, job.events, params);
        self.bell.ring();
        if job.is_free_running {
            self.await_return(index, job.frames);
        } else if self.progress.is_stuck(job, &self.lanes, self.bell.returned.load(Relaxed)) {
            crash::die_of_second();
        }
        self.lanes[index].hear(job, params)
    }

    /// Waits for what is to be heard now, as long as it may still come.
    fn await_return(&mut self, index: usize, frames: usize) {
        loop {
            // Acquire: a room that came back before the bell was rung is in the queue (pairs with the second thread's).
            let returned = self.bell.returned.load(Acquire);
            self.collect();
            let is_gone = self.second.as_ref().is_none_or(JoinHandle::is_finished);
            if is_gone || !self.lanes[index].awaits(frames) {
                return;
            }
            wake::wait(&self.bell.returned, returned, now_ns() + LOOK_AGAIN_NS);
        }
    }

    /// The block of these events failed: they are noted in `state`, once. Real-time safe.
    pub fn note(&self, instance: u32, state: &mut [u32], events: &[Event], params: usize) {
        match self.lanes.iter().find(|lane| lane.instance() == instance) {
            Some(lane) => lane.note(state, events, params),
            None => {
                let (mut own, _) = OwnWords::split(state, params);
                events.iter().for_each(|event| own.happen(event));
            }
        }
    }

    /// A module begins anew. Real-time safe.
    pub fn begin(&mut self, instance: u32) {
        self.lanes.iter_mut().filter(|lane| lane.instance() == instance).for_each(Lane::stop);
    }

    /// Only these modules are ours still.
    pub fn keep(&mut self, ours: &[u32]) {
        let gone = self.lanes.iter_mut().filter(|lane| !ours.contains(&lane.instance()));
        self.free.extend(gone.filter_map(Lane::leave));
    }

    /// Takes what has come back.
    fn collect(&mut self) {
        while let Ok(room) = self.from_second.pop() {
            let spare = match self.lanes.get_mut(room.ticket.lane) {
                Some(lane) if lane.run() == room.ticket.run => lane.take(room),
                _ => Some(room),
            };
            self.free.extend(spare);
        }
    }

    /// The lane of a job's module, which begins a run there if it has not yet, or was somewhere else meanwhile.
    fn lane_of(&mut self, job: &Job<'_>, ahead_blocks: usize) -> Option<usize> {
        let instance = job.record.instance;
        let of_this = |lane: &Lane| lane.instance() == instance;
        let index = self
            .lanes
            .iter()
            .position(of_this)
            .or_else(|| self.lanes.iter().position(|lane| lane.instance() == 0))?;
        let lane = &mut self.lanes[index];
        if !lane.goes_on(instance, job.block) {
            self.runs += 1;
            let beginning =
                if OwnWords::is_unbegun(job.state) { Beginning::Anew } else { Beginning::TakenOver };
            let planes = job.record.output_planes as usize;
            let spare = lane.begin(instance, self.runs, beginning, ahead_blocks, planes);
            self.free.extend(spare);
        }
        lane.at_block(job.block);
        Some(index)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Release: pairs with the second thread's load.
        self.bell.is_closing.store(1, Release);
        self.bell.ring();
        // If it panicked, it has said so.
        let _ = self.second.take().map(JoinHandle::join);
    }
}
