//! Whose child is this? Every worker is started with a mark in its environment, which whatever it starts
//! inherits, in whatever group or session that may live.
//!
//! `BACKLINE_WARD=BOOT.PID.START.HOUSE.SERIAL`: the boot, the engine, which supervisor of that process, and
//! which of its workers.

use super::census::{self, Process};
use std::fmt;
use std::str::FromStr;

/// Name of the environment variable.
pub const VARIABLE: &str = "BACKLINE_WARD";

/// One engine for certain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Engine {
    /// Boot in which it ran.
    pub boot: String,
    /// Its process.
    pub process: Process,
}

/// A worker, and everything that descends from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose worker.
    pub engine: Engine,
    /// Which supervisor of that process; there is more than one only in tests.
    pub house: u32,
    /// Which worker.
    pub serial: u64,
}

impl Engine {
    /// This process.
    pub fn own() -> Self {
        Self { boot: census::boot_id(), process: Process::own() }
    }

    /// Whether it was started in this boot and runs no more. What belongs to another boot is nobody's now.
    pub fn is_dead_in_this_boot(&self) -> bool {
        self.boot == census::boot_id() && !self.process.is_running()
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.boot, self.process)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of one length for one engine: a process that was forked writes its own over that of its zygote.
        write!(f, "{}.{}.{:010}", self.engine, self.house, self.serial)
    }
}

/// Not a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mark is BOOT.PID.START.HOUSE.SERIAL")]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let words: Vec<&str> = text.split('.').collect();
        let [boot, pid, start, house, serial] = words[..] else { return Err(NoMark) };
        let process = Process {
            pid: pid.parse().map_err(|_| NoMark)?,
            start_ticks: start.parse().map_err(|_| NoMark)?,
        };
        let engine = Engine { boot: boot.to_owned(), process };
        let house = house.parse().map_err(|_| NoMark)?;
        Ok(Self { engine, house, serial: serial.parse().map_err(|_| NoMark)? })
    }
}

/// The mark that a living process carries.
pub fn of(pid: u32) -> Option<Mark> {
    census::variable(pid, VARIABLE)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mark = Mark { engine: Engine::own(), house: 3, serial: 77 };
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for text in ["", "a.b", "boot.1.2.3", "boot.x.2.3.4", "boot.1.2.3.4.5", "boot.1.2.3.-4"] {
            assert_eq!(text.parse::<Mark>(), Err(NoMark), "{text}");
        }
    }

    #[test]
    fn an_engine_of_another_boot_is_not_dead_in_this_one() {
        let own = Engine::own();
        assert!(!own.is_dead_in_this_boot());
        let start_ticks = own.process.start_ticks + 1;
        let recycled = Engine { process: Process { start_ticks, ..own.process }, ..own };
        assert!(recycled.is_dead_in_this_boot());
        assert!(!Engine { boot: "00000000".to_owned(), ..recycled }.is_dead_in_this_boot());
    }
}
