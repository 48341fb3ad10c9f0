//! The stock worker that meets a fate where it is told to: the shipped loop and the shipped rack, with a thin rack
//! between them that dies.
//!
//! Inside the rack a fate is met where it stands. Behind it (outputs, state, commit and wake are the loop's)
//! the memory does it: a page that is read-only from now on faults at the first store into it, and a filter of
//! system calls traps the next wake.

#[path = "../../../native/src/rack.rs"]
mod rack;

use super::fate::{End, Fate, Point};
use backline_abi::block::Event;
use backline_abi::layout::PAGE;
use backline_abi::plan::ModuleRecord;
use backline_sdk::rack::{Job, Outcome, Rack};
use rack::Native;
use std::hint::black_box;
use std::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

/// Words of the largest state.
const STATE_WORDS: usize = 4096;

/// The fate that waits in the memory, for the signal handler.
static END: AtomicU32 = AtomicU32::new(0);
/// Address of the page that may not be written; 0 is none.
static GUARDED: AtomicUsize = AtomicUsize::new(0);

/// The fate that waits at a module, at one of the points asked about, if it was not met before. It is now.
type Oracle = Box<dyn Fn(&ModuleRecord, &dyn Fn(Point) -> bool) -> Option<Fate>>;

/// The stock rack, and death.
pub struct Frail {
    native: Native,
    /// How our arena is called in the list of mappings.
    own: String,
    /// Where it is.
    base: usize,
    oracle: Oracle,
    /// A module's state before a block.
    before: Vec<u32>,
}

impl Frail {
    /// A worker with the command line `words` that meets what `oracle` says.
    pub fn new(
        words: &[String],
        oracle: impl Fn(&ModuleRecord, &dyn Fn(Point) -> bool) -> Option<Fate> + 'static,
    ) -> Self {
        let own = format!("/{}-{}", words[0], words[1]);
        Self { native: Native, own, base: 0, oracle: Box::new(oracle), before: vec![1; STATE_WORDS] }
    }

    /// Renders the first `frames` frames of a job, which is then as it was, but for its line.
    fn render_beginning(&mut self, job: &mut Job<'_>, frames: usize) {
        if frames == 0 {
            return;
        }
        let words = job.state.len();
        self.before[..words].copy_from_slice(job.state);
        let before = job.events.partition_point(|event| (event.offset_frames as usize) < frames);
        self.native.render(Job {
            record: job.record,
            state: job.state,
            inputs: job.inputs,
            outputs: job.outputs,
            stride: job.stride,
            frames,
            events: &job.events[..before],
            line: job.line,
            stamps: job.stamps,
            block: job.block,
            first_frame: job.first_frame,
            is_free_running: job.is_free_running,
            complaint: job.complaint,
        });
        job.state.copy_from_slice(&self.before[..words]);
    }
}

impl Rack for Frail {
    fn types(&self) -> usize {
        self.native.types()
    }

    fn fingerprint(&self) -> u64 {
        self.native.fingerprint()
    }

    fn warm(&mut self, type_index: usize, rate_hz: f32, block_frames: usize) -> f32 {
        self.base = base_of(&self.own);
        self.native.warm(type_index, rate_hz, block_frames)
    }

    fn fits(&self, record: &ModuleRecord, rate_hz: f32) -> bool {
        if let Some(fate) = (self.oracle)(record, &|point| point == Point::Hearing) {
            meet(fate.end, self.base);
        }
        self.native.fits(record, rate_hz)
    }

    fn init(&mut self, record: &ModuleRecord, rate_hz: f32, state: &mut [u32]) {
        self.native.init(record, rate_hz, state);
    }

    fn render(&mut self, mut job: Job<'_>) -> Outcome {
        assert!(
            black_box(1.0e-39_f32) * black_box(1.0) == 0.0,
            "denormals are flushed wherever modules render"
        );
        if let Some(fate) = (self.oracle)(job.record, &|point| point != Point::Hearing) {
            let page = self.base + job.record.memory_start as usize * 4 / PAGE * PAGE;
            match fate.point {
                Point::Hearing => {}
                Point::Rendering => {
                    let frames = (fate.at as usize).min(job.frames);
                    self.render_beginning(&mut job, frames);
                    meet(fate.end, self.base);
                }
                Point::Storing => guard(page + fate.at as usize * PAGE, fate.end),
                Point::Stored => guard(page, fate.end),
                Point::Committed => trap_next_wake(fate.end),
            }
        }
        self.native.render(job)
    }

