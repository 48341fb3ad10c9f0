//! How a worker ended, and by whose doing, as one pure function over what the kernel, the worker's own last word
//! and our own orders say.
//!
//! | it ended by | and | so it was |
//! |---|---|---|
//! | an order of ours (recycling, closing) | | others |
//! | condemnation | its last word says that a fault had struck it before | as the word says |
//! | condemnation | it was stopped, by a signal or a debugger | others |
//! | condemnation | it was waiting for a disk | others |
//! | condemnation | otherwise | its own: it hung, or broke the contract |
//! | exit, any code | nobody had asked it to | its own |
//! | SEGV, BUS, ILL, FPE, ABRT | its last word says that somebody else sent it | others |
//! | SEGV, BUS, ILL, FPE, ABRT | its last word says otherwise, or it had no time for one | its own |
//! | SYS, TRAP, XCPU, XFSZ | | its own: the kernel raises these |
//! | any other signal | | others |

use super::alarm::Offence;
use super::census::Facts;
use backline_abi::crash::{CrashWord, Origin};
use rustix::process::{Signal, WaitIdStatus};

/// What the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It exited.
    Exited(i32),
    /// A signal killed it.
    Signalled(i32),
    /// It never started.
    NotStarted,
    /// Nothing that makes sense.
    Unknown,
}

/// What we had decided before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sentence {
    /// It could not live on.
    Condemned(Offence),
    /// It was not needed any more.
    Dismissed,
}

/// Everything known about an end but the worker's own last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// What the kernel says.
    pub how: How,
    /// What we had decided.
    pub sentence: Option<Sentence>,
    /// When it was sentenced it could not have done anything: somebody had stopped it, or a disk held it up.
    pub was_held_up: bool,
}

/// Whose doing an end was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Its own: a fault, an abort, an exit that nobody asked for.
    Fault,
    /// Its own: it did not come to an end with a block, or broke the contract.
    Hang,
    /// Somebody else's.
    Others,
}

impl Doing {
    /// True if nobody else did it.
    pub const fn is_own(self) -> bool {
        !matches!(self, Doing::Others)
    }

    /// As the audit log says it.
    pub const fn words(self) -> &'static str {
        match self {
            Doing::Fault => "a fault of its own",
            Doing::Hang => "a hang of its own",
            Doing::Others => "somebody else",
        }
    }
}

/// Signals that a fault raises and that anybody may send: the worker's last word tells which it was.
const FAULTS: [Signal; 5] = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE, Signal::ABORT];
/// Signals that hardly anybody sends.
const KERNELS_OWN: [Signal; 4] = [Signal::SYS, Signal::TRAP, Signal::XCPU, Signal::XFSZ];

impl Ending {
    /// An end that nobody had decided.
    pub const fn of(how: How) -> Self {
        Self { how, sentence: None, was_held_up: false }
    }

    /// In words, for people.
    pub fn cause(&self) -> String {
        let how = match self.how {
            How::Exited(code) => format!("exited with code {code}"),
            How::Signalled(signal) => format!("killed by signal {signal}"),
            How::NotStarted => "could not be started".to_owned(),
            How::Unknown => "ended in an unknown way".to_owned(),
        };
        match self.sentence {
            Some(Sentence::Condemned(offence)) => format!("condemned: {}", offence.words()),
            Some(Sentence::Dismissed) => format!("dismissed ({how})"),
            None => how,
        }
    }

    /// Whose doing it was; `word` is the worker's last one.
    pub fn doing(&self, word: Option<CrashWord>) -> Doing {
        match (self.sentence, self.how) {
            (Some(Sentence::Dismissed), _) | (None, How::NotStarted | How::Unknown) => Doing::Others,
            (Some(Sentence::Condemned(_)), _) if word.is_some() => doing_of_word(word),
            (Some(Sentence::Condemned(_)), _) if self.was_held_up => Doing::Others,
            (Some(Sentence::Condemned(Offence::TooMuchMemory)), _) => Doing::Fault,
            (Some(Sentence::Condemned(_)), _) => Doing::Hang,
            (None, How::Exited(_)) => Doing::Fault,
            (None, How::Signalled(signal)) => doing_of_signal(signal, word),
        }
    }
}

