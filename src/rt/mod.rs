//! Vocabulary: the rules of audio threads, and the few words they leave for others to read.
//!
//! An audio thread does not allocate, free, lock, log, panic, loop without a bound, or make a system call but
//! the named wake. [`audio_section`] checks the first in debug builds (it aborts) and counts it in release
//! builds. What it has to say goes out through [`report`]'s atomics; what it is done with goes back to the
//! control thread to be freed.

pub mod dll;
pub mod probe;
pub mod report;

/// FIFO priority of the audio thread: highest of ours, below the kernel's IRQ threads (50).
pub const AUDIO_PRIORITY: u32 = 48;
/// FIFO priority of the take-over thread: above the workers, whose core it may need, and below the audio thread.
pub const TAKE_OVER_PRIORITY: u32 = 44;
/// FIFO priority of workers: below the audio thread.
pub const WORKER_PRIORITY: u32 = 40;

/// Runs `section` under the allocation guard.
pub fn audio_section<T>(section: impl FnOnce() -> T) -> T {
    assert_no_alloc::assert_no_alloc(section)
}

/// Allocations seen in audio sections of the calling thread. In debug builds the first one aborts instead.
pub fn allocations_seen() -> u32 {
    #[cfg(debug_assertions)]
    return 0;
    #[cfg(not(debug_assertions))]
    assert_no_alloc::violation_count()
}
