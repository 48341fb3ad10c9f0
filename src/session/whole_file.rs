//! One file of an open folder: read if it is a regular one, replaced as a whole or not at all.
//!
//! In: an open folder, and the name of a file right in it; whoever calls has seen to it that the name is no path.
//! Out: the file, open; or a new one in its place that is safe on the disk.
//! Thread: any that may wait for a disk.
//! Refused: what is no regular file. A link is not followed, a pipe not waited for.

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// Why a file was not opened.
#[derive(Debug)]
pub enum NotOpened {
    /// There is none of that name.
    Missing,
    /// A link, a pipe, a folder, a device; in words.
    NotRegular(&'static str),
    /// What the system said.
    Failed(io::Error),
}

/// Opens a regular file to be read; also its size in bytes.
pub fn open(folder: &OwnedFd, name: &str) -> Result<(File, u64), NotOpened> {
    // NONBLOCK: a pipe that nobody writes to would hold us for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Err(NotOpened::Missing),
        Err(Errno::LOOP) => return Err(NotOpened::NotRegular("a link")),
        Err(Errno::NXIO) => return Err(NotOpened::NotRegular("a socket or a device")),
        Err(cause) => return Err(NotOpened::Failed(cause.into())),
    };
    // Asked of what was opened, not of its name, which may mean something else by now.
    let found = fs::fstat(&file).map_err(|cause| NotOpened::Failed(cause.into()))?;
    match other_kind(found.st_mode) {
        Some(kind) => Err(NotOpened::NotRegular(kind)),
        None => Ok((File::from(file), u64::try_from(found.st_size).unwrap_or_default())),
    }
}

/// Puts `content` in the place of the file `name`, and returns it open at its end. Whenever this process or the
/// machine dies, the old file is there or the new one, whole; beside it perhaps a part of the new one as
/// `unfinished`, a name that only this caller uses.
pub fn replace(
    folder: &OwnedFd,
    name: &str,
    unfinished: &str,
    content: &[u8],
    mode: Mode,
) -> io::Result<File> {
    // What was left by somebody who died in this very function.
    let _ = fs::unlinkat(folder, unfinished, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(fs::openat(folder, unfinished, flags, mode)?);
    let replaced = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| {
        fs::renameat(folder, unfinished, folder, name)?;
        // Until the folder is synced, a power cut may bring the old file back.
        Ok(fs::fsync(folder)?)
    });
    if let Err(cause) = replaced {
        // It may be the new file already.
        let _ = fs::unlinkat(folder, unfinished, AtFlags::empty());
        return Err(cause);
    }
    Ok(file)
}

/// What something of this mode is, if it is no regular file.
pub fn other_kind(mode: u32) -> Option<&'static str> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => None,
        FileType::Symlink => Some("a link"),
        FileType::Fifo => Some("a pipe"),
        FileType::Directory => Some("a folder"),
        FileType::Socket => Some("a socket"),
        _ => Some("a device"),
    }
}
