//! `/patch/save`, `/patch/load`, `/patch/clear`, `/record/start`, `/record/stop`: ordered from the helpers of
//! [`super::filework`], and answered when the file is safe, the patch in force, the recording begun or complete.
//!
//! A load is in force in one block, as `/begin` ... `/commit` is, or not at all. Modules that the patch in force
//! and the file have in common, by id and type, go on as they are.

use super::apply::Refused;
use super::filework::{FileWork, FileWorkError, Order, Outcome};
use super::realise::RealiseError;
use super::{Conductor, Draft};
use crate::command::{Arg, Client, Command, Reply, Request};
use crate::output::record::{Recorder, RecorderInput, Recording, RecordingGauge};
use crate::output::tap::TapHandle;
use crate::patch::file::PatchFile;
use backline_abi::block::Event;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A load that takes longer is refused, because whoever asked for it waits with everything else.
const LOAD_PATIENCE: Duration = Duration::from_secs(5);
/// How long the audio thread may take to let go of a recorder; longer only if its clock has stopped.
const LEAVE_PATIENCE: Duration = Duration::from_secs(1);

/// Why a command about files was refused.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A render, or a bench.
    #[error("this needs a running engine (backline run); a render takes its patch from the command line")]
    NotRunning,
    /// The file.
    #[error(transparent)]
    Work(#[from] FileWorkError),
    /// Old and new patch together are too much.
    #[error(
        "the patch does not fit beside the one that plays until it takes over ({0}); /patch/clear first, then load it"
    )]
    NoRoom(RealiseError),
    /// The disk.
    #[error("the disk has not answered for {} s; nothing has changed", LOAD_PATIENCE.as_secs())]
    TooSlow,
    /// Overtaken.
    #[error("/panic came before it was loaded")]
    Panicked,
    /// Two at once.
    #[error("{0} is being recorded already; /record/stop first")]
    AlreadyRecording(String),
    /// Nothing to stop.
    #[error("nothing is being recorded at run time; /record/start NAME begins it")]
    NotRecording,
}

/// An order that is under way, and who waits for it.
struct Ticket {
    number: u64,
    client: Option<Client>,
    address: String,
    name: String,
    since: Instant,
    is_load: bool,
    is_cancelled: bool,
}

/// The recording that is made at run time.
enum AtRunTime {
    Nothing,
    Beginning,
    Running(Recorder),
    /// The audio thread is to let go of it first.
    Leaving(Recorder, Ticket),
    Ending,
}

/// What the conductor of a running engine has to do with files.
pub struct Files {
    work: FileWork,
    tap: TapHandle,
    tickets: Vec<Ticket>,
    next_number: u64,
    at_run_time: AtRunTime,
    name: String,
    gauge: Option<RecordingGauge>,
    /// Of the recording that lasts as long as the engine.
    fixed: Option<RecordingGauge>,
    /// The file that the patch came from: what it says beside the patch is saved with it.
    origin: Option<Arc<PatchFile>>,
}

impl Files {
    /// Nothing under way; `fixed` is recorded from beginning to end.
    pub fn new(work: FileWork, tap: TapHandle, fixed: Option<RecordingGauge>) -> Self {
        Self {
            work,
            tap,
            tickets: Vec::new(),
            next_number: 1,
            at_run_time: AtRunTime::Nothing,
            name: String::new(),
            gauge: None,
            fixed,
            origin: None,
        }
    }

    fn order(
        &mut self,
        request: &Request,
        client: Option<Client>,
        name: &str,
        order: Order,
    ) -> Result<(), FilesError> {
        let ticket = self.ticket(request, client, name, matches!(order, Order::Load { .. }));
        self.work.order(ticket.number, order)?;
        self.tickets.push(ticket);
        Ok(())
    }

