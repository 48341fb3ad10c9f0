//! Control's end of the session: what makes the set go on when the engine dies.
//!
//! In: commands that were performed. Out: records for the journal's writer; what `status` says of the session.
//! Thread: control. Nothing here waits for the disk: what finds the writer too far behind is not sent, and made up
//! for by the whole scene as soon as there is room.

use super::folder::Folder;
use super::journal::Header;
use super::keeper::KeeperWatch;
use super::record::Record;
use super::scene::Scene;
use super::writer::{Bounds, Entry, Shared, Writer};
use crate::command::Command;
use crossbeam_channel::{Sender, bounded};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::thread::JoinHandle;

/// Records that may wait for the writer: seconds of a lively set.
const MOST_WAITING: usize = 4_096;
/// Commands between `/begin` and `/commit` that are remembered as such; of more, the outcome is.
const MOST_TOGETHER: usize = 16_384;

/// What control knows of the session; the default is a session without journal and keeper, as of a render.
#[derive(Default)]
pub struct Continuity {
    /// Name of the session.
    pub name: String,
    /// The journal, if there is one.
    pub journal: Option<Journal>,
    /// Why there is none although there should be one.
    pub no_journal: Option<String>,
    /// Who starts the engine again.
    pub keeper: Option<KeeperWatch>,
    /// How often the keeper has started it again.
    pub restarts: u32,
    /// Modules that were brought back from the journal at the start.
    pub recovered_modules: usize,
}

/// Control's end of a journal.
pub struct Journal {
    path: String,
    entries: Sender<Entry>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Entries that go to the writer when nobody waits for an answer: to wake it takes time.
    outgoing: Vec<Entry>,
    /// Entries sent, or going to be.
    sent: u64,
    /// Commands since `/begin`; `None` outside.
    together: Option<Vec<Command>>,
    /// Something was done that was not sent: only the whole scene makes up for it.
    is_behind: bool,
}

impl Journal {
    /// Begins the journal of session `name` with `scene`, which is written before this returns; then the thread
    /// takes over. A disk that refuses is told of by [`Continuity::complaints`], and tried again.
    pub fn begin(
        folder: Arc<Folder>,
        name: &str,
        header: Header,
        scene: &Scene,
        bounds: Bounds,
    ) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let path = folder.path_of(name).display().to_string();
        let mut writer = Writer::new(folder, name.to_owned(), header, bounds, shared.clone());
        writer.rewrite(scene);
        let (entries, for_writer) = bounded(MOST_WAITING);
        let thread =
            std::thread::Builder::new().name("journal".into()).spawn(move || writer.run(&for_writer))?;
        let thread = Some(thread);
        Ok(Self {
            path,
            entries,
            shared,
            thread,
            outgoing: Vec::new(),
            sent: 0,
            together: None,
            is_behind: false,
        })
    }

    /// Takes note of a command that was done; what changes nothing is passed over.
    pub fn note(&mut self, command: Command) {
        match (command, &mut self.together) {
            (Command::Begin, _) => self.together = Some(Vec::new()),
            (Command::Abort, _) => self.together = None,
            (Command::Commit, together) => match together.take() {
                Some(commands) if commands.len() <= MOST_TOGETHER => self.send_record(commands),
                _ => self.is_behind = true,
            },
            (Command::Panic, together) => {
                *together = None;
                self.send_record(vec![Command::Panic]);
            }
            (command, _) if !is_change(&command) => {}
            // One more than there may be says that there are too many.
            (command, Some(together)) if together.len() <= MOST_TOGETHER => together.push(command),
            (_, Some(_)) => {}
            (command, None) => self.send_record(vec![command]),
        }
    }

    /// Takes note that the patch in force is no longer what the commands so far have made of it.
    pub fn note_otherwise(&mut self) {
        self.together = None;
        self.is_behind = true;
    }

    fn send_record(&mut self, commands: Vec<Command>) {
        if !commands.is_empty() && !self.is_behind {
            self.is_behind = !self.send(Entry::Did(Record::Did(commands)));
        }
    }

    fn send(&mut self, entry: Entry) -> bool {
        let has_room = self.has_room();
        if has_room {
            self.outgoing.push(entry);
            self.sent += 1;
        }
        has_room
    }

    fn has_room(&self) -> bool {
        self.entries.len() + self.outgoing.len() < MOST_WAITING
    }

    /// Hands the writer what was noted; to be called when the answers are out.
    pub fn flush(&mut self) {
        for entry in self.outgoing.drain(..) {
            // There is room, because only we send. A writer that has died takes nothing any more, and says so.
            let _ = self.entries.try_send(entry);
        }
    }

    /// Whether the whole scene is wanted.
    pub fn wants_scene(&self) -> bool {
        (self.is_behind || self.shared.wants_scene.load(Relaxed)) && self.has_room()
    }

    /// Hands over the scene in force.
    pub fn give(&mut self, scene: Scene) {
        self.shared.wants_scene.store(false, Relaxed);
        self.is_behind = !self.send(Entry::Scene(Box::new(scene)));
    }

    /// Closes the journal: the session has ended cleanly. One that `is_kept` stays for people to read. Waits for
    /// the disk, so nothing may sound any more.
    pub fn close(mut self, is_kept: bool) {
        self.flush();
        // Only a writer that has died does not take it, and then there is nobody to wait for.
        let _ = self.entries.send(Entry::Close(is_kept));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn to_json(&self) -> Value {
        // Acquire: pairs with the writer's Release, so the counters are at least as new as this.
        let waiting = self.sent.saturating_sub(self.shared.dealt_with.load(Acquire));
        json!({
            "path": self.path,
            "records": self.shared.records.load(Relaxed),
            "bytes": self.shared.bytes.load(Relaxed),
            "waiting": waiting,
            "is_up_to_date": !self.is_behind && waiting == 0 && self.shared.trouble().is_none(),
            "trouble": self.shared.trouble(),
        })
    }
}

