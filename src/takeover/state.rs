//! What a process is doing, as the kernel tells it. No allocation: the take-over thread asks.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::read;
use std::ffi::CStr;
use std::io::{Cursor, Write};

/// Long enough for `/proc/4194304/stat`, and for the beginning of what stands there.
const ROOM: usize = 64;

/// Whether process `pid` is stopped by a signal or a debugger (state T or t of proc_pid_stat(5)). False if it is
/// gone. Some 20 us; allocates nothing.
pub fn is_stopped(pid: u32) -> bool {
    matches!(letter(pid), Some(b'T' | b't'))
}

/// Whether process `pid` runs, or would if it got a core (state R). Some 20 us; allocates nothing.
pub fn is_runnable(pid: u32) -> bool {
    letter(pid) == Some(b'R')
}

/// The state of a process; `None` if it is gone.
fn letter(pid: u32) -> Option<u8> {
    let mut path = [0_u8; ROOM];
    let written = write!(Cursor::new(&mut path[..ROOM - 1]), "/proc/{pid}/stat");
    let (Ok(()), Ok(path)) = (written, CStr::from_bytes_until_nul(&path)) else { return None };
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0_u8; ROOM];
    let length = read(&file, &mut text).ok()?;
    // The name of the program is in brackets and may hold brackets itself; a state follows the last.
    let text = &text[..length];
    text.iter().rposition(|byte| *byte == b')').and_then(|end| text.get(end + 2)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};

    #[test]
    fn whoever_wants_a_core_is_told_from_whoever_sleeps() {
        let started = |script: &str| {
            std::process::Command::new("sh").args(["-c", script]).spawn().expect("there is a shell")
        };
        let mut children = [started("while :; do :; done"), started("exec sleep 60")];
        while !is_runnable(children[0].id()) || is_runnable(children[1].id()) {
            std::thread::yield_now();
        }
        for child in &mut children {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    #[test]
    fn a_stopped_process_is_told_from_a_running_one_and_from_none() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is everywhere");
        let pid = Pid::from_child(&child);
        assert!(!is_stopped(child.id()));
        kill_process(pid, Signal::STOP).expect("it is ours");
        while !is_stopped(child.id()) {
            std::thread::yield_now();
        }
        kill_process(pid, Signal::CONT).expect("it is ours");
        while is_stopped(child.id()) {
            std::thread::yield_now();
        }
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert!(!is_stopped(child.id()));
    }
}
