//! When an engine is started again: the keeper's judgement, and the engine's look at its keeper.
//!
//! In: how an engine ended. Out: what its keeper does about it.
//! Thread: the keeper's only one; [`KeeperWatch`] is control's.

use rustix::process::{Pid, getppid};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// So many crashes ...
pub const MOST_CRASHES: usize = 5;
/// ... in this time, and the engine is given up.
pub const CRASH_WINDOW: Duration = Duration::from_secs(10);

/// What a keeper does about an engine that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ended by itself, or when it was told to: end with this code.
    EndWith(u8),
    /// It crashed: start it again.
    StartAgain,
    /// It has crashed too often.
    GiveUp,
}

/// Crashes of the last seconds.
#[derive(Debug, Default)]
pub struct Crashes(VecDeque<Instant>);

impl Crashes {
    /// Judges the end of an engine. `asked` is the signal by which it was told to end, if it was: an engine that
    /// dies on its way out is not started again.
    pub fn judge(&mut self, status: ExitStatus, asked: Option<i32>, now: Instant) -> Verdict {
        let ended_by_itself = status.code().map(|code| code as u8);
        let was_asked = asked.map(|signal| 128 + signal as u8);
        if let Some(code) = ended_by_itself.or(was_asked) {
            return Verdict::EndWith(code);
        }
        self.0.push_back(now);
        self.0.retain(|crash| now.duration_since(*crash) < CRASH_WINDOW);
        if self.0.len() >= MOST_CRASHES { Verdict::GiveUp } else { Verdict::StartAgain }
    }

    /// Crashes counted at the moment.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// How an engine ended, in words.
pub fn cause_of(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("was killed by signal {signal}"),
        None => format!("ended with {status}"),
    }
}

/// What an engine is told by the keeper that starts it: `PID,RESTARTS,NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The keeper.
    pub keeper: u32,
    /// How often the engine was started again so far.
    pub restarts: u32,
    /// Name of the session, also of one that the performer has given none.
    pub name: String,
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{}", self.keeper, self.restarts, self.name)
    }
}

impl std::str::FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ',');
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let (keeper, restarts) = (number(), number());
        match (keeper, restarts, parts.next().filter(|name| super::lock::is_name(name))) {
            (Some(keeper), Some(restarts), Some(name)) => {
                Ok(Self { keeper, restarts, name: name.to_owned() })
            }
            _ => Err("expected PID,RESTARTS,NAME, as a keeper writes it".to_owned()),
        }
    }
}

/// The engine's look at its keeper.
#[derive(Debug)]
pub struct KeeperWatch {
    pid: u32,
    is_gone: bool,
}

impl KeeperWatch {
    /// A watch on keeper `pid`.
    pub fn new(pid: u32) -> Self {
        Self { pid, is_gone: false }
    }

    /// Looks whether it still is our parent, and says loudly, once, when it is not. One short system call.
    pub fn look(&mut self) {
        let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        if !self.is_gone && parent != self.pid as i32 {
            self.is_gone = true;
            tracing::error!("{}", self.words());
        }
    }

    /// What is not as it should be.
    pub fn complaint(&self) -> Option<String> {
        self.is_gone.then(|| self.words())
    }

    fn words(&self) -> String {
        format!(
            "the keeper (pid {}) is gone: the engine plays on, but nobody would start it again; `backline stop` \
             still ends it",
            self.pid
        )
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "pid": self.pid, "is_alive": !self.is_gone })
    }
}

/// The number of a process as the kernel's calls want it.
pub fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABORT: i32 = 6;

    fn crashed() -> ExitStatus {
        ExitStatus::from_raw(ABORT)
    }

    #[test]
    fn an_engine_that_ends_by_itself_ends_its_keeper_with_its_code() {
        for code in [0, 1, 70, 130] {
            let ended = ExitStatus::from_raw(code << 8);
            let verdict = Crashes::default().judge(ended, None, Instant::now());
            assert_eq!(verdict, Verdict::EndWith(code as u8));
        }
    }

    #[test]
    fn an_engine_that_dies_when_it_was_told_to_end_is_not_started_again() {
        let verdict = Crashes::default().judge(crashed(), Some(15), Instant::now());
        assert_eq!(verdict, Verdict::EndWith(143));
    }

    #[test]
    fn five_crashes_in_ten_seconds_are_too_many_and_older_ones_are_forgotten() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut crashes = Crashes::default();
        for ms in [0, 2_400, 4_800, 7_200] {
            assert_eq!(crashes.judge(crashed(), None, at(ms)), Verdict::StartAgain);
        }
        assert_eq!(crashes.judge(crashed(), None, at(10_001)), Verdict::StartAgain, "the first is forgotten");
        assert_eq!(crashes.judge(crashed(), None, at(10_002)), Verdict::GiveUp);
    }

    #[test]
    fn what_a_keeper_tells_its_engine_survives_the_command_line() {
        let kept = Kept { keeper: 12, restarts: 3, name: "friday-night_2".to_owned() };
        assert_eq!(kept.to_string().parse(), Ok(kept));
        for nonsense in ["", "1,2", "1,2,../x", "x,2,name", "1,-1,name"] {
            assert!(nonsense.parse::<Kept>().is_err(), "{nonsense}");
        }
    }
}
