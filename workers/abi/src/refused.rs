//! System calls that a sandbox refuses. The kernel tells the caller itself of each (SIGSYS, seccomp's `TRAP`), here: the
//! call is written down in the worker's arena, and whoever made it gets EPERM, and goes on.
//!
//! One word tells the last call: `number | instance << 16`.
//!
//! A signal that is blocked kills when the kernel raises it, and C libraries block all of them while they start a thread
//! or a process. So whoever wants to block signals is trapped, too, and gets what he wants, but for SIGSYS.

use crate::crash::rendered_here;
use crate::layout::ArenaHead;
use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Relaxed, Release},
};

/// A call that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedCall {
    /// Its number, as this machine's kernel counts; [`u16::MAX`] for all that are larger.
    pub call: u16,
    /// Lower half of the instance that was being rendered by the thread that made the call, 0 if none was.
    pub instance: u16,
}

impl RefusedCall {
    /// As it stands in the arena.
    pub const fn encode(self) -> u32 {
        self.call as u32 | (self.instance as u32) << 16
    }

    /// From the arena.
    pub const fn decode(word: u32) -> Self {
        Self { call: word as u16, instance: (word >> 16) as u16 }
    }
}

/// `si_code` of a SIGSYS that seccomp raises (linux/signal.h, `SYS_SECCOMP`).
const RAISED_BY_SECCOMP: libc::c_int = 1;
/// Bytes of the kernel's set of signals.
const SET_BYTES: u64 = 8;
/// SIGSYS in such a set.
const SIGSYS_BIT: u64 = 1 << (libc::SIGSYS - 1);

/// The head of a `siginfo_t` as the kernel fills it for SIGSYS (sigaction(2)).
#[repr(C)]
struct About {
    signal: libc::c_int,
    error: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    address: *mut libc::c_void,
    call: libc::c_int,
    architecture: libc::c_uint,
}

/// Where refused calls are written down; null until [`listen`].
static HEAD: AtomicPtr<ArenaHead> = AtomicPtr::new(null_mut());

