//! Whether the second thread gets through anything at all. Counted in blocks that the render thread renders, not by the clock:
//! a process that was stopped for a while has not been stuck.

use super::lane::Lane;
use crate::rack::Job;

/// Sound that goes by with nothing rendered before the second thread is given up. Control bypasses who is late for four
/// seconds; before that it should know who of them all is to blame.
const MOST_STUCK_S: f32 = 1.0;

/// What was seen of the second thread.
pub struct Progress {
    returned: u32,
    block: u32,
    stuck_frames: usize,
    most_stuck_frames: usize,
}

impl Progress {
    /// Nothing yet.
    pub fn of(rate_hz: f32) -> Self {
        let most_stuck_frames = (MOST_STUCK_S * rate_hz) as usize;
        Self { returned: 0, block: 0, stuck_frames: 0, most_stuck_frames }
    }

    /// Whether it has to be given up, with so many rooms returned by now. Real-time safe.
    pub fn is_stuck(&mut self, job: &Job<'_>, lanes: &[Lane], returned: u32) -> bool {
        if self.returned != returned || !lanes.iter().any(Lane::has_anything_under_way) {
            (self.returned, self.stuck_frames) = (returned, 0);
        } else if self.block != job.block {
            self.stuck_frames += job.frames;
        }
        self.block = job.block;
        self.stuck_frames > self.most_stuck_frames
    }
}
