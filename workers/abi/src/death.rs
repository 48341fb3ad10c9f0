//! Death notice: the kernel itself tells that a worker is dead, before it frees the worker's memory.
//!
//! A thread may register a list of futex words that it owns ("robust futexes", get_robust_list(2)). When it dies,
//! however it dies, the kernel walks the list, sets [`OWNER_DIED`] in each word and wakes one sleeper. That takes
//! some 60 us however large the process is; a pidfd is readable only when the memory is torn down, after more than
//! a millisecond (docs/adr/0006).
//!
//! The word lies in the worker's own arena and holds its thread id and [`WAITERS`] from the start, so nobody
//! else ever has to write it: the engine sleeps on it through its read-only mapping. The list itself is private to
//! the worker, and no pointer is stored in shared memory.

use crate::wake;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Release};

/// Set by the kernel when the owner of the word has died (linux/futex.h, `FUTEX_OWNER_DIED`).
pub const OWNER_DIED: u32 = libc::FUTEX_OWNER_DIED;
/// Somebody sleeps on the word, so the kernel must wake (linux/futex.h, `FUTEX_WAITERS`).
pub const WAITERS: u32 = libc::FUTEX_WAITERS;

/// What the death notice of process `pid` reads while it lives. Anything else is a death, or a broken contract.
pub const fn alive(pid: u32) -> u32 {
    pid | WAITERS
}

/// `struct robust_list` of linux/futex.h.
#[repr(C)]
struct Link {
    next: *mut Link,
}

/// `struct robust_list_head` of linux/futex.h, and the one link that the list has.
#[repr(C)]
struct List {
    first: Link,
    /// Distance from a link to its futex word.
    futex_offset: libc::c_long,
    pending: *mut Link,
    only: Link,
}

/// Size of `struct robust_list_head`.
const HEAD_BYTES: usize = 3 * size_of::<usize>();

/// Makes `word` tell the death of the calling thread from now on, for as long as the process lives. Call it once, on
/// the thread that renders. The thread's robust mutexes of the C library, if it had any, are forgotten.
pub fn arm(word: &'static AtomicU32) -> io::Result<()> {
    let list = Box::leak(Box::new(List {
        first: Link { next: std::ptr::null_mut() },
        futex_offset: 0,
        pending: std::ptr::null_mut(),
        only: Link { next: std::ptr::null_mut() },
    }));
    list.futex_offset = word.as_ptr() as libc::c_long - &raw const list.only as libc::c_long;
    // A ring: the head leads to the only link, and that back to the head.
    list.only.next = &raw mut list.first;
    list.first.next = &raw mut list.only;
    // SAFETY: no arguments.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
    // SAFETY:
    // - `list` is leaked, so it lives as long as the thread, and nothing moves or changes it any more;
    // - its first three words are a `robust_list_head` (the layout is `repr(C)`, the size is asserted below);
    // - `only + futex_offset` is `word`, a 4-byte aligned word in a mapping that lives as long as the process.
    let refused = unsafe { libc::syscall(libc::SYS_set_robust_list, &raw const *list, HEAD_BYTES) } != 0;
    if refused {
        return Err(io::Error::last_os_error());
    }
    // Release: whoever sees this process in the word also sees what it stored before.
    word.store(alive(thread), Release);
    wake::wake(word);
    Ok(())
}

const _: () = assert!(std::mem::offset_of!(List, only) == HEAD_BYTES);
