//! How the supervisor is woken. In: orders that wait in its channel, and slots that are condemned. Thread: any,
//! audio threads included.
//!
//! A condemnation is a bit in a word, and a word that says why; then the bell, an eventfd, is written: that write
//! is the named wake. Nothing is allocated, nothing is locked, and a full counter (nobody has looked for 2^64
//! rings) is a bell that rings already.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{
    AtomicU8, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use backline_abi::layout::MAX_SLOTS;

/// Why a slot's process may not live on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Offence {
    /// It held up a block beyond the deadline.
    MissedDeadline = 0,
    /// Something impossible stood in its memory, or it did not answer.
    BrokeContract = 1,
    /// It takes more memory than it may.
    TooMuchMemory = 2,
}

impl Offence {
    /// As causes and the audit log say it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::MissedDeadline => "it missed its deadline",
            Self::BrokeContract => "it broke the contract or did not answer",
            Self::TooMuchMemory => "it takes too much memory",
        }
    }

    const fn of(code: u8) -> Self {
        match code {
            0 => Self::MissedDeadline,
            2 => Self::TooMuchMemory,
            _ => Self::BrokeContract,
        }
    }
}

/// The bell, and the slots that are condemned.
#[derive(Debug)]
pub struct Alarm {
    condemned: AtomicU64,
    offences: [AtomicU8; MAX_SLOTS],
    bell: OwnedFd,
    /// Rung for control when there is a notice.
    notice_bell: OwnedFd,
}

impl Alarm {
    /// A bell that does not ring.
    pub fn new() -> std::io::Result<Self> {
        let silent = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let (bell, notice_bell) = (silent()?, silent()?);
        let offences = [const { AtomicU8::new(0) }; MAX_SLOTS];
        Ok(Self { condemned: AtomicU64::new(0), offences, bell, notice_bell })
    }

    /// The process in `slot` missed its deadline: its whole group is killed at once. Nothing happens if the slot is
    /// empty. Real-time safe: one atomic or, one write to an eventfd (the named wake).
    pub fn condemn(&self, slot: usize) {
        self.condemn_for(slot, Offence::MissedDeadline);
    }

    /// The same for another reason. Real-time safe.
    pub fn condemn_for(&self, slot: usize, offence: Offence) {
        let Some(place) = self.offences.get(slot) else { return };
        place.store(offence as u8, Relaxed);
        // Release: the offence is stored before the bit (pairs with the swap in `take_condemned`).
        self.condemned.fetch_or(1 << slot, Release);
        self.ring();
    }

    /// Wakes control: there is a notice.
    pub fn ring_for_notice(&self) {
        // EAGAIN: it rings already.
        let _ = rustix::io::write(&self.notice_bell, &1_u64.to_ne_bytes());
    }

    /// What control sleeps on beside its socket: readable when there is a notice.
    pub fn notice_bell(&self) -> BorrowedFd<'_> {
        self.notice_bell.as_fd()
    }

    /// Whoever rings after this is heard by the next wait.
    pub fn silence_for_notice(&self) {
        let _ = rustix::io::read(&self.notice_bell, &mut [0; 8]);
    }

    /// Wakes the supervisor. Real-time safe: the named wake.
    pub fn ring(&self) {
        // EAGAIN: it rings already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Takes the slots condemned since the last time, with their offences.
    pub(super) fn take_condemned(&self) -> impl Iterator<Item = (usize, Offence)> {
        // Acquire: pairs with `condemn_for`.
        let slots = self.condemned.swap(0, AcqRel);
        (0..MAX_SLOTS)
            .filter(move |slot| slots & (1 << slot) != 0)
            .map(|slot| (slot, Offence::of(self.offences[slot].load(Acquire))))
    }

    /// A new process is in `slot`: what its predecessor was condemned for is not its doing.
    pub(super) fn pardon(&self, slot: usize) {
        if slot < MAX_SLOTS {
            self.condemned.fetch_and(!(1 << slot), AcqRel);
        }
    }

    /// Stops the ringing; whatever was rung for before is to be looked at after this.
    pub(super) fn silence(&self) {
        let mut rings = [0; 8];
        // EAGAIN: it did not ring.
        let _ = rustix::io::read(&self.bell, &mut rings);
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_ringing(alarm: &Alarm) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(alarm, PollFlags::IN)], Some(&now)).is_ok_and(|count| count == 1)
    }

    #[test]
    fn condemning_allocates_nothing_rings_once_and_is_taken_once() {
        let alarm = Alarm::new().expect("there are descriptors");
        assert!(!is_ringing(&alarm));
        crate::rt::audio_section(|| {
            alarm.condemn(3);
            alarm.condemn_for(63, Offence::TooMuchMemory);
            alarm.condemn(MAX_SLOTS);
        });
        assert!(is_ringing(&alarm));
        alarm.silence();
        assert!(!is_ringing(&alarm));
        let taken: Vec<_> = alarm.take_condemned().collect();
        assert_eq!(taken, [(3, Offence::MissedDeadline), (63, Offence::TooMuchMemory)]);
        assert_eq!(alarm.take_condemned().count(), 0);
    }

    #[test]
    fn a_new_process_is_not_condemned_for_what_the_old_one_did() {
        let alarm = Alarm::new().expect("there are descriptors");
        alarm.condemn(0);
        alarm.condemn(1);
        alarm.pardon(0);
        assert_eq!(alarm.take_condemned().map(|(slot, _)| slot).collect::<Vec<_>>(), [1]);
    }
}