/// From now on calls that are refused are written down in `head`. SIGSYS is let through in the calling thread, and in
/// those that it starts.
pub fn listen(head: &'static ArenaHead) -> io::Result<()> {
    // Release: pairs with the handler's load.
    HEAD.store(std::ptr::from_ref(head).cast_mut(), Release);
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = refuse;
    // SAFETY: all-zero is a valid sigaction: no flags, an empty mask, the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    // NODEFER: a signal's handler that interrupts ours may be refused something, too.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: `action` is initialised and names a handler of the kind that SA_SIGINFO promises; the handler is
    // async-signal-safe (see there).
    if unsafe { libc::sigaction(libc::SIGSYS, &action, null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero is a valid set of signals, the empty one.
    let mut own: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `own` is a set, and the signal exists.
    unsafe { libc::sigaddset(&mut own, libc::SIGSYS) };
    // SAFETY: `own` lives through the call.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &own, null_mut()) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// The handler. Async-signal-safe: loads and stores of atomics and of the interrupted thread's registers, gettid, and
/// raise if somebody else sent the signal; no allocation, no lock. None of these is refused.
extern "C" fn refuse(_signal: libc::c_int, about: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: SA_SIGINFO: the kernel hands a valid siginfo to the handler, of at least 128 bytes; `About` is its head for
    // this signal, of integers and one pointer that is never followed.
    let about = unsafe { about.cast::<About>().as_ref() };
    // SAFETY: SA_SIGINFO: the kernel hands the interrupted thread's context, which is ours until we return.
    let context = unsafe { context.cast::<libc::ucontext_t>().as_mut() };
    match (about, context) {
        (Some(about), Some(context)) if about.code == RAISED_BY_SECCOMP => {
            let mut thread = Interrupted { context };
            let answer = match libc::c_long::from(about.call) {
                libc::SYS_rt_sigprocmask => thread.block_signals(),
                call => {
                    write_down(call);
                    -i64::from(libc::EPERM)
                }
            };
            thread.answer(answer);
        }
        _ => die(),
    }
}

/// Somebody has sent the signal, which kills whoever has not asked for it. The default action cannot be had back: the
/// sandbox lets nobody change the handler.
fn die() {
    // SAFETY: integer arguments only; raise is async-signal-safe.
    unsafe { libc::raise(libc::SIGKILL) };
}

fn write_down(call: libc::c_long) {
    // Acquire: pairs with `listen`.
    let head = HEAD.load(Acquire);
    // SAFETY: it is null or came from a `&'static ArenaHead`.
    if let Some(head) = unsafe { head.as_ref() } {
        let call = u16::try_from(call).unwrap_or(u16::MAX);
        let instance = rendered_here(head);
        head.refused_call.store(RefusedCall { call, instance }.encode(), Relaxed);
        // Release: whoever sees the count sees this call, or a later one (pairs with the engine's load).
        head.refused_calls.fetch_add(1, Release);
    }
}

/// The thread whose call was trapped: its registers are those of the call.
struct Interrupted<'c> {
    context: &'c mut libc::ucontext_t,
}

impl Interrupted<'_> {
    /// rt_sigprocmask(how, set, old, size), but SIGSYS is never blocked. The mask is in force when the handler returns.
    fn block_signals(&mut self) -> i64 {
        let [how, set, old, size] = self.arguments();
        if size != SET_BYTES {
            return -i64::from(libc::EINVAL);
        }
        // SAFETY: the sandbox traps only calls with a set; the thread says that one of eight bytes is there, and reads
        // it by us as it would itself. If it is wrong, the fault is its own.
        let wanted = unsafe { (set as *const u64).read_unaligned() };
        let blocked = (&raw mut self.context.uc_sigmask).cast::<u64>();
        // SAFETY: the context's mask is a `sigset_t`, of which the kernel uses the first eight bytes; it is aligned.
        let before = unsafe { blocked.read() };
        let after = match how as libc::c_int {
            libc::SIG_BLOCK => before | wanted,
            libc::SIG_UNBLOCK => before & !wanted,
            libc::SIG_SETMASK => wanted,
            _ => return -i64::from(libc::EINVAL),
        };
        // SAFETY: as above; whatever is set there, the kernel takes what makes sense.
        unsafe { blocked.write(after & !SIGSYS_BIT) };
        if old != 0 {
            // SAFETY: as for `set`, for writing.
            unsafe { (old as *mut u64).write_unaligned(before) };
        }
        0
    }

    #[cfg(target_arch = "x86_64")]
    fn arguments(&self) -> [u64; 4] {
        let order = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10];
        order.map(|register| self.context.uc_mcontext.gregs[register as usize] as u64)
    }

    #[cfg(target_arch = "x86_64")]
    fn answer(&mut self, answer: i64) {
        self.context.uc_mcontext.gregs[libc::REG_RAX as usize] = answer;
    }

    #[cfg(target_arch = "aarch64")]
    fn arguments(&self) -> [u64; 4] {
        std::array::from_fn(|register| self.context.uc_mcontext.regs[register])
    }

    #[cfg(target_arch = "aarch64")]
    fn answer(&mut self, answer: i64) {
        self.context.uc_mcontext.regs[0] = answer as u64;
    }
}

const _: () = {
    assert!(std::mem::offset_of!(About, code) == 8);
    assert!(std::mem::offset_of!(About, call) == 24);
    assert!(size_of::<About>() <= size_of::<libc::siginfo_t>());
    assert!(align_of::<About>() <= align_of::<libc::siginfo_t>());
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_is_read_as_it_was_written() {
        for (call, instance) in [(0, 0), (41, 7), (u16::MAX, u16::MAX), (435, 0xBEEF)] {
            let refused = RefusedCall { call, instance };
            assert_eq!(RefusedCall::decode(refused.encode()), refused);
        }
    }
}
