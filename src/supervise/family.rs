//! What workers start, and leave behind when they die. In: who the workers are, and who of them is gone. Out: what
//! they had started is killed and reaped, whatever group or session it went to. Thread: supervisor.
//!
//! The engine is a sub-reaper: orphans of its workers become its own children. But not every child that nobody
//! knows is such an orphan; libraries have children, too. So a process is touched only if it is known to descend
//! from a worker: because it was seen below one, because it carries the worker's mark ([`super::mark`]), or
//! because it is in the worker's group or session. It is killed through its pidfd, and reaped by that.

use super::census::{self, Facts, Process};
use super::mark::{self, Engine};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two looks while nobody dies: what starts and hides in between is still betrayed by its mark.
const ROUTINE: Duration = Duration::from_secs(1);
/// Looks after a death. The first finds almost everybody; what was being started just then, the later ones.
const AFTER_DEATH: [Duration; 3] = [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(200)];
/// A look may take this share of the time at most: one of a thousand processes takes milliseconds.
const REST_FACTOR: u32 = 20;
/// How long the dead are remembered by the number of their group.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Generations between a worker and what counts as its own.
const GENERATIONS: usize = 64;

/// The workers that live, by number.
pub type Workers = HashMap<u32, u64>;

/// Somebody else's child, ours to bury.
struct Orphan {
    process: Process,
    name: String,
    pidfd: OwnedFd,
}

/// A worker that is gone.
struct Gone {
    pid: u32,
    serial: u64,
    at: Instant,
    at_ticks: u64,
}

/// What a look or a death has changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Descend from workers, and were not known before.
    pub found: Vec<Process>,
    /// Were known, and are gone.
    pub lost: Vec<Process>,
    /// Were sent KILL.
    pub killed: Vec<Process>,
    /// Are reaped, with their names.
    pub reaped: Vec<(Process, String)>,
}

/// Everything that descends from the workers of one supervisor.
pub struct Family {
    engine: Engine,
    house: u32,
    /// Known descendants, and the serial of the worker.
    kin: HashMap<Process, u64>,
    gone: Vec<Gone>,
    orphans: Vec<Orphan>,
    next_look: Instant,
    looks_since_death: usize,
}

impl Family {
    /// Nobody yet.
    pub fn new(engine: Engine, house: u32) -> Self {
        Self {
            engine,
            house,
            kin: HashMap::new(),
            gone: Vec::new(),
            orphans: Vec::new(),
            next_look: Instant::now() + ROUTINE,
            looks_since_death: AFTER_DEATH.len(),
        }
    }

    /// How many are known to descend from workers, dead or alive.
    pub fn size(&self) -> usize {
        self.kin.len()
    }

