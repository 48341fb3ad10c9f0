//! Who runs on this machine, as /proc tells it. In: process numbers. Out: facts. Thread: any but audio.
//!
//! A number alone names nobody for long; a number and the time at which its process started do, within one
//! boot. So everything here that is acted upon goes by [`Process`].

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fmt;

/// One process for certain: its number, and when it started (clock ticks since boot).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// Number.
    pub pid: u32,
    /// Field 22 of proc_pid_stat(5).
    pub start_ticks: u64,
}

/// What proc_pid_stat(5) says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which one.
    pub process: Process,
    /// Name of its program, at most 15 bytes.
    pub name: String,
    /// `R`, `S`, `D`, `T`, `t`, `Z`, ...
    pub state: char,
    /// Parent.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Session.
    pub session: u32,
    /// Whether the kernel has begun to take it down.
    pub is_exiting: bool,
    /// CPU time in user mode, ms.
    pub user_ms: u64,
    /// CPU time in the kernel, ms.
    pub system_ms: u64,
}

/// Flags of a process that exits, dumps core, or was killed by a signal (PF_EXITING, PF_DUMPCORE, PF_SIGNALED of
/// linux/sched.h).
const EXITING: u64 = 0x4 | 0x200 | 0x400;

/// Signals that end a worker, none of which it ignores or outlives.
const DEADLY: [Signal; 9] = [
    Signal::KILL,
    Signal::TERM,
    Signal::INT,
    Signal::HUP,
    Signal::ABORT,
    Signal::SEGV,
    Signal::BUS,
    Signal::ILL,
    Signal::FPE,
];

/// Milliseconds of a clock tick: USER_HZ is 100 on every machine that we run on.
const TICK_MS: u64 = 10;

impl Process {
    /// The process that has this number now; `None` if nobody has.
    pub fn of_pid(pid: u32) -> Option<Self> {
        facts(pid).map(|facts| facts.process)
    }

    /// Ourselves.
    pub fn own() -> Self {
        let pid = std::process::id();
        Self::of_pid(pid).unwrap_or(Self { pid, start_ticks: 0 })
    }

    /// Whether it can still do anything: a zombie cannot.
    pub fn is_running(self) -> bool {
        facts(self.pid).is_some_and(|facts| facts.process == self && !facts.is_dead())
    }

    /// A descriptor of this very process; `None` if it is gone, also if its number has a new owner.
    ///
    /// The number is looked up twice. If it was passed on before the descriptor was opened, the new owner's start
    /// is another one; if after, then the descriptor is of the old one and the start is not.
    pub fn open(self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(raw(self.pid)?, PidfdFlags::empty()).ok()?;
        (Self::of_pid(self.pid) == Some(self)).then_some(pidfd)
    }

    /// Sends `signal` to this very process. False if it is gone or not ours to signal.
    pub fn signal(self, signal: Signal) -> bool {
        self.open().is_some_and(|pidfd| pidfd_send_signal(&pidfd, signal).is_ok())
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pid, self.start_ticks)
    }
}

impl Facts {
    /// A zombie, or on its way out.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Stopped by a signal or a debugger: that it does nothing is not its own doing.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// The number as the kernel takes it; `None` for 0 and for what no process has.
pub fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw)
}

/// Bytes of a page.
pub fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

/// Facts about one process; `None` if there is none of this number.
pub fn facts(pid: u32) -> Option<Facts> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(pid: u32, stat: &str) -> Option<Facts> {
    // The name stands in parentheses and may contain any of them.
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    let small = |field: usize| number(field).and_then(|number| u32::try_from(number).ok());
    Some(Facts {
        process: Process { pid, start_ticks: number(22)? },
        name,
        state: fields.first()?.chars().next()?,
        parent: small(4)?,
        group: small(5)?,
        session: small(6)?,
        is_exiting: number(9)? & EXITING != 0,
        user_ms: number(14)? * TICK_MS,
        system_ms: number(15)? * TICK_MS,
    })
}

/// Whether a process is dying: it exits, or a deadly signal waits for it to run.
pub fn is_dying(facts: &Facts) -> bool {
    facts.is_dead() || facts.is_exiting || has_deadly_signal(facts.process.pid)
}

fn has_deadly_signal(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = |name: &str| {
        let digits = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(digits.trim(), 16).ok()
    };
    let waiting = pending("SigPnd:").unwrap_or(0) | pending("ShdPnd:").unwrap_or(0);
    DEADLY.iter().any(|signal| waiting >> (signal.as_raw() - 1) & 1 == 1)
}

/// Facts about everybody.
pub fn everybody() -> Vec<Facts> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    folder.flatten().filter_map(|entry| facts(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// An environment variable that a process was started with.
pub fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let found = environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")))?;
    String::from_utf8(found.to_vec()).ok()
}

/// First eight digits of the kernel's name for this boot.
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.chars().filter(char::is_ascii_hexdigit).take(8).collect()
}

/// Clock ticks since boot, as [`Process::start_ticks`] counts them.
pub fn now_ticks() -> u64 {
    // "12345.67 ...": hundredths of a second, which is what a tick is.
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let digits: String =
        text.chars().take_while(|c| !c.is_whitespace()).filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_fields() {
        let stat = "77 (a) (b) 9 ) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 1900 20";
        let facts = parse(77, stat).expect("it is well formed");
        assert_eq!((facts.name.as_str(), facts.state), ("a) (b) 9 ", 'R'));
        assert_eq!((facts.parent, facts.group, facts.session), (1, 2, 3));
        assert_eq!((facts.user_ms, facts.system_ms), (110, 120));
        assert!(facts.is_exiting, "flags are 6, one of which says so");
        assert_eq!(facts.process, Process { pid: 77, start_ticks: 1900 });
        assert_eq!(parse(77, "77 (cut"), None);
        assert_eq!(parse(77, "77 (cut) R 1"), None);
    }

    #[test]
    fn we_are_among_everybody_and_our_number_with_another_start_is_nobody() {
        let own = Process::own();
        assert!(everybody().iter().any(|facts| facts.process == own));
        assert!(own.is_running() && own.open().is_some());
        let other = Process { start_ticks: own.start_ticks + 1, ..own };
        assert!(!other.is_running() && other.open().is_none() && !other.signal(Signal::KILL));
        assert!(own.start_ticks <= now_ticks());
    }

    #[test]
    fn numbers_that_no_process_has_are_no_numbers() {
        assert_eq!((raw(0), raw(u32::MAX), facts(0)), (None, None, None));
    }
}
