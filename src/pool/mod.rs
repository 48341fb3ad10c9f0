//! Step 4 of 7: the warm workers, and who plays what.
//!
//! In: modules to place, from the patch. Out: assignments to workers, answered; a place for each module.
//! Thread: control. [`rig`] is the memory, [`memory`] its map, [`place`] the choice, [`dispatch`] the
//! conversation with one worker, [`warmup`] the start, [`kinds`] workers that are not ours, [`autopsy`] the end of one; the processes themselves are
//! `supervise`'s.

pub mod autopsy;
pub mod dispatch;
pub mod kinds;
pub mod memory;
pub mod place;
pub mod rig;
pub mod warmup;

use crate::catalogue::{NATIVE, TypeRow};
use crate::kinds::{Kind, Recipe};
use crate::supervise::alarm::{Alarm, Offence};
use crate::supervise::audit::{self, Audit};
use crate::supervise::blame::{Blame, Culprit, Fatality, Verdict};
use crate::supervise::ending::{Ending, How};
use crate::supervise::lifecycle::{Action, Event, State, step};
use crate::supervise::orders::{Accounts, Notice, Order};
use crate::supervise::pace::Pace;
use crate::supervise::process::Supervisor;
use crate::supervise::recycle::{self, Service};
use autopsy::Death;
use backline_abi::layout::{MAX_TYPES, stage};
use backline_abi::panel::Line;
use backline_abi::wake::now_ns;
use dispatch::Conversation;
use kinds::slots_of;
use place::{Candidate, PlaceError, Request};
use rig::Rig;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

/// A worker that has not answered for this long is condemned.
const SILENCE_LIMIT: Duration = Duration::from_secs(1);

/// More than any frame of any module costs, ns.
const DEAREST_NS: f64 = 1e6;

/// One worker slot as control knows it.
pub struct Slot {
    /// Kind of worker it is for; 0 is the native one.
    pub kind: usize,
    /// Core its worker is pinned to.
    pub core: usize,
    /// Process in it, 0 if none.
    pub pid: u32,
    /// Where it stands.
    pub state: State,
    /// Modules placed here.
    pub modules: usize,
    /// What they take of a block by the prices measured in warm-up, ns.
    pub load_ns: f64,
    /// Why the last process here ended.
    pub last_cause: Option<String>,
    /// Processes started here.
    pub spawned: u64,
    /// Modules set up in the process that is here.
    pub jobs: u64,
    /// Blocks that this process made late.
    pub late_blocks: u32,
    ready_since: Option<Instant>,
    left: Option<Left>,
    talk: Conversation,
    failed_starts: u32,
    refill_at: Option<Instant>,
    unanswered_since: Option<Instant>,
}

/// What a process was rendering when its modules left it.
struct Left {
    pid: u32,
    rendering: Option<Culprit>,
}

/// The pool: slots, the processes in them, and their shared memory.
pub struct Pool {
    rig: Arc<Rig>,
    supervisor: Supervisor,
    slots: Vec<Slot>,
    blame: Blame,
    pace: Pace,
    /// What is kept of each kind of worker, our own first.
    kinds: Vec<KindOfWorker>,
    /// What was said of kinds since control asked last.
    heard: Vec<Heard>,
}

/// A kind of worker as the pool sees it.
#[derive(Debug, Clone, Copy)]
struct KindOfWorker {
    /// Workers that shall be ready.
    count: usize,
    /// A worker plays one module, and is replaced.
    is_single_use: bool,
    /// Memory of its own in MiB beyond which a worker is killed; 0 for what the settings say.
    memory_mib: u64,
}

/// Something that was said of a kind of worker.
#[derive(Debug)]
pub enum Heard {
    /// A line of its description.
    Line(usize, Line),
    /// Nobody speaks for it any more: whether everything had been said, and how it ended.
    Silence(usize, bool, String),
}

