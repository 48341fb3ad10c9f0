//! The life of a worker process, and its one loop.

use crate::attach::{AttachError, Call, View, attach};
use crate::block::{Scratch, render};
use crate::crash;
use crate::mirror::Mirror;
use crate::prepare;
use crate::rack::Rack;
use crate::roster::Roster;
use crate::sandbox::Sandbox;
use crate::source::Interruption;
use crate::warm::warm;
use assert_no_alloc::assert_no_alloc;
use backline_abi::commit::{NEVER, block_before};
use backline_abi::death;
use backline_abi::layout::{Assignment, rights_bits, stage};
use backline_abi::ring::{Consumer, Garbled};
use backline_abi::wake::{self, now_ns};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Longest sleep of an idle worker: so often it looks whether the engine has closed.
const IDLE_LOOK_NS: u64 = 100_000_000;
/// Between two looks at the lines of others, if there are any, and if some of them have not been copied yet.
const MIRROR_LOOK_NS: u64 = 10_000_000;
/// See [`MIRROR_LOOK_NS`].
const MIRROR_MORE_NS: u64 = 1_000_000;

/// A worker's whole life: attach, warm, then render until the engine closes. Returns when it may exit.
pub fn run(args: impl Iterator<Item = String>, mut rack: impl Rack) -> Result<(), AttachError> {
    let call = Call::parse(args)?;
    // Never unmapped: the death notice lies there, and a fault at any time leaves its last word there.
    let view: &'static View = Box::leak(Box::new(attach(&call, rack.fingerprint())?));
    crash::listen(view);
    // Rooms are made before memory is locked and touched, so they are locked and touched too.
    let mut host = Host::new(view, rack.most_state_words());
    warm(view, &call, &mut rack);
    let has_fifo = view.head().rights.load(Relaxed) & rights_bits::FIFO != 0;
    let mut sandbox = Sandbox::of_environment(view);
    sandbox.leave_files(view);
    rack.ready(has_fifo.then_some(view.header.worker_priority)).map_err(AttachError::NotReady)?;
    host.forget_assignments();
    death::arm(&view.head().death).map_err(AttachError::NoDeathNotice)?;
    sandbox.close(view);
    view.enter(stage::READY);
    while view.control().is_closing.load(Acquire) == 0 {
        // Acquire: whatever was stored before the bell was rung is visible (pairs with the engine's increment).
        let bell = view.control().bells[view.slot].word.load(Acquire);
        let turn = assert_no_alloc(|| host.turn(&mut rack));
        view.head().render_allocations.store(u64::from(violations()), Relaxed);
        match turn {
            Ok(true) => {}
            Ok(false) => {
                host.rest(&mut rack);
                if host.touch_some() {
                    continue;
                }
                let until_ns = assert_no_alloc(|| host.keep_up());
                wake::wait(&view.control().bells[view.slot].word, bell, until_ns);
            }
            Err(garbled) => {
                eprintln!("worker {}: {garbled}", view.slot);
                break;
            }
        }
    }
    view.enter(stage::LEFT);
    Ok(())
}

/// Allocations made inside the loop. In debug builds the first one aborts instead.
fn violations() -> u32 {
    #[cfg(debug_assertions)]
    return 0;
    #[cfg(not(debug_assertions))]
    assert_no_alloc::violation_count()
}

struct Host<'v> {
    view: &'v View,
    roster: Roster,
    scratch: Scratch,
    mirror: Mirror,
    mirrored_ns: u64,
    last_block: u32,
    moves_seen: u32,
    /// Newest block in which we have gone back to the one before.
    went_back_in: u32,
    /// How far the arenas have been touched, in words through all of them; `None` if they are.
    untouched: Option<usize>,
    /// Version of the roster that the rack knows.
    rested_at: (u32, u32),
}

impl<'v> Host<'v> {
    fn new(view: &'v View, state_words: usize) -> Self {
        Self {
            view,
            roster: Roster::with_room(),
            scratch: Scratch::with_room(state_words, view.header.block_frames as usize),
            mirror: Mirror::with_room(),
            mirrored_ns: 0,
            last_block: view.control().block.word.load(Acquire),
            moves_seen: view.control().moves.word.load(Acquire),
            went_back_in: NEVER,
            untouched: Some(0),
            rested_at: (0, 0),
        }
    }

