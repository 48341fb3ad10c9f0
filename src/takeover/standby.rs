//! Where the modules of a worker go that is lost, or that does not get its core: pure functions.

use crate::pool::place::has_time;

/// A slot that could take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub slot: usize,
    /// Its core.
    pub core: u32,
    /// What its modules take of a block, ns.
    pub load_ns: u32,
}

/// The slot for the modules of a worker that ran on `core`. All go to one slot, so that a chain stays together.
///
/// A dead worker's modules stay on their core: it has the time for them already, and their neighbours are there. A
/// hanging worker may still hold its core, so there its modules go elsewhere if they can. Among equals the least
/// loaded. Real-time safe.
pub fn standby(candidates: impl Iterator<Item = Candidate>, core: u32, is_core_held: bool) -> Option<usize> {
    candidates
        .min_by_key(|candidate| ((candidate.core == core) == is_core_held, candidate.load_ns, candidate.slot))
        .map(|candidate| candidate.slot)
}

/// The slot for the modules of a worker that does not get its core, which take `load_ns` of a block of `block_ns`: the
/// least loaded one of the least loaded core, if that has time for them. `taken_cores`, one bit each, have none. Real-time
/// safe.
pub fn relief(
    candidates: impl Iterator<Item = Candidate> + Clone,
    taken_cores: u64,
    load_ns: u32,
    block_ns: u64,
) -> Option<usize> {
    let core_load = |core: u32| -> u64 {
        candidates.clone().filter(|other| other.core == core).map(|other| u64::from(other.load_ns)).sum()
    };
    let is_free = |candidate: &Candidate| {
        let is_taken = taken_cores.checked_shr(candidate.core).is_none_or(|cores| cores & 1 == 1);
        !is_taken && has_time(core_load(candidate.core) as f64, load_ns.into(), block_ns as f64)
    };
    let free = candidates.clone().filter(is_free);
    let cost = |candidate: &Candidate| (core_load(candidate.core), candidate.load_ns, candidate.slot);
    free.min_by_key(cost).map(|candidate| candidate.slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: [Candidate; 4] = [
        Candidate { slot: 0, core: 0, load_ns: 90 },
        Candidate { slot: 1, core: 1, load_ns: 10 },
        Candidate { slot: 2, core: 0, load_ns: 80 },
        Candidate { slot: 3, core: 1, load_ns: 20 },
    ];

    #[test]
    fn the_dead_stay_on_their_core_and_the_hanging_leave_theirs() {
        assert_eq!(standby(FOUR.into_iter(), 0, false), Some(2));
        assert_eq!(standby(FOUR.into_iter(), 0, true), Some(1));
        assert_eq!(standby(FOUR.into_iter().take(1), 0, true), Some(0), "better there than nowhere");
        assert_eq!(standby(FOUR.into_iter(), 7, false), Some(1), "a core of its own");
        assert_eq!(standby(std::iter::empty(), 0, false), None);
    }

    #[test]
    fn who_gets_no_core_is_relieved_by_the_least_loaded_core_that_has_one_to_give() {
        let relief = |taken_cores, load_ns| relief(FOUR.into_iter(), taken_cores, load_ns, 1_000);
        assert_eq!(relief(0b01, 100), Some(1));
        assert_eq!(relief(0b10, 100), Some(2));
        assert_eq!(relief(0b00, 100), Some(1), "30 are less than 170");
        assert_eq!(relief(0b11, 100), None);
        assert_eq!((relief(0b01, 770), relief(0b01, 771)), (Some(1), None), "800 of a block of 1,000");
        let far = Candidate { slot: 9, core: 70, load_ns: 0 };
        assert_eq!(super::relief(std::iter::once(far), 0, 0, 1_000), None, "a core that has no bit");
    }
}
