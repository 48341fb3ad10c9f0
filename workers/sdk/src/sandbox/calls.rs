//! The system calls that a renderer needs. All others are refused (`backline_abi::refused`), in all threads.
//!
//! | for | calls |
//! |---|---|
//! | waiting | futexes, sleep; `poll` and `select` of no descriptor, which is sleep |
//! | memory | map, unmap, protect, grow, advise; nothing that could be executed, nothing of others erased |
//! | descriptors that are open | read, write, seek, close, ask what they are; none is opened |
//! | signals | handlers, masks; none is sent to anybody else, nobody takes SIGSYS |
//! | itself | time, its numbers, its name, its usage, random bytes; its end |
//!
//! Calls that another processor architecture would make by the same numbers kill (32-bit programs on a 64-bit kernel).

use seccompiler::SeccompCmpArgLen::{self, Dword};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter, apply_filter_all_threads,
};
use std::collections::BTreeMap;

/// What is allowed whatever its arguments are.
const PLAIN: &[libc::c_long] = &[
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_sched_yield,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_restart_syscall,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_getcpu,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_rseq,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// What the kernel may be told of memory. Not MADV_REMOVE, which would erase shared memory that is mapped read-only.
const ADVICE: [libc::c_int; 12] = [
    libc::MADV_NORMAL,
    libc::MADV_RANDOM,
    libc::MADV_SEQUENTIAL,
    libc::MADV_WILLNEED,
    libc::MADV_DONTNEED,
    libc::MADV_FREE,
    libc::MADV_HUGEPAGE,
    libc::MADV_NOHUGEPAGE,
    libc::MADV_DONTDUMP,
    libc::MADV_DODUMP,
    libc::MADV_POPULATE_READ,
    libc::MADV_POPULATE_WRITE,
];

/// What is allowed with certain arguments. A call that stands here twice is allowed if either holds.
fn conditional() -> Vec<(libc::c_long, Vec<Holds>)> {
    let own = u64::from(std::process::id());
    let advice = ADVICE.iter().map(|advice| (libc::SYS_madvise, vec![is(2, *advice as u64)]));
    let mut all = vec![
        (libc::SYS_mmap, vec![is_clear(2, libc::PROT_EXEC)]),
        (libc::SYS_mprotect, vec![is_clear(2, libc::PROT_EXEC)]),
        // What fstat(3) of some C libraries is; a path beside the flag tells no more than that a file is there.
        (libc::SYS_newfstatat, vec![is_set(3, libc::AT_EMPTY_PATH)]),
        // What standard I/O asks before it writes for the first time.
        (libc::SYS_ioctl, vec![is(1, libc::TCGETS)]),
        (libc::SYS_fcntl, vec![is(1, libc::F_GETFD as u64)]),
        (libc::SYS_fcntl, vec![is(1, libc::F_GETFL as u64)]),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_select, vec![is(0, 0)]),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_poll, vec![is(1, 0)]),
        (libc::SYS_pselect6, vec![is(0, 0)]),
        (libc::SYS_ppoll, vec![is(1, 0)]),
        (libc::SYS_rt_sigaction, vec![(0, Dword, SeccompCmpOp::Ne, libc::SIGSYS as u64)]),
        // What blocks signals is trapped, and done for the caller (`backline_abi::refused`).
        (libc::SYS_rt_sigprocmask, vec![is_null(1)]),
        (libc::SYS_rt_sigprocmask, vec![is(0, libc::SIG_UNBLOCK as u64)]),
        (libc::SYS_kill, vec![is(0, own)]),
        (libc::SYS_tgkill, vec![is(0, own)]),
        // getrlimit(2), of oneself.
        (libc::SYS_prlimit64, vec![is(0, 0), is_null(2)]),
        (libc::SYS_prctl, vec![is(0, libc::PR_SET_NAME as u64)]),
        (libc::SYS_prctl, vec![is(0, libc::PR_GET_NAME as u64)]),
    ];
    all.extend(advice);
    all
}

/// What must hold of one argument of a call.
type Holds = (u8, SeccompCmpArgLen, SeccompCmpOp, u64);

const fn is(argument: u8, value: u64) -> Holds {
    (argument, Dword, SeccompCmpOp::Eq, value)
}

const fn is_null(argument: u8) -> Holds {
    (argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

const fn is_clear(argument: u8, bit: libc::c_int) -> Holds {
    (argument, Dword, SeccompCmpOp::MaskedEq(bit as u64), 0)
}

const fn is_set(argument: u8, bit: libc::c_int) -> Holds {
    (argument, Dword, SeccompCmpOp::MaskedEq(bit as u64), bit as u64)
}

/// No call of this process but those above, from now on and in all threads.
pub fn close() -> seccompiler::Result<()> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules()?, SeccompAction::Trap, SeccompAction::Allow, architecture)?;
    let program = BpfProgram::try_from(filter)?;
    apply_filter_all_threads(&program).or_else(|cause| {
        // Better one thread than none; it counts as none all the same.
        apply_filter(&program)?;
        Err(cause)
    })
}

fn rules() -> seccompiler::Result<BTreeMap<i64, Vec<SeccompRule>>> {
    let mut rules = BTreeMap::from_iter(PLAIN.iter().map(|call| (*call, Vec::new())));
    for (call, holds) in conditional() {
        let conditions = holds.into_iter().map(|(argument, length, operator, value)| {
            SeccompCondition::new(argument, length, operator, value)
        });
        let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
        rules.entry(call).or_default().push(rule);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_allowed_in_one_way_only() {
        let rules = rules().expect("the rules are rules");
        assert!(PLAIN.iter().all(|call| rules[call].is_empty()), "a plain call has no conditions");
        assert!(conditional().iter().all(|(call, _)| !PLAIN.contains(call)));
        for forbidden in
            [libc::SYS_openat, libc::SYS_socket, libc::SYS_execve, libc::SYS_clone, libc::SYS_clone3]
        {
            assert!(!rules.contains_key(&forbidden), "{forbidden}");
        }
    }
}
