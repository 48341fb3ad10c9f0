//! A patch becomes a plan in shared memory, in force from the next block on.

use super::Conductor;
use crate::cycle::handoff::{Sink, StagedPlan};
use crate::patch::order::order;
use backline_abi::plan::{Plan, PlanConnection, PlanEntry};
use backline_abi::wake::{now_ns, sleep_until};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::sync::atomic::Ordering::Relaxed;

/// How long control waits for the audio thread to come from one plan to the next.
const BUFFER_LIMIT_NS: u64 = 1_000_000_000;
/// How often it looks.
const LOOK_NS: u64 = 50_000;

impl Conductor {
    /// Puts the patch in force, from the next block on. False if the audio thread has stopped: then the old
    /// plan stays, and the next edit tries again with everything there is.
    pub(super) fn stage(&mut self) -> bool {
        let Some(buffer) = self.plan_buffer() else {
            tracing::error!("the audio thread takes no new plan; the edit is in force when it goes on");
            return false;
        };
        self.plan_version = self.next_plan_version();
        let (plan, all) = self.plan();
        self.rig().control().plans[buffer as usize].write(self.plan_version, &plan);
        let is_sink = |entry: &PlanEntry| entry.is_sink != 0;
        self.send_audio_thread_to(&plan);
        let sinks = plan.entries.iter().zip(&all).filter(|(entry, _)| is_sink(entry)).map(|(_, sink)| *sink);
        self.outbox.stage(StagedPlan {
            version: self.plan_version,
            buffer,
            sinks: sinks.collect(),
            cells: all.iter().map(|module| module.cell).collect(),
            all,
        });
        true
    }

    /// Sends the audio thread to the core of the worker that plays the first sink: the last commit of a block is then a
    /// hand-over inside a core (2 us) and not one across (30 to 40). Without a sink it goes to the first module once, and
    /// stays: each trip costs system calls, and so whoever waits for a create.
    /// It must be somewhere: left free, the kernel moves it to the other core whenever a pinned worker wakes it.
    /// The take-over thread goes with it: where the audio thread has its core to say that others have not, there it has
    /// its own, too. A refusal costs only that.
    fn send_audio_thread_to(&mut self, plan: &Plan) {
        let audio = self.report.thread_id.load(Relaxed);
        let sink = plan.entries.iter().find(|entry| entry.is_sink != 0);
        let anybody = plan.entries.first().filter(|_| self.audio_core.is_none());
        let slot = sink.or(anybody).and_then(|entry| self.slot_of(entry.instance));
        let core = slot.map(|slot| self.pool.slots()[slot].core);
        let (Some(core), Some(audio)) = (core, Pid::from_raw(audio as i32)) else { return };
        if self.audio_core == Some(core) {
            return;
        }
        let mut cores = CpuSet::new();
        cores.set(core);
        let take_over = Pid::from_raw(self.takeover.board().thread_id.load(Relaxed) as i32);
        let sent = [Some(audio), take_over]
            .into_iter()
            .flatten()
            .try_for_each(|tid| sched_setaffinity(Some(tid), &cores));
        match sent {
            Ok(()) => self.audio_core = Some(core),
            Err(cause) => {
                tracing::warn!(core, %cause, "the audio thread and the take-over thread cannot be pinned")
            }
        }
    }

    /// What the plan that is staged next will be called; 0 is the empty plan.
    pub(super) fn next_plan_version(&self) -> u32 {
        self.plan_version.wrapping_add(1).max(1)
    }

    fn plan_buffer(&mut self) -> Option<u32> {
        let until_ns = now_ns() + BUFFER_LIMIT_NS;
        loop {
            if let Some(buffer) = self.outbox.free_buffer() {
                return Some(buffer);
            }
            if now_ns() >= until_ns {
                return None;
            }
            sleep_until(now_ns() + LOOK_NS);
        }
    }

    /// The patch as workers read it, and each of its modules as the audio thread looks at it.
    fn plan(&self) -> (Plan, Vec<Sink>) {
        let order = order(&self.patch);
        let mut plan = Plan::default();
        let mut all = Vec::new();
        for (position, &instance) in order.modules.iter().enumerate() {
            let Some(placed) = self.cells.get(instance) else { continue };
            let is_sink = self.patch.by_instance(instance).is_some_and(|module| module.panel().is_sink);
            let first_connection = plan.connections.len() as u32;
            for ordered in order.inputs(position) {
                let cable = &ordered.connection;
                let Some(source) = self.cells.get(cable.source) else { continue };
                plan.connections.push(PlanConnection {
                    source_cell: source.cell,
                    source_instance: cable.source,
                    source_port: cable.source_port as u32,
                    target_input: cable.target_input as u32,
                    gain: cable.gain,
                    is_feedback: ordered.is_feedback.into(),
                });
            }
            plan.entries.push(PlanEntry {
                cell: placed.cell,
                instance,
                first_connection,
                connections: plan.connections.len() as u32 - first_connection,
                is_sink: is_sink.into(),
                reserved: [0; 3],
            });
            all.push(Sink { cell: placed.cell, instance, memory: placed.memory });
        }
        (plan, all)
    }
}