impl Pool {
    /// Slots, none started: `filled` for native workers, the spare ones of these, then those of `others`, each with one
    /// to spare. Worker i of a kind is pinned to core i modulo the cores.
    fn new(rig: Arc<Rig>, audit: Audit, filled: usize, others: &[Kind]) -> std::io::Result<Self> {
        let recipes = std::iter::once(Recipe::native(warmup::worker_program()?));
        let recipes = recipes.chain(others.iter().map(|kind| kind.recipe.clone())).collect();
        let supervisor = Supervisor::start(recipes, rig.name().to_owned(), audit)?;
        let of_others = slots_of(others);
        let native = rig.arenas().len() - of_others.len();
        let of_natives = (0..native).map(|slot| (NATIVE, slot));
        let houses: Vec<(usize, usize)> = of_natives.chain(of_others).collect();
        let own = KindOfWorker { count: filled, is_single_use: false, memory_mib: 0 };
        let kinds = std::iter::once(own).chain(others.iter().map(|kind| KindOfWorker {
            count: kind.manifest.count,
            is_single_use: kind.is_single_use(),
            memory_mib: kind.manifest.limits.memory_mib,
        }));
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let core_of = |slot: usize| cores.get(slot % cores.len().max(1)).map_or(0, |core| core.id);
        let slots = (houses.iter().enumerate())
            .map(|(slot, (kind, number))| Slot {
                kind: *kind,
                core: core_of(*number),
                pid: 0,
                state: if slot < filled { State::Spawning } else { State::Vacant },
                modules: 0,
                load_ns: 0.0,
                last_cause: None,
                spawned: 0,
                jobs: 0,
                late_blocks: 0,
                ready_since: None,
                left: None,
                talk: Conversation::default(),
                failed_starts: 0,
                refill_at: None,
                unanswered_since: None,
            })
            .collect();
        let (blame, pace) = (Blame::default(), Pace::default());
        Ok(Self { rig, supervisor, slots, blame, pace, kinds: kinds.collect(), heard: Vec::new() })
    }

    /// The slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The rig.
    pub fn rig(&self) -> &Arc<Rig> {
        &self.rig
    }

    /// Whether nobody is on the way to a slot that shall be filled.
    pub fn is_settled(&self) -> bool {
        let is_on_the_way =
            |slot: &Slot| matches!(slot.state, State::Spawning | State::Warming | State::BackingOff);
        !self.slots.iter().any(is_on_the_way)
    }

    /// What was done to processes since the start; spawned = alive + reaped at any time.
    pub fn accounts(&self) -> Accounts {
        self.supervisor.accounts()
    }

    /// What an audio thread condemns slots with.
    pub fn alarm(&self) -> &Arc<Alarm> {
        self.supervisor.alarm()
    }

    /// The supervisor, for what it has written and could not write.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Which modules and types are not to be rendered any more.
    pub fn blame(&mut self) -> &mut Blame {
        &mut self.blame
    }

    /// What a module of this type takes of a block, by the dearest measurement of any worker that is ready, ns.
    pub fn price_ns(&self, row: &TypeRow, channels: usize) -> f64 {
        let frames = f64::from(self.rig.header.block_frames);
        let is_of_kind = |slot: &usize| self.slots[*slot].kind == row.kind;
        let ready =
            (0..self.slots.len()).filter(|slot| self.slots[*slot].state.is_usable()).filter(is_of_kind);
        let measured = ready.map(|slot| {
            let bits = self.rig.head(slot).prices[(row.row as usize).min(MAX_TYPES - 1)].load(Relaxed);
            f64::from(f32::from_bits(bits))
        });
        // What is no price was scribbled, and says nothing.
        let prices = measured.filter(|price_ns| (0.0..=DEAREST_NS).contains(price_ns));
        // The cheapest worker's figure: the others were disturbed while they measured.
        prices.min_by(f64::total_cmp).unwrap_or(0.0) * frames * channels as f64
    }

    /// Length of a block, ns.
    fn block_ns(&self) -> f64 {
        f64::from(self.rig.header.block_frames) * 1e9 / f64::from(self.rig.header.rate_hz)
    }

    /// Whether the core of `slot` has time for a module of `price_ns` more.
    pub fn has_time(&self, slot: usize, price_ns: f64) -> bool {
        let on_core = self.slots.iter().filter(|other| other.core == self.slots[slot].core);
        place::has_time(on_core.map(|other| other.load_ns).sum(), price_ns, self.block_ns())
    }