fn doing_of_word(word: Option<CrashWord>) -> Doing {
    match word.map(|word| word.origin) {
        Some(Origin::SentByAnother) => Doing::Others,
        _ => Doing::Fault,
    }
}

fn doing_of_signal(signal: i32, word: Option<CrashWord>) -> Doing {
    let is_among = |signals: &[Signal]| signals.iter().any(|other| other.as_raw() == signal);
    let was_sent = word.is_some_and(|word| word.signal == signal && word.origin == Origin::SentByAnother);
    match signal {
        _ if is_among(&FAULTS) && !was_sent => Doing::Fault,
        _ if is_among(&KERNELS_OWN) => Doing::Fault,
        _ => Doing::Others,
    }
}

/// How a process ended, from what waitid(2) says.
pub fn how(status: &WaitIdStatus) -> How {
    match (status.terminating_signal(), status.exit_status()) {
        (Some(signal), _) => How::Signalled(signal),
        (None, Some(code)) => How::Exited(code),
        (None, None) => How::Unknown,
    }
}

/// Whether a process that does nothing cannot help it.
pub fn is_held_up(facts: &Facts) -> bool {
    facts.is_stopped() || facts.state == 'D'
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Option<Sentence> = Some(Sentence::Condemned(Offence::MissedDeadline));

    fn word(signal: i32, origin: Origin) -> Option<CrashWord> {
        Some(CrashWord { signal, origin, instance: 1 })
    }

    fn killed_by(signal: Signal) -> Ending {
        Ending::of(How::Signalled(signal.as_raw()))
    }

    #[test]
    fn faults_aborts_and_exits_are_its_own_doing() {
        for signal in FAULTS {
            for origin in [Origin::Kernel, Origin::Itself] {
                assert_eq!(killed_by(signal).doing(word(signal.as_raw(), origin)), Doing::Fault);
            }
            assert_eq!(killed_by(signal).doing(None), Doing::Fault, "it had no time for a last word");
        }
        for code in [0, 1, 101] {
            assert_eq!(Ending::of(How::Exited(code)).doing(None), Doing::Fault);
        }
        assert_eq!(killed_by(Signal::XCPU).doing(None), Doing::Fault);
    }

    #[test]
    fn signals_sent_by_others_are_not() {
        for signal in FAULTS {
            let sent = word(signal.as_raw(), Origin::SentByAnother);
            assert_eq!(killed_by(signal).doing(sent), Doing::Others);
        }
        for signal in [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1, Signal::PIPE] {
            assert_eq!(killed_by(signal).doing(None), Doing::Others);
        }
    }

    #[test]
    fn a_word_about_another_signal_excuses_nobody() {
        let other = word(Signal::SEGV.as_raw(), Origin::SentByAnother);
        assert_eq!(killed_by(Signal::BUS).doing(other), Doing::Fault);
    }

    #[test]
    fn a_hang_is_its_own_doing_unless_it_was_held_up() {
        let hung = Ending { sentence: DEADLINE, ..killed_by(Signal::KILL) };
        assert_eq!(
            (hung.doing(None), hung.cause().as_str()),
            (Doing::Hang, "condemned: it missed its deadline")
        );
        assert_eq!(Ending { was_held_up: true, ..hung }.doing(None), Doing::Others);
        let struck = |origin| hung.doing(word(Signal::SEGV.as_raw(), origin));
        assert_eq!((struck(Origin::SentByAnother), struck(Origin::Kernel)), (Doing::Others, Doing::Fault));
        let dismissed = Ending { sentence: Some(Sentence::Dismissed), ..Ending::of(How::Exited(0)) };
        assert_eq!(dismissed.doing(None), Doing::Others);
        assert_eq!(dismissed.cause(), "dismissed (exited with code 0)");
    }
}
