//! A worker's last word: which signal killed it, who sent that, and what was being rendered.
//!
//! Anybody can send SIGSEGV, and a module can only be blamed for its own. The kernel tells the two apart in
//! `si_code`, but only the process itself ever sees that; so it writes it down in its own arena before it dies.
//! One word: `kind | origin << 4 | signal << 8 | instance << 16`.

use crate::layout::ArenaHead;
use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{
    AtomicI32, AtomicPtr, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

/// Where a signal came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// The kernel raised it: a fault.
    Kernel = 1,
    /// The process sent it to itself: an abort.
    Itself = 2,
    /// Another process sent it.
    SentByAnother = 3,
}

/// What a dying worker writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashWord {
    /// Number of the signal.
    pub signal: i32,
    /// Who sent it.
    pub origin: Origin,
    /// Lower half of the instance that was being rendered.
    pub instance: u16,
}

/// The only kind of last word so far.
const SIGNAL: u32 = 1;
/// Signals after which there is a last word.
const LISTENED_TO: [libc::c_int; 5] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];
/// The handler's stack: the ordinary one may be what overflowed.
const STACK_BYTES: usize = 64 * 1024;

impl CrashWord {
    /// As it stands in the arena.
    pub const fn encode(self) -> u32 {
        SIGNAL | (self.origin as u32) << 4 | (self.signal as u32 & 0xff) << 8 | (self.instance as u32) << 16
    }

    /// From the arena; `None` if no word, or no sensible one, stands there.
    pub const fn decode(word: u32) -> Option<Self> {
        let origin = match word >> 4 & 0xf {
            1 => Origin::Kernel,
            2 => Origin::Itself,
            3 => Origin::SentByAnother,
            _ => return None,
        };
        let signal = (word >> 8 & 0xff) as i32;
        if word & 0xf != SIGNAL || signal == 0 {
            return None;
        }
        Some(Self { signal, origin, instance: (word >> 16) as u16 })
    }
}

/// Where the last word goes; null until [`listen`].
static HEAD: AtomicPtr<ArenaHead> = AtomicPtr::new(null_mut());

/// The thread that renders ahead, if there is one, and what it renders.
static SECOND: AtomicI32 = AtomicI32::new(0);
static SECOND_RENDERS: AtomicU32 = AtomicU32::new(0);

/// From now on a fatal fault of this process leaves its last word in `head`, and then kills the process as it
/// would have done anyway. For the calling thread; replaces whatever handlers there were, because Rust's own
/// swallows the first SIGSEGV that somebody else sends.
pub fn listen(head: &'static ArenaHead) -> io::Result<()> {
    // Release: pairs with the handler's load.
    HEAD.store(std::ptr::from_ref(head).cast_mut(), Release);
    use_signal_stack()?;
    LISTENED_TO.iter().try_for_each(|signal| install(*signal))
}

/// The calling thread renders beside the first one: its faults are its own modules' ([`second_renders`]).
pub fn listen_in_second() -> io::Result<()> {
    // SAFETY: no arguments.
    SECOND.store(unsafe { libc::gettid() }, Relaxed);
    use_signal_stack()
}

/// What the second thread renders; 0 for nothing. Real-time safe.
pub fn second_renders(instance: u32) {
    SECOND_RENDERS.store(instance, Relaxed);
}

/// The second thread does not get through what it renders: the process dies of that module.
pub fn die_of_second() -> ! {
    // Acquire: pairs with `listen`.
    let head = HEAD.load(Acquire);
    // SAFETY: it is null or came from a `&'static ArenaHead`.
    if let Some(head) = unsafe { head.as_ref() } {
        head.rendering.store(SECOND_RENDERS.load(Relaxed), Relaxed);
    }
    std::process::abort()
}

fn use_signal_stack() -> io::Result<()> {
    // Never freed: a thread's signal stack is in use until the process ends.
    let stack = Box::leak(vec![1_u8; STACK_BYTES].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK_BYTES };
    // SAFETY: `stack` names STACK_BYTES of memory that lives as long as the process and that nobody else uses.
    if unsafe { libc::sigaltstack(&stack, null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn install(signal: libc::c_int) -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = last_word;
    // SAFETY: all-zero is a valid sigaction: no flags, an empty mask, the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    // RESETHAND: the default action is back before the handler's first instruction.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
    // SAFETY: `action` is initialised and names a handler of the kind that SA_SIGINFO promises; the handler is
    // async-signal-safe (see there).
    let refused = unsafe { libc::sigaction(signal, &action, null_mut()) } != 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The handler. Async-signal-safe: loads and stores of atomics, gettid, getpid and raise; no allocation, no lock, no
/// unwinding. If the arena itself is what faults, the second fault kills at once, without a word.
extern "C" fn last_word(signal: libc::c_int, about: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // Acquire: pairs with `listen`.
    let head = HEAD.load(Acquire);
    // SAFETY: it is null or came from a `&'static ArenaHead`.
    if let Some(head) = unsafe { head.as_ref() } {
        let instance = rendered_here(head);
        // Release: whoever sees the word sees what was stored before the fault (pairs with the engine's load).
        head.crash.store(CrashWord { signal, origin: origin_of(about), instance }.encode(), Release);
    }
    // SAFETY: the default action is in force again (SA_RESETHAND) and the signal is blocked while we are here, so
    // this is delivered, and kills, when the handler returns; raise is async-signal-safe.
    unsafe { libc::raise(signal) };
}

/// Lower half of the instance that the calling thread of the process of `head` renders; 0 for none. Async-signal-safe.
pub(crate) fn rendered_here(head: &ArenaHead) -> u16 {
    // SAFETY: no arguments; async-signal-safe.
    let is_second = unsafe { libc::gettid() } == SECOND.load(Relaxed);
    let rendering = if is_second { &SECOND_RENDERS } else { &head.rendering };
    rendering.load(Relaxed) as u16
}

fn origin_of(about: *mut libc::siginfo_t) -> Origin {
    // SAFETY: SA_SIGINFO: the kernel hands a valid siginfo to the handler, and we are called from there only.
    let Some(about) = (unsafe { about.as_ref() }) else { return Origin::Kernel };
    if about.si_code > 0 {
        return Origin::Kernel;
    }
    // SAFETY: a code of 0 or less is one of SI_USER, SI_QUEUE, SI_TKILL and the like, which carry a sender.
    let sender = unsafe { about.si_pid() };
    // SAFETY: no arguments; async-signal-safe.
    let own = unsafe { libc::getpid() };
    if sender == own { Origin::Itself } else { Origin::SentByAnother }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_word_is_read_as_it_was_written_and_nonsense_is_none() {
        for origin in [Origin::Kernel, Origin::Itself, Origin::SentByAnother] {
            for signal in LISTENED_TO {
                let word = CrashWord { signal, origin, instance: 0xBEEF };
                assert_eq!(CrashWord::decode(word.encode()), Some(word));
            }
        }
        for nonsense in [0, 1, 0x0b02, 0x0b41, 0x0011, u32::MAX] {
            assert_eq!(CrashWord::decode(nonsense), None, "{nonsense:#x}");
        }
    }
}
