//! Filling the pool before the set: start all native workers, say how far each has come, and return when all are
//! ready. Those of `others` come later ([`super::kinds`]).

use super::Pool;
use super::autopsy::Death;
use super::rig::{Rig, RigSpec};
use crate::catalogue::NATIVE;
use crate::kinds::Kind;
use crate::supervise::audit::Audit;
use crate::supervise::lifecycle::State;
use crate::supervise::registry;
use backline_abi::layout::stage;
use backline_abi::segment::SegmentError;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

/// After this long a worker that is not ready is a failed start.
const WARMUP_LIMIT: Duration = Duration::from_secs(20);
/// How often progress is looked at.
const LOOK: Duration = Duration::from_micros(500);

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No shared memory.
    #[error(transparent)]
    Memory(#[from] SegmentError),
    /// The worker program is missing, or threads cannot be started.
    #[error("the worker pool cannot be started")]
    System(#[from] std::io::Error),
    /// A worker died before it was ready.
    #[error("worker {slot} {cause} before it was ready (stage: {stage}); its message is on standard error")]
    Died {
        /// Slot.
        slot: usize,
        /// How it ended.
        cause: String,
        /// How far it had come.
        stage: &'static str,
    },
    /// A worker took too long.
    #[error("worker {slot} was not ready after {waited:?} (stuck at: {stage})")]
    NotReady {
        /// Slot.
        slot: usize,
        /// How long it was waited for.
        waited: Duration,
        /// How far it had come.
        stage: &'static str,
    },
}

/// How far the pool has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Workers that are ready.
    pub ready: usize,
    /// Workers in all.
    pub workers: usize,
    /// Stage of each worker in words.
    pub stages: Vec<&'static str>,
}

/// The worker program: `BACKLINE_WORKER` if set, else `backline-worker` beside this program.
pub fn worker_program() -> std::io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("BACKLINE_WORKER").map(PathBuf::from) {
        let is_there = path.is_file();
        let missing = || {
            std::io::Error::new(
                std::io::ErrorKind::NotFound,
                format!("BACKLINE_WORKER names {}, which is no file", path.display()),
            )
        };
        return is_there.then(|| path.clone()).ok_or_else(missing);
    }
    let own = std::env::current_exe()?;
    // Tests and benches live one folder further down than the programs they start.
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("backline-worker"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let message = format!(
                "backline-worker is not beside {}; build both (cargo build --workspace) or set BACKLINE_WORKER",
                own.display()
            );
            std::io::Error::new(std::io::ErrorKind::NotFound, message)
        })
}

/// A stage in words.
pub const fn stage_name(reached: u32) -> &'static str {
    match reached {
        stage::EMPTY => "starting",
        stage::ATTACHED => "taking rights and touching memory",
        stage::TOUCHED => "building tables",
        stage::WARMING => "rendering every module type",
        stage::READY => "ready",
        stage::LEFT => "left",
        _ => "refused the segment",
    }
}

impl Pool {
    /// Creates the rig, starts every worker and waits until all are ready. `progress` is told of each change.
    /// What engines left that are dead is removed before. What is done to processes goes into `audit`.
    pub fn start(
        spec: &RigSpec,
        others: &[Kind],
        audit: Audit,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Self, StartError> {
        worker_program()?;
        let left = registry::reap();
        for survivor in left.killed.iter().chain(&left.stubborn) {
            let (pid, engine) = (survivor.process.pid, survivor.engine_pid);
            tracing::warn!(pid, name = survivor.name, engine, "what a dead engine had left was killed");
        }
        super::rig::sweep();
        let rig = Arc::new(Rig::create(spec)?);
        let mut pool = Self::new(rig, audit, spec.slots, others)?;
        for slot in 0..spec.slots {
            pool.spawn(slot);
        }
        let started = Instant::now();
        let mut told = None;
        loop {
            // The first: the others have most likely the same cause.
            if let Some(Death { slot, cause, .. }) = pool.tend().into_iter().next() {
                return Err(StartError::Died { slot, cause, stage: pool.stage_of(slot) });
            }
            let now = pool.progress();
            if told.as_ref() != Some(&now) {
                progress(&now);
            }
            if now.ready == now.workers {
                return Ok(pool);
            }
            told = Some(now);
            let late = pool.slots[..spec.slots].iter().position(|slot| slot.state != State::Ready);
            if let Some(slot) = late.filter(|_| started.elapsed() > WARMUP_LIMIT) {
                return Err(StartError::NotReady {
                    slot,
                    waited: started.elapsed(),
                    stage: pool.stage_of(slot),
                });
            }
            std::thread::sleep(LOOK);
        }
    }

    fn stage_of(&self, slot: usize) -> &'static str {
        // Acquire: pairs with the worker's store.
        stage_name(self.rig.head(slot).stage.load(Acquire))
    }

    fn progress(&self) -> Progress {
        let ready = self.slots.iter().filter(|slot| slot.state.is_usable()).count();
        let is_own =
            |slot: &usize| self.slots[*slot].kind == NATIVE && self.slots[*slot].state != State::Vacant;
        let filled = (0..self.slots.len()).filter(is_own);
        let stages: Vec<_> = filled.map(|slot| self.stage_of(slot)).collect();
        Progress { ready, workers: stages.len(), stages }
    }

    /// Bits of `rights_bits` that every worker has obtained.
    pub fn common_rights(&self) -> u32 {
        let filled = (0..self.slots.len()).filter(|slot| self.slots[*slot].state.is_usable());
        filled.fold(u32::MAX, |common, slot| common & self.rig.head(slot).rights.load(Relaxed))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Release: pairs with the workers' Acquire load; they leave of their own accord, the supervisor's TERM
        // and KILL are for those that do not.
        self.rig.control().is_closing.store(1, std::sync::atomic::Ordering::Release);
        for slot in 0..self.slots.len() {
            self.rig.ring_bell(slot);
        }
    }
}