    fn hear(&mut self, record: &ModuleRecord, events: &[Event], state: &mut [u32]) {
        self.native.hear(record, events, state);
    }
}

/// Where the mapping that is called `own` begins.
fn base_of(own: &str) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the list of mappings");
    let line = maps.lines().find(|line| line.ends_with(own)).expect("our arena is mapped");
    let start = line.split('-').next().expect("a line begins with an address");
    usize::from_str_radix(start, 16).expect("an address")
}

/// Ends this process. Returns after a stop, when somebody has told it to go on.
fn meet(end: End, base: usize) {
    match end {
        End::Kill => raise(libc::SIGKILL),
        End::Segv => {
            protect(base, libc::PROT_READ);
            // SAFETY: the arena's first word is mapped for life; that it may not be written any more is the point.
            unsafe { &*(base as *const AtomicU32) }.store(0, Relaxed);
        }
        End::Abort => std::process::abort(),
        // SAFETY: an integer argument only. Without Rust's own way out, which allocates.
        End::Exit => unsafe { libc::_exit(0) },
        End::Panic => panic!("as told"),
        End::Stop => raise(libc::SIGSTOP),
    }
}

fn raise(signal: libc::c_int) {
    // SAFETY: an integer argument only.
    unsafe { libc::raise(signal) };
}

fn protect(page: usize, access: libc::c_int) {
    // SAFETY: a page of this process's own arena, of which it holds no Rust reference but to atomics.
    let refused = unsafe { libc::mprotect(page as *mut libc::c_void, PAGE, access) } != 0;
    assert!(!refused, "a page of the arena cannot be protected");
}

fn on(signal: libc::c_int, handler: usize) {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero is a valid sigaction.
    let action = unsafe { action.assume_init_mut() };
    action.sa_sigaction = handler;
    // SAFETY: the action lives through the call; the handler makes only calls that a handler may make.
    unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) };
}

/// From now on the first store into `page` is the end.
fn guard(page: usize, end: End) {
    END.store(end as u32, SeqCst);
    GUARDED.store(page, SeqCst);
    on(libc::SIGSEGV, at_the_store as *const () as usize);
    protect(page, libc::PROT_READ);
}

extern "C" fn at_the_store(_signal: libc::c_int) {
    end_in_handler();
    let page = GUARDED.swap(0, SeqCst);
    if page == 0 {
        // A fault that nobody ordered, or one that was: it is met again, and this time it kills.
        on(libc::SIGSEGV, libc::SIG_DFL);
    } else {
        protect(page, libc::PROT_READ | libc::PROT_WRITE);
    }
}

extern "C" fn at_the_wake(_signal: libc::c_int) {
    end_in_handler();
}

fn end_in_handler() {
    match End::ALL.get(END.swap(u32::MAX, SeqCst) as usize) {
        Some(End::Kill) => raise(libc::SIGKILL),
        Some(End::Stop) => raise(libc::SIGSTOP),
        // SAFETY: an integer argument only.
        Some(End::Exit) => unsafe { libc::_exit(0) },
        Some(End::Abort | End::Panic) => std::process::abort(),
        Some(End::Segv) => {
            on(libc::SIGSEGV, libc::SIG_DFL);
            GUARDED.store(0, SeqCst);
            raise(libc::SIGSEGV);
        }
        None => {}
    }
}

/// From now on the first wake of a shared futex is the end. Whoever lives on after that wakes nobody any more.
fn trap_next_wake(end: End) {
    END.store(end as u32, SeqCst);
    on(libc::SIGSYS, at_the_wake as *const () as usize);
    let step = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let is_equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    // Offsets in seccomp_data: the number of the call, and the lower half of its second argument.
    let mut steps = [
        step(load, 0, 0, 0),
        step(is_equal, libc::SYS_futex as u32, 0, 3),
        step(load, 24, 0, 0),
        step(is_equal, libc::FUTEX_WAKE as u32, 0, 1),
        step(answer, libc::SECCOMP_RET_TRAP, 0, 0),
        step(answer, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: integer arguments only.
    let has_promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0;
    // SAFETY: the program and its steps live through the call.
    let is_set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) } == 0;
    assert!(has_promised && is_set, "system calls can be filtered");
}