    fn ticket(&mut self, request: &Request, client: Option<Client>, name: &str, is_load: bool) -> Ticket {
        let number = self.next_number;
        self.next_number += 1;
        let (address, name) = (request.address.clone(), name.to_owned());
        Ticket { number, client, address, name, since: Instant::now(), is_load, is_cancelled: false }
    }

    fn record(
        &mut self,
        request: &Request,
        client: Option<Client>,
        name: &str,
        rate_hz: u32,
    ) -> Result<(), FilesError> {
        if !matches!(self.at_run_time, AtRunTime::Nothing) {
            return Err(FilesError::AlreadyRecording(self.name.clone()));
        }
        self.order(request, client, name, Order::Begin { name: name.to_owned(), rate_hz })?;
        self.at_run_time = AtRunTime::Beginning;
        name.clone_into(&mut self.name);
        Ok(())
    }

    fn stop_recording(&mut self, request: &Request, client: Option<Client>) -> Result<(), FilesError> {
        match std::mem::replace(&mut self.at_run_time, AtRunTime::Ending) {
            AtRunTime::Running(recorder) => {
                let name = self.name.clone();
                let ticket = self.ticket(request, client, &name, false);
                self.tap.want(None);
                self.at_run_time = AtRunTime::Leaving(recorder, ticket);
                Ok(())
            }
            other => {
                self.at_run_time = other;
                Err(FilesError::NotRecording)
            }
        }
    }

    /// Once the audio thread has let go of a recorder, it is completed. An answer only if nobody can do that.
    fn end_what_was_left(&mut self) -> Option<(Option<Client>, Reply)> {
        let AtRunTime::Leaving(_, ticket) = &self.at_run_time else { return None };
        if !self.tap.is_taken() && ticket.since.elapsed() < LEAVE_PATIENCE {
            return None;
        }
        let AtRunTime::Leaving(recorder, ticket) =
            std::mem::replace(&mut self.at_run_time, AtRunTime::Ending)
        else {
            return None;
        };
        // The helper of recordings has one order at a time, so there is room, unless it is gone.
        match self.work.order(ticket.number, Order::End(recorder)) {
            Ok(()) => {
                self.tickets.push(ticket);
                None
            }
            Err(refused) => {
                self.at_run_time = AtRunTime::Nothing;
                Some((ticket.client, Reply::fail(&ticket.address, refused, None)))
            }
        }
    }

    fn begun(
        &mut self,
        begun: Result<(RecorderInput, Recorder), FileWorkError>,
    ) -> Result<Vec<Arg>, Refused> {
        self.at_run_time = AtRunTime::Nothing;
        let (input, recorder) = begun.map_err(FilesError::from)?;
        let path = recorder.path().display().to_string();
        self.gauge = Some(recorder.gauge());
        self.tap.want(Some(input));
        self.at_run_time = AtRunTime::Running(recorder);
        Ok(vec![Arg::Text(path)])
    }

    fn ended(&mut self, ended: Result<Recording, FileWorkError>) -> Result<Vec<Arg>, Refused> {
        self.at_run_time = AtRunTime::Nothing;
        let gauge = self.gauge.take();
        let recording = ended.map_err(FilesError::from)?;
        let path = recording.files.first().map(|path| path.display().to_string()).unwrap_or_default();
        let frames = i32::try_from(recording.frames).map_or(Arg::Double(recording.frames as f64), Arg::Int);
        let failure = gauge.and_then(|gauge| gauge.failure().map(str::to_owned)).map(Arg::Text);
        Ok([Arg::Text(path), frames].into_iter().chain(failure).collect())
    }

    /// The ticket of an order that nobody has called off.
    fn claim(&mut self, number: u64) -> Option<Ticket> {
        let position = self.tickets.iter().position(|ticket| ticket.number == number)?;
        Some(self.tickets.remove(position))
    }

