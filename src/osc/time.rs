//! NTP time tags on the monotonic clock, judged once, at arrival.
//!
//! In:  a bundle's tag and both clocks at the instant its packet arrived. Out: when it is due.
//! After that the wall clock may step as it likes. The codec's own conversion panics before 1970 and is not
//! used.

use super::refusal::Reason;
use crate::command::Due;
use rosc::OscTime;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far ahead a bundle may be scheduled.
pub const MAX_AHEAD_S: u32 = 60;

const NS_PER_S: i128 = 1_000_000_000;
/// From 1900, where NTP counts from, to 1970: 70 years of which 17 were leap years.
const NTP_TO_UNIX_S: i128 = (70 * 365 + 17) * 86_400;
/// NTP seconds are 32 bits; they start again from 0 in February 2036.
const ERA_NS: i128 = (1 << 32) * NS_PER_S;
/// Around a change of era, a tag this late still belongs to the era before.
const LATE_ACROSS_ERAS_NS: i128 = 86_400 * NS_PER_S;

/// Both clocks when a packet arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalClock {
    /// Nanoseconds since 1970.
    pub wall_unix_ns: u64,
    /// Nanoseconds of the monotonic clock that blocks are counted on.
    pub mono_ns: u64,
}

impl ArrivalClock {
    /// Reads the wall clock and pairs it with a monotonic instant read just before.
    pub fn at(mono_ns: u64) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall_unix_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX), mono_ns }
    }
}

/// How well the distance of the two clocks is wanted: a small part of a sample.
const GOOD_PAIR_NS: u64 = 1_000;
/// Readings for one packet; an interrupted one is repeated.
const MOST_READINGS: usize = 4;
/// A distance that has changed by more than this was changed by somebody: the wall clock was stepped.
const STEP_NS: u64 = 5_000;

/// The distance between the two clocks, steady from packet to packet.
///
/// On Linux both clocks run at the same, adjusted speed, so only a step changes their distance. Measured anew
/// for each packet it would jitter, and events of two packets would fall a sample nearer or farther than their
/// tags say.
#[derive(Debug, Default)]
pub struct ClockPair {
    wall_minus_mono_ns: Option<u64>,
}

impl ClockPair {
    /// Both clocks now.
    pub fn arrival(&mut self, mono_now_ns: impl Fn() -> u64) -> ArrivalClock {
        self.pair(mono_now_ns, || ArrivalClock::at(0).wall_unix_ns)
    }

    fn pair(&mut self, mono_now_ns: impl Fn() -> u64, wall_now_ns: impl Fn() -> u64) -> ArrivalClock {
        let (measured_ns, width_ns) = measure(&mono_now_ns, wall_now_ns);
        let distance_ns = match self.wall_minus_mono_ns {
            Some(known_ns) if known_ns.abs_diff(measured_ns) <= STEP_NS + width_ns => known_ns,
            _ => measured_ns,
        };
        self.wall_minus_mono_ns = Some(distance_ns);
        let mono_ns = mono_now_ns();
        ArrivalClock { wall_unix_ns: mono_ns.saturating_add(distance_ns), mono_ns }
    }
}

/// The distance, and how long it took to read: the wall clock was read somewhere between two readings of the
/// other, and nobody knows where.
fn measure(mono_now_ns: impl Fn() -> u64, wall_now_ns: impl Fn() -> u64) -> (u64, u64) {
    let mut best = (0, u64::MAX);
    for _ in 0..MOST_READINGS {
        let before_ns = mono_now_ns();
        let wall_ns = wall_now_ns();
        let width_ns = mono_now_ns().saturating_sub(before_ns);
        if width_ns < best.1 {
            best = (wall_ns.saturating_sub(before_ns + width_ns / 2), width_ns);
        }
        if width_ns <= GOOD_PAIR_NS {
            break;
        }
    }
    best
}

