//! What an engine does with the journal at its start: reads the one that is there, replays it if the last end was
//! a crash, and begins its own.
//!
//! Refused: a journal of a newer version, a link or pipe in its place. Nothing is overwritten that could not be
//! read to its end; it is kept as `*.broken` beside. Without a folder that can be written to the engine plays, and
//! says so.

use crate::command::{Command, Due, Request};
use crate::config::key::Takes;
use crate::config::{Key, Settings};
use crate::control::Conductor;
use crate::control::apply::Moment;
use crate::output::wav::numbered;
use crate::session::SessionError;
use crate::session::continuity::Journal;
use crate::session::folder::{Folder, FolderError, living_owner, name_of_unnamed};
use crate::session::journal::{self, Header, Past};
use crate::session::keeper::{KeeperWatch, Kept};
use crate::session::writer::Bounds;
use anyhow::Context;
use backline_abi::wake::now_ns;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The journal as it was found, and what is to be done about it.
pub struct Recovery {
    name: String,
    kept: Option<Kept>,
    folder: Option<Arc<Folder>>,
    past: Past,
    /// The journal as it was found, until [`Recovery::settle`].
    bytes: Vec<u8>,
    /// Why there will be no journal.
    no_journal: Option<String>,
    /// Not everything in the old journal could be brought back.
    must_keep_aside: bool,
}

impl Recovery {
    /// Reads what is there.
    pub fn read(settings: &Settings, kept: Option<&Kept>) -> anyhow::Result<Self> {
        let own = std::process::id();
        let name = (settings.session.clone())
            .or_else(|| kept.map(|kept| kept.name.clone()))
            .unwrap_or_else(|| name_of_unnamed(own));
        let is_ours = |pid: &u32| *pid == own || kept.is_some_and(|kept| kept.keeper == *pid);
        if let Some(pid) = living_owner(&name).filter(|pid| !is_ours(pid)) {
            return Err(SessionError::InUse { name, pid: pid.to_string() }.into());
        }
        let mut recovery = Self {
            name,
            kept: kept.cloned(),
            folder: None,
            past: Past::default(),
            bytes: Vec::new(),
            no_journal: None,
            must_keep_aside: false,
        };
        match Folder::open() {
            Ok(folder) => {
                folder.sweep_unnamed();
                recovery.read_from(Arc::new(folder))?;
            }
            Err(refusal) => recovery.go_without(refusal.into()),
        }
        Ok(recovery)
    }

