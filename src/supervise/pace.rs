//! How fast slots are filled again, over all: one pure function of time (the generic cell rate algorithm).
//!
//! A worker costs about a millisecond of a core to start. Kills from outside are answered as fast as they come,
//! one every few milliseconds for ever and a whole pool at once; a storm beyond that does not take the core away
//! from the sound.

use backline_abi::layout::MAX_SLOTS;

/// One start in this time for ever: a quarter of a core.
const INTERVAL_NS: u64 = 4_000_000;
/// Starts that may come at once after a rest: every slot.
const BURST: u64 = MAX_SLOTS as u64;

/// Counts starts.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// When all that was started will have been paid for.
    paid_ns: u64,
}

impl Pace {
    /// True if a worker may be started at `now_ns`; then it counts as started.
    pub fn allows(&mut self, now_ns: u64) -> bool {
        let paid_ns = self.paid_ns.max(now_ns);
        let is_allowed = paid_ns - now_ns < BURST * INTERVAL_NS;
        if is_allowed {
            self.paid_ns = paid_ns + INTERVAL_NS;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_pool_at_once_is_allowed_and_then_a_quarter_of_a_core() {
        let mut pace = Pace::default();
        let now_ns = 1_000_000_000_000;
        assert_eq!((0..1_000).filter(|_| pace.allows(now_ns)).count(), MAX_SLOTS);
        let later = (0..1_000_000_u64).filter(|us| pace.allows(now_ns + us * 1_000)).count();
        assert!((248..=251).contains(&later), "{later} in the second after");
        assert_eq!((0..1_000).filter(|_| pace.allows(now_ns * 2)).count(), MAX_SLOTS, "after a rest");
    }

    #[test]
    fn a_kill_every_ten_milliseconds_is_answered_for_ever() {
        let mut pace = Pace::default();
        assert!((0..100_000).all(|kill| pace.allows(kill * 10_000_000)));
    }
}
