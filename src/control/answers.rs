//! Questions: `/status`, `/status/json`, `/list`, `/schema`, `/version`, `/sync`.

use super::Conductor;
use super::apply::Refused;
use crate::catalogue;
use crate::command::{Arg, Command, Reply};
use crate::pool::warmup::stage_name;
use crate::supervise::lifecycle::State;
use crate::supervise::recycle::memory_bytes;
use backline_abi::layout::rights_bits;
use backline_dsp::module::ModuleType;
use serde_json::json;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

impl Conductor {
    /// The answer, if `command` is a question.
    pub(super) fn question(&self, command: &Command) -> Option<Vec<Reply>> {
        let one = |address: &str, args: Vec<Arg>| vec![Reply { address: address.to_owned(), args }];
        Some(match command {
            // Commands are applied in order and staged before they are answered, so all before this are in force.
            Command::Sync(number) => one("/synced", vec![Arg::Int(*number)]),
            Command::Status => one("/status.reply", self.status_numbers()),
            Command::StatusJson => one("/status/json.reply", vec![Arg::Text(self.status_json().to_string())]),
            Command::List => one("/list.reply", self.list()),
            Command::Schema(wanted) => self.schema(wanted.as_deref()),
            Command::Version => one("/version.reply", version()),
            _ => return None,
        })
    }

    fn ready_workers(&self) -> usize {
        self.pool.slots().iter().filter(|slot| slot.state.is_usable()).count()
    }

    /// What the device delivers, or the nominal rate until that is known.
    fn rate_actual_hz(&self) -> f64 {
        let measured = f64::from_bits(self.report.rate_actual_bits.load(Relaxed));
        if measured > 0.0 { measured } else { f64::from(self.settings.rate_hz) }
    }

    fn status_numbers(&self) -> Vec<Arg> {
        let percent = |ppm: u32| Arg::Float(ppm as f32 / 1e4);
        vec![
            Arg::Int(1),
            Arg::Int(self.patch.modules().len() as i32),
            Arg::Int(self.patch.connections().len() as i32),
            Arg::Int(self.settings.workers as i32),
            Arg::Int(self.ready_workers() as i32),
            percent(self.report.load_ppm.load(Relaxed)),
            percent(self.report.load_peak_ppm.swap(0, Relaxed)),
            Arg::Double(f64::from(self.settings.rate_hz)),
            Arg::Double(self.rate_actual_hz()),
        ]
    }

    /// Everything `backline status` shows.
    pub fn status_json(&self) -> serde_json::Value {
        json!({
            "engine": { "pid": std::process::id(), "version": env!("CARGO_PKG_VERSION") },
            "audio": self.audio_json(),
            "modules": self.patch.modules().len(),
            "connections": self.patch.connections().len(),
            "limits": self.limits_json(),
            "use": self.use_json(),
            "recordings": self.recordings_json(),
            "memory": self.memory_json(),
            "accounts": self.accounts_json(),
            "network": {
                "datagrams": self.network.datagrams,
                "malformed": self.network.malformed,
                "strangers": self.network.strangers,
                "receive_buffer_bytes": self.network.buffer_bytes,
                "late": self.network.late,
                "listeners": self.network.listeners,
            },
            "refused": self.refused(),
            "session": self.session.to_json(),
            "bypassed": self.bypassed_json(),
            "recycling": self.recycling.to_json(),
            "cores": self.homing.to_json(),
            "kinds": self.kinds_json(),
            "complaints": self.complaints_json(),
            "inexact": self.inexact(),
            "workers": self.workers_json(),
        })
    }

    /// Modules that another worker cannot go on with bit by bit.
    fn inexact(&self) -> Vec<&str> {
        let modules = self.patch.modules().iter().filter(|module| !module.row.is_exact);
        modules.map(|module| module.id.as_str()).collect()
    }