    /// When to look next.
    pub fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Descriptors that become readable when an orphan is dead.
    pub fn pidfds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.orphans.iter().map(|orphan| &orphan.pidfd)
    }

    /// A worker is gone: what it has left is looked for at once.
    pub fn bereave(&mut self, pid: u32, serial: u64) {
        self.gone.push(Gone { pid, serial, at: Instant::now(), at_ticks: census::now_ticks() });
        self.hurry();
    }

    /// Looks at once, and some more times soon.
    pub fn hurry(&mut self) {
        self.looks_since_death = 0;
        self.next_look = self.next_look.min(Instant::now());
    }

    /// Looks who descends from workers, and kills and buries those whose worker is gone.
    pub fn look(&mut self, workers: &Workers) -> Changes {
        let began = Instant::now();
        let people: HashMap<u32, Facts> =
            census::everybody().into_iter().map(|facts| (facts.process.pid, facts)).collect();
        let mut changes = Changes::default();
        self.kin.retain(|process, _| {
            let is_there = people.get(&process.pid).is_some_and(|facts| facts.process == *process);
            if !is_there {
                changes.lost.push(*process);
            }
            is_there
        });
        for facts in people.values().filter(|facts| !workers.contains_key(&facts.process.pid)) {
            let Some(serial) = self.owner(facts, &people, workers) else { continue };
            if self.kin.insert(facts.process, serial).is_none() {
                changes.found.push(facts.process);
            }
            // An orphan that is dead is ours to bury, also while its worker lives.
            let is_left = facts.is_dead() && facts.parent == self.engine.process.pid;
            if is_left || !workers.values().any(|living| *living == serial) {
                self.condemn(facts, &mut changes);
            }
        }
        self.gone.retain(|gone| gone.at.elapsed() < REMEMBERED);
        self.plan_next_look(began, !changes.killed.is_empty());
        changes
    }

    fn plan_next_look(&mut self, began: Instant, has_found: bool) {
        self.looks_since_death = if has_found { 1 } else { self.looks_since_death + 1 };
        let pause = AFTER_DEATH.get(self.looks_since_death).copied().unwrap_or(ROUTINE);
        self.next_look = Instant::now() + pause.max(began.elapsed() * REST_FACTOR);
    }

    /// Which worker `facts` descends from, if any.
    fn owner(&self, facts: &Facts, people: &HashMap<u32, Facts>, workers: &Workers) -> Option<u64> {
        let mut at = facts;
        for _ in 0..GENERATIONS {
            let known = workers.get(&at.process.pid).or_else(|| self.kin.get(&at.process));
            if let Some(serial) = known {
                return Some(*serial);
            }
            if at.parent == self.engine.process.pid {
                return self.evidence(at, workers);
            }
            let parent = people.get(&at.parent)?;
            // Whoever began after its child is not its parent but has that one's number.
            if parent.process.start_ticks > at.process.start_ticks {
                return None;
            }
            at = parent;
        }
        None
    }

    /// Which worker a child of ours that we did not start comes from, if any.
    fn evidence(&self, child: &Facts, workers: &Workers) -> Option<u64> {
        let is_of = |pid: u32| child.group == pid || child.session == pid;
        let of_living = workers.iter().find(|(pid, _)| is_of(**pid)).map(|(_, serial)| *serial);
        // A group keeps its number as long as it has members; a later one of the same number has later members.
        let of_gone = || {
            let gone = self.gone.iter().rev().find(|gone| is_of(gone.pid));
            gone.filter(|gone| child.process.start_ticks <= gone.at_ticks).map(|gone| gone.serial)
        };
        let of_mark = || {
            let mark = mark::of(child.process.pid)?;
            (mark.engine == self.engine && mark.house == self.house).then_some(mark.serial)
        };
        of_living.or_else(of_gone).or_else(of_mark)
    }

    /// Kills `facts`, whose worker is gone; if it is dead already, it is only buried.
    fn condemn(&mut self, facts: &Facts, changes: &mut Changes) {
        if self.orphans.iter().any(|orphan| orphan.process == facts.process) {
            return;
        }
        let Some(pidfd) = facts.process.open() else { return };
        if !facts.is_dead() && pidfd_send_signal(&pidfd, Signal::KILL).is_ok() {
            changes.killed.push(facts.process);
        }
        let is_ours = facts.parent == self.engine.process.pid;
        // Others are their parent's to bury, and ours once that one is dead.
        if is_ours || !facts.is_dead() {
            self.orphans.push(Orphan { process: facts.process, name: facts.name.clone(), pidfd });
        }
    }

    /// Buries orphans that are dead.
    pub fn bury(&mut self) -> Changes {
        let mut changes = Changes::default();
        let is_at_rest = |orphan: &Orphan| {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            loop {
                match waitid(WaitId::PidFd(orphan.pidfd.as_fd()), options) {
                    Ok(status) => return status.is_some().then_some(true),
                    Err(Errno::INTR) => {}
                    // Not our child: somebody else's to bury.
                    Err(_) => return (!orphan.process.is_running()).then_some(false),
                }
            }
        };
        let mut left = Vec::new();
        for orphan in self.orphans.drain(..) {
            match is_at_rest(&orphan) {
                None => left.push(orphan),
                Some(is_reaped) => {
                    if is_reaped {
                        self.kin.remove(&orphan.process);
                        changes.lost.push(orphan.process);
                        changes.reaped.push((orphan.process, orphan.name));
                    }
                }
            }
        }
        self.orphans = left;
        if !changes.reaped.is_empty() {
            // What it had started is an orphan now.
            self.hurry();
        }
        changes
    }
}
