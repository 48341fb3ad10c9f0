//! One module that is rendered ahead, as the render thread sees it: when which frame is to be heard, and whether it is
//! there. Real-time safe.
//!
//! Time is counted in frames of a *run*: it begins when the module begins here, or comes here, or has missed blocks. What
//! is sent at frame t is heard at t + k blocks, whatever happens to other blocks meanwhile.

use super::super::words::OwnWords;
use super::room::{Room, Sizes, Source, Ticket};
use crate::rack::{Job, Outcome};
use backline_abi::block::Event;
use backline_abi::commit::block_before;
use backline_abi::complaint::Complaint;

/// A module that is late for long says so again after this time: control bypasses one that says it often.
const SAID_AGAIN_S: f32 = 2.0;

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With `init`, and silence.
    Anew,
    /// With the state of somebody else's last block, and a gap.
    TakenOver,
}

/// What is known of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Frame {
    /// Nothing has come.
    Missing,
    /// It is there.
    There,
    /// It could not be rendered.
    Failed,
    /// It was on its way in another worker.
    Lost,
}

/// One module, or none.
pub struct Lane {
    instance: u32,
    run: u64,
    last_block: u32,
    /// First frame of the present block, in frames of the run.
    now: u64,
    ahead_frames: u64,
    planes: usize,
    /// Sent, and not back.
    under_way: usize,
    most_under_way: usize,
    next_state: Source,
    is_sent: bool,
    /// Plane by plane; frame t at t modulo the number of frames.
    samples: Vec<f32>,
    frames: Vec<Frame>,
    complaint: Complaint,
    /// Frames until it may say again that it is late.
    quiet_frames: usize,
    most_quiet_frames: usize,
    /// The room that came back last.
    newest: Option<Box<Room>>,
    block_frames: usize,
}

impl Lane {
    /// Nobody yet, touched.
    pub fn of(sizes: &Sizes, block_frames: usize, rate_hz: f32) -> Self {
        let frames = (sizes.ahead_blocks + 2) * block_frames;
        Self {
            instance: 0,
            run: 0,
            last_block: 0,
            now: 0,
            ahead_frames: 0,
            planes: 0,
            under_way: 0,
            most_under_way: 0,
            next_state: Source::Init,
            is_sent: false,
            samples: vec![1.0; sizes.output_planes * frames],
            frames: vec![Frame::Lost; frames],
            complaint: Complaint::default(),
            quiet_frames: 0,
            most_quiet_frames: (SAID_AGAIN_S * rate_hz) as usize,
            newest: None,
            block_frames,
        }
    }

    /// Whose it is; 0 for nobody's.
    pub fn instance(&self) -> u32 {
        self.instance
    }

    /// Which run; 0 for none.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Whether `block` of a module is the next one of this run.
    pub fn goes_on(&self, instance: u32, block: u32) -> bool {
        self.instance == instance && self.run != 0 && self.last_block == block_before(block)
    }

    /// Begins a run. A room that is not needed any more comes back.
    pub fn begin(
        &mut self,
        instance: u32,
        run: u64,
        beginning: Beginning,
        ahead_blocks: usize,
        planes: usize,
    ) -> Option<Box<Room>> {
        (self.instance, self.run, self.now, self.planes) = (instance, run, 0, planes);
        self.ahead_frames = (ahead_blocks * self.block_frames) as u64;
        (self.under_way, self.most_under_way) = (0, ahead_blocks + 1);
        let (state, first) = match beginning {
            Beginning::Anew => (Source::Init, Frame::There),
            Beginning::TakenOver => (Source::Room, Frame::Lost),
        };
        self.next_state = state;
        self.samples.fill(0.0);
        self.frames.fill(Frame::Missing);
        self.frames[..ahead_blocks * self.block_frames].fill(first);
        self.newest.take()
    }

    /// The run is over; the module's next block begins another.
    pub fn stop(&mut self) {
        self.run = 0;
    }

