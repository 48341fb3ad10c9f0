//! Each command: judged by the patch, realised by the pool, staged for the next block, answered.
//!
//! In: [`Command`]s. Out: one [`Reply`] each. A refused command has changed nothing.

use super::files::FilesError;
use super::quota::QuotaError;
use super::realise::RealiseError;
use super::{Conductor, Draft};
use crate::command::{Arg, Command, PortName, Reply, Request, Value};
use crate::cycle::events::{EventsFull, TimedEvent};
use crate::patch::{EditError, Patch};
use crate::pattern;
use backline_abi::block::{Event, kind};
use backline_abi::wake::now_ns;

/// Why a command was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The patch does not allow it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The pool cannot play it.
    #[error(transparent)]
    Realise(#[from] RealiseError),
    /// Too many events.
    #[error(transparent)]
    Events(#[from] EventsFull),
    /// `/begin` twice.
    #[error("edits are being gathered already since /begin; send /commit or /abort first")]
    AlreadyBegun,
    /// `/commit` or `/abort` without `/begin`.
    #[error("no edits are being gathered; send /begin first")]
    NotBegun,
    /// No plan buffer.
    #[error("the audio clock has stopped; the edit is in force when it goes on")]
    ClockStopped,
    /// Too much for this engine, or for one client.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// A file.
    #[error(transparent)]
    Files(Box<FilesError>),
    /// Nobody knows that type.
    #[error("there is no module type '{0}'{1}")]
    UnknownType(String, String),
}

impl From<FilesError> for Refused {
    fn from(refusal: FilesError) -> Self {
        Self::Files(Box::new(refusal))
    }
}

/// When a command takes effect, and when it came.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Frame for gates and parameters; 0 is the next block's first.
    pub frame: u64,
    /// When it arrived, monotonic ns.
    pub arrived_ns: u64,
}

type Answered = Result<Vec<Arg>, Refused>;

impl Conductor {
    /// Does what `request` asks, and answers. Usually one message; `/schema` and `/list` may be several.
    pub fn apply(&mut self, request: &Request, moment: Moment) -> Vec<Reply> {
        if let Some(replies) = self.question(&request.command) {
            return replies;
        }
        if request.command.needs_running_engine() {
            return self.order_of_files(request);
        }
        let address = request.address.as_str();
        let outcome = self.perform(&request.command, moment);
        self.note(&request.command, &outcome);
        let reply = match outcome {
            Ok(args) => Reply::done(address, args),
            Err(refused) => Reply::fail(address, refused, subject(&request.command).as_deref()),
        };
        vec![reply]
    }

    /// For the journal: what was done, a new module with the id that was chosen for it.
    fn note(&mut self, command: &Command, outcome: &Answered) {
        let Some(journal) = &mut self.session.journal else { return };
        match (outcome, command) {
            (Ok(args), Command::Create { type_name, params, .. }) => {
                let Some(Arg::Text(id)) = args.first() else { return };
                let (type_name, params) = (type_name.clone(), params.clone());
                journal.note(Command::Create { type_name, id: Some(id.clone()), params });
            }
            (Ok(_), command) => journal.note(command.clone()),
            // The patch holds it all the same.
            (Err(Refused::ClockStopped), _) => journal.note_otherwise(),
            (Err(_), _) => {}
        }
    }

    fn perform(&mut self, command: &Command, moment: Moment) -> Answered {
        match command {
            Command::Create { type_name, id, params } => {
                self.create(type_name, id.as_deref(), params, moment)
            }
            Command::Free { target } => self.free(target),
            Command::Gate { target, is_on, velocity } => self.gate(target, *is_on, *velocity, moment),
            Command::Set { target, params } => self.set(target, params, moment),
            Command::Connect { source, target, gain } => self.connect(source, target, *gain),
            Command::Disconnect { source, target } => self.disconnect(source, target),
            Command::Begin => self.begin(),
            Command::Commit => self.commit(),
            Command::Abort => self.abort(),
            Command::Panic => self.panic(),
            Command::PatchClear => self.clear_patch(),
            Command::Quit => {
                self.is_quitting = true;
                Ok(Vec::new())
            }
            // Questions, and orders to those who work on files, are dealt with before this.
            Command::Sync(_)
            | Command::Status
            | Command::StatusJson
            | Command::List
            | Command::Schema(_)
            | Command::Version
            | Command::Notify(_)
            | Command::PatchSave(_)
            | Command::PatchLoad(_)
            | Command::RecordStart(_)
            | Command::RecordStop => Ok(Vec::new()),
        }
    }

