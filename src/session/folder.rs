//! Where journals lie: one folder, one file a session.
//!
//! In: names of sessions. Out: what their journals say; new journals, whole or not at all.
//! The folder is `BACKLINE_STATE`, else `backline` in the XDG state folder. Only names are taken, never paths; no
//! link is followed, and only regular files are opened, so that nothing here can block or lead elsewhere.
//! Thread: control at start, then the journal's writer.

use super::lock::is_name;
use super::whole_file::{self, NotOpened};
use crate::pool::rig::start_ticks;
use etcetera::BaseStrategy;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

/// Overrules where journals lie.
pub const FOLDER_VARIABLE: &str = "BACKLINE_STATE";
/// A journal is rewritten long before it is as large as this; more is not read.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Journals of sessions without a name are kept this long after a crash that nobody asked about.
const KEPT_UNNAMED: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Journals that are kept aside for one session.
const MOST_ASIDE: u32 = 1_000;
const UNNAMED: &str = "unnamed";

/// Why there is no folder or no journal in it.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// No home.
    #[error("no folder for journals: neither {FOLDER_VARIABLE} nor XDG_STATE_HOME nor HOME is set")]
    Nowhere,
    /// It cannot be made or opened.
    #[error("the folder for journals, {path}, cannot be used; set {FOLDER_VARIABLE} to one that can")]
    Unusable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Not a name.
    #[error("'{0}' is no name of a session; use letters, digits, - and _")]
    BadName(String),
    /// A link, a pipe, a folder, a device.
    #[error("{path} is no regular file, so it is no journal; remove it, or choose another --session")]
    NotAFile {
        /// Where.
        path: PathBuf,
    },
    /// It is there and cannot be read.
    #[error("the journal {path} cannot be read")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// The folder, open.
pub struct Folder {
    dir: OwnedFd,
    path: PathBuf,
}

/// A name for a session that has none, which no other process has: that of process `pid`.
pub fn name_of_unnamed(pid: u32) -> String {
    format!("{UNNAMED}-{pid}-{}", start_ticks(pid).unwrap_or(0))
}

/// The process that a name of [`name_of_unnamed`] stands for, if that lives.
pub fn living_owner(name: &str) -> Option<u32> {
    let mut parts = name.strip_prefix(UNNAMED)?.strip_prefix('-')?.split('-');
    let (pid, start) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (start_ticks(pid) == Some(start)).then_some(pid)
}

impl Folder {
    /// Opens the folder, and makes it if it is not there.
    pub fn open() -> Result<Self, FolderError> {
        Self::open_at(state_folder().ok_or(FolderError::Nowhere)?)
    }

    /// The same at `path`.
    pub fn open_at(path: PathBuf) -> Result<Self, FolderError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = made.and_then(|()| Ok(rustix::fs::openat(CWD, &path, flags, Mode::empty())?));
        match opened {
            Ok(dir) => Ok(Self { dir, path }),
            Err(cause) => Err(FolderError::Unusable { path, cause }),
        }
    }

    /// Where the journal of `name` is, for people.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(file_name(name))
    }

    /// The journal of `name`, `None` if there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        if !is_name(name) {
            return Err(FolderError::BadName(name.to_owned()));
        }
        let path = self.path_of(name);
        let file = match whole_file::open(&self.dir, &file_name(name)) {
            Ok((file, _)) => file,
            Err(NotOpened::Missing) => return Ok(None),
            Err(NotOpened::NotRegular(_)) => return Err(FolderError::NotAFile { path }),
            Err(NotOpened::Failed(cause)) => return Err(FolderError::Unreadable { path, cause }),
        };
        let mut bytes = Vec::new();
        match file.take(MOST_BYTES).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(cause) => Err(FolderError::Unreadable { path, cause }),
        }
    }

    /// Puts `content` in the place of the journal of `name`, whole or not at all, and returns it open at its end.
    pub fn replace(&self, name: &str, content: &[u8]) -> io::Result<File> {
        let (name, new) = (file_name(name), format!("{name}.journal.new"));
        whole_file::replace(&self.dir, &name, &new, content, Mode::RUSR | Mode::WUSR)
    }

    /// Keeps the journal of `name` under a name of its own, `NAME.journal.broken`, so that nothing overwrites it.
    /// It stays in its place, too, until it is replaced.
    pub fn keep_aside(&self, name: &str) -> io::Result<PathBuf> {
        let own = file_name(name);
        for number in 1..=MOST_ASIDE {
            let aside = match number {
                1 => format!("{own}.broken"),
                _ => format!("{own}.broken-{number}"),
            };
            match rustix::fs::linkat(&self.dir, &own, &self.dir, &aside, AtFlags::empty()) {
                Ok(()) => return Ok(self.path.join(aside)),
                Err(Errno::EXIST) => {}
                // Some file systems know no second names.
                Err(Errno::PERM | Errno::OPNOTSUPP) => {
                    let flags = RenameFlags::NOREPLACE;
                    rustix::fs::renameat_with(&self.dir, &own, &self.dir, &aside, flags)?;
                    return Ok(self.path.join(aside));
                }
                Err(cause) => return Err(cause.into()),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Removes the journal of `name`.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.dir, file_name(name), AtFlags::empty())?)
    }

    /// Removes journals of sessions without a name whose engine died long ago.
    pub fn sweep_unnamed(&self) {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.dir) else { return };
        for entry in entries.flatten().filter(|entry| entry.file_type() == FileType::RegularFile) {
            let Some(name) = entry.file_name().to_str().ok().and_then(|file| file.strip_suffix(".journal"))
            else {
                continue;
            };
            if name.starts_with(UNNAMED) && living_owner(name).is_none() && self.is_old(name) {
                // Gone is gone, and another engine may sweep at the same time.
                let _ = self.remove(name);
            }
        }
    }

    fn is_old(&self, name: &str) -> bool {
        let changed = std::fs::symlink_metadata(self.path_of(name)).and_then(|found| found.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > KEPT_UNNAMED))
    }
}

fn file_name(name: &str) -> String {
    format!("{name}.journal")
}

/// Where journals and audit logs lie: `BACKLINE_STATE`, else `backline` in the XDG state folder. `None` without a home.
pub fn state_folder() -> Option<PathBuf> {
    let named = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let usual = || Some(etcetera::choose_base_strategy().ok()?.state_dir()?.join("backline"));
    named.or_else(usual)
}
