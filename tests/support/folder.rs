//! A folder of files that an engine finds by name.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A patch as somebody wrote it: with comments, and with keys that we do not know.
pub const BY_HAND: &str = "\
# Made by hand.
version = 1
title = \"Night\"

[[module]]
type = \"vco\" # the voice
id = \"vco1\"
freq = 110
colour = [\"red\"]

[[module]]
type = \"out\"
id = \"out\"

[module.notes]
why = \"to be heard\"

[[connect]]
from = \"vco1\"
to = \"out.left\"
gain = 0.5

[someone.else]
key = 1
";

/// A folder of our own, for `--patches` or `--recordings`.
pub struct Folder {
    own: TempDir,
    option: &'static str,
    ending: &'static str,
}

impl Folder {
    /// For `--patches`.
    pub fn of_patches() -> Self {
        Self { own: tempfile::tempdir().expect("a folder of our own"), option: "--patches", ending: "toml" }
    }

    /// For `--recordings`.
    pub fn of_recordings() -> Self {
        Self { option: "--recordings", ending: "wav", ..Self::of_patches() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.own.path()
    }

    /// What an engine is told of it.
    pub fn options(&self) -> [&str; 2] {
        [self.option, self.path().to_str().expect("temporary folders have plain names")]
    }

    /// The same, and further options.
    pub fn options_and<'a>(&'a self, further: &[&'a str]) -> Vec<&'a str> {
        [&self.options()[..], further].concat()
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.{}", self.ending))
    }

    /// Writes it.
    pub fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), text).expect("our folder is writable");
    }

    /// What is in it.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("it was saved")
    }

    /// Every file there is, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("it is there").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
