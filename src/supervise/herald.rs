//! A process that speaks for a kind of worker: it says what module types there are, before any worker plays one. For kinds
//! that are started by exec it ends then; a zygote stays, and is forked for each worker.
//!
//! In: a recipe. Out: [`Line`]s as they come, and workers. Thread: supervisor; it waits for a fork, at most half a second,
//! and for nothing else here.

use super::audit::Event;
use super::mark::Mark;
use super::orders::Notice;
use super::process::{GRACE, Keeper};
use super::ward::{Call, Role, Ward, Words, worker_words};
use crate::kinds::manifest::StartBy;
use backline_abi::panel::{Fault, Line};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use serde::Deserialize;
use std::io::{Error, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A fork takes some milliseconds; who has not answered after this is not going to.
const FORK_LIMIT: Duration = Duration::from_millis(500);
/// Who has not said everything after this hangs: libraries and plug-ins take seconds at most.
const DESCRIPTION_LIMIT: Duration = Duration::from_secs(60);
/// A line that is longer is none.
const LONGEST_LINE: usize = 256 * 1024;

/// What a zygote answers.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Forked {
    Forked(u32),
    NotForked(String),
}

/// Our end of what it speaks through; the process itself is a ward like every other.
pub struct Herald {
    /// Which kind.
    pub kind: usize,
    /// When it is killed if it has not said everything.
    pub silence_at: Instant,
    /// It has said everything.
    pub is_done: bool,
    is_open: bool,
    stream: UnixStream,
    unread: Vec<u8>,
}

impl Herald {
    /// Our end, and what the process is to be told.
    pub fn of(kind: usize, start: StartBy) -> Result<(Self, Words), Error> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let words = match start {
            StartBy::Exec => Words::Describe(theirs.into()),
            StartBy::Zygote => Words::Zygote(theirs.into()),
        };
        let silence_at = Instant::now() + DESCRIPTION_LIMIT;
        Ok((
            Self { kind, silence_at, is_done: false, is_open: true, stream: ours, unread: Vec::new() },
            words,
        ))
    }

    /// Readable when it has said something, as long as it has something to say.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        (self.is_open && !self.is_done).then(|| self.stream.as_fd())
    }

    /// What it has said since.
    pub fn hear(&mut self) -> Vec<Line> {
        self.read();
        let mut lines = Vec::new();
        while let Some(text) = self.next_line() {
            match serde_json::from_slice(&text) {
                Ok(Line::Ready(types)) => {
                    self.is_done = true;
                    lines.push(Line::Ready(types));
                }
                Ok(line) => lines.push(line),
                Err(problem) => {
                    let name = String::from_utf8_lossy(&text).chars().take(80).collect();
                    let reason = format!("this is no line of a description: {problem}");
                    lines.push(Line::Fault(Fault { name, reason }));
                }
            }
        }
        lines
    }

    fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while self.unread.len() < LONGEST_LINE {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.is_open = false;
                    break;
                }
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let end = match self.unread.iter().position(|byte| *byte == b'\n') {
            Some(end) => end,
            None if self.unread.len() >= LONGEST_LINE => self.unread.len() - 1,
            None => return None,
        };
        let rest = self.unread.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.unread, rest);
        line.truncate(end);
        Some(line)
    }

    /// A worker with the command line `words` and the mark `mark`; it is our child when this returns.
    pub fn fork(&mut self, words: &[String], mark: &Mark) -> Result<u32, Error> {
        // What it may have said too late to be heard is no answer.
        self.hear();
        let request = serde_json::json!({ "fork": { "words": words, "mark": mark.to_string() } });
        self.stream.write_all(format!("{request}\n").as_bytes())?;
        let until = Instant::now() + FORK_LIMIT;
        loop {
            if let Some(line) = self.next_line() {
                return match serde_json::from_slice(&line) {
                    Ok(Forked::Forked(pid)) => Ok(pid),
                    Ok(Forked::NotForked(reason)) => Err(Error::other(reason)),
                    Err(_) => continue,
                };
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(ErrorKind::TimedOut, "its zygote does not answer"));
            }
            let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            let mut fds = [PollFd::new(&self.stream, PollFlags::IN)];
            // An interrupted wait is a wait that is over.
            let _ = poll(&mut fds, Some(&timeout));
            let has_ended = fds[0].revents().contains(PollFlags::HUP);
            self.read();
            if has_ended && !self.unread.contains(&b'\n') {
                return Err(Error::new(ErrorKind::BrokenPipe, "its zygote has ended"));
            }
        }
    }
}

impl Keeper {
    /// Starts the process that speaks for `kind`, unless there is one.
    pub(super) fn open(&mut self, kind: usize) {
        if self.heralds.iter().any(|herald| herald.kind == kind) {
            return;
        }
        self.mark.serial += 1;
        let recipe = &self.recipes[kind];
        let started = Herald::of(kind, recipe.start).and_then(|(herald, words)| {
            let role = Role::Herald(kind);
            Ok((herald, Ward::start(Call { recipe, words, role, mark: &self.mark })?))
        });
        match started {
            Ok((herald, ward)) => {
                let process = ward.process;
                self.record(|registry| registry.add(process));
                self.heralds.push(herald);
                self.wards.push(ward);
                self.count(|accounts| accounts.spawned += 1);
                self.audit.note(Event::HeraldSpawned { kind, pid: process.pid });
            }
            Err(cause) => {
                let program = recipe.program.display();
                let cause = format!("{program} could not be started: {cause}");
                self.tell(Notice::Silent { kind, is_done: false, cause });
            }
        }
    }

    /// The process that spoke for `kind` is dead.
    pub(super) fn dismiss_herald(&mut self, kind: usize, has_ended_well: bool, cause: String) {
        self.listen_to_heralds();
        if let Some(index) = self.heralds.iter().position(|herald| herald.kind == kind) {
            let is_done = self.heralds.swap_remove(index).is_done || has_ended_well;
            self.tell(Notice::Silent { kind, is_done, cause });
        }
    }

    /// Passes on what heralds say, and ends those that never come to an end.
    pub(super) fn listen_to_heralds(&mut self) {
        for index in 0..self.heralds.len() {
            let kind = self.heralds[index].kind;
            for line in self.heralds[index].hear() {
                self.tell(Notice::Said { kind, line });
            }
            let herald = &mut self.heralds[index];
            if !herald.is_done && herald.silence_at <= Instant::now() {
                herald.silence_at += GRACE;
                let ward = self.wards.iter().position(|ward| ward.role == Role::Herald(kind));
                ward.into_iter()
                    .for_each(|ward| self.signal(ward, Signal::KILL, "it took too long to say its types"));
            }
        }
    }

    /// By exec, or from the zygote of its kind.
    pub(super) fn start_worker(
        &mut self,
        kind: usize,
        slot: usize,
        core: usize,
    ) -> Result<Ward, std::io::Error> {
        let (recipe, words) = (&self.recipes[kind], worker_words(&self.name, slot, core));
        if recipe.start == StartBy::Exec {
            let (words, role) = (Words::Worker(words), Role::Worker(slot));
            return Ward::start(Call { recipe, words, role, mark: &self.mark });
        }
        let zygote = self.heralds.iter_mut().find(|herald| herald.kind == kind);
        let zygote = zygote.ok_or_else(|| std::io::Error::other("its zygote is not there"))?;
        let pid = zygote.fork(&words, &self.mark)?;
        Ward::adopt(slot, self.mark.serial, pid)
    }
}
