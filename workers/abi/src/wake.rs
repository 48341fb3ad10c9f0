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

/// Wakes everybody who sleeps on a commit word. Real-time safe: the named wake.
pub fn wake_commit(word: &AtomicU64) {
    wake_at(lower_half(word));
}

fn lower_half(word: &AtomicU64) -> *const u32 {
    const { assert!(cfg!(target_endian = "little"), "the block number is the lower half of the word") };
    word.as_ptr().cast::<u32>()
}

/// Words that one thread sleeps on at the same time, each while it reads what was seen there.
///
/// Linux 5.16 and later can do that (`futex_waitv`). On an older kernel the wait is short and the caller looks
/// again: nothing is missed, it is only noticed later; see [`can_wait_for_many`].
pub struct WaitList<'w, const ROOM: usize> {
    entries: [Waited; ROOM],
    count: usize,
    words: std::marker::PhantomData<&'w AtomicU32>,
}

/// How long the wait is where the kernel cannot wait for many.
const SHORT_WAIT_NS: u64 = 500_000;
/// `FUTEX2_SIZE_U32`: words of 32 bits, shared between processes (futex(2)).
const SIZE_U32: u32 = 2;

/// `struct futex_waitv` of linux/futex.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct Waited {
    seen: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

impl<const ROOM: usize> Default for WaitList<'_, ROOM> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'w, const ROOM: usize> WaitList<'w, ROOM> {
    /// Nothing to wait for.
    pub const fn new() -> Self {
        let nothing = Waited { seen: 0, address: 0, flags: SIZE_U32, reserved: 0 };
        Self { entries: [nothing; ROOM], count: 0, words: std::marker::PhantomData }
    }

    /// Waits for `word` too, which read `seen`. What is beyond the room is not waited for. Real-time safe.
    pub fn add(&mut self, word: &'w AtomicU32, seen: u32) {
        self.add_at(word.as_ptr(), seen);
    }

    /// Waits for a commit word too, which read `seen`. Real-time safe.
    pub fn add_commit(&mut self, word: &'w AtomicU64, seen: u64) {
        self.add_at(lower_half(word), seen as u32);
    }

    fn add_at(&mut self, address: *const u32, seen: u32) {
        if let Some(entry) = self.entries.get_mut(self.count) {
            *entry = Waited { seen: seen.into(), address: address as u64, flags: SIZE_U32, reserved: 0 };
            self.count += 1;
        }
    }

    /// Sleeps while all words read what was seen, until woken on one of them or until `deadline_ns`. May return
    /// early for no reason. Real-time safe but for the wait.
    pub fn wait(&self, deadline_ns: u64) {
        if !can_wait_for_many() {
            return sleep_until(deadline_ns.min(now_ns() + SHORT_WAIT_NS));
        }
        self.wait_for_many(deadline_ns);
    }

    fn wait_for_many(&self, deadline_ns: u64) -> i64 {
        let deadline = timespec(deadline_ns);
        // SAFETY:
        // - `entries` has `count` initialised elements (`add_at`), each the address of a word that lives through
        //   `'w`; the kernel reads 4 aligned bytes there and writes nothing;
        // - `deadline` lives through the call and is absolute, of the clock named.
        unsafe {
            libc::syscall(
                libc::SYS_futex_waitv,
                self.entries.as_ptr(),
                self.count as libc::c_uint,
                0,
                &deadline,
                libc::CLOCK_MONOTONIC,
            )
        }
    }
}

/// Whether this kernel can wait for several words at once. Asked for once, at the first call. Real-time safe
/// from the second on.
pub fn can_wait_for_many() -> bool {
    const UNKNOWN: u32 = 0;
    const NO: u32 = 1;
    const YES: u32 = 2;
    static ANSWER: AtomicU32 = AtomicU32::new(UNKNOWN);
    match ANSWER.load(std::sync::atomic::Ordering::Relaxed) {
        YES => true,
        NO => false,
        _ => {
            // A word that reads something else than was seen: no kernel that knows the call sleeps on it.
            let word = AtomicU32::new(1);
            let mut list = WaitList::<1>::new();
            list.add(&word, 0);
            let refused = list.wait_for_many(now_ns()) < 0;
            let is_unknown = refused && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS);
            ANSWER.store(if is_unknown { NO } else { YES }, std::sync::atomic::Ordering::Relaxed);
            !is_unknown
        }
    }
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
