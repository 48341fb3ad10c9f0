//! Work on files, done where a slow disk holds up nobody: neither control nor the audio thread.
//!
//! In: orders, from control. Out: outcomes, which control looks for between two commands.
//! Thread: a helper for patches and one for recordings, so that the end of a long recording does not hold up a
//! patch. Each does its orders in turn. Full: a disk that has not answered so many orders gets no more.

use crate::output::record::{RecordError, Recorder, RecorderInput, Recording};
use crate::output::wav::WavShape;
use crate::patch::Patch;
use crate::patch::file::{self, FileError, PatchFile};
use crate::patch::save;
use crate::session::library::{Library, LibraryError};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Orders that one helper may have.
const MAX_ORDERS: usize = 64;
/// Channels of a recording.
const STEREO: u16 = 2;

/// Something to do with a file.
pub enum Order {
    /// Write a patch.
    Save {
        /// Under which name.
        name: String,
        /// What.
        patch: Patch,
        /// The file that it came from.
        origin: Option<Arc<PatchFile>>,
    },
    /// Read a patch.
    Load {
        /// Of which name.
        name: String,
    },
    /// Begin a recording.
    Begin {
        /// Under which name.
        name: String,
        /// Its sample rate.
        rate_hz: u32,
    },
    /// Complete a recording.
    End(Recorder),
}

/// What became of an order.
pub enum Outcome {
    /// It is safe on the disk.
    Saved(Result<PathBuf, FileWorkError>),
    /// It holds together.
    Loaded(Result<PatchFile, FileWorkError>),
    /// It can be recorded into.
    Begun(Result<(RecorderInput, Recorder), FileWorkError>),
    /// It is complete.
    Ended(Result<Recording, FileWorkError>),
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum FileWorkError {
    /// No folder.
    #[error("there is no folder for {what}, because HOME is not set; name one with --{what}")]
    NoFolder {
        /// `patches` or `recordings`.
        what: &'static str,
    },
    /// The file.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// What is in it.
    #[error("{}, {fault}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Line and reason.
        fault: Box<FileError>,
    },
    /// A recording.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A mistake of ours, which the log tells more about.
    #[error("this failed inside the engine; see its log, and please report it")]
    Panicked,
    /// The disk is stuck.
    #[error("the disk has not answered {MAX_ORDERS} orders yet; try again when it has")]
    Stuck,
}

/// Control's end of both helpers.
pub struct FileWork {
    patches: Option<Sender<(u64, Order)>>,
    recordings: Option<Sender<(u64, Order)>>,
    outcomes: Receiver<(u64, Outcome)>,
    helpers: Vec<JoinHandle<()>>,
}

impl FileWork {
    /// Starts the helpers over their folders.
    pub fn start(patches: Option<&Path>, recordings: Option<&Path>) -> std::io::Result<Self> {
        let folders = Folders {
            patches: patches.map(|folder| Library::new(folder, "toml")),
            recordings: recordings.map(|folder| Library::new(folder, "wav")),
        };
        let (done, outcomes) = unbounded();
        let mut helpers = Vec::new();
        let mut helper = |name: &str| {
            let (sender, orders) = bounded::<(u64, Order)>(MAX_ORDERS);
            let (folders, done) = (folders.clone(), done.clone());
            let work = move || folders.work(&orders, &done);
            helpers.push(std::thread::Builder::new().name(name.to_owned()).spawn(work)?);
            Ok::<_, std::io::Error>(Some(sender))
        };
        let (patches, recordings) = (helper("patches")?, helper("recordings")?);
        Ok(Self { patches, recordings, outcomes, helpers })
    }

    /// Hands over an order; `number` comes back with its outcome.
    pub fn order(&self, number: u64, order: Order) -> Result<(), FileWorkError> {
        let helper = match order {
            Order::Save { .. } | Order::Load { .. } => &self.patches,
            Order::Begin { .. } | Order::End(_) => &self.recordings,
        };
        let helper = helper.as_ref().ok_or(FileWorkError::Stuck)?;
        // What comes back is freed here; nothing of it was begun.
        if helper.try_send((number, order)).is_err() { Err(FileWorkError::Stuck) } else { Ok(()) }
    }

    /// What became of an order, if one is done.
    pub fn outcome(&self) -> Option<(u64, Outcome)> {
        self.outcomes.try_recv().ok()
    }
}

/// What is under way is completed first.
impl Drop for FileWork {
    fn drop(&mut self) {
        (self.patches, self.recordings) = (None, None);
        for helper in self.helpers.drain(..) {
            // A helper that panicked has said so itself.
            let _ = helper.join();
        }
    }
}

#[derive(Clone)]
struct Folders {
    patches: Option<Library>,
    recordings: Option<Library>,
}

impl Folders {
    fn work(&self, orders: &Receiver<(u64, Order)>, done: &Sender<(u64, Outcome)>) {
        self.patches.iter().for_each(Library::sweep);
        for (number, order) in orders {
            // Nobody listens any more when the engine ends; the work is done all the same.
            let _ = done.send((number, self.outcome_of(order)));
        }
    }

    fn outcome_of(&self, order: Order) -> Outcome {
        match order {
            Order::Save { name, patch, origin } => {
                Outcome::Saved(caught(|| self.save(&name, &patch, origin.as_deref())))
            }
            Order::Load { name } => Outcome::Loaded(caught(|| self.load(&name))),
            Order::Begin { name, rate_hz } => Outcome::Begun(caught(|| self.begin(&name, rate_hz))),
            Order::End(recorder) => Outcome::Ended(caught(|| Ok(recorder.finish()?))),
        }
    }

    fn patches(&self) -> Result<&Library, FileWorkError> {
        self.patches.as_ref().ok_or(FileWorkError::NoFolder { what: "patches" })
    }

    fn save(&self, name: &str, patch: &Patch, origin: Option<&PatchFile>) -> Result<PathBuf, FileWorkError> {
        Ok(self.patches()?.write(name, &save::text_of(patch, origin))?)
    }

    fn load(&self, name: &str) -> Result<PatchFile, FileWorkError> {
        let patches = self.patches()?;
        let text = patches.read(name)?;
        file::load(&text)
            .map_err(|fault| FileWorkError::File { path: patches.path(name), fault: Box::new(fault) })
    }

    fn begin(&self, name: &str, rate_hz: u32) -> Result<(RecorderInput, Recorder), FileWorkError> {
        let recordings = self.recordings.as_ref().ok_or(FileWorkError::NoFolder { what: "recordings" })?;
        let path = recordings.free_path(name)?;
        let shape = WavShape { replaces: false, ..WavShape::new(rate_hz, STEREO) };
        Ok(Recorder::start_shaped(&path, shape)?)
    }
}

/// A panic refuses the order in hand; whoever waits for it gets an answer, and the helper works on.
fn caught<T>(work: impl FnOnce() -> Result<T, FileWorkError>) -> Result<T, FileWorkError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(FileWorkError::Panicked))
}
