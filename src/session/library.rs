//! Beside the flow: one folder of named files, which nothing leads out of.
//!
//! In: names (`command::is_file_name`) and contents. Out: contents, or files that are safe on the disk.
//! Thread: any that may wait for a disk; so neither control's nor an audio thread.
//! Refused: what is no name, no regular file (a link is not followed, a pipe not waited for), not UTF-8, or too
//! large. A file is replaced as a whole or not at all.

use super::whole_file::{self, NotOpened};
use crate::command::is_file_name;
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The largest file that is read: more than ten times the largest patch that an engine can play.
pub const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// How the name of a file that is not complete yet begins; no name of ours begins with a dot.
const UNFINISHED: &str = ".unfinished-";

/// A folder of files of one kind.
#[derive(Debug, Clone)]
pub struct Library {
    folder: PathBuf,
    ending: &'static str,
}

/// Why a file was neither read nor written. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Not a name.
    #[error("'{0}' is no name; use 1 to 64 of a-z 0-9 _ -")]
    BadName(String),
    /// The folder.
    #[error("the folder {} cannot be used ({cause}); mend it, or choose another in backline.toml", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Not there.
    #[error("there is no {}{known}", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// What there is instead.
        known: String,
    },
    /// A link, a pipe, a folder, a device.
    #[error("{} is {kind}, not a regular file; move it away, or choose another name", path.display())]
    NotRegular {
        /// Which.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Too large.
    #[error("{} has {bytes} bytes, the limit is {MAX_BYTES}; this is no patch", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Not text.
    #[error("{}, line {line}: this is not UTF-8; is the file damaged?", path.display())]
    NotText {
        /// Which.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// There already.
    #[error("{} is there already and stays as it is; choose another name", path.display())]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{} cannot be {done} ({cause}); what was there before is untouched", path.display())]
    Failed {
        /// Which.
        path: PathBuf,
        /// `read` or `written`.
        done: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl Library {
    /// The files `NAME.ending` of `folder`, which need not be there yet.
    pub fn new(folder: &Path, ending: &'static str) -> Self {
        Self { folder: folder.to_owned(), ending }
    }

    /// Where the file of this name is, or would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(self.file_name(name))
    }

    fn file_name(&self, name: &str) -> String {
        format!("{name}.{}", self.ending)
    }

    /// The text of the file of this name.
    pub fn read(&self, name: &str) -> Result<String, LibraryError> {
        check(name)?;
        let path = self.path(name);
        let folder = match self.opened() {
            Err(LibraryError::Folder { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                return Err(LibraryError::Missing { path, known: "; nothing was saved yet".to_owned() });
            }
            opened => opened?,
        };
        let failed = |cause| LibraryError::Failed { path: path.clone(), done: "read", cause };
        let (file, bytes) = match whole_file::open(&folder, &self.file_name(name)) {
            Ok(opened) => opened,
            Err(NotOpened::Missing) => return Err(LibraryError::Missing { known: self.known(), path }),
            Err(NotOpened::NotRegular(kind)) => return Err(LibraryError::NotRegular { path, kind }),
            Err(NotOpened::Failed(cause)) => return Err(failed(cause)),
        };
        if bytes > MAX_BYTES {
            return Err(LibraryError::TooLarge { path, bytes });
        }
        let mut content = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() as u64 > MAX_BYTES {
            return Err(LibraryError::TooLarge { path, bytes: content.len() as u64 });
        }
        String::from_utf8(content).map_err(|not_text| {
            let sound = &not_text.as_bytes()[..not_text.utf8_error().valid_up_to()];
            LibraryError::NotText { path, line: 1 + sound.iter().filter(|byte| **byte == b'\n').count() }
        })
    }

    /// Makes `text` the content of the file of this name. When this returns it is safe on the disk.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, LibraryError> {
        check(name)?;
        let (path, folder) = (self.path(name), self.made()?);
        self.check_target(&folder, name)?;
        // One process has one writer, so nobody else uses this name.
        let unfinished = format!("{UNFINISHED}{}-{name}", std::process::id());
        let mode = Mode::from_raw_mode(0o644);
        match whole_file::replace(&folder, &self.file_name(name), &unfinished, text.as_bytes(), mode) {
            Ok(_) => Ok(path),
            Err(cause) => Err(LibraryError::Failed { path, done: "written", cause }),
        }
    }

    /// A name for a file that is yet to be made; it is refused if anything has it.
    pub fn free_path(&self, name: &str) -> Result<PathBuf, LibraryError> {
        check(name)?;
        let (path, folder) = (self.path(name), self.made()?);
        match fs::statat(&folder, self.file_name(name), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(path),
            Ok(_) => Err(LibraryError::Taken { path }),
            Err(cause) => Err(LibraryError::Failed { path, done: "written", cause: cause.into() }),
        }
    }

    /// Removes what engines that were killed in the middle of a save have left.
    pub fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED)?.split_once('-'));
            let is_orphan = pid.is_some_and(|(pid, _)| {
                pid.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
            });
            if is_orphan {
                // Somebody else may have been faster.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The folder, made if it is not there.
    fn made(&self) -> Result<OwnedFd, LibraryError> {
        std::fs::create_dir_all(&self.folder).map_err(|cause| self.unusable(cause))?;
        self.opened()
    }

    fn opened(&self) -> Result<OwnedFd, LibraryError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::open(&self.folder, flags, Mode::empty()).map_err(|cause| self.unusable(cause.into()))
    }

    fn unusable(&self, cause: std::io::Error) -> LibraryError {
        LibraryError::Folder { folder: self.folder.clone(), cause }
    }

    /// Whether the file of this name may be replaced: there is none, or it is a regular one.
    fn check_target(&self, folder: &OwnedFd, name: &str) -> Result<(), LibraryError> {
        let path = self.path(name);
        match fs::statat(folder, self.file_name(name), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Ok(found) => check_regular(&path, found.st_mode),
            Err(cause) => Err(LibraryError::Failed { path, done: "written", cause: cause.into() }),
        }
    }

    /// What could have been meant, in words.
    fn known(&self) -> String {
        let ending = format!(".{}", self.ending);
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(&ending)?.to_owned()))
            .filter(|name| is_file_name(name))
            .take(64)
            .collect();
        names.sort_unstable();
        names.truncate(8);
        if names.is_empty() { String::new() } else { format!("; there is: {}", names.join(" ")) }
    }
}

fn check(name: &str) -> Result<(), LibraryError> {
    if is_file_name(name) { Ok(()) } else { Err(LibraryError::BadName(crate::nearest::shown(name))) }
}

fn check_regular(path: &Path, mode: u32) -> Result<(), LibraryError> {
    let refused = |kind| LibraryError::NotRegular { path: path.to_owned(), kind };
    whole_file::other_kind(mode).map_or(Ok(()), |kind| Err(refused(kind)))
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
