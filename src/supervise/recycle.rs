//! When a worker has served long enough, as one pure function of what it has done. Performed by `control`.
//!
//! A worker that leaks, fragments its heap or grows slow is replaced before anybody hears of it. Age and jobs have
//! no limit unless somebody sets one: the stock modules keep nothing between two blocks.

use super::census;
use crate::config::RecyclePolicy;
use std::time::Duration;

/// Blocks that a worker may make late in its life; a machine that stands still now and then costs a few an hour.
const MOST_LATE_BLOCKS: u32 = 64;
/// Age and jobs are cut by up to this share, another one for each process: what was started together does not leave
/// together.
const JITTER: f64 = 0.1;
/// Bytes of a MiB.
const MIB: u64 = 1_048_576;

/// What a worker has done so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Service {
    /// Since it was ready.
    pub age: Duration,
    /// Modules set up in it.
    pub jobs: u64,
    /// Memory of its own, bytes; shared memory does not count.
    pub memory_bytes: u64,
    /// Blocks that it made late.
    pub late_blocks: u32,
    /// Which process of all that were ever started; decides its share of the jitter.
    pub serial: u64,
}

/// Why a worker is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It takes more memory than the soft limit.
    Memory,
    /// It made too many blocks late.
    Late,
    /// It is old.
    Age,
    /// It had enough jobs.
    Jobs,
    /// Somebody asked for it.
    Asked,
}

impl Due {
    /// All of them, in the order of the counters in `status`.
    pub const ALL: [Self; 5] = [Self::Memory, Self::Late, Self::Age, Self::Jobs, Self::Asked];

    /// As `status` and the audit log say it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Late => "late blocks",
            Self::Age => "age",
            Self::Jobs => "jobs",
            Self::Asked => "asked for",
        }
    }
}

/// Why a worker is to be replaced now, if it is.
pub fn due(policy: &RecyclePolicy, service: &Service) -> Option<Due> {
    if policy.is_frozen {
        return None;
    }
    let share = 1.0 - JITTER * draw(service.serial);
    let is_past = |limit: u64, value: f64| limit > 0 && value >= limit as f64 * share;
    let checks = [
        (is_beyond(policy.soft_mib, service.memory_bytes), Due::Memory),
        (service.late_blocks >= MOST_LATE_BLOCKS, Due::Late),
        (is_past(policy.ttl_s, service.age.as_secs_f64()), Due::Age),
        (is_past(policy.jobs, service.jobs as f64), Due::Jobs),
    ];
    checks.into_iter().find_map(|(is_due, why)| is_due.then_some(why))
}

/// Whether a worker takes so much memory that it is killed at once; freezing does not help it.
pub fn is_over_hard_limit(policy: &RecyclePolicy, service: &Service) -> bool {
    is_beyond(policy.hard_mib, service.memory_bytes)
}

fn is_beyond(limit_mib: u64, bytes: u64) -> bool {
    limit_mib > 0 && bytes > limit_mib * MIB
}

/// A number from 0 to below 1 for each process (the finaliser of SplitMix64, Steele, Lea and Flood 2014).
fn draw(serial: u64) -> f64 {
    let mut mixed = serial.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// Memory of its own that a process has in RAM, bytes (proc_pid_statm(5): resident less shared); 0 if it is gone.
pub fn memory_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: Vec<u64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let own = pages.get(1).zip(pages.get(2)).map_or(0, |(resident, shared)| resident.saturating_sub(*shared));
    own * census::page_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Service =
        Service { age: Duration::ZERO, jobs: 0, memory_bytes: 0, late_blocks: 0, serial: 1 };

    #[test]
    fn each_limit_is_a_reason_of_its_own_and_zero_is_none() {
        let policy = RecyclePolicy { ttl_s: 100, jobs: 50, soft_mib: 10, hard_mib: 20, is_frozen: false };
        assert_eq!(due(&policy, &FRESH), None);
        assert_eq!(due(&policy, &Service { age: Duration::from_secs(100), ..FRESH }), Some(Due::Age));
        assert_eq!(due(&policy, &Service { jobs: 50, ..FRESH }), Some(Due::Jobs));
        let large = Service { memory_bytes: 10 * MIB + 1, ..FRESH };
        assert_eq!((due(&policy, &large), is_over_hard_limit(&policy, &large)), (Some(Due::Memory), false));
        assert!(is_over_hard_limit(&policy, &Service { memory_bytes: 20 * MIB + 1, ..FRESH }));
        assert_eq!(due(&policy, &Service { late_blocks: MOST_LATE_BLOCKS, ..FRESH }), Some(Due::Late));
        let none = RecyclePolicy { ttl_s: 0, jobs: 0, soft_mib: 0, hard_mib: 0, is_frozen: false };
        let busy = Service {
            age: Duration::MAX / 2,
            jobs: u64::MAX,
            memory_bytes: u64::MAX,
            late_blocks: 0,
            serial: 1,
        };
        assert_eq!((due(&none, &busy), is_over_hard_limit(&none, &busy)), (None, false));
    }

    #[test]
    fn what_started_together_does_not_leave_together_and_nobody_before_nine_tenths() {
        let policy = RecyclePolicy { jobs: 1_000, ..RecyclePolicy::default() };
        let leaves =
            |serial| (0..).find(|jobs| due(&policy, &Service { jobs: *jobs, serial, ..FRESH }).is_some());
        let all: Vec<u64> = (1..=8).filter_map(leaves).collect();
        assert!(all.iter().all(|jobs| (900..=1_000).contains(jobs)), "{all:?}");
        let mut apart = all.clone();
        apart.sort_unstable();
        apart.dedup();
        assert_eq!(apart.len(), all.len(), "{all:?}");
    }

    #[test]
    fn frozen_means_nobody_but_those_over_the_hard_limit() {
        let policy = RecyclePolicy { jobs: 1, hard_mib: 1, is_frozen: true, ..RecyclePolicy::default() };
        let busy = Service { jobs: 100, memory_bytes: 2 * MIB, ..FRESH };
        assert_eq!((due(&policy, &busy), is_over_hard_limit(&policy, &busy)), (None, true));
    }

    #[test]
    fn we_take_memory_and_nobody_takes_none() {
        assert!(memory_bytes(std::process::id()) > 0);
        assert_eq!(memory_bytes(0), 0);
    }
}