/// A time tag as seen from the arrival of its packet; the greater is the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// No tag, or (0,1).
    Immediately,
    /// Nanoseconds ahead of arrival; negative is late.
    Ahead(i64),
}

impl When {
    /// Reads a tag. Any tag is accepted here; how far ahead it may be is for [`When::due`] to judge.
    pub fn of(tag: OscTime, clock: &ArrivalClock) -> Self {
        if (tag.seconds, tag.fractional) == (0, 1) {
            return Self::Immediately;
        }
        let tag_ns = i128::from(tag.seconds) * NS_PER_S + ((i128::from(tag.fractional) * NS_PER_S) >> 32);
        let wall_ns = i128::from(clock.wall_unix_ns) + NTP_TO_UNIX_S * NS_PER_S;

        let in_nearest_era = (tag_ns - wall_ns + ERA_NS / 2).rem_euclid(ERA_NS) - ERA_NS / 2;
        let in_our_era = tag_ns - wall_ns.rem_euclid(ERA_NS);
        let is_near = (-LATE_ACROSS_ERAS_NS..=i128::from(MAX_AHEAD_S) * NS_PER_S).contains(&in_nearest_era);
        let ahead_ns = if is_near { in_nearest_era } else { in_our_era };
        // An era is 4.3e18 ns, so this always fits.
        Self::Ahead(i64::try_from(ahead_ns).unwrap_or(i64::MIN))
    }

    /// When to act, and by how many seconds that is too late.
    pub fn due(self, clock: &ArrivalClock) -> Result<(Due, Option<f64>), Reason> {
        let Self::Ahead(ahead_ns) = self else {
            return Ok((Due::Now, None));
        };
        let ahead_s = ahead_ns as f64 / 1e9;
        match u64::try_from(ahead_ns) {
            Err(_) => Ok((Due::Now, Some(-ahead_s))),
            Ok(0) => Ok((Due::Now, None)),
            Ok(ahead_ns) if ahead_ns > u64::from(MAX_AHEAD_S) * 1_000_000_000 => {
                Err(Reason::TooFarAhead { ahead_s })
            }
            Ok(ahead_ns) => Ok((Due::At(clock.mono_ns.saturating_add(ahead_ns)), None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Two clocks of which reading takes time, and every seventh time much of it.
    struct Machine {
        readings: Cell<u64>,
        true_ns: Cell<u64>,
        distance_ns: u64,
    }

    impl Machine {
        fn new(distance_ns: u64) -> Self {
            Self { readings: Cell::new(0), true_ns: Cell::new(1_000_000), distance_ns }
        }

        fn mono_ns(&self) -> u64 {
            let count = self.readings.replace(self.readings.get() + 1);
            let took_ns = if count % 7 == 6 { 3_000_000 } else { 20 + count * 37 % 150 };
            self.true_ns.replace(self.true_ns.get() + took_ns)
        }

        fn distance_seen_by(&self, clocks: &mut ClockPair) -> u64 {
            let arrival = clocks.pair(|| self.mono_ns(), || self.mono_ns() + self.distance_ns);
            arrival.wall_unix_ns - arrival.mono_ns
        }
    }

    #[test]
    fn packets_that_come_one_after_another_meet_the_same_distance_of_the_clocks() {
        let (machine, mut clocks) = (Machine::new(77_000_000_000), ClockPair::default());
        let first = machine.distance_seen_by(&mut clocks);
        assert!(first.abs_diff(machine.distance_ns) <= GOOD_PAIR_NS, "{first}");
        assert!((0..10_000).all(|_| machine.distance_seen_by(&mut clocks) == first));
    }

    #[test]
    fn a_step_of_the_wall_clock_is_noticed_at_once() {
        let mut clocks = ClockPair::default();
        for distance_ns in [77_000_000_000, 78_000_000_000, 77_999_000_000] {
            let seen = Machine::new(distance_ns).distance_seen_by(&mut clocks);
            assert!(seen.abs_diff(distance_ns) <= GOOD_PAIR_NS, "{seen}");
        }
    }
}