    /// Loads that are called off, and why.
    fn called_off(&mut self) -> Vec<(Option<Client>, Reply)> {
        let is_over = |ticket: &mut Ticket| {
            ticket.is_cancelled || ticket.is_load && ticket.since.elapsed() >= LOAD_PATIENCE
        };
        let refused = |ticket: Ticket| {
            let why = if ticket.is_cancelled { FilesError::Panicked } else { FilesError::TooSlow };
            (ticket.client, Reply::fail(&ticket.address, why, None))
        };
        self.tickets.extract_if(.., is_over).map(refused).collect()
    }
}

impl Conductor {
    /// From here on this is a running engine, with folders and a tap on its output.
    pub fn open_files(&mut self, files: Files) {
        self.files = Some(files);
    }

    /// The patch in force came from `file`; what else the file says is saved with it.
    pub fn came_from(&mut self, file: PatchFile) {
        if let Some(files) = &mut self.files {
            files.origin = Some(Arc::new(file));
        }
    }

    /// Orders what `request` asks of files. Nothing is returned if it is answered later.
    pub(super) fn order_of_files(&mut self, request: &Request) -> Vec<Reply> {
        let ordered = self.try_order(request);
        ordered.err().map(|refused| Reply::fail(&request.address, refused, None)).into_iter().collect()
    }