    fn audio_json(&self) -> serde_json::Value {
        let report = &self.report;
        let (frame, frame_time_ns) = report.position().unwrap_or_default();
        json!({
            "frame": frame,
            "frame_time_ns": frame_time_ns,
            "clock": self.clock_name,
            "rate_hz": self.settings.rate_hz,
            "rate_actual_hz": self.rate_actual_hz(),
            "block_frames": self.settings.block_frames,
            "realtime": report.has_fifo.load(Relaxed) == 1,
            "blocks": report.blocks.load(Relaxed),
            "concealed": report.concealed.load(Relaxed),
            "xruns": report.xruns.load(Relaxed),
            "cycle_us": f64::from(report.cycle_ns.load(Relaxed)) / 1e3,
            "cycle_max_us": f64::from(report.cycle_max_ns.load(Relaxed)) / 1e3,
            "load_percent": f64::from(report.load_ppm.load(Relaxed)) / 1e4,
            "allocations": report.allocations.load(Relaxed),
            "deferred_events": report.deferred_events.load(Relaxed),
            "silenced_samples": report.silenced_samples.load(Relaxed),
        })
    }

    /// Every process that was ever started, and what became of it.
    fn accounts_json(&self) -> serde_json::Value {
        let accounts = self.pool.accounts();
        let audit = self.pool.supervisor().audit();
        let (written, lost) = audit.counts();
        json!({
            "spawned": accounts.spawned,
            "alive": accounts.alive,
            "reaped": accounts.reaped,
            "descendants": accounts.descendants,
            "orphans_reaped": accounts.orphans_reaped,
            "signals_sent": accounts.signals_sent,
            "audit": { "path": audit.path(), "written": written, "lost": lost },
        })
    }

    /// Records of processes that cannot be kept, in words.
    fn unrecorded(&self) -> Vec<String> {
        let supervisor = self.pool.supervisor();
        let (_, lost) = supervisor.audit().counts();
        let path =
            supervisor.audit().path().map_or_else(|| "nowhere".into(), |path| path.display().to_string());
        let audit = (lost > 0).then(|| {
            format!(
                "the audit log ({path}): {lost} events were lost; make room, or set audit to another file"
            )
        });
        audit.into_iter().chain(supervisor.registry_fault()).collect()
    }

    fn memory_json(&self) -> serde_json::Value {
        let (used, total) = self.cells.memory_bytes();
        json!({
            "arena_bytes": self.rig().header.arena_bytes,
            "arena_used_bytes": used,
            "arena_free_bytes": total - used,
        })
    }

    /// What was asked for and not obtained, in words.
    pub fn refused(&self) -> Vec<String> {
        let mut refused = self.session.complaints();
        refused.extend(self.unrecorded());
        refused.extend(self.refused_rights());
        refused.extend(self.refused_sandboxes());
        refused
    }

    fn refused_rights(&self) -> Vec<String> {
        let mut refused = Vec::new();
        if !self.settings.wants_realtime {
            refused
                .push("real-time priority and locked memory were not asked for (--no-realtime)".to_owned());
            return refused;
        }
        let common = self.pool.common_rights();
        let missing = |bit: u32, what: &str| (common & bit == 0).then(|| what.to_owned());
        let rights = [
            missing(rights_bits::FIFO, "real-time priority of the workers; run scripts/setup-realtime"),
            missing(rights_bits::LOCKED, "locked memory of the workers; run scripts/setup-realtime"),
            missing(
                rights_bits::PINNED,
                "pinning of the workers to their cores; check the cpuset of this session",
            ),
        ];
        refused.extend(rights.into_iter().flatten());
        if self.report.blocks.load(Relaxed) > 0 && self.report.has_fifo.load(Relaxed) == 0 {
            refused.push("real-time priority of the audio thread; run scripts/setup-realtime".to_owned());
        }
        refused
    }

    /// Every worker; the spare slot is none.
    fn workers_json(&self) -> Vec<serde_json::Value> {
        let slots = self.pool.slots().iter().enumerate();
        slots
            .filter(|(_, entry)| entry.state != State::Vacant)
            .map(|(slot, _)| self.worker_json(slot))
            .collect()
    }

