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
    content: Option<PatchFile>,
}

impl Set {
    /// Reads the file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the patch {}", path.display()))?;
        Ok(Self { path: path.to_owned(), text, content: None })
    }

    /// For messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses what cannot be played whatever `kinds` will say.
    pub fn check(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        match file::load(&self.text) {
            Ok(content) => self.content = Some(content),
            Err(FileError::Refused { refusal: EditError::UnknownType { .. }, .. }) if !kinds.is_empty() => {}
            Err(refusal) => return Err(self.not_loaded(refusal)),
        }
        Ok(())
    }

    /// Whether its content can be told only when all kinds have spoken.
    pub fn is_waiting(&self) -> bool {
        self.content.is_none()
    }

    /// The content.
    pub fn content(self) -> anyhow::Result<PatchFile> {
        match self.content {
            Some(content) => Ok(content),
            None => file::load(&self.text).map_err(|refusal| self.not_loaded(refusal)),
        }
    }

    fn not_loaded(&self, refusal: FileError) -> anyhow::Error {
        anyhow::Error::new(refusal).context(format!("{} was not loaded", self.path.display()))
    }
}
