//! One worker process: how it is started, signalled, looked at and reaped. Thread: supervisor.

use super::census::{self, Facts, Process};
use super::ending::{Ending, How, Sentence, how, is_held_up};
use super::mark::{self, Mark};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use std::io::Error;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How a worker is to be started.
pub struct Call<'c> {
    /// The program.
    pub program: &'c Path,
    /// Name of the control segment.
    pub name: &'c str,
    /// Slot.
    pub slot: usize,
    /// Core.
    pub core: usize,
    /// What tells its descendants.
    pub mark: &'c Mark,
}

/// A worker that was started and is not reaped, so that its number is its own.
pub struct Ward {
    /// Slot.
    pub slot: usize,
    /// Which of all that were ever started.
    pub serial: u64,
    /// Who it is.
    pub process: Process,
    /// Readable when it is dead.
    pub pidfd: OwnedFd,
    /// What was decided about it.
    pub sentence: Option<Sentence>,
    /// When what has not left of its own accord is killed.
    pub kill_at: Option<Instant>,
    was_held_up: bool,
}

/// Whether and how a signal went out.
pub type Sent = bool;

impl Ward {
    /// Starts a worker in a process group of its own, by exec through `posix_spawn`.
    pub fn start(call: &Call<'_>) -> Result<Self, Error> {
        let mut child = Command::new(call.program)
            .arg(call.name)
            .args([call.slot.to_string(), call.core.to_string(), std::process::id().to_string()])
            .env(mark::VARIABLE, call.mark.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        // It is not reaped yet, so that its number is its own, even if it is dead.
        let opened = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        match (opened, Process::of_pid(child.id())) {
            (Ok(pidfd), Some(process)) => Ok(Self {
                slot: call.slot,
                serial: call.mark.serial,
                process,
                pidfd,
                sentence: None,
                kill_at: None,
                was_held_up: false,
            }),
            (opened, _) => {
                // Without a descriptor nobody would notice its death.
                let _ = child.kill();
                let _ = child.wait();
                Err(opened.err().map_or_else(|| Error::other("/proc does not show it"), Error::from))
            }
        }
    }

    /// Decides its end, and says whether this did. Whoever was sentenced before stays so, and who is dying
    /// already is not sentenced: it was late because it died, not the other way round.
    pub fn sentence(&mut self, sentence: Sentence) -> bool {
        let facts = census::facts(self.process.pid);
        if self.sentence.is_some() || facts.as_ref().is_some_and(census::is_dying) {
            return false;
        }
        self.was_held_up = facts.is_some_and(|facts| is_held_up(&facts));
        self.sentence = Some(sentence);
        true
    }

    /// Sends `signal` to its whole group. False if there is nobody in it any more.
    pub fn signal_group(&self, signal: Signal) -> Sent {
        census::raw(self.process.pid).is_some_and(|group| kill_process_group(group, signal).is_ok())
    }

    /// What /proc says of it, also when it is dead.
    pub fn facts(&self) -> Option<Facts> {
        census::facts(self.process.pid)
    }

    /// True if it is dead and not reaped yet.
    pub fn is_dead(&self) -> bool {
        self.wait(WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT).is_some()
    }

    /// Reaps it; afterwards its number may be anybody's. `None` if it lives.
    pub fn reap(&self) -> Option<Ending> {
        let how = self.wait(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        Some(Ending { how, sentence: self.sentence, was_held_up: self.was_held_up })
    }

    fn wait(&self, options: WaitIdOptions) -> Option<How> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Ok(status) => return status.as_ref().map(how),
                Err(Errno::INTR) => {}
                // Somebody else has reaped it, which nobody should: it is gone all the same.
                Err(_) => return Some(How::Unknown),
            }
        }
    }
}
