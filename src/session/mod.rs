//! Beside the flow: what outlives one command. A session has a name; two engines of one name exclude each other.

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

/// Held while an engine of that session lives; the kernel lets go of it when the engine dies.
pub struct SessionLock {
    _file: File,
}

impl SessionLock {
    /// Takes the lock of `name`.
    pub fn take(name: &str) -> Result<Self, SessionError> {
        let is_sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_sound) {
            return Err(SessionError::BadName(name.to_owned()));
        }
        let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/tmp".into(), PathBuf::from);
        let path = folder.join(format!("backline-{name}.lock"));
        let failed = |cause| SessionError::Lock { name: name.to_owned(), path: path.clone(), cause };
        let options = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options().map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(SessionError::InUse { name: name.to_owned(), pid: pid.trim().to_owned() });
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed)?;
        Ok(Self { _file: file })
    }
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
    fn a_session_name_is_no_path() {
        for name in ["", "../x", "a/b", "a b"] {
            assert!(matches!(SessionLock::take(name), Err(SessionError::BadName(_))), "{name}");
        }
    }
}
