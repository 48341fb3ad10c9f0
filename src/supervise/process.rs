//! The supervisor thread: the only one that spawns, signals and reaps.
//!
//! In: [`Order`]s from control, condemnations from anybody ([`Alarm`]). Out: [`Notice`]s to control, a line in
//! the audit log for everything done, the registry of who lives.
//! It lives as long as the engine, because a worker's death signal is tied to the thread that spawned it. It
//! sleeps in `poll` on the alarm's bell and the pidfds of all it has to bury, so it wakes when there is something
//! to do, and once a second to see what workers have started.
//! A worker that is dismissed gets TERM, 200 ms, then KILL, with its whole group; one that is condemned or killed gets
//! KILL. The group of a dead one is always swept, and then what has left the group ([`super::family`]).

use super::alarm::{Alarm, Offence};
use super::audit::{Audit, Event};
use super::ending::{Ending, How, Sentence};
use super::family::{Changes, Family, Workers};
use super::herald::Herald;
use super::mark::{Engine, Mark};
use super::orders::{Accounts, Notice, Order};
use super::registry::{Registry, RegistryError};
use super::ward::{Role, Ward};
use crate::kinds::Recipe;
use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, set_child_subreaper};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a process group has between TERM and KILL.
pub const GRACE: Duration = Duration::from_millis(200);
/// How long the thread waits at its end for what was killed to be dead.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// What control and the thread share.
#[derive(Default)]
struct Shared {
    accounts: Accounts,
    registry_fault: Option<RegistryError>,
}

