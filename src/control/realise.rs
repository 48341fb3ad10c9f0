//! A patch becomes prepared modules: what is new gets a cell, memory, a worker, and that worker's word that it
//! is set up; what is gone is buried. All or nothing: if one module cannot be placed, none is.

use super::Conductor;
use super::cells::Placed;
use crate::patch::{Patch, PatchModule};
use crate::pool::dispatch::DispatchError;
use crate::pool::memory::ArenaFull;
use crate::pool::place::PlaceError;
use backline_abi::plan::Location;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long workers are tried for one module before it is refused; a fraction of it, unless all are dying.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long memory that is being freed is waited for: two blocks, unless the clock has stopped.
const GRAVE_PATIENCE: Duration = Duration::from_millis(100);
/// Between two tries.
const LOOK: Duration = Duration::from_millis(1);

/// Why a module cannot play.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RealiseError {
    /// No memory.
    #[error(transparent)]
    Memory(#[from] ArenaFull),
    /// No worker.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// No worker that answers.
    #[error("no worker took the module: {0}; see `backline status`")]
    Dispatch(#[from] DispatchError),
}

impl Conductor {
    /// Sets up every module of `patch` that is not set up yet. On failure those set up here are undone.
    pub(super) fn realise(&mut self, patch: &Patch) -> Result<(), RealiseError> {
        let mut done = Vec::new();
        for module in patch.modules() {
            if self.cells.get(module.instance).is_some() {
                continue;
            }
            if let Err(refusal) = self.set_up(patch, module) {
                done.into_iter().for_each(|instance| self.tear_down(instance));
                return Err(refusal);
            }
            done.push(module.instance);
        }
        Ok(())
    }

    /// Buries every module that is set up and in neither the patch in force nor the draft.
    pub(super) fn bury_the_gone(&mut self) {
        let is_known = |instance: u32| {
            self.patch.position(instance).is_some()
                || self.draft.as_ref().is_some_and(|draft| draft.patch.position(instance).is_some())
        };
        let gone: Vec<u32> =
            self.cells.iter().map(|placed| placed.record.instance).filter(|i| !is_known(*i)).collect();
        gone.into_iter().for_each(|instance| self.tear_down(instance));
    }

    fn tear_down(&mut self, instance: u32) {
        let block = self.block();
        // Its place stays as it is: in the block in progress it may still be heard.
        self.cells.bury(instance, block);
        self.forget_bypass(instance);
        self.keep_books();
    }

    /// A cell and memory for `module`. If there is none but what was freed a moment ago, which may still be heard,
    /// that is waited for.
    fn take_room(&mut self, module: &PatchModule) -> Result<Placed, ArenaFull> {
        let until = Instant::now() + GRAVE_PATIENCE;
        loop {
            let block = self.block();
            let places = &self.pool.rig().control().places;
            self.cells.sweep(block, |cell| places[cell as usize].put(Location::default()));
            match self.cells.take(module) {
                Err(_) if self.cells.has_buried() && Instant::now() < until => std::thread::sleep(LOOK),
                Ok(placed) => {
                    // Relaxed: whoever warms up meanwhile touches some more than this.
                    self.rig().control().arena_used_words.fetch_max(placed.memory.end as u32, Relaxed);
                    return Ok(placed);
                }
                Err(full) => return Err(full),
            }
        }
    }

    fn set_up(&mut self, patch: &Patch, module: &PatchModule) -> Result<(), RealiseError> {
        // Whoever asks for a module of a type that was given up wants it tried again.
        self.pool.blame().forgive_type(module.row.key());
        let mut placed = self.take_room(module)?;
        placed.price_ns = self.pool.price_ns(module.row, placed.record.channels as usize);
        let near = self.slots_near(patch, module.instance);
        let until = Instant::now() + PATIENCE;
        loop {
            let refusal = match self
                .wanted_slot
                .map_or_else(|| self.pool.choose(module.row.kind, placed.price_ns, &near), Ok)
            {
                Ok(slot) => match self.hand_to(&placed, slot) {
                    Ok(()) => {
                        self.cells.insert(placed);
                        self.keep_books();
                        return Ok(());
                    }
                    Err(failure) => failure.into(),
                },
                Err(PlaceError::NobodyReady) if self.pool.is_taken(module.row.kind) => {
                    self.all_taken(module.row.kind).into()
                }
                Err(refusal) => RealiseError::from(refusal),
            };
            let is_final = matches!(
                refusal,
                RealiseError::Place(PlaceError::NoTime { .. } | PlaceError::AllTaken { .. })
            );
            if is_final || Instant::now() >= until {
                self.rig().control().places[placed.cell as usize].put(Location::default());
                self.cells.untake(&placed);
                return Err(refusal);
            }
            // Whoever did not answer may be dead, and the next one nearly warm.
            self.tend_pool();
            std::thread::sleep(LOOK);
        }
    }

    fn all_taken(&self, kind: usize) -> PlaceError {
        PlaceError::AllTaken { kind: self.kind_name(kind).to_owned(), workers: self.pool.readiness(kind).1 }
    }

    /// Has the worker in `slot` set up a module that plays nowhere yet.
    pub(super) fn hand_to(&mut self, placed: &Placed, slot: usize) -> Result<(), DispatchError> {
        let lease = self.takeover.board().draw_lease();
        let control = self.rig().control();
        control.modules[placed.cell as usize].store(&placed.record);
        control.places[placed.cell as usize].put(Location { slot: slot as u32, lease });
        self.pool.prepare(slot, placed.cell, placed.record.instance, lease)?;
        Ok(())
    }
}