    /// What was meant for a dead process in this slot is not for us.
    fn forget_assignments(&mut self) {
        let ring = &self.view.control().rings[self.view.slot];
        let head = &self.view.head().assignments_head.word;
        Consumer::<Assignment>::new(&ring.slots, &ring.tail.word, head).skip_all();
        self.last_block = self.view.control().block.word.load(Acquire);
    }

    /// Touches some more of the memory of others, if not all of it was; true if there may be more.
    fn touch_some(&mut self) -> bool {
        self.untouched = self.untouched.and_then(|at| self.view.touch_more(at));
        self.untouched.is_some()
    }

    /// Tells the rack if modules have come or gone since it rested last.
    fn rest(&mut self, rack: &mut impl Rack) {
        if std::mem::replace(&mut self.rested_at, self.roster.version()) != self.roster.version() {
            let modules = &self.roster.modules;
            rack.rest(&|instance| modules.iter().any(|mine| mine.record.instance == instance));
        }
    }

    /// Nothing else is to be done: copies some of what others have written into their lines, if it is time. Returns
    /// when to look again.
    fn keep_up(&mut self) -> u64 {
        let now_ns = now_ns();
        if now_ns >= self.mirrored_ns {
            let has_more = self.mirror.keep_up(self.view);
            self.mirrored_ns = now_ns
                + match (has_more, self.mirror.has_lines()) {
                    (true, _) => MIRROR_MORE_NS,
                    (false, true) => MIRROR_LOOK_NS,
                    (false, false) => IDLE_LOOK_NS,
                };
        }
        self.mirrored_ns
    }

    /// Answers assignments, then renders what is announced. True if there may be more to do at once.
    fn turn(&mut self, rack: &mut impl Rack) -> Result<bool, Garbled> {
        prepare::drain(self.view, rack, &mut self.scratch.state)?;
        // Acquire: pairs with the audio thread's announcement.
        let newest = self.view.control().block.word.load(Acquire);
        // Acquire: pairs with control's increment after it changed a place. A module may have moved here in the
        // middle of a block that we are through with.
        let moves = self.view.control().moves.word.load(Acquire);
        if newest == self.last_block && (moves == self.moves_seen || newest == NEVER) {
            return Ok(false);
        }
        // A block missed by one can still be made good: its inputs and events are kept.
        let before = block_before(newest);
        let next = if self.last_block == block_before(before) { before } else { newest };
        let may_go_back = next == newest && self.went_back_in != newest;
        if self.render_block(rack, next, may_go_back) {
            self.moves_seen = moves;
        }
        Ok(true)
    }

    /// True if it is through with the block; false if a module waits still for its input, or a plan changed meanwhile,
    /// so that the block must be looked at again even if it was called done before.
    fn render_block(&mut self, rack: &mut impl Rack, block: u32, may_go_back: bool) -> bool {
        let started_ns = now_ns();
        let mut waited_ns = 0;
        let outcome = match self.scratch.announced(self.view, block) {
            Some(announced) => render(
                self.view,
                rack,
                &mut self.roster,
                &mut self.scratch,
                &announced,
                may_go_back,
                &mut waited_ns,
            ),
            None => Err(Interruption::TooLate),
        };
        match outcome {
            Err(Interruption::LookAgain) => return false,
            Err(Interruption::Behind) => {
                self.went_back_in = block;
                self.last_block = block_before(block_before(block));
                return false;
            }
            Ok(()) | Err(Interruption::TooLate) => {}
        }
        self.last_block = block;
        let head = self.view.head();
        if outcome.is_ok() && !self.roster.modules.is_empty() {
            let busy_ns = (now_ns() - started_ns).saturating_sub(waited_ns).min(u64::from(u32::MAX)) as u32;
            head.busy_ns.store(busy_ns, Relaxed);
            head.busy_max_ns.fetch_max(busy_ns, Relaxed);
            head.blocks_rendered.fetch_add(1, Relaxed);
        }
        // Release: all commits of the block are stored before it is called done (pairs with the engine's wait).
        head.done.word.store(block, Release);
        wake::wake(&head.done.word);
        true
    }
}
