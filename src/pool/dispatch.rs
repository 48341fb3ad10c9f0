//! The conversation with one worker: assignments out, answers back.
//!
//! In: modules with a place. Out: the worker's word that they are set up. Thread: control, the only producer
//! of every assignment ring and the only consumer of every reply ring.
//! Full ring, garbled ring, no answer in time: an error; the module goes to another worker.

use super::Pool;
use super::rig::Rig;
use crate::supervise::alarm::Offence;
use crate::supervise::lifecycle::Event;
use backline_abi::layout::{Answer, Assignment, assignment, status};
use backline_abi::ring::{CAPACITY, Consumer, Full, Garbled, Producer};
use backline_abi::wake::{self, now_ns};
use std::sync::atomic::{AtomicU32, Ordering::Acquire};
use std::time::Instant;

/// How long control waits for a worker's answer before it turns to another: long for a worker that is only
/// late, short for a performer.
const ANSWER_LIMIT_NS: u64 = 40_000_000;

/// Why a worker did not take an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DispatchError {
    /// Its ring is full.
    #[error("worker {slot} has too many assignments waiting")]
    Full {
        /// Slot.
        slot: usize,
    },
    /// It scribbled on its indices.
    #[error("worker {slot} broke its ring and is replaced")]
    Garbled {
        /// Slot.
        slot: usize,
    },
    /// It did not answer.
    #[error("worker {slot} did not answer within 40 ms")]
    Silent {
        /// Slot.
        slot: usize,
    },
    /// The module does not fit it.
    #[error("worker {slot} cannot play this module; rebuild engine and workers together")]
    Unfit {
        /// Slot.
        slot: usize,
    },
}

/// Our side of one worker's two rings.
#[derive(Default)]
pub struct Conversation {
    replies_head: AtomicU32,
    next_ticket: u32,
    last_heard: u32,
}

impl Conversation {
    /// Whether an assignment is unanswered.
    pub fn is_waiting(&self) -> bool {
        self.last_heard != self.next_ticket
    }

    /// Reads the answers there are, a ring full at most: a worker that keeps scribbling on its tail would never
    /// let us go. The last one comes back.
    pub fn hear(&mut self, rig: &Rig, slot: usize) -> Result<Option<Answer>, Garbled> {
        let head = rig.head(slot);
        let mut replies = Consumer::<Answer>::new(&head.replies, &head.replies_tail.word, &self.replies_head);
        let mut last = None;
        for _ in 0..CAPACITY {
            let Some(answer) = replies.try_pop()? else { break };
            self.last_heard = answer.ticket;
            last = Some(answer);
        }
        Ok(last)
    }

    /// A new process is in the slot: it owes no answer, and goes on where the dead one's tail stands, wherever
    /// that one left it.
    pub fn start_over(&mut self, rig: &Rig, slot: usize) {
        let head = rig.head(slot);
        Consumer::<Answer>::new(&head.replies, &head.replies_tail.word, &self.replies_head).skip_all();
        self.last_heard = self.next_ticket;
    }

    fn send(&mut self, rig: &Rig, slot: usize, assigned: Assignment) -> Result<u32, Full<Assignment>> {
        let ring = &rig.control().rings[slot];
        let head = &rig.head(slot).assignments_head.word;
        let ticket = self.next_ticket.wrapping_add(1);
        let mut assignments = Producer::<Assignment>::new(&ring.slots, &ring.tail.word, head);
        assignments.try_push(Assignment { ticket, ..assigned })?;
        self.next_ticket = ticket;
        rig.ring_bell(slot);
        Ok(ticket)
    }
}

impl Pool {
    /// Has `slot` set up the module of `cell` under `lease`; returns when that is done.
    pub fn prepare(
        &mut self,
        slot: usize,
        cell: u32,
        instance: u32,
        lease: u32,
    ) -> Result<Answer, DispatchError> {
        let kind = assignment::PREPARE;
        let assigned = Assignment { kind, ticket: 0, cell, instance, lease, reserved: [0; 11] };
        let sent = self.slots[slot].talk.send(&self.rig, slot, assigned);
        let ticket = sent.map_err(|_| DispatchError::Full { slot })?;
        let answer = self.await_answer(slot, ticket)?;
        if answer.status != status::DONE {
            return Err(DispatchError::Unfit { slot });
        }
        self.slots[slot].jobs += 1;
        Ok(answer)
    }

    fn await_answer(&mut self, slot: usize, ticket: u32) -> Result<Answer, DispatchError> {
        let deadline_ns = now_ns() + ANSWER_LIMIT_NS;
        loop {
            let tail = &self.rig.head(slot).replies_tail.word;
            // Acquire: pairs with the worker's store after it wrote the answer.
            let seen = tail.load(Acquire);
            match self.slots[slot].talk.hear(&self.rig, slot) {
                Ok(Some(answer)) if answer.ticket == ticket => return Ok(answer),
                Ok(_) => {}
                Err(_) => {
                    self.happen(slot, Event::Offended(Offence::BrokeContract));
                    return Err(DispatchError::Garbled { slot });
                }
            }
            if now_ns() >= deadline_ns {
                self.slots[slot].unanswered_since.get_or_insert_with(Instant::now);
                return Err(DispatchError::Silent { slot });
            }
            wake::wait(tail, seen, deadline_ns);
        }
    }
}