    fn worker_json(&self, slot: usize) -> serde_json::Value {
        let entry = &self.pool.slots()[slot];
        let head = self.rig().head(slot);
        let rights = head.rights.load(Relaxed);
        let mut ids: Vec<&str> = (self.cells.iter())
            .filter(|placed| self.location_of(placed).slot as usize == slot)
            .filter_map(|placed| Some(self.patch.by_instance(placed.record.instance)?.id.as_str()))
            .collect();
        ids.sort_unstable();
        json!({
            "slot": slot,
            "kind": self.kind_name(entry.kind),
            "pid": entry.pid,
            "core": entry.core,
            "state": entry.state.name(),
            "stage": stage_name(head.stage.load(Acquire)),
            "modules": ids,
            "load_us": entry.load_ns / 1e3,
            "fifo": rights & rights_bits::FIFO != 0,
            "locked": rights & rights_bits::LOCKED != 0,
            "pinned": rights & rights_bits::PINNED != 0,
            "sandbox": self.sandbox_json(slot),
            "blocks_rendered": head.blocks_rendered.load(Relaxed),
            "modules_skipped": head.modules_skipped.load(Relaxed),
            "modules_adopted": head.modules_adopted.load(Relaxed),
            "silenced_blocks": head.silenced_blocks.load(Relaxed),
            "render_allocations": head.render_allocations.load(Relaxed),
            "busy_us": f64::from(head.busy_ns.load(Relaxed)) / 1e3,
            "busy_max_us": f64::from(head.busy_max_ns.load(Relaxed)) / 1e3,
            "spawned": entry.spawned,
            "jobs": entry.jobs,
            "late_blocks": entry.late_blocks,
            "memory_mib": memory_bytes(entry.pid) as f64 / 1_048_576.0,
            "last_cause": entry.last_cause,
        })
    }

    /// `id type slot` of every module.
    fn list(&self) -> Vec<Arg> {
        let row = |module: &crate::patch::PatchModule| {
            let slot = self.slot_of(module.instance).map_or(-1, |slot| slot as i32);
            [Arg::Text(module.id.clone()), Arg::Text(module.panel().name.to_owned()), Arg::Int(slot)]
        };
        self.patch.modules().iter().flat_map(row).collect()
    }

    fn schema(&self, wanted: Option<&str>) -> Vec<Reply> {
        let Some(name) = wanted else {
            return catalogue::all().iter().map(|row| schema_of(row.panel)).collect();
        };
        match catalogue::find(name) {
            Some(row) => vec![schema_of(row.panel)],
            None => {
                let refused = Refused::UnknownType(name.to_owned(), catalogue::hint_for(name));
                vec![Reply::fail("/schema", refused, None)]
            }
        }
    }
}

/// `type summary inputs outputs`, then for each parameter `name unit min max default`.
fn schema_of(panel: &ModuleType) -> Reply {
    let names = |ports: &[backline_dsp::module::Port]| {
        Arg::Text(ports.iter().map(|port| port.name).collect::<Vec<_>>().join(" "))
    };
    let mut args = vec![
        Arg::Text(panel.name.to_owned()),
        Arg::Text(panel.summary.to_owned()),
        names(panel.inputs),
        names(panel.outputs),
    ];
    for param in panel.params {
        let unit = if param.choices.is_empty() { param.unit.to_owned() } else { param.choices.join(" ") };
        args.extend([Arg::Text(param.name.to_owned()), Arg::Text(unit)]);
        args.extend([param.min, param.max, param.default].map(Arg::Float));
    }
    Reply { address: "/schema.reply".to_owned(), args }
}

fn version() -> Vec<Arg> {
    let number = |text: &str| Arg::Int(text.parse().unwrap_or(0));
    vec![
        Arg::Text("backline".to_owned()),
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    ]
}
