//! The thread: sleeps on all death notices and its bell at once, and does what has to be done.

use super::board::Board;
use super::culprit::{Culprit, Judge};
use super::evidence::Evidence;
use super::relocate::Mover;
use super::standby::{Candidate, relief, standby};
use super::state::is_stopped;
use super::{Fact, Reason, Request};
use crate::pool::autopsy;
use crate::pool::rig::Rig;
use crate::rt::{self, TAKE_OVER_PRIORITY};
use crate::supervise::alarm::Alarm;
use backline_abi::death;
use backline_abi::layout::MAX_SLOTS;
use backline_abi::rights;
use backline_abi::wake::{WaitList, now_ns};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Longest sleep when nothing happens.
const LOOK_NS: u64 = 1_000_000_000;
/// Whose fault a late block is cannot be told after less than this part of a block.
const SHORTEST_PARTS_OF_BLOCK: u64 = 16;
/// Death notices, the bell, and room to spare.
const MOST_WAITED: usize = MAX_SLOTS + 2;

/// The thread's own state.
pub struct Watch {
    rig: Arc<Rig>,
    board: Arc<Board>,
    alarm: Arc<Alarm>,
    requests: rtrb::Consumer<Request>,
    facts: rtrb::Producer<Fact>,
    judge: Judge,
    /// Slots that control called usable when we looked last.
    known: u64,
    /// Of these, slots that were left: until control has taken note and put a new process there.
    fallen: u64,
    handled: Handled,
    /// A block that is overdue, and when to look whether those who owe it have got their cores since.
    relief: Option<(u32, u64)>,
    /// A block that was concealed, and when to look whether it came after all.
    recheck: Option<(u32, u64)>,
    evidence: Evidence,
    /// Process of each slot when it became usable.
    pids: [u32; MAX_SLOTS],
}

/// Complaints that were dealt with.
#[derive(Default)]
struct Handled {
    overdue: u32,
    concealed: u32,
    given_up: u32,
}

fn bits(set: u64) -> impl Iterator<Item = usize> + Clone {
    (0..MAX_SLOTS).filter(move |slot| set >> slot & 1 == 1)
}

impl Watch {
    pub fn new(
        rig: Arc<Rig>,
        board: Arc<Board>,
        alarm: Arc<Alarm>,
        requests: rtrb::Consumer<Request>,
        facts: rtrb::Producer<Fact>,
    ) -> Self {
        Self {
            rig,
            board,
            alarm,
            requests,
            facts,
            judge: Judge::new(),
            known: 0,
            fallen: 0,
            handled: Handled::default(),
            relief: None,
            recheck: None,
            evidence: Evidence::new(),
            pids: [0; MAX_SLOTS],
        }
    }

    pub fn run(mut self, wants_realtime: bool) {
        if wants_realtime {
            // The workers' refusal is reported loudly; this one has the same cause.
            let _ = rights::take_fifo(TAKE_OVER_PRIORITY);
        }
        let thread_id = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        self.board.thread_id.store(thread_id, Relaxed);
        // Acquire: pairs with the store when the handle is dropped.
        while self.board.is_closing.load(Acquire) == 0 {
            rt::audio_section(|| self.turn());
        }
    }

    /// Everything there is to do, then a sleep. Real-time safe but for the sleep.
    fn turn(&mut self) {
        // Acquire: whatever the bell was rung for is visible.
        let bell = self.board.bell.load(Acquire);
        self.meet_the_new();
        self.look_for_deaths();
        self.serve();
        self.hear_the_witness();
        self.sleep(bell);
    }

