//! The null clock: blocks in real time without a sound card, paced by an absolute timer.
//!
//! A timer that comes late by more than a period is an xrun: the blocks it missed are skipped, not crammed
//! together, so that a suspended machine goes on where time is now.

use crate::cycle::Cycle;
use crate::output::tap::Tap;
use crate::rt::report::AudioReport;
use crate::rt::{self, AUDIO_PRIORITY};
use backline_abi::rights;
use backline_abi::wake::{now_ns, sleep_until};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed},
};

/// Share of the period after which the audio thread stops waiting for sinks; the rest is for mixing.
pub const DEADLINE_SHARE: f64 = 0.9;

/// What the null clock is to drive.
pub struct NullClock {
    /// The cycle.
    pub cycle: Cycle,
    /// Where the output is recorded.
    pub tap: Tap,
    /// Set to end: the clock fades out and returns.
    pub is_stopping: Arc<AtomicBool>,
    /// Ask for FIFO priority.
    pub wants_realtime: bool,
    /// Frames of a block.
    pub block_frames: usize,
    /// Sample rate, Hz.
    pub rate_hz: u32,
    /// Counters.
    pub report: Arc<AudioReport>,
}

impl NullClock {
    /// Plays until told to stop; gives itself back so that control frees it.
    pub fn run(mut self) -> Self {
        let has_fifo = self.wants_realtime && rights::take_fifo(AUDIO_PRIORITY).is_ok();
        self.report.introduce(has_fifo);
        rights::flush_denormals();
        let mut out = vec![0.0; self.block_frames * 2];
        let period_ns = self.block_frames as f64 * 1e9 / f64::from(self.rate_hz);
        let (mut start_ns, mut periods) = (now_ns(), 0_u64);
        while !self.cycle.guard().is_silent() {
            rt::audio_section(|| {
                let due_ns = start_ns + (periods as f64 * period_ns) as u64;
                sleep_until(due_ns);
                if now_ns().saturating_sub(due_ns) as f64 > period_ns {
                    self.report.xruns.fetch_add(1, Relaxed);
                    (start_ns, periods) = (now_ns(), 0);
                } else {
                    self.play_block(due_ns, due_ns + (period_ns * DEADLINE_SHARE) as u64, &mut out);
                    periods += 1;
                }
            });
            self.report.allocations.store(rt::allocations_seen().into(), Relaxed);
        }
        self
    }

    fn play_block(&mut self, due_ns: u64, deadline_ns: u64, out: &mut [f32]) {
        // Acquire: pairs with control's store when it stops the clock.
        if self.is_stopping.load(Acquire) {
            self.cycle.guard().fade_out_in(0);
        }
        self.cycle.play_block(out, due_ns, deadline_ns);
        self.tap.push(out);
    }
}
