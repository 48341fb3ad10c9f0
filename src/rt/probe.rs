//! What this machine would grant an audio thread; asked by `backline doctor`, changes nothing.

use std::io;

use rustix::process::{Resource, getrlimit};

/// Limits of this process that matter to audio; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Highest FIFO priority an ordinary user may ask for.
    pub rt_priority: Option<u64>,
    /// Memory that may be locked, in bytes.
    pub locked_bytes: Option<u64>,
    /// Real-time CPU without a blocking call before the kernel kills, in microseconds.
    pub rt_time_us: Option<u64>,
}

/// Soft limits as they are now.
pub fn limits() -> Limits {
    let soft = |resource| getrlimit(resource).current;
    Limits {
        rt_priority: soft(Resource::Rtprio),
        locked_bytes: soft(Resource::Memlock),
        rt_time_us: soft(Resource::Rttime),
    }
}

/// Tries FIFO at `priority` on a thread that ends at once, so that no other thread is touched.
pub fn try_fifo(priority: u32) -> io::Result<()> {
    let trial =
        std::thread::Builder::new().name("fifo-trial".to_owned()).spawn(move || become_fifo(priority))?;
    trial.join().unwrap_or_else(|_| Err(io::Error::other("the trial thread panicked")))
}

fn become_fifo(priority: u32) -> io::Result<()> {
    let priority = i32::try_from(priority).map_err(|_| io::ErrorKind::InvalidInput)?;
    let param = libc::sched_param { sched_priority: priority };
    // SAFETY: 0 means the calling thread; `param` is a live, initialised struct that the call only reads.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Free bytes of the file system at `path`.
pub fn free_bytes(path: &str) -> io::Result<u64> {
    let status = rustix::fs::statvfs(path)?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_of_priority_leaves_this_thread_as_it_was() {
        let policy = || {
            // SAFETY: 0 means the calling thread; the call reads nothing of ours.
            unsafe { libc::sched_getscheduler(0) }
        };
        let before = policy();
        let _ = try_fifo(1);
        assert_eq!(policy(), before);
    }

    #[test]
    fn a_priority_that_does_not_exist_is_refused() {
        assert!(try_fifo(1_000).is_err());
    }

    #[test]
    fn shared_memory_has_a_size_and_a_path_that_is_not_there_has_none() {
        assert!(free_bytes("/").is_ok());
        assert!(free_bytes("/no/such/folder").is_err());
    }
}
