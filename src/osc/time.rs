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