    fn mover(&self) -> Mover<'_> {
        Mover { rig: &self.rig, board: &self.board }
    }

    /// Slots come and go. A new process in a slot whose modules nobody could take goes on with them itself. Slots
    /// that control gives up for reasons of its own are left like those of the dead.
    fn meet_the_new(&mut self) {
        let usable = self.board.usable();
        let renewed = bits(usable).filter(|slot| self.pids[*slot] != self.board.pid(*slot));
        let new = renewed.fold(usable & !self.known, |set, slot| set | 1 << slot);
        let gone = self.known & !usable & !self.fallen;
        self.known = usable;
        self.fallen &= usable & !new;
        for slot in bits(new) {
            self.pids[slot] = self.board.pid(slot);
            self.evidence.open(slot, self.pids[slot]);
            if self.mover().has_modules(slot) {
                self.mover().slot(slot, slot);
            }
        }
        for slot in bits(gone) {
            self.leave(slot, Reason::Died);
        }
        // Those nobody could take so far.
        for slot in bits(!usable | self.fallen).take_while(|slot| *slot < self.rig.arenas().len()) {
            if let Some(to) = self.standby_for(slot, false).filter(|_| self.mover().has_modules(slot)) {
                self.mover().slot(slot, to);
            }
        }
    }

    fn look_for_deaths(&mut self) {
        for slot in bits(self.known & !self.fallen) {
            // Acquire: everything the dead worker stored is visible (the kernel changes the word after it).
            let word = self.rig.head(slot).death.load(Acquire);
            if word != death::alive(self.pids[slot]) {
                self.leave(slot, Reason::Died);
            }
        }
    }

    fn serve(&mut self) {
        while let Ok(request) = self.requests.pop() {
            match request {
                Request::Module { cell, from, to } => {
                    self.mover().module(cell, from, to);
                }
                Request::Slot { from, to } => {
                    self.mover().slot(from, to);
                }
            }
            // Release: the places are changed before the request counts as done (pairs with control's load).
            self.board.done.fetch_add(1, Release);
            backline_abi::wake::wake(&self.board.done);
        }
    }

    fn hear_the_witness(&mut self) {
        if let Some(block) = self.board.overdue.heard(&mut self.handled.overdue) {
            self.look_closely(block);
        }
        self.relieve();
        if let Some(block) = self.board.concealed.heard(&mut self.handled.concealed) {
            self.each_culprit(block, Self::note_late);
            self.recheck = Some((block, now_ns() + self.block_ns() / 2));
        }
        if let Some(block) = self.board.given_up.heard(&mut self.handled.given_up) {
            self.clear_the_way(block);
        }
        self.recheck();
    }

    /// A concealed block that has not come half a period later: whoever owes it hangs. If we come late ourselves,
    /// the whole machine stood still, and nobody is accused yet.
    fn recheck(&mut self) {
        let Some((block, at_ns)) = self.recheck.filter(|(_, at_ns)| now_ns() >= *at_ns) else { return };
        let patience_ns = self.block_ns() / 2;
        if now_ns() > at_ns + patience_ns {
            self.recheck = Some((block, now_ns() + patience_ns));
            return;
        }
        self.recheck = None;
        self.clear_the_way(block);
    }

    /// Of those who owe an overdue block, who is stopped is left, and who has not run since it was looked at has lost its
    /// core to somebody else: its modules play the block on a core that has time for them. If we come late ourselves,
    /// the whole machine stood still, and everybody is looked at anew.
    fn relieve(&mut self) {
        let Some((block, at_ns)) = self.relief.filter(|(_, at_ns)| now_ns() >= *at_ns) else { return };
        self.relief = None;
        if now_ns() > at_ns + self.block_ns() / 4 {
            return self.look_closely(block);
        }
        let (mut late_cores, mut taken_cores) = (0_u64, 0_u64);
        self.each_culprit(block, |watch, culprit, block| {
            let slot = culprit.slot;
            late_cores |= watch.core_bit(slot);
            let has_run = watch.evidence.had_its_core(slot, watch.shortest_ns()) != Some(false);
            if !has_run && is_stopped(watch.pids[slot]) {
                watch.leave(slot, Reason::Stopped);
            } else if watch.is_starved(slot, block) {
                taken_cores |= watch.core_bit(slot);
            }
        });
        // Control counts the loads anew only later.
        let mut lent_ns = [0_u32; MAX_SLOTS];
        // A core that is taken is taken from all of its workers, unless one of them has it.
        for slot in bits(self.known & !self.fallen) {
            let is_concerned = self.core_bit(slot) & taken_cores != 0 && self.mover().has_modules(slot);
            if !is_concerned || !self.is_starved(slot, block) {
                continue;
            }
            let (load_ns, noticed_ns) = (self.board.load_ns(slot), now_ns());
            let with_lent =
                |other: Candidate| Candidate { load_ns: other.load_ns + lent_ns[other.slot], ..other };
            let others = self.candidates_but(slot).map(with_lent);
            let Some(to) = relief(others, late_cores, load_ns, self.block_ns()) else { continue };
            lent_ns[to] = lent_ns[to].saturating_add(load_ns);
            self.hand_over(Reason::Starved, slot, Some(to), noticed_ns);
        }
    }

    fn is_starved(&self, slot: usize, block: u32) -> bool {
        self.evidence.is_noticed(slot, block) && !self.is_at_fault(slot, block)
    }

    fn shortest_ns(&self) -> u64 {
        self.block_ns() / SHORTEST_PARTS_OF_BLOCK
    }

    fn block_ns(&self) -> u64 {
        self.board.block_ns.load(Relaxed)
    }

    /// Calls `judge` for each culprit of `block`.
    fn each_culprit(&mut self, block: u32, mut judge: impl FnMut(&mut Self, Culprit, u32)) {
        let mut culprits = [None; MAX_SLOTS];
        self.judge.find(&self.rig, block, |culprit| {
            if let Some(place) = culprits.get_mut(culprit.slot) {
                *place = Some(culprit);
            }
        });
        for culprit in culprits.into_iter().flatten() {
            if (self.known & !self.fallen) >> culprit.slot & 1 == 1 {
                judge(self, culprit, block);
            }
        }
    }

    /// Notes how long everybody has run who is on a core that owes `block`, and when to look again. A block that is only
    /// long costs no more than that.
    fn look_closely(&mut self, block: u32) {
        let mut late_cores = 0_u64;
        self.each_culprit(block, |watch, culprit, _| late_cores |= watch.core_bit(culprit.slot));
        for slot in bits(self.known & !self.fallen) {
            if self.core_bit(slot) & late_cores != 0 {
                self.evidence.notice(slot, block);
            }
        }
        self.relief = (late_cores != 0).then(|| (block, now_ns() + self.shortest_ns()));
    }

    fn is_at_fault(&self, slot: usize, block: u32) -> bool {
        let is_rendering = self.rig.head(slot).rendering.load(Relaxed) != 0;
        self.evidence.is_noticed(slot, block)
            && self.evidence.is_at_fault(slot, is_rendering, self.shortest_ns())
    }

    /// A worker may make one block late; the second time it is one to be left.
    fn note_late(&mut self, culprit: Culprit, block: u32) {
        let slot = culprit.slot;
        if is_stopped(self.pids[slot]) {
            self.leave(slot, Reason::Stopped);
        } else if self.is_at_fault(slot, block) {
            match self.evidence.note_late(slot, block) {
                true => self.leave(slot, Reason::Hung),
                false => self.hand_over(Reason::Late, slot, None, now_ns()),
            }
        }
    }

    /// Everybody leaves whoever holds `block` up by his own fault. Then also whoever has no core because of that, or
    /// had none for long.
    fn clear_the_way(&mut self, block: u32) {
        let mut held_cores = 0_u64;
        self.each_culprit(block, |watch, culprit, block| {
            if watch.is_at_fault(culprit.slot, block) {
                held_cores |= watch.core_bit(culprit.slot);
                watch.leave(culprit.slot, Reason::Hung);
            }
        });
        self.each_culprit(block, |watch, culprit, block| {
            let slot = culprit.slot;
            let is_held = watch.core_bit(slot) & held_cores != 0;
            let has_starved =
                watch.evidence.is_noticed(slot, block) && watch.evidence.note_starved(slot, watch.block_ns());
            if is_held || has_starved {
                let (to, noticed_ns) = (watch.standby_for(slot, true), now_ns());
                watch.hand_over(Reason::Starved, slot, to, noticed_ns);
            }
        });
    }

    fn core_bit(&self, slot: usize) -> u64 {
        1_u64.checked_shl(self.board.core(slot)).unwrap_or(0)
    }

    /// Everything leaves `slot`, which is not looked at again until there is a new process in it.
    fn leave(&mut self, slot: usize, reason: Reason) {
        let noticed_ns = now_ns();
        self.fallen |= 1 << slot;
        let to = self.standby_for(slot, reason != Reason::Died);
        self.hand_over(reason, slot, to, noticed_ns);
        // A dead process gives back its memory, which takes it a millisecond or two of its core; one that hangs
        // would not let go of it at all.
        rights::take_fifo_from(self.pids[slot]);
        if reason != Reason::Died {
            // Now, not when control hears of it: it may hold its core.
            self.alarm.condemn(slot);
        }
    }

    /// Moves everything in `slot` to `to`, and tells control.
    fn hand_over(&mut self, reason: Reason, slot: usize, to: Option<usize>, noticed_ns: u64) {
        let first_lease = self.board.next_lease();
        let modules = to.map_or(0, |to| self.mover().slot(slot, to));
        let pid = self.pids[slot];
        let rendering = autopsy::was_rendering(&self.rig, slot, pid);
        let block = self.rig.control().block.word.load(Acquire);
        let moved_ns = now_ns();
        // Control sees from the slot's process itself what has to be done; a fact lost in a flood costs a log line.
        let _ = self.facts.push(Fact {
            reason,
            slot,
            pid,
            to,
            modules,
            first_lease,
            rendering,
            block,
            noticed_ns,
            moved_ns,
        });
    }

    fn standby_for(&self, slot: usize, is_core_held: bool) -> Option<usize> {
        standby(self.candidates_but(slot), self.board.core(slot), is_core_held)
    }

    fn candidates_but(&self, slot: usize) -> impl Iterator<Item = Candidate> + Clone + '_ {
        let is_of_kind = move |other: &usize| self.board.kind(*other) == self.board.kind(slot);
        let others = bits(self.known & !self.fallen).filter(move |other| *other != slot);
        others.filter(is_of_kind).map(|other| Candidate {
            slot: other,
            core: self.board.core(other),
            load_ns: self.board.load_ns(other),
        })
    }

    fn sleep(&self, bell: u32) {
        let mut list = WaitList::<MOST_WAITED>::new();
        list.add(&self.board.bell, bell);
        for slot in bits(self.known & !self.fallen) {
            list.add(&self.rig.head(slot).death, death::alive(self.pids[slot]));
        }
        let looks = [self.relief, self.recheck].into_iter().flatten().map(|(_, at_ns)| at_ns);
        list.wait(looks.fold(now_ns() + LOOK_NS, u64::min));
    }
}