    fn try_order(&mut self, request: &Request) -> Result<(), Refused> {
        let (client, rate_hz, is_drafting) = (self.client, self.settings.rate_hz, self.draft.is_some());
        // What is in force, not what is only gathered.
        let patch = &self.patch;
        let files = self.files.as_mut().ok_or(FilesError::NotRunning)?;
        match &request.command {
            Command::PatchSave(name) => {
                let (patch, origin) = (patch.clone(), files.origin.clone());
                files.order(request, client, name, Order::Save { name: name.clone(), patch, origin })?;
            }
            Command::PatchLoad(_) if is_drafting => return Err(Refused::AlreadyBegun),
            Command::PatchLoad(name) => {
                files.order(request, client, name, Order::Load { name: name.clone() })?;
            }
            Command::RecordStart(name) => files.record(request, client, name, rate_hz)?,
            Command::RecordStop => files.stop_recording(request, client)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether `client` has a load under way: what it sends after it has to wait.
    pub fn is_loading(&self, client: Client) -> bool {
        self.tickets().any(|ticket| ticket.is_load && ticket.client == Some(client))
    }

    /// Whether anything that `client` asked of files is under way.
    pub fn has_file_work(&self, client: Client) -> bool {
        self.tickets().any(|ticket| ticket.client == Some(client))
    }

    /// Whether anything at all is.
    pub fn has_any_file_work(&self) -> bool {
        self.tickets().next().is_some()
    }

    fn tickets(&self) -> impl Iterator<Item = &Ticket> {
        self.files.iter().flat_map(|files| {
            let leaving = match &files.at_run_time {
                AtRunTime::Leaving(_, ticket) => Some(ticket),
                _ => None,
            };
            files.tickets.iter().chain(leaving)
        })
    }

    /// Takes up what the helpers have done since the last time; the answers, and to whom they go.
    pub fn finish_file_work(&mut self) -> Vec<(Option<Client>, Reply)> {
        let Some(files) = &mut self.files else { return Vec::new() };
        let mut replies = files.called_off();
        replies.extend(files.end_what_was_left());
        while let Some((number, outcome)) = self.files.as_ref().and_then(|files| files.work.outcome()) {
            // A load that was called off comes too late; whatever else was ordered is waited for.
            let Some(ticket) = self.files.as_mut().and_then(|files| files.claim(number)) else { continue };
            let done = self.take_up(outcome, &ticket.name);
            let address = &ticket.address;
            let reply = match done {
                Ok(args) => Reply::done(address, [Arg::Text(ticket.name)].into_iter().chain(args)),
                Err(refused) => Reply::fail(address, refused, None),
            };
            replies.push((ticket.client, reply));
        }
        replies
    }

    fn take_up(&mut self, outcome: Outcome, name: &str) -> Result<Vec<Arg>, Refused> {
        let Some(files) = &mut self.files else { return Ok(Vec::new()) };
        match outcome {
            Outcome::Saved(saved) => {
                let path = saved.map_err(FilesError::from)?;
                Ok(vec![Arg::Text(path.display().to_string())])
            }
            Outcome::Loaded(loaded) => {
                let file = loaded.map_err(FilesError::from)?;
                let replaced = self.replace_by(&file);
                // Without a clock it is in force all the same, as soon as that goes on.
                if matches!(replaced, Ok(_) | Err(Refused::ClockStopped)) {
                    self.came_from(file);
                    self.journal_scene();
                }
                let kept = replaced?;
                tracing::info!(name, modules = self.patch.modules().len(), kept, "patch loaded");
                Ok(Vec::new())
            }
            Outcome::Begun(begun) => files.begun(begun),
            Outcome::Ended(ended) => files.ended(ended),
        }
    }

    /// Puts the patch of `file` in force, in one block, or leaves everything as it is. Returns how many modules
    /// go on.
    pub(super) fn replace_by(&mut self, file: &PatchFile) -> Result<usize, Refused> {
        if self.draft.is_some() {
            return Err(Refused::AlreadyBegun);
        }
        let limits = self.limits();
        let after = self.patch.replaced_by(&file.commands, &mut self.next_instance, &limits)?;
        self.check_memory(&after.patch)?;
        if !self.events.has_room(after.changes.len(), false) {
            return Err(crate::cycle::events::EventsFull.into());
        }
        self.realise(&after.patch).map_err(|refusal| match self.patch.modules().is_empty() {
            true => Refused::from(refusal),
            false => FilesError::NoRoom(refusal).into(),
        })?;
        // From here on it is a transaction like any other.
        self.draft = Some(Draft { patch: after.patch, events: Vec::new() });
        for (instance, index, value) in after.changes {
            self.send(0, Event { instance, offset_frames: 0, kind: index as u32, value })?;
        }
        self.commit()?;
        Ok(after.kept)
    }

    /// Frees every module, in one block; the edits gathered since `/begin` become that.
    pub(super) fn clear_patch(&mut self) -> Result<Vec<Arg>, Refused> {
        self.edited(|patch, _| Ok(patch.clear()))?;
        if let (None, Some(files)) = (&self.draft, &mut self.files) {
            files.origin = None;
        }
        Ok(Vec::new())
    }

    /// `/panic`: what is being loaded must not sound after it.
    pub(super) fn call_off_loads(&mut self) {
        let Some(files) = &mut self.files else { return };
        files.origin = None;
        files
            .tickets
            .iter_mut()
            .filter(|ticket| ticket.is_load)
            .for_each(|ticket| ticket.is_cancelled = true);
    }

    /// Completes the recording that was begun at run time, if there is one. The clock has stopped.
    pub fn close_recording(&mut self) -> Option<Recording> {
        let files = self.files.as_mut()?;
        match std::mem::replace(&mut files.at_run_time, AtRunTime::Nothing) {
            AtRunTime::Running(recorder) | AtRunTime::Leaving(recorder, _) => recorder.finish().ok(),
            _ => None,
        }
    }

    /// Recordings in progress, for `status`.
    pub(super) fn recordings_json(&self) -> serde_json::Value {
        let row = |gauge: &RecordingGauge| {
            json!({
                "path": gauge.path(),
                "seconds": gauge.accepted_frames() as f64 / f64::from(self.settings.rate_hz),
                "dropped_frames": gauge.dropped_frames(),
                "unwritten_frames": gauge.unwritten_frames(),
                "failure": gauge.failure(),
            })
        };
        let files = self.files.as_ref();
        let gauges = files.into_iter().flat_map(|files| files.fixed.iter().chain(&files.gauge));
        gauges.map(row).collect()
    }
}
