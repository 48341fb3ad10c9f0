//! What travels between the two threads: everything of one block of one module, in memory that is made once.

use super::super::play::Block;
use super::super::words::OwnWords;
use super::Terms;
use crate::aligned::AlignedWords;
use crate::c_api::functions::{Functions, Module};
use crate::c_api::voice;
use crate::foreign::play;
use crate::rack::{Input, Job};
use crate::source::MAX_INPUTS;
use backline_abi::block::{Event, MOST_MISSED};
use backline_abi::complaint::Complaint;
use backline_abi::layout::EVENTS_PER_BLOCK;
use backline_abi::plan::ModuleRecord;
use bytemuck::Zeroable;

/// The largest that any type needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Inputs and parameters, times channels.
    pub input_planes: usize,
    /// Outputs times channels.
    pub output_planes: usize,
    /// Our words of state and the author's.
    pub state_words: usize,
    /// Blocks ahead.
    pub ahead_blocks: usize,
}

impl Sizes {
    /// Large enough for both.
    pub fn or(self, other: Self) -> Self {
        Self {
            input_planes: self.input_planes.max(other.input_planes),
            output_planes: self.output_planes.max(other.output_planes),
            state_words: self.state_words.max(other.state_words),
            ahead_blocks: self.ahead_blocks.max(other.ahead_blocks),
        }
    }

    /// On their way, one that is being rendered, and one that keeps the newest state.
    pub fn rooms_a_lane(&self) -> usize {
        self.ahead_blocks + 2
    }

    /// What one more module takes.
    pub fn lane_bytes(&self, block_frames: usize) -> usize {
        let planes = (self.input_planes + self.output_planes) * block_frames;
        let events = (MOST_MISSED + EVENTS_PER_BLOCK) * size_of::<Event>();
        let room = (planes + self.state_words) * 4 + events + size_of::<Room>();
        let timeline = (self.ahead_blocks + 2) * block_frames * (self.output_planes * 4 + 1);
        self.rooms_a_lane() * room + timeline + self.state_words * 4
    }
}

/// Where a room belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Which lane.
    pub lane: usize,
    /// Which run of it: what was sent by an earlier one is not wanted any more.
    pub run: u64,
    /// When its first frame is heard, in frames of the run.
    pub heard_at: u64,
    /// The state it begins with.
    pub state: Source,
}

/// Where the state before a block comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The block before, which was rendered just before this one.
    BlockBefore,
    /// The author's `init`.
    Init,
    /// The room brings it.
    Room,
}

/// One block of one module, on its way.
pub struct Room {
    /// Where it belongs.
    pub ticket: Ticket,
    /// Frames in it.
    pub frames: usize,
    /// 0, or why it has no outputs.
    pub code: i32,
    /// What the author said of that.
    pub complaint: Complaint,
    record: ModuleRecord,
    params: usize,
    first_frame: u64,
    events: Vec<Event>,
    is_patched: [bool; MAX_INPUTS],
    inputs: Vec<f32>,
    outputs: Vec<f32>,
    state: AlignedWords,
    stride: usize,
}

impl Room {
    /// An empty one, touched.
    pub fn of(sizes: &Sizes, block_frames: usize) -> Self {
        let nobody = Event { instance: 1, offset_frames: 0, kind: 0, value: 0.0 };
        let mut events = vec![nobody; MOST_MISSED + EVENTS_PER_BLOCK];
        events.clear();
        Self {
            ticket: Ticket { lane: usize::MAX, run: 0, heard_at: 0, state: Source::Init },
            frames: 0,
            code: 0,
            complaint: Complaint::default(),
            record: ModuleRecord::zeroed(),
            params: 0,
            first_frame: 0,
            events,
            is_patched: [false; MAX_INPUTS],
            inputs: vec![1.0; sizes.input_planes * block_frames],
            outputs: vec![1.0; sizes.output_planes * block_frames],
            state: AlignedWords::filled(1, sizes.state_words),
            stride: block_frames,
        }
    }

