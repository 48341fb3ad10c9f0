//! Who is to blame for a death, and what follows: Erlang's restart intensity as a pure function of the deaths
//! there were. In: each [`Fatality`] with its time. Out: a [`Verdict`]. Performed by `pool` (pauses) and `control`
//! (bypass); docs/adr/0007 says why.
//!
//! | the worker died | and | then |
//! |---|---|---|
//! | by somebody else's doing | | it is replaced at once, nobody is blamed |
//! | by its own doing | between modules | its slot pauses |
//! | by its own doing | rendering module m | m is blamed, the slot pauses |
//! | ... | m had killed a worker in the same block before | m is poisoned |
//! | ... | it is m's 3rd in 5 s | m is poisoned |
//! | ... | it is the 10th in 10 s of modules of one type | the type is given up |
//!
//! The engine never gives up the set: what is poisoned is bypassed, everybody else plays.

use super::ending::Doing;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// Crashes of one module within [`MODULE_WINDOW`] after which it is poisoned.
pub const MODULE_CRASHES: usize = 3;
/// See [`MODULE_CRASHES`].
pub const MODULE_WINDOW: Duration = Duration::from_secs(5);
/// Crashes of all modules of a type within [`TYPE_WINDOW`] after which the type is given up.
pub const TYPE_CRASHES: usize = 10;
/// See [`TYPE_CRASHES`].
pub const TYPE_WINDOW: Duration = Duration::from_secs(10);

/// Pause of a slot after its first worker that died by its own doing; doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Doublings of the pause at most: 1.28 s.
const MOST_DOUBLINGS: u32 = 6;
/// A slot whose worker lived this long starts with the first pause again.
const GOOD_LIFE: Duration = Duration::from_secs(10);
/// Crashes remembered at most; the windows hold fewer, unless somebody tries.
const MOST_REMEMBERED: usize = 1_024;

/// The module that a worker was rendering when it died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Culprit {
    /// Which one.
    pub instance: u32,
    /// Its type ([`crate::catalogue::key_of`]).
    pub type_key: u32,
    /// The block it was rendering.
    pub block: u32,
}

/// A worker is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fatality {
    /// Where.
    pub slot: usize,
    /// Whose doing it was.
    pub doing: Doing,
    /// What it was rendering, if anything.
    pub rendering: Option<Culprit>,
}

/// Why a module is rendered no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// Two workers died of it in one block.
    SameBlockTwice,
    /// [`MODULE_CRASHES`] in [`MODULE_WINDOW`].
    TooOften,
}

/// What follows from a death.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Who is blamed.
    pub blamed: Option<Culprit>,
    /// This module (the blamed one) is to be bypassed from now on, with a ramp and a `/fail`.
    pub poisoned: Option<Poison>,
    /// All modules of this type are to be bypassed from now on.
    pub given_up_type: Option<u32>,
    /// How long the slot stays empty.
    pub pause: Duration,
}

impl Poison {
    /// For `/fail` and the audit log.
    pub const fn words(self) -> &'static str {
        match self {
            Poison::SameBlockTwice => "two workers died of it in the same block",
            Poison::TooOften => "three workers died of it within five seconds",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Crash {
    at_ns: u64,
    culprit: Culprit,
}

#[derive(Debug, Clone, Copy, Default)]
struct SlotRecord {
    own_doings: u32,
    last_ns: u64,
}

/// The deaths that still count.
#[derive(Debug, Default)]
pub struct Blame {
    crashes: VecDeque<Crash>,
    /// The block in which each module killed a worker last.
    last_blocks: HashMap<u32, u32>,
    /// What was told already, and so is not told again.
    poisoned: HashSet<u32>,
    given_up_types: HashSet<u32>,
    slots: HashMap<usize, SlotRecord>,
}

impl Blame {
    /// Judges a death at `at_ns` of a clock that never goes back.
    pub fn died(&mut self, at_ns: u64, fatality: &Fatality) -> Verdict {
        if !fatality.doing.is_own() {
            return Verdict::default();
        }
        let pause = self.pause_of(fatality.slot, at_ns);
        let Some(culprit) = fatality.rendering else { return Verdict { pause, ..Verdict::default() } };
        self.remember(Crash { at_ns, culprit });
        let poisoned = self.poison_of(at_ns, &culprit);
        let is_news = poisoned.is_some() && self.poisoned.insert(culprit.instance);
        let has_given_up = self
            .is_intense(at_ns, TYPE_WINDOW, TYPE_CRASHES, |crash| crash.culprit.type_key == culprit.type_key)
            && self.given_up_types.insert(culprit.type_key);
        Verdict {
            blamed: Some(culprit),
            poisoned: poisoned.filter(|_| is_news),
            given_up_type: has_given_up.then_some(culprit.type_key),
            pause,
        }
    }

    /// A module is gone; its number is not given again.
    pub fn forget(&mut self, instance: u32) {
        self.poisoned.remove(&instance);
        self.last_blocks.remove(&instance);
    }

    /// A performer wants a type to be tried again.
    pub fn forgive_type(&mut self, type_key: u32) {
        self.given_up_types.remove(&type_key);
        self.crashes.retain(|crash| crash.culprit.type_key != type_key);
    }

    fn poison_of(&mut self, at_ns: u64, culprit: &Culprit) -> Option<Poison> {
        if self.last_blocks.len() > MOST_REMEMBERED {
            self.last_blocks.clear();
        }
        let before = self.last_blocks.insert(culprit.instance, culprit.block);
        if before == Some(culprit.block) {
            return Some(Poison::SameBlockTwice);
        }
        self.is_intense(at_ns, MODULE_WINDOW, MODULE_CRASHES, |crash| {
            crash.culprit.instance == culprit.instance
        })
        .then_some(Poison::TooOften)
    }

    fn is_intense(
        &self,
        at_ns: u64,
        window: Duration,
        limit: usize,
        counts: impl Fn(&Crash) -> bool,
    ) -> bool {
        let is_recent = |crash: &&Crash| u128::from(at_ns.saturating_sub(crash.at_ns)) < window.as_nanos();
        self.crashes.iter().filter(is_recent).filter(|crash| counts(crash)).count() >= limit
    }

    fn remember(&mut self, crash: Crash) {
        let window = TYPE_WINDOW.max(MODULE_WINDOW).as_nanos();
        self.crashes.push_back(crash);
        while self.crashes.len() > MOST_REMEMBERED
            || self
                .crashes
                .front()
                .is_some_and(|first| u128::from(crash.at_ns - first.at_ns.min(crash.at_ns)) >= window)
        {
            self.crashes.pop_front();
        }
    }

    fn pause_of(&mut self, slot: usize, at_ns: u64) -> Duration {
        let record = self.slots.entry(slot).or_default();
        let lived_well = u128::from(at_ns.saturating_sub(record.last_ns)) >= GOOD_LIFE.as_nanos();
        record.own_doings = if lived_well { 0 } else { record.own_doings.saturating_add(1) };
        record.last_ns = at_ns;
        FIRST_PAUSE * 2_u32.pow(record.own_doings.min(MOST_DOUBLINGS))
    }
}

#[cfg(test)]
mod tests;
