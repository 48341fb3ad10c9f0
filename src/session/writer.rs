//! The thread that writes a journal.
//!
//! In: [`Entry`]s through a bounded channel. Out: the file, and [`Shared`], which tells how it goes.
//! Thread: its own, of normal priority; it may wait for the disk, and nobody waits for it but the end of the engine.
//! When the disk takes no more, it says so once, drops what comes, and asks for the whole scene every second: as
//! soon as that can be written, the journal is complete again.

use super::folder::Folder;
use super::journal::{self, Header};
use super::record::{self, Record};
use super::scene::Scene;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, Release},
};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// After so many records or bytes since the last scene, the journal is rewritten as the present scene.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Records.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Default for Bounds {
    /// Some minutes of a lively set; less than a thousandth of a second to read.
    fn default() -> Self {
        Self { records: 4_096, bytes: 1024 * 1024 }
    }
}

/// Between two attempts when the disk is full, and between a record and its way to the platter.
const PATIENCE: Duration = Duration::from_secs(1);

/// What control hands over.
#[derive(Debug)]
pub enum Entry {
    /// What was done.
    Did(Record),
    /// What there is now, which takes the place of everything before it.
    Scene(Box<Scene>),
    /// The session ends cleanly. Whether the journal is kept.
    Close(bool),
}

/// What control and writer both see.
#[derive(Debug, Default)]
pub struct Shared {
    /// Entries dealt with.
    pub dealt_with: AtomicU64,
    /// Records in the file.
    pub records: AtomicU64,
    /// Bytes in the file.
    pub bytes: AtomicU64,
    /// The writer wants the whole scene.
    pub wants_scene: AtomicBool,
    /// Why the file is not up to date, if it is not. Held for an assignment at most.
    pub trouble: Mutex<Option<String>>,
}

impl Shared {
    /// Why the file is not up to date, if it is not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = trouble;
    }
}

/// The thread's own state.
pub struct Writer {
    /// Where.
    pub folder: Arc<Folder>,
    /// Session.
    pub name: String,
    /// First line of every journal it writes.
    pub header: Header,
    /// When to rewrite.
    pub bounds: Bounds,
    /// What control sees.
    pub shared: Arc<Shared>,
    file: Option<File>,
    number: u64,
    bytes: u64,
    /// Records and bytes of the scene that the file began with.
    begun_with: (u64, u64),
    /// Since when there is something that a power cut would lose.
    unsynced_since: Option<Instant>,
    failed_at: Option<Instant>,
}

impl Writer {
    /// A writer that has not written yet.
    pub fn new(
        folder: Arc<Folder>,
        name: String,
        header: Header,
        bounds: Bounds,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            folder,
            name,
            header,
            bounds,
            shared,
            file: None,
            number: 0,
            bytes: 0,
            begun_with: (0, 0),
            unsynced_since: None,
            failed_at: None,
        }
    }

    /// Writes until the session is closed, or until control is gone.
    pub fn run(mut self, entries: &Receiver<Entry>) {
        loop {
            match entries.recv_timeout(PATIENCE) {
                Ok(Entry::Did(record)) => self.append(&record),
                Ok(Entry::Scene(scene)) => self.rewrite(&scene),
                Ok(Entry::Close(is_kept)) => return self.close(is_kept),
                Err(RecvTimeoutError::Disconnected) => return self.sync(),
                Err(RecvTimeoutError::Timeout) => {
                    self.sync();
                    self.ask_for_scene();
                    continue;
                }
            }
            if self.unsynced_since.is_some_and(|since| since.elapsed() >= PATIENCE) {
                self.sync();
            }
            self.ask_for_scene();
            // Release: the file is as the counters say before control sees that the entry is dealt with.
            self.shared.dealt_with.fetch_add(1, Release);
        }
    }

    /// When the file has grown too long, and again and again while there is none.
    fn ask_for_scene(&mut self) {
        let is_due = match &mut self.failed_at {
            Some(tried) if tried.elapsed() < PATIENCE => false,
            Some(tried) => {
                *tried = Instant::now();
                true
            }
            None => self.is_long(),
        };
        if is_due {
            self.shared.wants_scene.store(true, Relaxed);
        }
    }

    fn is_long(&self) -> bool {
        let (records, bytes) = self.begun_with;
        self.number >= records + self.bounds.records || self.bytes >= bytes + self.bounds.bytes
    }

    fn append(&mut self, record: &Record) {
        // Without a file there was trouble, and the scene that ends it will hold this record, too.
        let Some(file) = &mut self.file else { return };
        let line = record::line(self.number + 1, record);
        match file.write_all(line.as_bytes()) {
            Ok(()) => {
                self.number += 1;
                self.bytes += line.len() as u64;
                self.unsynced_since.get_or_insert_with(Instant::now);
                self.tell();
            }
            Err(cause) => {
                // Half a line at the end is passed over when it is read; a person need not see it either.
                let _ = file.set_len(self.bytes);
                self.fail(&cause);
            }
        }
    }

    /// Makes the file anew; also how a journal begins.
    pub fn rewrite(&mut self, scene: &Scene) {
        let (text, records) = journal::encode(&self.header, scene);
        match self.folder.replace(&self.name, text.as_bytes()) {
            Ok(file) => {
                self.file = Some(file);
                self.number = records;
                self.bytes = text.len() as u64;
                self.begun_with = (self.number, self.bytes);
                self.unsynced_since = None;
                if self.failed_at.take().is_some() {
                    tracing::warn!(session = self.name, "the journal is complete again");
                }
                self.shared.set_trouble(None);
                self.tell();
            }
            Err(cause) => self.fail(&cause),
        }
    }

    fn fail(&mut self, cause: &io::Error) {
        let path = self.folder.path_of(&self.name);
        let trouble = format!(
            "the journal {} is not up to date: {cause}; the sound goes on, but a crash would lose what was done \
             since. Free some space",
            path.display()
        );
        if self.failed_at.is_none() {
            tracing::error!("{trouble}");
        }
        self.file = None;
        self.failed_at = Some(Instant::now());
        self.shared.set_trouble(Some(trouble));
    }

    fn tell(&self) {
        self.shared.records.store(self.number, Relaxed);
        self.shared.bytes.store(self.bytes, Relaxed);
    }

    fn sync(&mut self) {
        let Some(file) = self.file.as_ref().filter(|_| self.unsynced_since.is_some()) else { return };
        if let Err(cause) = file.sync_data() {
            return self.fail(&cause);
        }
        self.unsynced_since = None;
    }

    fn close(&mut self, is_kept: bool) {
        if is_kept {
            self.append(&Record::Closed);
            self.sync();
        }
        // A journal that does not say that it is closed would be replayed.
        if !is_kept || self.failed_at.is_some() {
            match self.folder.remove(&self.name) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%cause, session = self.name, "the journal could not be removed");
                }
                _ => {}
            }
        }
    }
}