    /// Whose block it is.
    pub fn instance(&self) -> u32 {
        self.record.instance
    }

    /// Copies what is heard and told in a block. Real-time safe.
    pub fn fill(&mut self, job: &Job<'_>, params: usize, ticket: Ticket) {
        self.ticket = ticket;
        (self.record, self.params, self.frames, self.code) = (*job.record, params, job.frames, 0);
        self.first_frame = job.first_frame;
        self.events.clear();
        let room = self.events.capacity();
        self.events.extend_from_slice(&job.events[..job.events.len().min(room)]);
        self.state[..job.state.len()].copy_from_slice(job.state);
        self.is_patched = [false; MAX_INPUTS];
        let span = job.record.channels as usize * self.stride;
        for (index, planes) in self.inputs.chunks_exact_mut(span).enumerate().take(job.inputs.len()) {
            let Some(heard) = job.inputs[index].planes else { continue };
            self.is_patched[index] = true;
            let heard = heard.chunks(job.inputs[index].stride);
            for (plane, heard) in planes.chunks_exact_mut(self.stride).zip(heard) {
                plane[..job.frames].copy_from_slice(&heard[..job.frames]);
            }
        }
    }

    /// Renders what it brings, from `state`, which is the state after it on return. Only the second thread. As real-time
    /// safe as the author is.
    pub fn render(&mut self, terms: &Terms, state: &mut [u32]) {
        let state = &mut state[..self.record.state_words as usize];
        self.begin(terms, state);
        let (own, words) = (OwnWords::count(self.params), state.len());
        state[..own].copy_from_slice(&self.state[..own]);
        self.state[own..words].copy_from_slice(&state[own..]);
        let span = self.record.channels as usize * self.stride;
        let inputs: [Input<'_>; MAX_INPUTS] = std::array::from_fn(|index| {
            let planes = self.inputs.get(index * span..(index + 1) * span);
            Input { planes: planes.filter(|_| self.is_patched[index]), stride: self.stride }
        });
        voice::clear();
        let block = Block {
            record: &self.record,
            rate_hz: terms.rate_hz,
            block_frames: terms.block_frames,
            params: self.params,
            state,
            inputs: &inputs,
            outputs: &mut self.outputs[..self.record.output_planes as usize * self.stride],
            stride: self.stride,
            frames: self.frames,
            events: &self.events,
            first_frame: self.first_frame,
        };
        self.code = play::play(&terms.functions, block);
        if self.code == 0 {
            self.state[own..words].copy_from_slice(&state[own..]);
        } else {
            state[own..].copy_from_slice(&self.state[own..words]);
            voice::tell(&mut self.complaint, "render", self.code);
        }
    }

    fn begin(&self, terms: &Terms, state: &mut [u32]) {
        match self.ticket.state {
            Source::BlockBefore => {}
            Source::Room => state.copy_from_slice(&self.state[..state.len()]),
            Source::Init => {
                let (mut own, authors) = OwnWords::split(state, self.params);
                own.begin(&self.record.params);
                authors.fill(0);
                init(&terms.functions, terms, &self.record, own.params(), authors);
            }
        }
    }

    /// One output plane. Real-time safe.
    pub fn plane(&self, plane: usize) -> &[f32] {
        &self.outputs[plane * self.stride..][..self.frames]
    }

    /// Copies the author's words after the block to where they are in `state`. Real-time safe.
    pub fn copy_state(&self, state: &mut [u32], params: usize) {
        let own = OwnWords::count(params);
        let words = state.len();
        state[own..].copy_from_slice(&self.state[own..words]);
    }
}

fn init(functions: &Functions, terms: &Terms, record: &ModuleRecord, params: &[f32], state: &mut [u32]) {
    let Terms { rate_hz, block_frames, .. } = *terms;
    functions.init(Module { record, rate_hz, block_frames, params }, state);
}