    /// A slot for a module of `price_ns` that is patched to modules in `neighbours`.
    pub fn choose(&self, kind: usize, price_ns: f64, neighbours: &[usize]) -> Result<usize, PlaceError> {
        let (of_kind, others): (Vec<usize>, Vec<usize>) =
            (0..self.slots.len()).partition(|slot| self.slots[*slot].kind == kind);
        let elsewhere: Vec<(usize, f64)> =
            others.iter().map(|slot| (self.slots[*slot].core, self.slots[*slot].load_ns)).collect();
        let is_single_use = self.kinds.get(kind).is_some_and(|kind| kind.is_single_use);
        let candidates: Vec<Candidate> = of_kind
            .into_iter()
            .filter(|slot| {
                let entry = &self.slots[*slot];
                let is_worn = is_single_use && (entry.modules > 0 || entry.jobs > 0);
                entry.state.is_usable() && entry.unanswered_since.is_none() && !is_worn
            })
            .map(|slot| {
                let Slot { core, modules, load_ns, .. } = self.slots[slot];
                Candidate { slot, core, modules, load_ns }
            })
            .collect();
        let block_ns = self.block_ns();
        let favourite_core = backline_abi::rights::current_core();
        let elsewhere = &elsewhere;
        place::place(&candidates, &Request { price_ns, block_ns, elsewhere, neighbours, favourite_core })
    }

    /// Says how many modules each slot has, and what they take of a block (ns), in the order of slots.
    pub fn recount(&mut self, loads: &[(usize, f64)]) {
        for (slot, (modules, load_ns)) in loads.iter().copied().enumerate().take(self.slots.len()) {
            self.slots[slot].modules = modules;
            self.slots[slot].load_ns = load_ns;
            match (self.slots[slot].state, modules) {
                (State::Ready, 1..) => drop(self.happen(slot, Event::Assigned)),
                (State::Playing, 0) => drop(self.happen(slot, Event::Released)),
                _ => {}
            }
        }
    }

    /// The worker in `slot` is to be killed, and replaced.
    pub fn condemn(&mut self, slot: usize, offence: Offence) {
        self.happen(slot, Event::Offended(offence));
    }

    /// Starts a worker of `kind` on `core` in a spare slot, and says in which; `None` if there is no spare.
    pub fn fill_spare(&mut self, kind: usize, core: usize) -> Option<usize> {
        let is_spare = |slot: &Slot| slot.kind == kind && slot.state == State::Vacant;
        let slot = self.slots.iter().position(is_spare)?;
        self.slots[slot].core = core;
        self.fill_slot(slot);
        Some(slot)
    }

    fn fill_slot(&mut self, slot: usize) {
        self.happen(slot, Event::Filled);
    }

    /// What the worker in `slot` has done so far; `None` if it is not ready.
    pub fn service(&self, slot: usize) -> Option<Service> {
        let entry = self.slots.get(slot).filter(|entry| entry.state.is_usable())?;
        Some(Service {
            age: entry.ready_since?.elapsed(),
            jobs: entry.jobs,
            memory_bytes: recycle::memory_bytes(entry.pid),
            late_blocks: entry.late_blocks,
            // Of all slots, for the draw is another one for each process.
            serial: entry.spawned * self.slots.len() as u64 + slot as u64,
        })
    }

    /// The modules of process `pid` have left it. What it was rendering then is to blame if it dies of its own doing:
    /// by then its modules may be two workers further.
    pub fn note_left(&mut self, slot: usize, pid: u32, rendering: Option<Culprit>) {
        self.slots[slot].left = Some(Left { pid, rendering });
    }

    /// The worker in `slot` made a block late.
    pub fn note_late(&mut self, slot: usize) {
        self.slots[slot].late_blocks += 1;
    }

    /// The worker in `slot`, whose modules play elsewhere, is to leave. Its slot is a spare then.
    pub fn retire(&mut self, slot: usize) {
        self.happen(slot, Event::Retired);
    }

    fn happen(&mut self, slot: usize, event: Event) -> Action {
        let (state, action) = step(self.slots[slot].state, event);
        self.slots[slot].state = state;
        match action {
            Action::Kill(offence) => self.supervisor.order(Order::Kill { slot, offence }),
            Action::Dismiss => self.supervisor.order(Order::Dismiss { slot }),
            Action::Spawn => self.spawn(slot),
            Action::Report => {
                let cause = self.slots[slot].last_cause.as_deref().unwrap_or("unknown");
                tracing::error!(slot, cause, "worker slot given up: its processes die before they are ready");
                let cause = cause.to_owned();
                self.supervisor.audit().note(audit::Event::SlotGivenUp { slot, cause });
            }
            Action::Nothing | Action::MoveAndWait(_) => {}
        }
        action
    }

    fn spawn(&mut self, slot: usize) {
        let Slot { kind, core, .. } = self.slots[slot];
        self.supervisor.order(Order::Spawn { kind, slot, core });
    }

