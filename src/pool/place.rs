//! Who plays a new module: one pure function over what is known of the slots.
//!
//! An idle worker first, on the core where the modules it will talk to live (a hand-over inside a core costs
//! 2 us, one to another core 30 to 40); when all are busy, the worker of its chain if the core has time for
//! it, else the least loaded. No core is given more than [`BUDGET_SHARE`] of the block.

/// Share of the block that the modules of a core may take; the rest is for wake-ups and the audio thread.
pub const BUDGET_SHARE: f64 = 0.8;

/// Whether a core that has `core_load_ns` of a block of `block_ns` to do already has time for `price_ns` more.
pub fn has_time(core_load_ns: f64, price_ns: f64, block_ns: f64) -> bool {
    core_load_ns + price_ns <= block_ns * BUDGET_SHARE
}

/// A slot as placement sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its number.
    pub slot: usize,
    /// Core it is pinned to.
    pub core: usize,
    /// Modules it plays.
    pub modules: usize,
    /// What they take of a block, ns.
    pub load_ns: f64,
}

/// What is to be placed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request<'a> {
    /// What it will take of a block, ns.
    pub price_ns: f64,
    /// Length of a block, ns.
    pub block_ns: f64,
    /// What workers that may not take it have to do: core and ns of a block.
    pub elsewhere: &'a [(usize, f64)],
    /// Slots of the modules it is patched to.
    pub neighbours: &'a [usize],
    /// Core to prefer when nothing else decides: the one that control runs on is woken soonest.
    pub favourite_core: usize,
}

/// Why nothing could be placed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlaceError {
    /// No slot may take modules at the moment.
    #[error("no worker is ready (see `backline status`); try again in a moment")]
    NobodyReady,
    /// Workers of this kind play one module each, and all do.
    #[error(
        "all {workers} workers of kind {kind} are taken, and each plays one module; free one, raise [kind.{kind}] count \
         in backline.toml, or say trust = \"own\" there, so that they play several"
    )]
    AllTaken {
        /// Kind.
        kind: String,
        /// Workers of it.
        workers: usize,
    },
    /// Every core is full.
    #[error(
        "no time left in the block: the module needs {needed_us:.1} us, the freest core has {free_us:.1} us left \
         of {budget_us:.1}; free modules, use a larger --block, or more cores"
    )]
    NoTime {
        /// What the module takes of a block, us.
        needed_us: f64,
        /// What the freest core has left, us.
        free_us: f64,
        /// What a core may give, us.
        budget_us: f64,
    },
}

/// The slot for `request` among `candidates` (those that may take modules).
pub fn place(candidates: &[Candidate], request: &Request<'_>) -> Result<usize, PlaceError> {
    let core_load = |core: usize| -> f64 {
        let own = candidates.iter().filter(|other| other.core == core).map(|other| other.load_ns);
        own.chain(request.elsewhere.iter().filter(|other| other.0 == core).map(|other| other.1)).sum()
    };
    let budget_ns = request.block_ns * BUDGET_SHARE;
    let freest_ns = candidates
        .iter()
        .map(|candidate| core_load(candidate.core))
        .min_by(f64::total_cmp)
        .ok_or(PlaceError::NobodyReady)?;
    let neighbour_core = |core: usize| {
        candidates.iter().any(|other| other.core == core && request.neighbours.contains(&other.slot))
    };
    candidates
        .iter()
        .filter(|candidate| has_time(core_load(candidate.core), request.price_ns, request.block_ns))
        .min_by(|one, other| {
            let cost = |candidate: &Candidate| {
                let is_busy = candidate.modules > 0;
                let is_far = !request.neighbours.is_empty() && !neighbour_core(candidate.core);
                let is_not_of_chain = is_busy && !request.neighbours.contains(&candidate.slot);
                let is_unloved = candidate.core != request.favourite_core;
                (is_busy, is_far, is_not_of_chain, candidate.load_ns, is_unloved, candidate.slot)
            };
            cost(one).partial_cmp(&cost(other)).unwrap_or(std::cmp::Ordering::Equal)
        })
        .map(|candidate| candidate.slot)
        .ok_or(PlaceError::NoTime {
            needed_us: request.price_ns / 1e3,
            free_us: (budget_ns - freest_ns).max(0.0) / 1e3,
            budget_us: budget_ns / 1e3,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: [Candidate; 4] = [
        Candidate { slot: 0, core: 0, modules: 0, load_ns: 0.0 },
        Candidate { slot: 1, core: 1, modules: 0, load_ns: 0.0 },
        Candidate { slot: 2, core: 0, modules: 0, load_ns: 0.0 },
        Candidate { slot: 3, core: 1, modules: 0, load_ns: 0.0 },
    ];

    fn request(neighbours: &[usize]) -> Request<'_> {
        Request { price_ns: 1e3, block_ns: 1e6, elsewhere: &[], neighbours, favourite_core: 0 }
    }

    fn busy(slots: &[(usize, f64)]) -> [Candidate; 4] {
        let mut candidates = IDLE;
        for (slot, load_ns) in slots {
            candidates[*slot].modules = 1;
            candidates[*slot].load_ns = *load_ns;
        }
        candidates
    }

    #[test]
    fn an_idle_worker_comes_first_and_on_the_core_of_its_neighbours() {
        assert_eq!(place(&IDLE, &request(&[])), Ok(0));
        assert_eq!(place(&busy(&[(0, 1e3)]), &request(&[0])), Ok(2));
        assert_eq!(place(&busy(&[(1, 1e3)]), &request(&[1])), Ok(3));
        assert_eq!(place(&busy(&[(0, 1e3), (2, 1e3)]), &request(&[0])), Ok(1), "idle beats near");
    }

    #[test]
    fn when_all_are_busy_a_chain_stays_together_and_the_rest_goes_where_time_is_left() {
        let candidates = busy(&[(0, 4e3), (1, 3e3), (2, 2e3), (3, 1e3)]);
        assert_eq!(place(&candidates, &request(&[0])), Ok(0));
        assert_eq!(place(&candidates, &request(&[])), Ok(3));
    }

    #[test]
    fn a_full_core_takes_no_more_and_a_full_machine_says_by_how_much() {
        let full = busy(&[(0, 799.5e3), (1, 1e3), (2, 0.0), (3, 1e3)]);
        assert_eq!(place(&full, &request(&[0])), Ok(1));
        let full = busy(&[(0, 799.5e3), (1, 799.5e3), (2, 0.0), (3, 0.0)]);
        let refusal = place(&full, &request(&[])).expect_err("no core has a microsecond left");
        assert!(
            refusal.to_string().contains("needs 1.0 us, the freest core has 0.5 us left of 800.0"),
            "{refusal}"
        );
    }

    #[test]
    fn what_workers_of_other_kinds_have_to_do_counts() {
        let request = Request { elsewhere: &[(0, 799.5e3)], ..request(&[]) };
        assert_eq!(place(&IDLE, &request), Ok(1));
    }

    #[test]
    fn without_workers_nothing_is_placed() {
        assert_eq!(place(&[], &request(&[])), Err(PlaceError::NobodyReady));
    }
}
