//! What speaks for and against a worker that holds a block up: how much of its core it has had since that was noticed.
//!
//! A module that takes too long uses its core; a machine that stands still, or a worker of the same core that hangs,
//! does not give it one. Only the former is the worker's fault. Thread: take-over. Real-time safe.

use super::state::is_runnable;
use backline_abi::layout::MAX_SLOTS;
use backline_abi::rights::cpu_time_ns;
use backline_abi::wake::now_ns;

/// A worker that makes a block late twice within so many is condemned. A machine that stands still now and then
/// (a virtual one does, every thousand blocks or so) condemns nobody by that.
const FORGIVEN_AFTER_BLOCKS: u32 = 16;
/// A worker that did not get its core for so long, block after block, is left, not condemned.
const STARVED_TOO_LONG_NS: u64 = 20_000_000;

/// Noticed to hold up a block: how long it had run by then.
#[derive(Clone, Copy)]
struct Noticed {
    block: u32,
    cpu_ns: u64,
    at_ns: u64,
}

/// Blocks for which a worker did not get its core, one soon after the other.
#[derive(Clone, Copy)]
struct Starved {
    first_ns: u64,
    last_ns: u64,
}

/// What is known of one slot.
#[derive(Clone, Copy, Default)]
struct File {
    pid: u32,
    noticed: Option<Noticed>,
    late_block: Option<u32>,
    starved: Option<Starved>,
}

/// What is known of all.
pub struct Evidence([File; MAX_SLOTS]);

impl Evidence {
    /// Nothing is known of anybody.
    pub fn new() -> Self {
        Self([File::default(); MAX_SLOTS])
    }

    /// Process `pid` is new in `slot`.
    pub fn open(&mut self, slot: usize, pid: u32) {
        self.0[slot] = File { pid, ..File::default() };
    }

    /// The worker in `slot` holds up `block`.
    pub fn notice(&mut self, slot: usize, block: u32) {
        let file = &mut self.0[slot];
        file.noticed = cpu_time_ns(file.pid).map(|cpu_ns| Noticed { block, cpu_ns, at_ns: now_ns() });
    }

    /// Whether the worker in `slot` was noticed to hold up `block`. Whoever was not has come by his modules since.
    pub fn is_noticed(&self, slot: usize, block: u32) -> bool {
        self.0[slot].noticed.is_some_and(|noticed| noticed.block == block)
    }

    /// Whether it has had its core for half of the time since. `None` after less than `shortest_ns`: nobody can tell.
    pub fn had_its_core(&self, slot: usize, shortest_ns: u64) -> Option<bool> {
        let File { pid, noticed, .. } = self.0[slot];
        let (noticed, cpu_ns) = (noticed?, cpu_time_ns(pid)?);
        let elapsed_ns = now_ns().saturating_sub(noticed.at_ns);
        (elapsed_ns >= shortest_ns).then(|| cpu_ns.saturating_sub(noticed.cpu_ns) >= elapsed_ns / 2)
    }

    /// Whether it is its own fault: it has had its core, or sleeps in the middle of a module (`is_rendering`).
    pub fn is_at_fault(&self, slot: usize, is_rendering: bool, shortest_ns: u64) -> bool {
        let had_its_core = self.had_its_core(slot, shortest_ns);
        had_its_core.is_some_and(|had| had || (is_rendering && !is_runnable(self.0[slot].pid)))
    }

    /// It made `block` late, and it was its fault. True if it did so before, not long ago.
    pub fn note_late(&mut self, slot: usize, block: u32) -> bool {
        let before = self.0[slot].late_block.replace(block);
        before.is_some_and(|before| (1..FORGIVEN_AFTER_BLOCKS).contains(&block.wrapping_sub(before)))
    }

    /// It did not get its core, in blocks of `block_ns`. True if that goes on for too long.
    pub fn note_starved(&mut self, slot: usize, block_ns: u64) -> bool {
        let now_ns = now_ns();
        let is_going_on = |starved: &Starved| {
            now_ns.saturating_sub(starved.last_ns) < 2 * block_ns + STARVED_TOO_LONG_NS / 4
        };
        let first_ns = self.0[slot].starved.filter(is_going_on).map_or(now_ns, |starved| starved.first_ns);
        self.0[slot].starved = Some(Starved { first_ns, last_ns: now_ns });
        now_ns - first_ns >= STARVED_TOO_LONG_NS
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::is_stopped;
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};

    /// Shorter than what any test waits.
    const SHORTEST_NS: u64 = 1_000_000;

    fn spin_for_ns(ns: u64) {
        let until_ns = now_ns() + ns;
        while now_ns() < until_ns {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn whoever_sleeps_outside_of_modules_is_not_at_fault_and_inside_is() {
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is everywhere");
        let mut evidence = Evidence::new();
        evidence.open(3, sleeper.id());
        // It may be starting still; from now on it does nothing for certain.
        kill_process(Pid::from_child(&sleeper), Signal::STOP).expect("it is ours");
        while !is_stopped(sleeper.id()) {
            std::thread::yield_now();
        }
        evidence.notice(3, 7);
        spin_for_ns(2 * SHORTEST_NS);
        assert!(evidence.is_noticed(3, 7) && !evidence.is_noticed(3, 8) && !evidence.is_noticed(2, 7));
        assert!(!evidence.is_at_fault(3, false, SHORTEST_NS));
        assert!(evidence.is_at_fault(3, true, SHORTEST_NS));
        assert!(!evidence.is_at_fault(3, true, u64::MAX), "it is too early to tell");
        evidence.open(3, std::process::id());
        assert!(!evidence.is_noticed(3, 7), "that was its predecessor");
        sleeper.kill().expect("it is ours");
        sleeper.wait().expect("it is ours");
    }

    #[test]
    fn one_late_block_is_forgiven_and_two_in_a_short_time_are_not() {
        let mut evidence = Evidence::new();
        assert!(!evidence.note_late(0, 100));
        assert!(!evidence.note_late(0, 100), "the same block again");
        assert!(!evidence.note_late(0, 100 + FORGIVEN_AFTER_BLOCKS));
        assert!(evidence.note_late(0, 101 + FORGIVEN_AFTER_BLOCKS));
        evidence.open(0, 1);
        assert!(!evidence.note_late(0, 102 + FORGIVEN_AFTER_BLOCKS));
    }

    #[test]
    fn starving_is_borne_for_a_while() {
        let mut evidence = Evidence::new();
        assert!(!evidence.note_starved(5, 1_000_000));
        let until_ns = now_ns() + 2 * STARVED_TOO_LONG_NS;
        while !evidence.note_starved(5, 1_000_000) {
            assert!(now_ns() < 1_000 * until_ns);
        }
        assert!(!evidence.note_starved(4, 1_000_000), "another one");
    }
}