    fn read_from(&mut self, folder: Arc<Folder>) -> anyhow::Result<()> {
        let path = folder.path_of(&self.name);
        let bytes = match folder.read(&self.name) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(refusal @ FolderError::Unreadable { .. }) => {
                self.go_without(refusal.into());
                return Ok(());
            }
            Err(refusal) => return Err(refusal.into()),
        };
        self.past = journal::read(&bytes).with_context(|| path.display().to_string())?;
        self.bytes = bytes;
        self.folder = Some(folder);
        Ok(())
    }

    /// Whether a line was not understood: it may be about a module type that another kind of worker has.
    pub fn is_waiting(&self) -> bool {
        self.past.bad_line.is_some()
    }

    /// All module types are known that will be: what was not understood is read again, and told if it still is not.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        let Some(folder) = self.folder.as_ref().filter(|_| self.is_waiting()) else { return Ok(()) };
        let path = folder.path_of(&self.name);
        self.past = journal::read(&bytes).with_context(|| path.display().to_string())?;
        if let Some(bad_line) = &self.past.bad_line {
            let records = self.past.records;
            tracing::warn!("{}, {bad_line}; the {records} records before it are good", path.display());
            self.must_keep_aside = !bad_line.is_torn();
        }
        Ok(())
    }

    fn go_without(&mut self, why: anyhow::Error) {
        let why = format!("there is no journal, so a crash would lose the set: {why:#}");
        tracing::error!("{why}");
        self.no_journal = Some(why);
        self.folder = None;
    }

    /// How often the keeper has started the engine again.
    pub fn restarts(&self) -> u32 {
        self.kept.as_ref().map_or(0, |kept| kept.restarts)
    }

    /// Whether the last engine of this session crashed, so that its journal takes the place of the patch.
    pub fn is_due(&self) -> bool {
        self.past.is_to_be_replayed()
    }

    /// An engine that is started again listens where its clients are, and sounds as it did.
    pub fn adjust(&self, settings: &mut Settings) {
        let Some(header) = self.past.header.as_ref().filter(|_| self.restarts() > 0) else { return };
        let in_range = |key: Key, number: Option<u32>| {
            number.filter(|number| match key.setting().takes {
                Takes::Whole(min, max) => (min..=max).contains(&(*number).into()),
                Takes::Words(_) => false,
            })
        };
        settings.listen = header.listen.unwrap_or(settings.listen);
        settings.rate_hz = in_range(Key::Rate, header.rate_hz).unwrap_or(settings.rate_hz);
        settings.block_frames = in_range(Key::Block, header.block_frames).unwrap_or(settings.block_frames);
    }

    /// Where to record: `path`, or after a crash the first of `path-2`, `path-3`, ... that is not there, so that
    /// what was recorded before the crash stays.
    pub fn recording(&self, path: &Path) -> PathBuf {
        if (self.restarts() == 0 && !self.is_due()) || !path.exists() {
            return path.to_owned();
        }
        (2..)
            .map(|number| numbered(path, number))
            .find(|path| !path.exists())
            .unwrap_or_else(|| path.to_owned())
    }

    /// Brings back what was set up, in one block, through the same checks as the network. What is refused is told,
    /// and the rest is brought back.
    pub fn replay(&mut self, conductor: &mut Conductor) {
        let commands = self.past.commands();
        let all = [Command::Begin].into_iter().chain(commands).chain([Command::Commit]);
        for command in all {
            let request = Request { address: "/journal".to_owned(), command, due: Due::Now, late_s: None };
            let replies = conductor.apply(&request, Moment { frame: 0, arrived_ns: now_ns() });
            for failure in replies.iter().filter(|reply| reply.is_failure()) {
                self.must_keep_aside = true;
                tracing::error!(
                    "not brought back: {:?}: {}",
                    request.command,
                    super::send::as_words(failure)
                );
            }
        }
        conductor.session.recovered_modules = conductor.patch().modules().len();
        tracing::warn!(
            "session '{}' ended in a crash: {} modules were brought back from its journal",
            self.name,
            conductor.session.recovered_modules
        );
    }

    /// Begins this engine's journal with what is in force.
    pub fn begin_journal(mut self, conductor: &mut Conductor, address: SocketAddr) {
        if let Err(refusal) = self.keep_aside() {
            self.go_without(refusal);
        }
        let settings = conductor.settings();
        let header = Header {
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            listen: Some(address),
            rate_hz: Some(settings.rate_hz),
            block_frames: Some(settings.block_frames),
        };
        if let Some(folder) = self.folder.clone() {
            match Journal::begin(folder, &self.name, header, &conductor.scene(), Bounds::default()) {
                Ok(journal) => conductor.session.journal = Some(journal),
                Err(cause) => self.go_without(cause.into()),
            }
        }
        let session = &mut conductor.session;
        session.restarts = self.restarts();
        session.keeper = self.kept.map(|kept| KeeperWatch::new(kept.keeper));
        session.no_journal = self.no_journal;
        session.name = self.name;
    }

    fn keep_aside(&self) -> anyhow::Result<()> {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.must_keep_aside) {
            let aside = folder.keep_aside(&self.name).with_context(|| {
                format!("{} cannot be kept aside and must not be lost", folder.path_of(&self.name).display())
            })?;
            tracing::warn!("the journal as it was is kept as {}", aside.display());
        }
        Ok(())
    }
}
