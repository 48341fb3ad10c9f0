//! Who we play: the modules of the plan that live in this slot, with everything about them that does not
//! change from block to block. Made anew when the plan or a place changes; that is also when a module that
//! moved here is taken over from its previous place.

use crate::attach::View;
use crate::mirror;
use crate::prepare;
use crate::rack::Rack;
use backline_abi::commit::{self, Commit, NEVER, parity};
use backline_abi::layout::{MAX_CONNECTIONS, MAX_MODULES, ModuleMemory};
use backline_abi::plan::{Location, ModuleRecord, Plan};
use backline_abi::wake::{self, now_ns};
use backline_abi::words::copy_words;
use std::sync::atomic::{
    Ordering::{Acquire, Relaxed},
    fence,
};

/// Times a copy is tried while the module's old worker goes on committing.
const COPY_TRIES: usize = 4;

/// One of our modules.
#[derive(Clone, Copy)]
pub struct Mine {
    /// Its cell.
    pub cell: usize,
    /// What it is.
    pub record: ModuleRecord,
    /// Where its memory is.
    pub memory: ModuleMemory,
    /// Lease under which we commit it.
    pub lease: u32,
    /// First of its cables in [`Roster::cables`].
    pub first_cable: usize,
    /// Number of its cables.
    pub cables: usize,
    /// Somebody on another worker, or the engine, sleeps on its commit.
    pub has_listener: bool,
}

/// One cable into one of our modules.
#[derive(Clone, Copy)]
pub struct Cable {
    /// Cell of the source.
    pub source_cell: usize,
    /// Where the source's memory is in whichever arena it lives.
    pub source: ModuleMemory,
    /// First plane of the source's port.
    pub first_plane: usize,
    /// Channels of the source.
    pub channels: usize,
    /// Input of the module.
    pub input: usize,
    /// Factor on the signal.
    pub gain: f32,
    /// Read one block late.
    pub is_feedback: bool,
}

/// Our part of the plan.
pub struct Roster {
    /// In plan order.
    pub modules: Vec<Mine>,
    /// Those of one module side by side.
    pub cables: Vec<Cable>,
    plan: Plan,
    plan_version: u32,
    moves: u32,
    is_listened_to: Vec<bool>,
}

impl Roster {
    /// Nobody yet, with room for the largest plan.
    pub fn with_room() -> Self {
        Self {
            modules: Vec::with_capacity(MAX_MODULES),
            cables: Vec::with_capacity(MAX_CONNECTIONS),
            plan: Plan::with_room(),
            plan_version: 0,
            moves: 0,
            is_listened_to: vec![false; MAX_MODULES],
        }
    }

    /// Moves counted when the roster was made.
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// Changes whenever the roster may have.
    pub fn version(&self) -> (u32, u32) {
        (self.plan_version, self.moves)
    }

    /// True if a place has changed since the roster was made. Real-time safe.
    pub fn is_stale(&self, view: &View) -> bool {
        // Acquire: pairs with the engine's increment after it changed a place.
        view.control().moves.word.load(Acquire) != self.moves
    }

    /// Brings the roster up to plan `version` in `buffer` and to the present places. False if that plan is
    /// gone already: we are too late for its block. Real-time safe.
    pub fn refresh(
        &mut self,
        view: &View,
        rack: &mut impl Rack,
        state: &mut [u32],
        version: u32,
        buffer: u32,
    ) -> bool {
        // Acquire: pairs with the engine's increment after it changed a place.
        let moves = view.control().moves.word.load(Acquire);
        if version == self.plan_version && moves == self.moves {
            return true;
        }
        if version != self.plan_version {
            let Some(cell) = view.control().plans.get(buffer as usize) else { return false };
            self.plan_version = 0;
            if !cell.read(version, &mut self.plan) {
                return false;
            }
            self.plan_version = version;
        }
        self.moves = moves;
        self.modules.clear();
        self.cables.clear();
        self.mark_listeners(view);
        for index in 0..self.plan.entries.len() {
            self.admit(view, rack, state, index);
        }
        true
    }

    /// Finds out whose commits somebody elsewhere waits for.
    fn mark_listeners(&mut self, view: &View) {
        self.is_listened_to.fill(false);
        for entry in &self.plan.entries {
            let place = place_of(view, entry.cell);
            if entry.is_sink != 0 {
                mark(&mut self.is_listened_to, entry.cell);
            }
            for cable in self.plan.inputs_of(entry) {
                if place_of(view, cable.source_cell).slot != place.slot {
                    mark(&mut self.is_listened_to, cable.source_cell);
                }
            }
        }
    }