/// Control's handle on the supervisor thread. Dropping it ends all workers.
pub struct Supervisor {
    orders: Sender<Order>,
    notices: Receiver<Notice>,
    alarm: Arc<Alarm>,
    shared: Arc<Mutex<Shared>>,
    audit: Audit,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the thread. Workers of kind k are made by `recipes[k]`, for the control segment `name`.
    pub fn start(recipes: Vec<Recipe>, name: String, audit: Audit) -> std::io::Result<Self> {
        static HOUSES: AtomicU32 = AtomicU32::new(0);
        // Orphans of our workers become our children, for us to find and bury.
        set_child_subreaper(Some(getpid()))?;
        let (engine, house) = (Engine::own(), HOUSES.fetch_add(1, Relaxed));
        let (orders, orders_in) = unbounded();
        let (notices_out, notices) = unbounded();
        let (alarm, shared) = (Arc::new(Alarm::new()?), Arc::<Mutex<Shared>>::default());
        let registry = Registry::create(&engine, house).map_err(|fault| complain(&shared, fault)).ok();
        let keeper = Keeper {
            recipes,
            heralds: Vec::new(),
            name,
            family: Family::new(engine.clone(), house),
            mark: Mark { engine, house, serial: 0 },
            orders: orders_in,
            notices: notices_out,
            alarm: alarm.clone(),
            shared: shared.clone(),
            audit: audit.clone(),
            registry,
            wards: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("supervisor".into()).spawn(move || keeper.run())?;
        Ok(Self { orders, notices, alarm, shared, audit, thread: Some(thread) })
    }

    /// Gives an order; it is taken at once.
    pub fn order(&self, order: Order) {
        // The thread ends only after `Close`, which only `drop` sends.
        let _ = self.orders.send(order);
        self.alarm.ring();
    }

    /// The next notice, if there is one.
    pub fn notice(&self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }

    /// What an audio thread condemns slots with.
    pub fn alarm(&self) -> &Arc<Alarm> {
        &self.alarm
    }

    /// The log of everything that is done here.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// What was done so far.
    pub fn accounts(&self) -> Accounts {
        lock(&self.shared).accounts
    }

    /// Why there is no registry, if there is none.
    pub fn registry_fault(&self) -> Option<String> {
        lock(&self.shared).registry_fault.as_ref().map(RegistryError::to_string)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.order(Order::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn complain(shared: &Mutex<Shared>, fault: RegistryError) {
    tracing::error!(%fault, "what a killed engine leaves behind may not be found");
    lock(shared).registry_fault = Some(fault);
}

/// The thread's own state.
pub(super) struct Keeper {
    pub(super) recipes: Vec<Recipe>,
    pub(super) heralds: Vec<Herald>,
    pub(super) name: String,
    /// Of the worker that was started last.
    pub(super) mark: Mark,
    orders: Receiver<Order>,
    notices: Sender<Notice>,
    alarm: Arc<Alarm>,
    shared: Arc<Mutex<Shared>>,
    pub(super) audit: Audit,
    registry: Option<Registry>,
    pub(super) wards: Vec<Ward>,
    family: Family,
}

impl Keeper {
    fn run(mut self) {
        self.audit.note(Event::Opened { engine_pid: std::process::id() });
        loop {
            // Silence first: whoever rings from here on is heard by the next `poll`.
            self.alarm.silence();
            loop {
                match self.orders.try_recv() {
                    Ok(Order::Open { kind }) => self.open(kind),
                    Ok(Order::Teach { kind, name, value }) => {
                        self.recipes[kind].variables.push((name, value.into()));
                    }
                    Ok(Order::Spawn { kind, slot, core }) => self.spawn(kind, slot, core),
                    Ok(Order::Kill { slot, offence }) => self.condemn(slot, offence),
                    Ok(Order::Dismiss { slot }) => self.dismiss(slot),
                    Ok(Order::Close) | Err(TryRecvError::Disconnected) => return self.close(),
                    Err(TryRecvError::Empty) => break,
                }
            }
            let alarm = self.alarm.clone();
            for (slot, offence) in alarm.take_condemned() {
                self.condemn(slot, offence);
            }
            self.kill_overdue();
            self.look_after_family();
            self.wait(None);
        }
    }

    pub(super) fn tell(&self, notice: Notice) {
        // Nobody listens any more only when the engine is closing.
        let _ = self.notices.send(notice);
        self.alarm.ring_for_notice();
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Accounts)) {
        let mut shared = lock(&self.shared);
        change(&mut shared.accounts);
        shared.accounts.alive = self.wards.len() as u64;
        shared.accounts.descendants = self.family.size() as u64;
    }

    pub(super) fn record(&mut self, write: impl FnOnce(&mut Registry) -> Result<(), RegistryError>) {
        if let Some(registry) = &mut self.registry
            && let Err(fault) = write(registry)
        {
            complain(&self.shared, fault);
            self.registry = None;
        }
    }

    fn spawn(&mut self, kind: usize, slot: usize, core: usize) {
        self.mark.serial += 1;
        self.alarm.pardon(slot);
        match self.start_worker(kind, slot, core) {
            Ok(ward) => {
                let process = ward.process;
                self.record(|registry| registry.add(process));
                self.wards.push(ward);
                self.count(|accounts| accounts.spawned += 1);
                self.audit.note(Event::Spawned { slot, pid: process.pid, core });
                self.tell(Notice::Spawned { slot, pid: process.pid });
            }
            Err(cause) => {
                self.audit.note(Event::NotSpawned { slot, cause: cause.to_string() });
                self.tell(Notice::NotSpawned { slot, cause });
            }
        }
    }

    fn condemn(&mut self, slot: usize, offence: Offence) {
        for index in self.in_slot(slot) {
            let ward = &mut self.wards[index];
            let (pid, why) = (ward.process.pid, offence.words());
            if ward.sentence(Sentence::Condemned(offence)) {
                self.audit.note(Event::Condemned { slot, pid, why });
            }
            self.signal(index, Signal::KILL, why);
        }
    }

    fn dismiss(&mut self, slot: usize) {
        for index in self.in_slot(slot) {
            self.wards[index].sentence(Sentence::Dismissed);
            self.wards[index].kill_at.get_or_insert(Instant::now() + GRACE);
            self.signal(index, Signal::TERM, "it is not needed any more");
        }
    }

    fn in_slot(&self, slot: usize) -> Vec<usize> {
        (0..self.wards.len()).filter(|index| self.wards[*index].role == Role::Worker(slot)).collect()
    }

    fn kill_overdue(&mut self) {
        for index in 0..self.wards.len() {
            if self.wards[index].kill_at.is_some_and(|at| at <= Instant::now()) {
                self.wards[index].kill_at = None;
                self.signal(index, Signal::KILL, "it had 200 ms to leave");
            }
        }
    }

    pub(super) fn signal(&self, index: usize, signal: Signal, why: &'static str) {
        let ward = &self.wards[index];
        if ward.signal_group(signal) {
            self.count(|accounts| accounts.signals_sent += 1);
            let signal = if signal == Signal::KILL { "KILL" } else { "TERM" };
            self.audit.note(Event::Signal { to: "group", pid: ward.process.pid, signal, why });
        }
    }

    /// Sleeps until the bell rings, somebody dies, `limit` or something else is due; then buries the dead.
    fn wait(&mut self, limit: Option<Instant>) {
        let due = self.wards.iter().filter_map(|ward| ward.kill_at).chain(limit).min();
        let until = due.map_or(self.family.next_look(), |due| due.min(self.family.next_look()));
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = vec![PollFd::new(&self.alarm, PollFlags::IN)];
        fds.extend(self.wards.iter().map(|ward| PollFd::new(&ward.pidfd, PollFlags::IN)));
        fds.extend(
            self.heralds.iter().filter_map(Herald::fd).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        fds.extend(self.family.pidfds().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
        // An interrupted wait is a wait that is over.
        let _ = poll(&mut fds, Some(&timeout));
        self.listen_to_heralds();
        self.bury_wards();
        let changes = self.family.bury();
        self.take_note(changes);
    }

    fn bury_wards(&mut self) {
        let mut index = 0;
        while index < self.wards.len() {
            if self.wards[index].is_dead() {
                // Before it is reaped: its number is its own, and so is the group of that number.
                self.signal(index, Signal::KILL, "its worker is dead");
                self.bury(index);
            } else {
                index += 1;
            }
        }
    }

    fn bury(&mut self, index: usize) {
        let facts = self.wards[index].facts();
        let unknown = Ending::of(How::Unknown);
        let ending = self.wards[index].reap().unwrap_or(unknown);
        let ward = self.wards.swap_remove(index);
        let (process, pid) = (ward.process, ward.process.pid);
        self.family.bereave(pid, ward.serial);
        self.record(|registry| registry.remove(process));
        self.count(|accounts| accounts.reaped += 1);
        let (code, signal) = match ending.how {
            How::Exited(code) => (Some(code), None),
            How::Signalled(signal) => (None, Some(signal)),
            How::NotStarted | How::Unknown => (None, None),
        };
        let (user_ms, system_ms) = facts.map_or((0, 0), |facts| (facts.user_ms, facts.system_ms));
        let cause = ending.cause();
        let slot = match ward.role {
            Role::Worker(slot) => Some(slot),
            Role::Herald(_) => None,
        };
        self.audit.note(Event::Exited { slot, pid, code, signal, cause: cause.clone(), user_ms, system_ms });
        match ward.role {
            Role::Worker(slot) => self.tell(Notice::Exited { slot, pid, ending }),
            Role::Herald(kind) => self.dismiss_herald(kind, ending.how == How::Exited(0), cause),
        }
    }

    fn look_after_family(&mut self) {
        if self.family.next_look() <= Instant::now() {
            let workers: Workers = self.wards.iter().map(|ward| (ward.process.pid, ward.serial)).collect();
            let changes = self.family.look(&workers);
            self.take_note(changes);
        }
    }

    fn take_note(&mut self, changes: Changes) {
        for process in changes.found {
            self.record(|registry| registry.add(process));
        }
        for process in changes.lost {
            self.record(|registry| registry.remove(process));
        }
        let why = "its worker is dead";
        for process in &changes.killed {
            self.audit.note(Event::Signal { to: "process", pid: process.pid, signal: "KILL", why });
        }
        let (killed, reaped) = (changes.killed.len() as u64, changes.reaped.len() as u64);
        for (process, name) in changes.reaped {
            self.audit.note(Event::OrphanReaped { pid: process.pid, name });
        }
        self.count(|accounts| {
            accounts.signals_sent += killed;
            accounts.orphans_reaped += reaped;
        });
    }

    /// TERM to all, 200 ms, KILL to all; then until nobody is left, at most a second.
    fn close(&mut self) {
        let killing = Instant::now() + GRACE;
        for index in 0..self.wards.len() {
            self.wards[index].sentence(Sentence::Dismissed);
            self.wards[index].kill_at = Some(killing);
            self.signal(index, Signal::TERM, "the engine is closing");
        }
        let giving_up = killing + LAST_PATIENCE;
        // At least one look after the last worker: what they had started may not have been seen yet.
        let mut has_looked = false;
        while Instant::now() < giving_up {
            self.alarm.silence();
            self.kill_overdue();
            if self.wards.is_empty() && !has_looked {
                has_looked = true;
                self.family.hurry();
            }
            self.look_after_family();
            if has_looked && self.family.size() == 0 {
                break;
            }
            self.wait(Some(giving_up));
        }
        let left = self.wards.len() + self.family.size();
        self.audit.note(Event::Closed { left });
        match self.registry.take() {
            Some(registry) if left == 0 => registry.close(),
            _ if left > 0 => tracing::error!(left, "processes are left; `backline reap` tries again"),
            _ => {}
        }
    }
}
