//! Where the modules of a lost worker go: one pure function.

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
}
