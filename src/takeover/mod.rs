//! Beside the flow: modules leave a worker that is dead, hangs, or shall go. One thread does it, the only one that
//! changes the place of a module that plays.
//!
//! In: the kernel's death notices ([`backline_abi::death`]), the audio thread's word that a block is overdue
//! ([`Witness`]), control's requests ([`TakeOver`]). Out: places in the control segment; [`Fact`]s for control, which
//! reports, and has the dead replaced.
//! Thread: its own, FIFO, above the workers and below the audio thread. It sleeps on everything at once; awake, it
//! allocates, locks and logs nothing. Reading order: `watch` (the loop), `relocate` (one module, one slot),
//! [`standby`] (where to), [`culprit`] (who holds a block up), `evidence` (whether it can help it), [`board`] (what
//! others tell it).
//!
//! What if a worker misbehaves? It loses its modules once; whatever it writes later stands under leases that nobody
//! asks for. Does anything wait? Nobody waits for the worker that is left, and nobody waits for this thread but
//! control, with a deadline.

pub mod board;
pub mod culprit;
mod evidence;
mod relocate;
pub mod standby;
mod state;
mod watch;

use crate::pool::rig::Rig;
use crate::supervise::alarm::Alarm;
use crate::supervise::blame::Culprit;
use backline_abi::plan::Location;
use backline_abi::wake::{self, now_ns};
use board::Board;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread::JoinHandle;

/// Requests and facts under way at most.
const QUEUE: usize = 256;
/// How long control waits for a request to be done.
const REQUEST_LIMIT_NS: u64 = 200_000_000;

/// What control asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Move one module.
    Module {
        /// Its cell.
        cell: u32,
        /// Where it is now; if it is not there any more, nothing happens.
        from: Location,
        /// Slot it shall move to.
        to: usize,
    },
    /// Move every module of a slot.
    Slot {
        /// The slot.
        from: usize,
        /// Where they go.
        to: usize,
    },
}

/// Why modules left a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its process is dead, or has broken its death notice.
    Died,
    /// It is stopped (SIGSTOP, a debugger).
    Stopped,
    /// It did not commit block after block: an endless loop, or a page that does not come.
    Hung,
    /// It made one block late; it stays.
    Late,
    /// It did not get its core: another worker of it hangs, or somebody else has it. It is not to blame and stays.
    Starved,
}

impl Reason {
    /// For logs.
    pub const fn words(self) -> &'static str {
        match self {
            Reason::Died => "died",
            Reason::Stopped => "is stopped",
            Reason::Hung => "hangs",
            Reason::Late => "made a block late",
            Reason::Starved => "did not get its core",
        }
    }
}

/// A take-over, as control hears of it.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    /// Why.
    pub reason: Reason,
    /// Slot that was left.
    pub slot: usize,
    /// Process in it.
    pub pid: u32,
    /// Where its modules went; `None` if nobody could take them.
    pub to: Option<usize>,
    /// Modules that went.
    pub modules: u32,
    /// They went there under this lease and the ones after it.
    pub first_lease: u32,
    /// The module that it was rendering, which lived there; `None` if it was between modules.
    pub rendering: Option<Culprit>,
    /// Block announced last.
    pub block: u32,
    /// When it was noticed, monotonic ns.
    pub noticed_ns: u64,
    /// When all places were changed.
    pub moved_ns: u64,
}

/// Control's end. Dropping it ends the thread.
pub struct TakeOver {
    board: Arc<Board>,
    requests: rtrb::Producer<Request>,
    facts: rtrb::Consumer<Fact>,
    asked: u32,
    thread: Option<JoinHandle<()>>,
}

/// The audio thread's end: it says that a block is late, and goes on.
#[derive(Clone)]
pub struct Witness {
    board: Arc<Board>,
}

impl TakeOver {
    /// Starts the thread over `rig`; whoever hangs or is stopped is condemned by `alarm`.
    pub fn start(rig: Arc<Rig>, alarm: Arc<Alarm>, wants_realtime: bool) -> std::io::Result<Self> {
        let board = Arc::new(Board::new());
        let (requests, requests_in) = rtrb::RingBuffer::new(QUEUE);
        let (facts_out, facts) = rtrb::RingBuffer::new(QUEUE);
        let watch = watch::Watch::new(rig, board.clone(), alarm, requests_in, facts_out);
        let thread =
            std::thread::Builder::new().name("take-over".into()).spawn(move || watch.run(wants_realtime))?;
        Ok(Self { board, requests, facts, asked: 0, thread: Some(thread) })
    }

    /// What control tells the thread.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// For the audio thread.
    pub fn witness(&self) -> Witness {
        Witness { board: self.board.clone() }
    }

    /// The next fact, if there is one.
    pub fn fact(&mut self) -> Option<Fact> {
        self.facts.pop().ok()
    }

    /// Has `request` done; returns when it is, or after 200 ms. False if it was not.
    pub fn ask(&mut self, request: Request) -> bool {
        if self.requests.push(request).is_err() {
            return false;
        }
        self.asked = self.asked.wrapping_add(1);
        self.board.ring();
        let until_ns = now_ns() + REQUEST_LIMIT_NS;
        loop {
            // Acquire: what was done is visible (pairs with the thread's store).
            let done = self.board.done.load(Acquire);
            if done == self.asked {
                return true;
            }
            if now_ns() >= until_ns {
                return false;
            }
            wake::wait(&self.board.done, done, until_ns);
        }
    }
}

impl Drop for TakeOver {
    fn drop(&mut self) {
        // Release: pairs with the thread's load.
        self.board.is_closing.store(1, Release);
        self.board.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Witness {
    /// `block` is not there at the first deadline: whoever is stopped loses his modules. Real-time safe: one
    /// store, and the named wake.
    pub fn overdue(&self, block: u32) {
        self.board.overdue.say(block);
        self.board.ring();
    }

    /// `block` is not there at the last deadline and was concealed. Real-time safe: one store, and the named wake.
    pub fn concealed(&self, block: u32) {
        self.board.concealed.say(block);
        self.board.ring();
    }

    /// `block` will not come from those who owe it, on a clock that waits for everybody.
    pub fn given_up(&self, block: u32) {
        self.board.given_up.say(block);
        self.board.ring();
    }
}
