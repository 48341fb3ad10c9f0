//! One process of ours, a worker or who speaks for a kind of them: how it is started, signalled, looked at and reaped. Thread: supervisor.

use super::census::{self, Facts, Process};
use super::ending::{Ending, How, Sentence, how, is_held_up};
use super::mark::{self, Mark};
use crate::kinds::Recipe;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use std::io::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How a process is to be started.
pub struct Call<'c> {
    /// Program, arguments, variables.
    pub recipe: &'c Recipe,
    /// What it is told.
    pub words: Words,
    /// What it is to us.
    pub role: Role,
    /// What tells its descendants.
    pub mark: &'c Mark,
}

/// What a process is told on its command line, and what it speaks through.
pub enum Words {
    /// A worker: `NAME SLOT CORE ENGINE_PID`.
    Worker([String; 4]),
    /// It says what types it has, on its standard output.
    Describe(OwnedFd),
    /// The same, on its standard input, and stays to be forked.
    Zygote(OwnedFd),
}

/// What a process is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It plays in this slot.
    Worker(usize),
    /// It speaks for this kind.
    Herald(usize),
}

/// The command line of the worker in `slot` of the rig `name`.
pub fn worker_words(name: &str, slot: usize, core: usize) -> [String; 4] {
    [name.to_owned(), slot.to_string(), core.to_string(), std::process::id().to_string()]
}

/// A process that was started and is not reaped, so that its number is its own.
pub struct Ward {
    /// What it is to us.
    pub role: Role,
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
    /// Starts a process in a process group of its own, by exec through `posix_spawn`.
    pub fn start(call: Call<'_>) -> Result<Self, Error> {
        let mut command = Command::new(&call.recipe.program);
        command.args(&call.recipe.args).envs(call.recipe.variables.iter().cloned());
        command.env(mark::VARIABLE, call.mark.to_string()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        match call.words {
            Words::Worker(words) => command.args(words),
            Words::Describe(out) => command.arg("--describe").stdout(out),
            Words::Zygote(both) => command.arg("--zygote").stdin(both),
        };
        let mut child = command.spawn()?;
        // It is not reaped yet, so that its number is its own, even if it is dead.
        let opened = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        match (opened, Process::of_pid(child.id())) {
            (Ok(pidfd), Some(process)) => Ok(Self::of(call.role, call.mark.serial, process, pidfd)),
            (opened, _) => {
                // Without a descriptor nobody would notice its death.
                let _ = child.kill();
                let _ = child.wait();
                Err(opened.err().map_or_else(|| Error::other("/proc does not show it"), Error::from))
            }
        }
    }

    /// A worker that its zygote has made our child.
    pub fn adopt(slot: usize, serial: u64, pid: u32) -> Result<Self, Error> {
        let number = census::raw(pid).ok_or_else(|| Error::other("its zygote names no process"))?;
        // It is our child and not reaped, so that its number is its own.
        let pidfd = pidfd_open(number, PidfdFlags::empty())?;
        let process = Process::of_pid(pid).ok_or_else(|| Error::other("/proc does not show it"))?;
        Ok(Self::of(Role::Worker(slot), serial, process, pidfd))
    }

    fn of(role: Role, serial: u64, process: Process, pidfd: OwnedFd) -> Self {
        Self { role, serial, process, pidfd, sentence: None, kill_at: None, was_held_up: false }
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