    /// The module is gone. A room that is not needed any more comes back.
    pub fn leave(&mut self) -> Option<Box<Room>> {
        (self.instance, self.run, self.quiet_frames) = (0, 0, 0);
        self.newest.take()
    }

    /// This block is being rendered.
    pub fn at_block(&mut self, block: u32) {
        self.last_block = block;
    }

    /// Whether another block may be sent: if the second thread has fallen behind, it need not fall further.
    pub fn may_send(&self) -> bool {
        self.under_way < self.most_under_way
    }

    /// Whether anything that was sent is not back.
    pub fn has_anything_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Where the present block belongs.
    pub fn send(&mut self, lane: usize) -> Ticket {
        self.under_way += 1;
        let state = std::mem::replace(&mut self.next_state, Source::BlockBefore);
        Ticket { lane, run: self.run, heard_at: self.now + self.ahead_frames, state }
    }

    /// Whether the present block is on its way, with all that happens in it.
    pub fn has_sent(&mut self, is_sent: bool) {
        self.is_sent = is_sent;
    }

    /// Notes in `state` what happens in the present block. A gate that is not on its way yet remains to be struck.
    pub fn note(&self, state: &mut [u32], events: &[Event], params: usize) {
        let (mut own, _) = OwnWords::split(state, params);
        events.iter().for_each(|event| own.happen(event));
        if self.is_sent {
            own.take_struck();
        }
    }

    /// A block of this run has come back. A room that is not needed any more comes back.
    pub fn take(&mut self, room: Box<Room>) -> Option<Box<Room>> {
        self.under_way = self.under_way.saturating_sub(1);
        let total = self.frames.len();
        // What was to be heard before now is late: its time has gone to others.
        let late = self.now.saturating_sub(room.ticket.heard_at).min(room.frames as u64) as usize;
        let known = if room.code == 0 { Frame::There } else { Frame::Failed };
        for frame in late..room.frames {
            let at = ((room.ticket.heard_at + frame as u64) % total as u64) as usize;
            self.frames[at] = known;
            for plane in 0..self.planes {
                self.samples[plane * total + at] = room.plane(plane)[frame];
            }
        }
        if room.code != 0 {
            self.complaint.clone_from(&room.complaint);
        }
        self.newest.replace(room)
    }

    /// Whether a frame of the present block is not there, and may still come.
    pub fn awaits(&self, frames: usize) -> bool {
        let total = self.frames.len() as u64;
        let mut due = (self.now..self.now + frames as u64).map(|frame| self.frames[(frame % total) as usize]);
        self.under_way > 0 && due.any(|frame| frame == Frame::Missing)
    }

    /// Hears the present block, if it is there, and the newest state.
    pub fn hear(&mut self, job: &mut Job<'_>, params: usize) -> Outcome {
        if let Some(newest) = &self.newest {
            newest.copy_state(job.state, params);
            OwnWords::split(job.state, params).0.mark_begun();
        }
        let total = self.frames.len();
        let mut worst = Frame::There;
        for frame in 0..job.frames {
            let at = ((self.now + frame as u64) % total as u64) as usize;
            let known = std::mem::replace(&mut self.frames[at], Frame::Missing);
            if known != Frame::There {
                worst = known;
            }
            for (plane, output) in job.outputs.chunks_exact_mut(job.stride).enumerate().take(self.planes) {
                output[frame] = self.samples[plane * total + at];
            }
        }
        self.now += job.frames as u64;
        self.quiet_frames = self.quiet_frames.saturating_sub(job.frames);
        match worst {
            Frame::There => Outcome::Rendered,
            Frame::Missing if self.quiet_frames == 0 => {
                self.quiet_frames = self.most_quiet_frames;
                job.complaint.say("rendered too late");
                Outcome::Failed
            }
            Frame::Failed => {
                job.complaint.clone_from(&self.complaint);
                Outcome::Failed
            }
            Frame::Missing | Frame::Lost => Outcome::Concealed,
        }
    }
}
