//! The lock of a session: two engines of one name exclude each other.
//!
//! In: the name of a session. Out: a lock that the kernel takes back when its holder dies.
//! Keeper and engine each hold one of their own, so that a session is taken as long as one of them lives: while
//! a dead engine is started again, and when an engine outlives its keeper.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

/// Why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Another engine has it.
    #[error("session '{name}' is in use by pid {pid}; stop that engine, or choose another --session")]
    InUse {
        /// Session.
        name: String,
        /// Its engine.
        pid: String,
    },
    /// Not a name.
    #[error("session '{0}' is no name; use letters, digits, - and _ (at most 64)")]
    BadName(String),
    /// The lock file cannot be made.
    #[error("the lock of session '{name}' cannot be made at {path}")]
    Lock {
        /// Session.
        name: String,
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

/// Held while an engine or keeper of that session lives; the kernel lets go of it when its process dies.
pub struct SessionLock {
    _file: File,
}

/// Letters, digits, `-` and `_`: nothing that could lead out of a folder.
pub fn is_name(name: &str) -> bool {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(is_sound)
}

impl SessionLock {
    /// Takes the engine's lock of `name`.
    pub fn take(name: &str) -> Result<Self, SessionError> {
        Self::take_at(name, checked_path(name, "lock")?)
    }

    /// Takes the keeper's lock of `name`. Who has it is told by the pid of the engine, if there is one.
    pub fn take_as_keeper(name: &str) -> Result<Self, SessionError> {
        Self::take_at(name, checked_path(name, "keeper.lock")?).map_err(|refusal| match refusal {
            SessionError::InUse { name, pid } => {
                let pid = holder(&name).unwrap_or(pid);
                SessionError::InUse { name, pid }
            }
            other => other,
        })
    }

    fn take_at(name: &str, path: PathBuf) -> Result<Self, SessionError> {
        let failed = |cause| SessionError::Lock { name: name.to_owned(), path: path.clone(), cause };
        let mut file = open(&path).map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(SessionError::InUse { name: name.to_owned(), pid: content(&mut file) });
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn checked_path(name: &str, ending: &str) -> Result<PathBuf, SessionError> {
    if !is_name(name) {
        return Err(SessionError::BadName(name.to_owned()));
    }
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/tmp".into(), PathBuf::from);
    Ok(folder.join(format!("backline-{name}.{ending}")))
}

fn open(path: &std::path::Path) -> std::io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

fn content(file: &mut File) -> String {
    let mut pid = String::new();
    // A file that cannot be read names nobody; the refusal stands all the same.
    let _ = file.read_to_string(&mut pid);
    pid.trim().to_owned()
}

/// The engine that has session `name` now.
fn holder(name: &str) -> Option<String> {
    let mut file = File::open(checked_path(name, "lock").ok()?).ok()?;
    let is_held = flock(&file, FlockOperation::NonBlockingLockShared).is_err();
    is_held.then(|| content(&mut file)).filter(|pid| !pid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_engines_of_one_session_exclude_each_other_and_the_second_names_the_first() {
        let name = format!("test-{}", std::process::id());
        let held = SessionLock::take(&name).expect("free");
        let refused = SessionLock::take(&name).err().expect("taken").to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(held);
        drop(SessionLock::take(&name).expect("free again"));
    }

    #[test]
    fn two_keepers_of_one_session_exclude_each_other_with_an_engine_or_without() {
        let name = format!("kept-{}", std::process::id());
        let keeper = SessionLock::take_as_keeper(&name).expect("free");
        assert!(matches!(SessionLock::take_as_keeper(&name), Err(SessionError::InUse { .. })));
        let engine = SessionLock::take(&name).expect("the engine's own lock is free");
        assert!(matches!(SessionLock::take_as_keeper(&name), Err(SessionError::InUse { .. })));
        drop((keeper, engine));
        drop(SessionLock::take_as_keeper(&name).expect("free again"));
    }

    #[test]
    fn a_session_name_is_no_path() {
        for name in ["", "../x", "a/b", "a b"] {
            assert!(matches!(SessionLock::take(name), Err(SessionError::BadName(_))), "{name}");
        }
    }
}