    /// Edits the draft since `/begin`, else the patch in force, which is then staged. Every edit of a patch is
    /// all or nothing, so a refusal leaves it as it was.
    pub(super) fn edited<T>(
        &mut self,
        edit: impl FnOnce(&mut Patch, &mut Self) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let mut patch = std::mem::take(self.edited_patch());
        let outcome = edit(&mut patch, self);
        *self.edited_patch() = patch;
        let outcome = outcome?;
        if self.draft.is_none() {
            self.put_in_force()?;
        }
        Ok(outcome)
    }

    fn edited_patch(&mut self) -> &mut Patch {
        self.draft.as_mut().map_or(&mut self.patch, |draft| &mut draft.patch)
    }

    /// Stages the patch, whose modules are all set up, and buries those that are gone from it.
    fn put_in_force(&mut self) -> Result<(), Refused> {
        let is_staged = self.stage();
        self.bury_the_gone();
        if is_staged { Ok(()) } else { Err(Refused::ClockStopped) }
    }

    fn create(
        &mut self,
        type_name: &str,
        id: Option<&str>,
        params: &[(String, Value)],
        moment: Moment,
    ) -> Answered {
        let limits = self.limits();
        let instance = self.edited(|patch, own| {
            let instance = patch.create(type_name, id, params, &mut own.next_instance, &limits)?;
            let refusal = own.check_memory(patch).map_err(Refused::from);
            if let Err(refusal) = refusal.and_then(|()| Ok(own.realise(patch)?)) {
                let id = patch.by_instance(instance).map(|module| module.id.clone()).unwrap_or_default();
                patch.free(&id)?;
                return Err(refusal);
            }
            Ok(instance)
        })?;
        let id =
            self.edited_patch().by_instance(instance).map(|module| module.id.clone()).unwrap_or_default();
        let slot = self.slot_of(instance).unwrap_or(0);
        let pid = self.pool.slots()[slot].pid;
        let ack_us = (now_ns().saturating_sub(moment.arrived_ns) / 1_000).min(i32::MAX as u64) as i32;
        Ok(vec![Arg::Text(id), Arg::Int(slot as i32), Arg::Int(pid as i32), Arg::Int(ack_us)])
    }

    fn free(&mut self, target: &str) -> Answered {
        self.edited(|patch, _| Ok(patch.free(target)?))?;
        Ok(vec![Arg::Text(target.to_owned())])
    }

    fn connect(&mut self, source: &PortName, target: &PortName, gain: f32) -> Answered {
        let limits = self.limits();
        let connected = self.edited(|patch, _| Ok(patch.connect(source, target, gain, &limits)?))?;
        let mut args = vec![Arg::Text(source.to_string()), Arg::Text(target.to_string())];
        if connected.is_feedback {
            args.push(Arg::Text("feedback: closes a loop, heard one block late".to_owned()));
        }
        if self.draft.is_none() {
            self.bring_together(connected.connection.source, connected.connection.target);
        }
        Ok(args)
    }

    fn disconnect(&mut self, source: &PortName, target: &PortName) -> Answered {
        self.edited(|patch, _| Ok(patch.disconnect(source, target)?))?;
        Ok(vec![Arg::Text(source.to_string()), Arg::Text(target.to_string())])
    }

