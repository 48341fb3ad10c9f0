//! The life of a worker slot, as one pure function: (state, event) to (state, action). Performed by
//! `pool`, tested here.
//!
//! ```text
//! Spawning -> Warming -> Ready <-> Playing          any -> BackingOff -> Spawning, or GivenUp
//!     ^                    \________/ -> Condemned -/
//!     \-- Vacant <-- Retired <-/
//! ```

use super::alarm::Offence;
use std::time::Duration;

/// Failed starts in a row after which a slot is given up.
pub const MAX_FAILED_STARTS: u32 = 10;
/// First pause before a slot is filled again after a failed start; doubles with each failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// Where a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A process was asked for.
    Spawning,
    /// It has joined the segments and warms up.
    Warming,
    /// It waits for work.
    Ready,
    /// It has modules.
    Playing,
    /// It did what no worker may and is being killed.
    Condemned,
    /// Its modules play elsewhere and it was told to leave.
    Retired,
    /// The spare: nobody lives here until a worker is to be replaced.
    Vacant,
    /// Its process is dead; another one comes after a pause.
    BackingOff,
    /// Its processes died again and again before they were ready.
    GivenUp,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The process joined the segments.
    Attached,
    /// It is warm.
    Warmed,
    /// It got its first module.
    Assigned,
    /// It lost its last module.
    Released,
    /// It did what no worker may.
    Offended(Offence),
    /// It is not needed any more: its modules play elsewhere.
    Retired,
    /// The spare is needed.
    Filled,
    /// It is dead. Starts that failed in a row, this one included; 0 if it had been ready or was killed by
    /// somebody else.
    Exited {
        /// Failed starts in a row.
        failed_starts: u32,
    },
    /// The pause is over and nothing refers to the dead process any more.
    MayRefill,
}

/// What has to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Kill the process group.
    Kill(Offence),
    /// Ask the process group to leave; kill what has not left in 200 ms.
    Dismiss,
    /// Move its modules elsewhere and wait this long before filling the slot.
    MoveAndWait(Duration),
    /// Start a process.
    Spawn,
    /// Say loudly that this slot stays empty.
    Report,
}

impl State {
    /// As `status` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Spawning => "spawning",
            State::Warming => "warming",
            State::Ready => "ready",
            State::Playing => "playing",
            State::Condemned => "condemned",
            State::Retired => "retired",
            State::Vacant => "vacant",
            State::BackingOff => "backing off",
            State::GivenUp => "given up",
        }
    }

    /// Whether modules may be put here.
    pub const fn is_usable(self) -> bool {
        matches!(self, State::Ready | State::Playing)
    }
}

fn backoff(failed_starts: u32) -> Duration {
    match failed_starts {
        0 => Duration::ZERO,
        failures => FIRST_BACKOFF * 2_u32.pow(failures.min(6) - 1),
    }
}

/// The table.
pub fn step(state: State, event: Event) -> (State, Action) {
    use Action::{Dismiss, Kill, MoveAndWait, Nothing, Report, Spawn};
    use State::{BackingOff, Condemned, GivenUp, Playing, Ready, Spawning, Vacant, Warming};
    match (state, event) {
        (Spawning, Event::Attached) => (Warming, Nothing),
        (Spawning | Warming, Event::Warmed) => (Ready, Nothing),
        (Ready, Event::Assigned) => (Playing, Nothing),
        (Playing, Event::Released) => (Ready, Nothing),
        (Spawning | Warming | Ready | Playing, Event::Offended(offence)) => (Condemned, Kill(offence)),
        (Ready | Playing, Event::Retired) => (State::Retired, Dismiss),
        (State::Retired, Event::Exited { .. }) | (BackingOff, Event::Retired) => (Vacant, Nothing),
        (Vacant, Event::Filled) => (Spawning, Spawn),
        (GivenUp, _) => (GivenUp, Nothing),
        (_, Event::Exited { failed_starts }) if failed_starts >= MAX_FAILED_STARTS => (GivenUp, Report),
        (_, Event::Exited { failed_starts }) => (BackingOff, MoveAndWait(backoff(failed_starts))),
        (BackingOff, Event::MayRefill) => (Spawning, Spawn),
        (unchanged, _) => (unchanged, Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_dies_after_it_was_ready_is_replaced_at_once_and_for_ever() {
        let mut state = State::Ready;
        for _ in 0..10_000 {
            let (dead, action) = step(state, Event::Exited { failed_starts: 0 });
            assert_eq!((dead, action), (State::BackingOff, Action::MoveAndWait(Duration::ZERO)));
            let (spawning, action) = step(dead, Event::MayRefill);
            assert_eq!((spawning, action), (State::Spawning, Action::Spawn));
            state = step(step(spawning, Event::Attached).0, Event::Warmed).0;
            assert_eq!(state, State::Ready);
        }
    }

    #[test]
    fn a_slot_whose_processes_never_get_ready_is_given_up_and_stays_so() {
        let (state, action) = step(State::Warming, Event::Exited { failed_starts: MAX_FAILED_STARTS });
        assert_eq!((state, action), (State::GivenUp, Action::Report));
        for event in [Event::Attached, Event::MayRefill, Event::Exited { failed_starts: 0 }] {
            assert_eq!(step(state, event), (State::GivenUp, Action::Nothing));
        }
    }

    #[test]
    fn who_is_retired_leaves_the_spare_behind_and_the_spare_stays_empty_until_it_is_filled() {
        let (retired, action) = step(State::Playing, Event::Retired);
        assert_eq!((retired, action, retired.is_usable()), (State::Retired, Action::Dismiss, false));
        let (vacant, action) = step(retired, Event::Exited { failed_starts: 0 });
        assert_eq!((vacant, action), (State::Vacant, Action::Nothing));
        for event in [Event::MayRefill, Event::Attached, Event::Warmed, Event::Retired] {
            assert_eq!(step(vacant, event), (State::Vacant, Action::Nothing));
        }
        assert_eq!(step(vacant, Event::Filled), (State::Spawning, Action::Spawn));
        let (vacant, _) = step(State::BackingOff, Event::Retired);
        assert_eq!(vacant, State::Vacant, "it died before it could be told");
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let pauses: Vec<_> = (0..100).map(backoff).collect();
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(pauses[99], Duration::from_millis(1600));
    }

    #[test]
    fn a_worker_that_breaks_the_contract_is_killed_and_given_no_more_modules() {
        for state in [State::Spawning, State::Warming, State::Ready, State::Playing] {
            let (condemned, action) = step(state, Event::Offended(Offence::BrokeContract));
            assert_eq!(action, Action::Kill(Offence::BrokeContract));
            assert!(!condemned.is_usable());
        }
    }
}
