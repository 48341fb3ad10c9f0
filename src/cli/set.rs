//! The patch that a set begins with. Its content may have to wait: only when other kinds of worker have said what module
//! types they have can it be told whether a name is one.

use crate::kinds::Kind;
use crate::patch::EditError;
use crate::patch::file::{self, FileError, PatchFile};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// A patch file as it was read.
pub struct Set {
    path: PathBuf,
    /// Its text.
    pub text: String,
    /// A refusal is about a module type that other kinds of worker may have.
    content: Result<PatchFile, FileError>,
}

impl Set {
    /// Reads the file. Refused is what cannot be played whatever other kinds of worker will say.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the patch {}", path.display()))?;
        let content = file::load(&text);
        match content {
            Err(refusal) if !is_about_type(&refusal) => Err(not_loaded(path, refusal)),
            content => Ok(Self { path: path.to_owned(), text, content }),
        }
    }

    /// For messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses what these `kinds` cannot play either.
    pub fn check(&self, kinds: &[Kind]) -> anyhow::Result<()> {
        match &self.content {
            Err(refusal) if kinds.is_empty() => Err(not_loaded(&self.path, refusal.clone())),
            _ => Ok(()),
        }
    }

    /// Whether its content can be told only when all kinds have spoken.
    pub fn is_waiting(&self) -> bool {
        self.content.is_err()
    }

    /// The content.
    pub fn content(self) -> anyhow::Result<PatchFile> {
        let content = self.content.or_else(|_| file::load(&self.text));
        content.map_err(|refusal| not_loaded(&self.path, refusal))
    }
}

fn is_about_type(refusal: &FileError) -> bool {
    matches!(refusal, FileError::Refused { refusal: EditError::UnknownType { .. }, .. })
}

fn not_loaded(path: &Path, refusal: FileError) -> anyhow::Error {
    anyhow::Error::new(refusal).context(format!("{} was not loaded", path.display()))
}
