//! Whether a process is stopped, as the kernel tells it. No allocation: the take-over thread asks.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::read;
use std::ffi::CStr;
use std::io::{Cursor, Write};

/// Long enough for `/proc/4194304/stat`, and for the beginning of what stands there.
const ROOM: usize = 64;

/// Whether process `pid` is stopped by a signal or a debugger (state T or t of proc_pid_stat(5)). False if it is
/// gone. Some 20 us; allocates nothing.
pub fn is_stopped(pid: u32) -> bool {
    let mut path = [0_u8; ROOM];
    let written = write!(Cursor::new(&mut path[..ROOM - 1]), "/proc/{pid}/stat");
    let (Ok(()), Ok(path)) = (written, CStr::from_bytes_until_nul(&path)) else { return false };
    let Ok(file) = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return false };
    let mut text = [0_u8; ROOM];
    let Ok(length) = read(&file, &mut text) else { return false };
    // The name of the program is in brackets and may hold brackets itself; a state follows the last.
    let text = &text[..length];
    let state = text.iter().rposition(|byte| *byte == b')').and_then(|end| text.get(end + 2));
    matches!(state, Some(b'T' | b't'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};

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
