//! How a command ends: the exit codes that scripts rely on.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Exit codes, after `sysexits.h` where it has a word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// Not done; the reason was printed.
    Failure = 1,
    /// The command line or a settings file makes no sense.
    Usage = 2,
    /// The audio device that was asked for by name is not there.
    NoAudioDevice = 69,
    /// A mistake of ours.
    Internal = 70,
    /// Shared memory cannot be created.
    NoSharedMemory = 73,
    /// The port or session is taken, or no engine answers: try again later.
    Busy = 75,
    /// Not permitted.
    NoPermission = 77,
    /// Ended by SIGHUP: the terminal is gone.
    HungUp = 129,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How a command that returned `outcome` ends. An error is printed on stderr with its causes; a reader of ours
/// who has heard enough (`backline modules | head`) is no error.
pub fn of(outcome: anyhow::Result<Exit>) -> Exit {
    match outcome {
        Ok(exit) => exit,
        Err(error) if is_broken_pipe(&error) => Exit::Success,
        Err(error) => {
            // Nobody may be there to read it; the code says it all the same.
            let _ = writeln!(std::io::stderr(), "backline: {error:#}");
            code_for(&error)
        }
    }
}

/// The exit code that tells a script what kind of failure it was.
fn code_for(error: &anyhow::Error) -> Exit {
    use crate::osc::ListenError;
    use crate::output::device_error::DeviceError;
    use crate::pool::warmup::StartError;
    use crate::session::SessionError;
    use backline_abi::segment::SegmentError;
    error
        .chain()
        .find_map(|cause| {
            if let Some(refused) = cause.downcast_ref::<ListenError>() {
                return Some(match refused {
                    ListenError::PortInUse { .. } => Exit::Busy,
                    ListenError::NotPermitted { .. } => Exit::NoPermission,
                    ListenError::Unusable { .. } => Exit::Failure,
                });
            }
            if let Some(refused) = cause.downcast_ref::<SessionError>() {
                return Some(match refused {
                    SessionError::InUse { .. } => Exit::Busy,
                    SessionError::BadName(_) => Exit::Usage,
                    SessionError::Lock { .. } => Exit::Failure,
                });
            }
            let is_memory = cause.is::<SegmentError>()
                || matches!(cause.downcast_ref::<StartError>(), Some(StartError::Memory(_)));
            let is_permission = cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == ErrorKind::PermissionDenied);
            match () {
                () if is_memory => Some(Exit::NoSharedMemory),
                () if cause.downcast_ref::<DeviceError>().is_some_and(DeviceError::is_absent) => {
                    Some(Exit::NoAudioDevice)
                }
                () if cause.is::<crate::config::ConfigError>() => Some(Exit::Usage),
                () if is_permission => Some(Exit::NoPermission),
                () => None,
            }
        })
        .unwrap_or(Exit::Failure)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_has_heard_enough_is_no_error() {
        let gone = std::io::Error::from(ErrorKind::BrokenPipe);
        assert_eq!(of(Err(gone.into())), Exit::Success);
        let full = std::io::Error::from(ErrorKind::StorageFull);
        assert_eq!(of(Err(full.into())), Exit::Failure);
    }
}
