//! What the audio thread says about itself, for the control thread to read at any time.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Counters of one audio thread. One writer, any number of readers.
#[derive(Debug, Default)]
pub struct AudioReport {
    /// Blocks asked for by the clock.
    pub blocks: AtomicU64,
    /// Sinks that were not ready at the deadline of a block, and were faded out in it.
    pub concealed: AtomicU64,
    /// Times the clock itself came too late for a period (timer) or reported an xrun (device).
    pub xruns: AtomicU64,
    /// From the start of the last block to its end, ns.
    pub cycle_ns: AtomicU32,
    /// Longest such time, ns.
    pub cycle_max_ns: AtomicU32,
    /// Running mean of the share of the period that the cycle takes, in millionths.
    pub load_ppm: AtomicU32,
    /// Largest such share since the last time somebody asked, in millionths.
    pub load_peak_ppm: AtomicU32,
    /// Allocations seen on the audio thread; any is a defect.
    pub allocations: AtomicU64,
    /// Events that waited for a later block because one block holds only so many.
    pub deferred_events: AtomicU64,
    /// Samples of output that were not finite and were replaced by silence.
    pub silenced_samples: AtomicU64,
    /// The thread's id for the kernel, 0 until it runs.
    pub thread_id: AtomicU32,
    /// Whether the thread has FIFO priority.
    pub has_fifo: AtomicU32,
    /// Frames a second as the device delivers them, `f64` bits; 0 until known.
    pub rate_actual_bits: AtomicU64,
    position: Position,
}

/// The frame at which the last block began, and when that was.
#[derive(Debug, Default)]
struct Position {
    version: AtomicU32,
    frame: AtomicU64,
    time_ns: AtomicU64,
}

impl AudioReport {
    /// The calling thread introduces itself as the audio thread.
    pub fn introduce(&self, has_fifo: bool) {
        self.has_fifo.store(has_fifo.into(), Relaxed);
        self.thread_id.store(rustix::thread::gettid().as_raw_nonzero().get() as u32, Relaxed);
    }

    /// The audio thread began the block of `frame` at `time_ns`. Real-time safe.
    pub fn set_position(&self, frame: u64, time_ns: u64) {
        let position = &self.position;
        let version = position.version.load(Relaxed);
        position.version.store(version.wrapping_add(1), Relaxed);
        // Release fence: whoever sees a word below also sees the odd version (pairs with the fence in `position`).
        fence(Release);
        position.frame.store(frame, Relaxed);
        position.time_ns.store(time_ns, Relaxed);
        // Release: both words are stored before the version is even again (pairs with the first load in `position`).
        position.version.store(version.wrapping_add(2), Release);
    }

    /// The frame and time of the last block's beginning, `None` before the first. Looks again, a bounded
    /// number of times, when it meets the audio thread writing.
    pub fn position(&self) -> Option<(u64, u64)> {
        for _ in 0..1_000 {
            let before = self.position.version.load(Acquire);
            let seen = (self.position.frame.load(Relaxed), self.position.time_ns.load(Relaxed));
            // Acquire fence: the words are read before the version is read again.
            fence(Acquire);
            if before == self.position.version.load(Relaxed) && before.is_multiple_of(2) {
                return (before != 0).then_some(seen);
            }
        }
        None
    }

    /// The frame that begins at `time_ns`, by the last block's position.
    pub fn frame_at(&self, time_ns: u64, rate_hz: u32) -> Option<u64> {
        let (frame, frame_ns) = self.position()?;
        let ahead_ns = time_ns as i128 - i128::from(frame_ns);
        let frames = (ahead_ns * i128::from(rate_hz)).div_euclid(1_000_000_000);
        Some((i128::from(frame) + frames).clamp(0, i128::from(u64::MAX)) as u64)
    }
}