    /// Looks after the slots: deaths, joins, answers that are overdue. Returns the deaths, for modules to be moved and
    /// those that are poisoned to be bypassed.
    pub fn tend(&mut self) -> Vec<Death> {
        let mut dead = Vec::new();
        while let Some(notice) = self.supervisor.notice() {
            match notice {
                Notice::Said { kind, line } => self.heard.push(Heard::Line(kind, line)),
                Notice::Silent { kind, is_done, cause } => {
                    self.heard.push(Heard::Silence(kind, is_done, cause))
                }
                Notice::Spawned { slot, pid } => {
                    self.slots[slot].pid = pid;
                    self.slots[slot].spawned += 1;
                    (self.slots[slot].jobs, self.slots[slot].late_blocks) = (0, 0);
                    self.slots[slot].talk.start_over(&self.rig, slot);
                }
                Notice::NotSpawned { slot, cause } => {
                    let words = format!("could not be started ({cause})");
                    dead.push(self.bury(slot, &Ending::of(How::NotStarted), words));
                }
                Notice::Exited { slot, ending, .. } => dead.push(self.bury(slot, &ending, ending.cause())),
            }
        }
        for slot in 0..self.slots.len() {
            self.look_after(slot);
        }
        dead
    }

    /// A process is dead: whose doing was it, and what follows?
    fn bury(&mut self, slot: usize, ending: &Ending, cause: String) -> Death {
        let pid = self.slots[slot].pid;
        let doing = ending.doing(autopsy::last_word(&self.rig, slot, pid));
        let rendering = match self.slots[slot].left.take() {
            Some(left) if left.pid == pid => left.rendering,
            _ => autopsy::was_rendering(&self.rig, slot, pid),
        };
        let verdict = self.blame.died(now_ns(), &Fatality { slot, doing, rendering });
        let death = Death { slot, cause, doing, verdict };
        tracing::warn!(slot, pid, cause = death.cause, doing = doing.words(), "worker ended");
        death.tell(self.supervisor.audit());
        let was_killed = !doing.is_own() && ending.how != How::NotStarted;
        self.empty(slot, was_killed, death.cause.clone(), &verdict);
        death
    }

    /// The slot is empty, and will be filled again. A process that somebody killed before it was ready is no
    /// failed start.
    fn empty(&mut self, slot: usize, was_killed: bool, cause: String, verdict: &Verdict) {
        let entry = &mut self.slots[slot];
        let is_innocent =
            was_killed || entry.state.is_usable() || matches!(entry.state, State::Condemned | State::Retired);
        entry.failed_starts = if is_innocent { 0 } else { entry.failed_starts + 1 };
        entry.pid = 0;
        entry.unanswered_since = None;
        entry.last_cause = Some(cause);
        let failed_starts = entry.failed_starts;
        if let Action::MoveAndWait(pause) = self.happen(slot, Event::Exited { failed_starts }) {
            self.slots[slot].refill_at = Some(Instant::now() + pause.max(verdict.pause));
        }
    }

    fn look_after(&mut self, slot: usize) {
        let entry = &self.slots[slot];
        match entry.state {
            State::Spawning | State::Warming if entry.pid != 0 => {
                let head = self.rig.head(slot);
                // Acquire: what the worker stored before the stage is visible (pairs with its store).
                let reached = head.stage.load(Acquire);
                // A dead predecessor's words do not count.
                if head.pid.load(Relaxed) == entry.pid && (stage::ATTACHED..=stage::READY).contains(&reached)
                {
                    self.happen(slot, Event::Attached);
                    if reached == stage::READY {
                        self.happen(slot, Event::Warmed);
                        self.slots[slot].failed_starts = 0;
                        self.slots[slot].ready_since = Some(Instant::now());
                    }
                }
            }
            State::BackingOff => {
                let is_over = entry.refill_at.is_some_and(|at| at <= Instant::now());
                if is_over && self.pace.allows(now_ns()) {
                    self.slots[slot].refill_at = None;
                    self.happen(slot, Event::MayRefill);
                }
            }
            State::Ready | State::Playing => self.look_for_late_answers(slot),
            _ => {}
        }
    }

    fn look_for_late_answers(&mut self, slot: usize) {
        let Some(since) = self.slots[slot].unanswered_since else { return };
        match self.slots[slot].talk.hear(&self.rig, slot) {
            Ok(_) if !self.slots[slot].talk.is_waiting() => self.slots[slot].unanswered_since = None,
            Ok(_) if since.elapsed() < SILENCE_LIMIT => {}
            _ => {
                tracing::error!(slot, "worker does not answer any more; it is replaced");
                self.happen(slot, Event::Offended(Offence::BrokeContract));
            }
        }
    }
}