    fn set(&mut self, target: &str, params: &[(String, Value)], moment: Moment) -> Answered {
        // Room for the most that this can be; known before anything is changed.
        let patch = self.edited_patch();
        let most = if pattern::is_pattern(target) { patch.modules().len() } else { 1 } * params.len();
        if !self.events.has_room(self.gathered() + most, false) {
            return Err(EventsFull.into());
        }
        let changes = self.edited_patch().set(target, params)?;
        for (instance, index, value) in changes {
            let event = Event { instance, offset_frames: 0, kind: index as u32, value };
            self.send(moment.frame, event)?;
        }
        Ok(vec![Arg::Text(target.to_owned())])
    }

    fn gate(&mut self, target: &str, is_on: bool, velocity: f32, moment: Moment) -> Answered {
        let gated = self.edited_patch().gate(target)?;
        if !self.events.has_room(self.gathered() + gated.len(), true) {
            return Err(EventsFull.into());
        }
        let kind = if is_on { kind::GATE_ON } else { kind::GATE_OFF };
        for instance in gated {
            let event = Event { instance, offset_frames: 0, kind, value: velocity };
            self.send(moment.frame, event)?;
        }
        Ok(vec![Arg::Text(target.to_owned())])
    }

    /// Events that wait for `/commit`.
    fn gathered(&self) -> usize {
        self.draft.as_ref().map_or(0, |draft| draft.events.len())
    }

    /// To the audio thread; while edits are gathered, to the draft.
    pub(super) fn send(&mut self, frame: u64, event: Event) -> Result<(), Refused> {
        // A module of the patch has a cell from its create on.
        let Some(cell) = self.cells.get(event.instance).map(|placed| placed.cell) else { return Ok(()) };
        let timed = TimedEvent { frame, plan_version: self.plan_version, cell, event };
        match &mut self.draft {
            Some(draft) => draft.events.push(timed),
            None => self.send_now(timed)?,
        }
        Ok(())
    }

    fn send_now(&mut self, timed: TimedEvent) -> Result<(), EventsFull> {
        self.events.send(timed)?;
        self.gates.heard(&timed.event);
        Ok(())
    }

    fn begin(&mut self) -> Answered {
        if self.draft.is_some() {
            return Err(Refused::AlreadyBegun);
        }
        self.draft = Some(Draft { patch: self.patch.clone(), events: Vec::new() });
        Ok(Vec::new())
    }

    pub(super) fn commit(&mut self) -> Answered {
        if self.draft.is_some() && !self.events.has_room(self.gathered(), false) {
            return Err(EventsFull.into());
        }
        let draft = self.draft.take().ok_or(Refused::NotBegun)?;
        self.settle(&draft.patch);
        self.patch = draft.patch;
        // Sent before their plan, for which they wait: so both are in force in the same block.
        let plan_version = self.next_plan_version();
        for event in draft.events {
            self.send_now(TimedEvent { plan_version, ..event })?;
        }
        self.put_in_force()?;
        Ok(Vec::new())
    }

    fn abort(&mut self) -> Answered {
        self.draft.take().ok_or(Refused::NotBegun)?;
        self.bury_the_gone();
        Ok(Vec::new())
    }

    fn panic(&mut self) -> Answered {
        self.draft = None;
        self.call_off_loads();
        self.patch = Patch::default();
        self.put_in_force()?;
        Ok(Vec::new())
    }
}

/// The id that a command is about, for `/fail`.
fn subject(command: &Command) -> Option<String> {
    match command {
        Command::Create { id, .. } => id.clone(),
        Command::Free { target } | Command::Gate { target, .. } | Command::Set { target, .. } => {
            Some(target.clone())
        }
        Command::Connect { target, .. } | Command::Disconnect { target, .. } => Some(target.id.clone()),
        _ => None,
    }
}

impl Conductor {
    /// Whether `command` is a gate or a parameter for a module that is there, so that it can be sent ahead of
    /// its time.
    pub fn is_event_for_somebody(&self, command: &Command) -> bool {
        let is_there = |target: &str| pattern::is_pattern(target) || self.patch.by_id(target).is_some();
        match command {
            Command::Gate { target, .. } | Command::Set { target, .. } => {
                self.draft.is_none() && is_there(target)
            }
            _ => false,
        }
    }
}