/// Whether `command` is one of those that a scene is made of. All are named, so that a new one is thought about: one
/// that changes the patch in a way of its own needs [`Journal::note_otherwise`].
fn is_change(command: &Command) -> bool {
    match command {
        Command::Create { .. }
        | Command::Free { .. }
        | Command::Gate { .. }
        | Command::Set { .. }
        | Command::Connect { .. }
        | Command::Disconnect { .. }
        | Command::PatchClear
        | Command::Panic => true,
        Command::Begin
        | Command::Commit
        | Command::Abort
        | Command::Sync(_)
        | Command::Status
        | Command::StatusJson
        | Command::List
        | Command::Schema(_)
        | Command::Version
        | Command::Quit
        | Command::Notify(_)
        | Command::PatchSave(_)
        | Command::RecordStart(_)
        | Command::RecordStop => false,
        // What it brings depends on a file that may change: `note_otherwise` when it is in force.
        Command::PatchLoad(_) => false,
    }
}

impl Continuity {
    /// Looks whether the keeper is still there.
    pub fn watch_keeper(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            keeper.look();
        }
    }

    /// What of it is not as it should be, in words.
    pub fn complaints(&self) -> Vec<String> {
        let of_journal = self.journal.as_ref().and_then(|journal| journal.shared.trouble());
        let of_keeper = self.keeper.as_ref().and_then(KeeperWatch::complaint);
        self.no_journal.iter().cloned().chain(of_journal).chain(of_keeper).collect()
    }

    /// For `status`.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "journal": self.journal.as_ref().map(Journal::to_json),
            "keeper": self.keeper.as_ref().map(KeeperWatch::to_json),
            "restarts": self.restarts,
            "recovered_modules": self.recovered_modules,
        })
    }

    /// The session has ended cleanly; see [`Journal::close`].
    pub fn close(&mut self, is_kept: bool) {
        if let Some(journal) = self.journal.take() {
            journal.close(is_kept);
        }
    }
}
