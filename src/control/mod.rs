//! The control thread, where the steps meet: it takes commands from step 1 to step 4 and hands the result to
//! the audio thread. May allocate, lock and log; nothing it does is waited for by an audio thread.
//!
//! [`Conductor`] is the state of it. Reading order: [`apply`] (each command), [`realise`] (a patch becomes
//! prepared modules), [`stage`] (and a plan), [`moves`] (modules change workers), [`recycle`] (so do whole
//! workers), [`homing`] (and go back), [`kinds`] (workers that are not ours), [`bypass`] (modules that break them),
//! [`complaints`] (or cannot render), [`sandboxes`] (or reach for what is not theirs), [`cells`] (where everything is),
//! [`quota`] (who may have how much), [`files`] and [`filework`] (patches and recordings by name), [`answers`]
//! (status, list, schema), [`serve`] (the loop over the network), [`held`] (what waits for a file), [`notify`]
//! (who is told what happens), [`offline`] (the loop of a render), [`chaos`] (faults on purpose).

pub mod answers;
pub mod apply;
pub mod bypass;
pub mod cells;
pub mod chaos;
pub mod complaints;
pub mod files;
pub mod filework;
pub mod held;
pub mod homing;
pub mod in_process;
pub mod kinds;
pub mod moves;
pub mod notify;
pub mod offline;
pub mod quota;
pub mod realise;
pub mod recycle;
pub mod sandboxes;
pub mod serve;
pub mod stage;

use crate::command::{Client, Reply, Request};
use crate::config::Settings;
use crate::cycle::Cycle;
use crate::cycle::events::{EventSender, TimedEvent, events};
use crate::cycle::handoff::{Outbox, handoff};
use crate::kinds::Kind;
use crate::patch::Patch;
use crate::pool::Pool;
use crate::pool::kinds::slots_of;
use crate::pool::rig::{Rig, RigSpec};
use crate::pool::warmup::{Progress, StartError};
use crate::rt::report::AudioReport;
use crate::session::continuity::{Continuity, Journal};
use crate::session::folder::state_folder;
use crate::session::scene::{OpenGates, Scene};
use crate::supervise::audit::{self, Audit};
use crate::takeover::TakeOver;
use backline_abi::layout::MAX_SLOTS;
use cells::Cells;
use std::sync::Arc;

/// Edits gathered since `/begin`.
struct Draft {
    patch: Patch,
    events: Vec<TimedEvent>,
}

/// Everything the control thread knows.
pub struct Conductor {
    /// Before the pool, so that it ends before its workers do.
    takeover: TakeOver,
    pool: Pool,
    patch: Patch,
    draft: Option<Draft>,
    cells: Cells,
    outbox: Outbox,
    events: EventSender,
    report: Arc<AudioReport>,
    settings: Settings,
    next_instance: u32,
    plan_version: u32,
    /// What is playing: a name for `status`, set by whoever opens the clock.
    pub clock_name: String,
    /// What makes the set go on when the engine dies; set by whoever starts it.
    pub session: Continuity,
    /// Gates that are open, for the journal.
    gates: OpenGates,
    /// Who sent the command in hand; `None` for a patch file or a score.
    client: Option<Client>,
    /// Commands that wait for their time.
    scheduled: quota::Scheduled,
    /// Folders of patches and recordings; only a running engine has them.
    files: Option<files::Files>,
    /// What the network loop has counted.
    network: serve::ServeCounts,
    is_quitting: bool,
    /// Core that the audio thread was sent to last.
    audio_core: Option<usize>,
    /// Where new modules go whatever placement says; for benches.
    wanted_slot: Option<usize>,
    recycling: recycle::Recycling,
    bypassed: bypass::Bypassed,
    homing: homing::Homing,
    kinds: kinds::Kinds,
    complaints: complaints::Complaints,
    sandboxes: sandboxes::Sandboxes,
}