    fn admit(&mut self, view: &View, rack: &mut impl Rack, state: &mut [u32], index: usize) {
        let entry = self.plan.entries[index];
        let place = place_of(view, entry.cell);
        if place.slot as usize != view.slot || place.is_nowhere() {
            return;
        }
        let Some(record) = record_of(view, entry.cell, entry.instance) else { return };
        let Some(memory) = prepare::fitting_memory(view, rack, &record) else { return };
        if !is_ours(view, &memory, place.lease) {
            let sources = view.control().places[entry.cell as usize].sources();
            let takes_over = |source| take_over(view, &memory, entry.instance, place.lease, source);
            if !sources.into_iter().any(takes_over) {
                prepare::set_up(view, rack, state, &record, place.lease);
            }
            view.head().modules_adopted.fetch_add(1, Relaxed);
            view.head().adopted_ns.store(now_ns(), Relaxed);
            // It may have come with the block in progress committed, and its listeners sleep.
            view.own().commit_word(memory.commit).into_iter().for_each(wake::wake_commit);
        }
        let first_cable = self.cables.len();
        // Entries of a garbled plan may all claim all cables; there is room for each once.
        for cable in self.plan.inputs_of(&entry).iter().take(MAX_CONNECTIONS - first_cable) {
            let source = source_at(view, cable.source_cell, cable.source_instance);
            let Some((source_record, source_memory)) = source else { continue };
            let channels = source_channels(&source_record);
            self.cables.push(Cable {
                source_cell: cable.source_cell as usize,
                source: source_memory,
                first_plane: cable.source_port as usize * channels,
                channels,
                input: cable.target_input as usize,
                gain: cable.gain,
                is_feedback: cable.is_feedback != 0,
            });
        }
        let cables = self.cables.len() - first_cable;
        let has_listener = self.is_listened_to.get(entry.cell as usize).is_some_and(|marked| *marked);
        self.modules.push(Mine {
            cell: entry.cell as usize,
            record,
            memory,
            lease: place.lease,
            first_cable,
            cables,
            has_listener,
        });
    }
}

fn mark(marks: &mut [bool], cell: u32) {
    if let Some(mark) = marks.get_mut(cell as usize) {
        *mark = true;
    }
}

fn place_of(view: &View, cell: u32) -> Location {
    view.control().places.get(cell as usize).map_or(Location::default(), |place| place.current())
}

/// Channels of a module's output ports.
fn source_channels(record: &ModuleRecord) -> usize {
    (record.channels as usize).clamp(1, backline_abi::plan::MAX_CHANNELS)
}

fn record_of(view: &View, cell: u32, instance: u32) -> Option<ModuleRecord> {
    let record = view.control().modules.get(cell as usize)?.load();
    (record.instance == instance).then_some(record)
}

fn source_at(view: &View, cell: u32, instance: u32) -> Option<(ModuleRecord, ModuleMemory)> {
    let record = record_of(view, cell, instance)?;
    let memory = ModuleMemory::of(&record, view.header.block_frames as usize, view.own().words().len())?;
    Some((record, memory))
}

fn is_ours(view: &View, memory: &ModuleMemory, lease: u32) -> bool {
    view.own().commit_word(memory.commit).is_some_and(|word| commit::observe(word).lease == lease)
}

/// Copies a module's last committed state, line and outputs out of the place it comes from and commits them under
/// `lease`. False if there is nothing to copy: it never arrived or played there, or that place holds somebody else by
/// now.
///
/// The old worker may be dead (nothing changes any more) or still running: then the commit word is read again
/// after the copy. If it has moved on, the copy is tried anew: whoever has committed N + 1 may be writing over
/// N. It cannot go on for long, because a worker looks at the places before each module it renders.
/// Real-time safe.
fn take_over(view: &View, memory: &ModuleMemory, instance: u32, lease: u32, previous: Location) -> bool {
    let Some(old) = view.arenas().get(previous.slot as usize) else { return false };
    let (Some(theirs), Some(ours)) = (old.commit_word(memory.commit), view.own().commit_word(memory.commit))
    else {
        return false;
    };
    let (from, to) = (old.words(), view.own().words());
    for _ in 0..COPY_TRIES {
        let seen = commit::observe(theirs);
        if previous.is_nowhere() || seen.lease != previous.lease || seen.block == NEVER {
            return false;
        }
        let copy = parity(seen.block);
        let state = memory.states[copy];
        copy_words(&from[state..state + memory.state_words], &to[state..]);
        // Both: a feedback cable or a consumer that is late still hears the block before.
        for outputs in memory.outputs {
            copy_words(&from[outputs..outputs + memory.output_words], &to[outputs..]);
        }
        mirror::bring_over(from, to, memory, instance);
        // Acquire fence: the words above are read before the commit is read again (pairs with the fence in
        // `block::render_module`).
        fence(Acquire);
        if commit::observe(theirs) == seen {
            commit::publish(ours, Commit { lease, block: seen.block });
            return true;
        }
    }
    false
}
