//! What a process gives up for good, each read back: rights that it could get, limits that it could reach, what its
//! descriptors lead to. None of this can be taken back, also not by the process itself if it has no privileges.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a limit is about; the kernel's numbers differ in type from one C library to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Processes and threads of the user: with 0 nobody can be added.
    Processes,
    /// Number of the next descriptor.
    Descriptors,
    /// Private memory that can be written: heap, and mappings of its own (shared memory does not count).
    Memory,
    /// Bytes of a core dump.
    CoreDump,
}

impl Resource {
    const fn number(self) -> libc::__rlimit_resource_t {
        match self {
            Self::Processes => libc::RLIMIT_NPROC,
            Self::Descriptors => libc::RLIMIT_NOFILE,
            Self::Memory => libc::RLIMIT_DATA,
            Self::CoreDump => libc::RLIMIT_CORE,
        }
    }
}

/// Nothing that the calling thread, or a thread that it starts, executes gives it more rights than it has.
pub fn renounce_new_privileges() -> io::Result<()> {
    // SAFETY: integer arguments only.
    let refused = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0;
    if refused {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: integer arguments only.
    let has_renounced = unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1;
    has_renounced.then_some(()).ok_or_else(|| io::Error::other("the kernel said yes and did not do it"))
}

/// Both limits of `resource`: what is in force, and what it may be raised to.
pub fn limits(resource: Resource) -> io::Result<(u64, u64)> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limits` is memory for the answer.
    let refused = unsafe { libc::getrlimit(resource.number(), &mut limits) } != 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok((limits.rlim_cur, limits.rlim_max)) }
}

/// Limits `resource` to `most`, or leaves it where it is if that is less.
pub fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let (soft, hard) = limits(resource)?;
    let lower = libc::rlimit { rlim_cur: soft.min(most), rlim_max: hard.min(most) };
    // SAFETY: `lower` lives through the call.
    let refused = unsafe { libc::setrlimit(resource.number(), &lower) } != 0;
    if refused {
        return Err(io::Error::last_os_error());
    }
    let is_limited = limits(resource)?.1 <= most;
    is_limited.then_some(()).ok_or_else(|| io::Error::other("the kernel said yes and did not do it"))
}

/// From now on descriptor `number` leads to `nothing`; whoever owns it owns it still, and may close it.
pub fn lead_to_nothing(number: i32, nothing: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integers only; the number stays open, so that nobody is given a descriptor that another one closes.
    let refused = unsafe { libc::dup3(nothing.as_raw_fd(), number, libc::O_CLOEXEC) } < 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_lowered_and_never_raised() {
        let (_, hard) = limits(Resource::CoreDump).expect("the kernel tells limits");
        limit(Resource::CoreDump, hard).expect("what is in force can be asked for");
        limit(Resource::CoreDump, 1).expect("limits can be lowered");
        limit(Resource::CoreDump, u64::MAX).expect("a limit that is lower already is no refusal");
        let (soft, hard) = limits(Resource::CoreDump).expect("the kernel tells limits");
        assert!(soft <= 1 && hard <= 1);
    }
}