/// Fills the pool, has the `others` kinds of worker opened, and makes both ends of an engine: control's and the audio thread's.
pub fn start(
    settings: &Settings,
    others: &[Kind],
    progress: &mut dyn FnMut(&Progress),
) -> Result<(Conductor, Cycle), StartError> {
    let spec = RigSpec {
        rate_hz: settings.rate_hz,
        block_frames: settings.block_frames,
        slots: settings.workers,
        spares: usize::from(settings.workers + slots_of(others).len() < MAX_SLOTS),
        others: slots_of(others).len(),
        arena_bytes: settings.arena_mib as usize * 1024 * 1024,
        wants_realtime: settings.wants_realtime,
    };
    let in_state_folder = || Some(audit::usual_path(&state_folder()?, settings.session.as_deref()));
    let path = settings.audit.clone().or_else(in_state_folder);
    let pool = Pool::start(&spec, others, Audit::start(path), progress)?;
    if settings.wants_realtime
        && let Err(cause) = backline_abi::rights::lock_memory()
    {
        tracing::warn!(%cause, "the engine's memory is not locked; run scripts/setup-realtime");
    }
    let rig = pool.rig().clone();
    let (outbox, inbox) = handoff();
    let (sender, queue) = events();
    let report = Arc::new(AudioReport::default());
    let takeover = TakeOver::start(rig.clone(), pool.alarm().clone(), settings.wants_realtime)?;
    takeover.board().block_ns.store(settings.block_ns(), std::sync::atomic::Ordering::Relaxed);
    let cycle = Cycle::new(rig.clone(), inbox, queue, takeover.witness(), report.clone());
    let mut conductor = Conductor {
        pool,
        takeover,
        patch: Patch::default(),
        draft: None,
        cells: Cells::new(rig.arena_words(), settings.block_frames as usize, settings.rate_hz as f32),
        outbox,
        events: sender,
        report,
        settings: settings.clone(),
        next_instance: 1,
        plan_version: 0,
        clock_name: String::new(),
        session: Continuity::default(),
        gates: OpenGates::default(),
        client: None,
        scheduled: quota::Scheduled::default(),
        files: None,
        network: serve::ServeCounts::default(),
        is_quitting: false,
        audio_core: None,
        wanted_slot: None,
        recycling: recycle::Recycling::new(settings.recycling),
        bypassed: bypass::Bypassed::default(),
        homing: homing::Homing::default(),
        kinds: kinds::Kinds::new(others, &settings.routes),
        complaints: complaints::Complaints::default(),
        sandboxes: sandboxes::Sandboxes::default(),
    };
    conductor.keep_books();
    conductor.open_kinds();
    Ok((conductor, cycle))
}

impl Conductor {
    /// The patch in force.
    pub fn patch(&self) -> &Patch {
        &self.patch
    }

    /// The pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The audio thread's counters.
    pub fn report(&self) -> &Arc<AudioReport> {
        &self.report
    }

    /// What the engine was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Version of the plan that was staged last.
    pub fn plan_version(&self) -> u32 {
        self.plan_version
    }

    /// Does what `client` asks, within its limits, and answers, now or from [`Conductor::finish_file_work`].
    pub fn apply_for(&mut self, client: Client, request: &Request, moment: apply::Moment) -> Vec<Reply> {
        self.client = Some(client);
        let replies = self.apply(request, moment);
        self.client = None;
        replies
    }

    /// True once `/quit` was accepted.
    pub fn is_quitting(&self) -> bool {
        self.is_quitting
    }

    /// Puts the modules created from now on into `slot`, for benches that measure a certain arrangement.
    pub fn place_next_in(&mut self, slot: usize) {
        self.wanted_slot = Some(slot);
    }

    /// Leaves new modules to placement again.
    pub fn place_next_anywhere(&mut self) {
        self.wanted_slot = None;
    }

    /// What is set up and held, as a journal keeps it.
    pub fn scene(&self) -> Scene {
        Scene::of(&self.patch, &self.gates)
    }

    /// Looks after the session: the keeper, and a journal that has fallen behind or grown long.
    pub fn tend_session(&mut self) {
        self.session.watch_keeper();
        self.catch_up_with_journal();
        self.flush_journal();
    }

    /// Lets the journal's writer go to work. Not after each command, but every few milliseconds: to wake it takes time
    /// that the next answer would wait for, and it is a core of its own that it wants. A crash costs what was done since.
    fn flush_journal(&mut self) {
        if let Some(journal) = &mut self.session.journal {
            journal.flush();
        }
    }

    /// Hands the journal a whole scene that came by no command a journal could repeat.
    fn journal_scene(&mut self) {
        if let Some(journal) = &mut self.session.journal {
            journal.note_otherwise();
        }
        self.catch_up_with_journal();
        self.flush_journal();
    }

    fn catch_up_with_journal(&mut self) {
        if self.session.journal.as_ref().is_some_and(Journal::wants_scene) {
            self.gates.retain(&self.patch);
            let scene = self.scene();
            if let Some(journal) = &mut self.session.journal {
                journal.give(scene);
            }
        }
    }

    fn rig(&self) -> &Arc<Rig> {
        self.pool.rig()
    }

    /// Last block announced.
    fn block(&self) -> u32 {
        self.rig().control().block.word.load(std::sync::atomic::Ordering::Acquire)
    }
}
