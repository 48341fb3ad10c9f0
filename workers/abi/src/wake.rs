//! The one system call of a render thread: sleep until a word changes, wake who sleeps on it.
//!
//! Shared futexes (not private ones), so they work between processes and through read-only mappings. Every
//! wait ends at an absolute instant of the monotonic clock.

use std::sync::atomic::{AtomicU32, AtomicU64};

/// Nanoseconds of the monotonic clock. Real-time safe (vDSO).
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; CLOCK_MONOTONIC always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn timespec(deadline_ns: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (deadline_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (deadline_ns % 1_000_000_000) as libc::c_long,
    }
}

fn wait_at(address: *const u32, seen: u32, deadline_ns: u64) {
    let deadline = timespec(deadline_ns);
    // SAFETY:
    // - `address` points into a live mapping: both callers derive it from a reference;
    // - the kernel reads 4 aligned bytes there and compares them, nothing is written;
    // - `deadline` lives through the call; FUTEX_WAIT_BITSET takes it as absolute CLOCK_MONOTONIC.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            address,
            libc::FUTEX_WAIT_BITSET,
            seen,
            &deadline,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
}

fn wake_at(address: *const u32) {
    // SAFETY: FUTEX_WAKE uses the address as a name only; it reads and writes nothing.
    unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAKE, i32::MAX) };
}

/// Sleeps while `word` reads `seen`, until woken or until `deadline_ns`. May return early for no reason: the
/// caller looks again.
pub fn wait(word: &AtomicU32, seen: u32, deadline_ns: u64) {
    wait_at(word.as_ptr(), seen, deadline_ns);
}

/// Wakes everybody who sleeps on `word`. Real-time safe: the named wake.
pub fn wake(word: &AtomicU32) {
    wake_at(word.as_ptr());
}

/// As [`wait`], on the lower half (the block) of a commit word that read `seen`.
pub fn wait_commit(word: &AtomicU64, seen: u64, deadline_ns: u64) {
    wait_at(lower_half(word), seen as u32, deadline_ns);
}

/// Wakes everybody who sleeps on a commit word. Real-time safe: the named wake.
pub fn wake_commit(word: &AtomicU64) {
    wake_at(lower_half(word));
}

fn lower_half(word: &AtomicU64) -> *const u32 {
    const { assert!(cfg!(target_endian = "little"), "the block number is the lower half of the word") };
    word.as_ptr().cast::<u32>()
}

/// Sleeps until `deadline_ns` of the monotonic clock.
pub fn sleep_until(deadline_ns: u64) {
    let deadline = timespec(deadline_ns);
    // SAFETY: `deadline` lives through the call; a null remainder is allowed with TIMER_ABSTIME.
    while unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &deadline, std::ptr::null_mut())
    } == libc::EINTR
    {}
}
