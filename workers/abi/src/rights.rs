//! Real-time rights of a thread: asked for, read back, and said truly.

use std::io;

/// Asks for FIFO priority `priority` (1..=99) for the calling thread and reads back whether it has it.
/// Children do not inherit it (SCHED_RESET_ON_FORK).
pub fn take_fifo(priority: u32) -> io::Result<()> {
    let asked = libc::sched_param { sched_priority: priority as i32 };
    // SAFETY: 0 is the calling thread; `asked` lives through the call.
    let refused =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &asked) } != 0;
    if refused {
        return Err(io::Error::last_os_error());
    }
    has_fifo().then_some(()).ok_or_else(|| io::Error::other("the kernel said yes and did not do it"))
}

/// Takes FIFO priority from process `pid`, whose only thread is its first: whoever has it runs before that one from
/// now on. Nothing happens if it is gone. Real-time safe.
pub fn take_fifo_from(pid: u32) {
    let (Ok(pid), asked) = (libc::pid_t::try_from(pid), libc::sched_param { sched_priority: 0 }) else {
        return;
    };
    if pid > 0 {
        // SAFETY: a number and a structure that lives through the call; the kernel checks whose process it is.
        unsafe { libc::sched_setscheduler(pid, libc::SCHED_OTHER, &asked) };
    }
}

/// Whether the calling thread runs under FIFO.
pub fn has_fifo() -> bool {
    // SAFETY: 0 is the calling thread; the call reads nothing of ours.
    let policy = unsafe { libc::sched_getscheduler(0) };
    policy & !libc::SCHED_RESET_ON_FORK == libc::SCHED_FIFO
}

/// Locks all memory of the process, present and future.
pub fn lock_memory() -> io::Result<()> {
    lock(libc::MCL_CURRENT | libc::MCL_FUTURE)
}

/// Locks all memory of the process as it is touched. What it shares with the process that it was forked from stays shared
/// until it is written: the other way of locking would make a copy of all of it at once.
pub fn lock_touched_memory() -> io::Result<()> {
    lock(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT)
}

fn lock(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: a flag argument only.
    let refused = unsafe { libc::mlockall(flags) } != 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Pins the calling thread to `core` and reads the affinity back.
pub fn pin_to(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
        && matches!(core_affinity::get_core_ids().as_deref(), Some([only]) if only.id == core)
}

/// CPU time that process `pid` has used so far, ns; `None` if it is gone. Real-time safe.
pub fn cpu_time_ns(pid: u32) -> Option<u64> {
    /// The clock of a whole process by the scheduler's count (CPUCLOCK_SCHED of linux/posix-timers.h).
    const SCHED: libc::clockid_t = 2;
    let clock = !libc::clockid_t::try_from(pid).ok()? << 3 | SCHED;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec on the stack; a clock of nobody is refused.
    let is_refused = unsafe { libc::clock_gettime(clock, &mut time) } != 0;
    (!is_refused).then_some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// The core the calling thread runs on right now. Real-time safe.
pub fn current_core() -> usize {
    // SAFETY: no arguments.
    let core = unsafe { libc::sched_getcpu() };
    core.max(0) as usize
}

/// Denormal numbers count as zero in this thread from now on, in and out: they cost a hundred times a normal
/// one. Every render thread does this, so all render the same bits.
pub fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        /// Flush to zero (bit 15) and denormals are zero (bit 6) of MXCSR.
        const FLUSH: u32 = 1 << 15 | 1 << 6;
        let mut control: u32 = 0;
        // SAFETY: stores MXCSR to `control`, which is 4 bytes on the stack.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut control, options(nostack)) };
        control |= FLUSH;
        // SAFETY: loads MXCSR with two defined bits more than it had; Rust code does not depend on them.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &control, options(nostack)) };
    }
    #[cfg(target_arch = "aarch64")]
    {
        /// Flush to zero, bit 24 of FPCR.
        const FLUSH: u64 = 1 << 24;
        let control: u64;
        // SAFETY: reads FPCR.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nostack, nomem)) };
        // SAFETY: sets one defined bit of FPCR.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) control | FLUSH, options(nostack, nomem)) };
    }
}

/// Kills the calling process when the thread that spawned it dies, then checks that its parent is still
/// `parent`: if it died before the call, the signal will never come.
pub fn die_with_parent(parent: u32) -> io::Result<()> {
    // SAFETY: integer arguments only.
    let refused = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0;
    if refused {
        return Err(io::Error::last_os_error());
    }
    if std::os::unix::process::parent_id() != parent {
        return Err(io::Error::other(format!("the engine (pid {parent}) is gone")));
    }
    Ok(())
}

/// No core dump when this process dies: writing one takes longer than a block, and comes before the death notice.
/// A limit of one byte is what the kernel takes for "none", also where dumps are piped to a program (core(5)).
pub fn leave_no_core_dump() -> io::Result<()> {
    let one_byte = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: `one_byte` lives through the call.
    let refused = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &one_byte) } != 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Calls the calling thread `name`, as `ps` shows it; of more than 15 bytes the kernel keeps the first. Nothing happens if
/// there is a NUL in it.
pub fn name_thread(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        // SAFETY: the name lives through the call, and has its NUL.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
}

/// Page faults of the calling process so far, minor and major.
pub fn page_faults() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is memory for the answer.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0;
    if failed {
        return 0;
    }
    // SAFETY: all-zero is a valid rusage, and the call has filled it.
    let usage = unsafe { usage.assume_init() };
    (usage.ru_minflt + usage.ru_majflt) as u64
}
