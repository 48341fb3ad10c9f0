//! What lies where. Fixed-width words, offsets asserted, one writer for every page.

use crate::block::{BlockCell, LatestCell};
use crate::complaint::ComplaintCell;
use crate::plan::{ModuleRecord, Place, PlanCell};
use crate::ring::RING_WORDS;
use crate::words::Record;
use bytemuck::{Pod, Zeroable};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// First word of both kinds of segment: "Backline" in ASCII.
pub const MAGIC: u64 = u64::from_le_bytes(*b"Backline");
/// Changes whenever anything in this crate's layout or its meaning does.
pub const ABI_VERSION: u32 = 5;
/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Worker slots an engine may have; one bit each in a set of slots.
pub const MAX_SLOTS: usize = 64;
/// Modules that may exist at one time.
pub const MAX_MODULES: usize = 1024;
/// Cables that may exist at one time.
pub const MAX_CONNECTIONS: usize = 4096;
/// Events in one block; what is beyond waits for the next one.
pub const EVENTS_PER_BLOCK: usize = 1024;
/// Announcements kept, so that a late worker can still read the block it missed.
pub const BLOCKS_KEPT: usize = 4;
/// Plan buffers: being written, pending, in force, and in force before that.
pub const PLANS_KEPT: usize = 4;
/// Module types a worker may report prices for.
pub const MAX_TYPES: usize = 256;
/// Frames of the longest block.
pub const MAX_BLOCK_FRAMES: usize = 1024;

/// Identity of a segment; both sides refuse to go on if a word differs.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`ABI_VERSION`].
    pub abi_version: u32,
    /// `size_of::<Control>()` of whoever wrote it.
    pub control_bytes: u32,
    /// `size_of::<ArenaHead>()` of whoever wrote it.
    pub arena_head_bytes: u32,
    /// Sample rate, Hz.
    pub rate_hz: u32,
    /// Frames of the longest block.
    pub block_frames: u32,
    /// Worker slots in use.
    pub slots: u32,
    /// Bytes of each arena.
    pub arena_bytes: u64,
    /// Process of the engine.
    pub engine_pid: u32,
    /// FIFO priority workers shall ask for; 0 for none.
    pub worker_priority: u32,
    /// Whether workers shall lock their memory.
    pub locks_memory: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// A word on a cache line of its own.
#[repr(C, align(64))]
pub struct Line32 {
    /// The word.
    pub word: AtomicU32,
    reserved: [AtomicU32; 15],
}

/// Engine's end of one worker's assignment ring.
#[repr(C, align(64))]
pub struct AssignmentRing {
    /// Records sent.
    pub tail: Line32,
    /// The records.
    pub slots: [AtomicU32; RING_WORDS],
}

/// The control segment. Written by the engine only.
#[repr(C, align(4096))]
pub struct Control {
    /// Identity.
    pub header: Record<Header, 16>,
    /// 1 once everybody shall leave.
    pub is_closing: AtomicU32,
    /// Words of each arena that modules have had so far: what is behind them a new worker need not have touched at once.
    pub arena_used_words: AtomicU32,
    reserved: [AtomicU32; 14],
    /// Last block announced.
    pub block: Line32,
    /// Counts every change of a place, so that a worker looks at all places only when one has changed.
    pub moves: Line32,
    /// For each slot a sum over the names and sizes of the module types that the engine means its worker to have: types
    /// are named by number, so both sides must mean the same.
    pub catalogues: [AtomicU64; MAX_SLOTS],
    reserved2: [AtomicU32; 832],
    /// One futex a worker: rung for a block or an assignment.
    pub bells: [Line32; MAX_SLOTS],
    /// Assignments.
    pub rings: [AssignmentRing; MAX_SLOTS],
    /// Announcements; block N is in `blocks[N % BLOCKS_KEPT]`.
    pub blocks: [BlockCell; BLOCKS_KEPT],
    /// Where each cell's module lives.
    pub places: [Place; MAX_MODULES],
    /// What each cell's module is.
    pub modules: [Record<ModuleRecord, 48>; MAX_MODULES],
    /// Plans.
    pub plans: [PlanCell; PLANS_KEPT],
    /// What each cell's module was told last.
    pub latest: [LatestCell; MAX_MODULES],
    /// Instance of each cell that is not rendered any more because it kills its workers: it fades to silence.
    pub bypassed: [AtomicU32; MAX_MODULES],
}

/// How far a worker has come. Stored in [`ArenaHead::stage`], in this order.
pub mod stage {
    /// No process yet.
    pub const EMPTY: u32 = 0;
    /// Segments mapped and their identity checked.
    pub const ATTACHED: u32 = 1;
    /// Priority, affinity and memory asked for and read back; all memory touched.
    pub const TOUCHED: u32 = 2;
    /// Rendering every module type once.
    pub const WARMING: u32 = 3;
    /// Waiting for work.
    pub const READY: u32 = 4;
    /// Left of its own accord.
    pub const LEFT: u32 = 5;
    /// Refused the segment; the reason is on its standard error.
    pub const REFUSED: u32 = 6;
}

/// What a worker obtained of what it asked for, as bits of [`ArenaHead::rights`].
pub mod rights_bits {
    /// FIFO priority.
    pub const FIFO: u32 = 1;
    /// All memory locked.
    pub const LOCKED: u32 = 2;
    /// Pinned to its core and read back.
    pub const PINNED: u32 = 4;
}

/// What of a sandbox a worker is in, as bits of [`ArenaHead::sandbox`]; 0 for none.
pub mod sandbox_bits {
    /// Nothing it executes can give it more rights.
    pub const NO_NEW_PRIVS: u32 = 1;
    /// No more processes, descriptors, core dumps, or memory than its kind may take.
    pub const RLIMITS: u32 = 2;
    /// It opens no file.
    pub const LANDLOCK: u32 = 4;
    /// It makes no system call that a renderer does not need.
    pub const SECCOMP: u32 = 8;
    /// It cannot make memory of others writable.
    pub const SEALED: u32 = 16;
    /// All of them, as they are called.
    pub const NAMES: [(u32, &str); 5] = [
        (NO_NEW_PRIVS, "no_new_privs"),
        (RLIMITS, "rlimits"),
        (LANDLOCK, "landlock"),
        (SECCOMP, "seccomp"),
        (SEALED, "sealed"),
    ];
}

/// First pages of an arena: what a worker tells about itself. Written by the worker only.
#[repr(C, align(4096))]
pub struct ArenaHead {
    /// [`MAGIC`], stored last when attaching.
    pub magic: AtomicU64,
    /// [`ABI_VERSION`] of the worker.
    pub abi_version: AtomicU32,
    /// Process.
    pub pid: AtomicU32,
    /// One of [`stage`]; a futex for whoever waits for the worker.
    pub stage: AtomicU32,
    /// Module types rendered so far while warming.
    pub warmed_types: AtomicU32,
    /// Bits of [`rights_bits`].
    pub rights: AtomicU32,
    /// Core read back from the kernel.
    pub core: AtomicU32,
    /// Blocks in which it had something to render.
    pub blocks_rendered: AtomicU64,
    /// Modules that missed at least one block because it came too late.
    pub modules_skipped: AtomicU64,
    /// Modules taken over from another place.
    pub modules_adopted: AtomicU64,
    /// Allocations seen while rendering; any is a defect.
    pub render_allocations: AtomicU64,
    /// Blocks of modules silenced because they were not finite.
    pub silenced_blocks: AtomicU64,
    /// Time spent in the last block, without waiting for inputs, ns.
    pub busy_ns: AtomicU32,
    /// Longest such time since ready, ns.
    pub busy_max_ns: AtomicU32,
    /// Instance being rendered, 0 between modules: who is to blame if the process dies now.
    pub rendering: AtomicU32,
    /// Last word of a worker that died of a fault ([`crate::crash::CrashWord`]), 0 while it lives.
    pub crash: AtomicU32,
    /// The death notice: who lives here, and that he is dead once the kernel says so ([`crate::death`]).
    pub death: AtomicU32,
    /// System calls that its sandbox has refused.
    pub refused_calls: AtomicU32,
    /// When a module was last taken over into this arena, monotonic ns.
    pub adopted_ns: AtomicU64,
    /// When such a module was first rendered here, monotonic ns.
    pub replayed_ns: AtomicU64,
    /// The last of them ([`crate::refused::RefusedCall`]); says nothing while there was none.
    pub refused_call: AtomicU32,
    /// Bits of [`sandbox_bits`].
    pub sandbox: AtomicU32,
    /// Last block in which everything assigned here was rendered; a futex for a free-running engine.
    pub done: Line32,
    /// Assignments taken from [`AssignmentRing`].
    pub assignments_head: Line32,
    /// Replies sent; a futex for the engine's control thread.
    pub replies_tail: Line32,
    /// Nanoseconds a frame and channel of each module type, measured while warming, as `f32` bits.
    pub prices: [AtomicU32; MAX_TYPES],
    /// Replies to assignments.
    pub replies: [AtomicU32; RING_WORDS],
    /// What the last module said that could not render its block.
    pub complaint: ComplaintCell,
}

/// What an assignment asks for; [`Assignment::kind`].
pub mod assignment {
    /// Set up the module of `cell` under `lease`, so that it can play in the next block.
    pub const PREPARE: u32 = 1;
    /// Answer, nothing else.
    pub const PING: u32 = 2;
}

/// One record of an assignment ring.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Assignment {
    /// One of [`assignment`].
    pub kind: u32,
    /// Comes back in the answer.
    pub ticket: u32,
    /// Cell of the module.
    pub cell: u32,
    /// Instance of the module.
    pub instance: u32,
    /// Lease under which it will commit.
    pub lease: u32,
    /// Zero.
    pub reserved: [u32; 11],
}

/// What a worker answers; [`Answer::status`].
pub mod status {
    /// Done.
    pub const DONE: u32 = 1;
    /// The record of the module does not fit this worker's catalogue or arena.
    pub const UNFIT: u32 = 2;
    /// An assignment of unknown kind.
    pub const UNKNOWN: u32 = 3;
}

/// One record of a reply ring.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Answer {
    /// Of the assignment.
    pub ticket: u32,
    /// One of [`status`].
    pub status: u32,
    /// When the worker took the assignment, monotonic ns.
    pub taken_ns: u64,
    /// When it was done, monotonic ns.
    pub done_ns: u64,
    /// Zero.
    pub reserved: [u32; 10],
}

/// First word of module memory in an arena.
pub const ARENA_HEAP_WORDS: usize = size_of::<ArenaHead>() / 4;

const _: () = {
    assert!(size_of::<Header>() == 64);
    assert!(size_of::<Assignment>() == 64 && size_of::<Answer>() == 64);
    assert!(size_of::<Line32>() == 64);
    assert!(offset_of!(Control, header) == 0);
    assert!(offset_of!(Control, is_closing) == 64);
    assert!(offset_of!(Control, block) == 128);
    assert!(offset_of!(Control, moves) == 192);
    assert!(offset_of!(Control, catalogues) == 256);
    assert!(offset_of!(Control, bells) == 4096);
    assert!(offset_of!(Control, rings) == 8192);
    assert!(offset_of!(Control, blocks) == 274_432);
    assert!(offset_of!(Control, places) == 340_224);
    assert!(offset_of!(Control, modules) == 364_800);
    assert!(offset_of!(Control, plans) == 561_408);
    assert!(offset_of!(Control, latest) == 1_085_952);
    assert!(offset_of!(Control, bypassed) == 1_364_480);
    assert!(offset_of!(ArenaHead, magic) == 0);
    assert!(offset_of!(ArenaHead, abi_version) == 8);
    assert!(offset_of!(ArenaHead, pid) == 12);
    assert!(offset_of!(ArenaHead, stage) == 16);
    assert!(offset_of!(ArenaHead, warmed_types) == 20);
    assert!(offset_of!(ArenaHead, rights) == 24);
    assert!(offset_of!(ArenaHead, core) == 28);
    assert!(offset_of!(ArenaHead, blocks_rendered) == 32);
    assert!(offset_of!(ArenaHead, busy_ns) == 72);
    assert!(offset_of!(ArenaHead, rendering) == 80);
    assert!(offset_of!(ArenaHead, crash) == 84);
    assert!(offset_of!(ArenaHead, death) == 88);
    assert!(offset_of!(ArenaHead, refused_calls) == 92);
    assert!(offset_of!(ArenaHead, adopted_ns) == 96);
    assert!(offset_of!(ArenaHead, replayed_ns) == 104);
    assert!(offset_of!(ArenaHead, refused_call) == 112);
    assert!(offset_of!(ArenaHead, sandbox) == 116);
    assert!(offset_of!(ArenaHead, done) == 128);
    assert!(offset_of!(ArenaHead, assignments_head) == 192);
    assert!(offset_of!(ArenaHead, replies_tail) == 256);
    assert!(offset_of!(ArenaHead, prices) == 320);
    assert!(offset_of!(ArenaHead, replies) == 1344);
    assert!(offset_of!(ArenaHead, complaint) == 1344 + RING_WORDS * 4);
    assert!(size_of::<Control>().is_multiple_of(PAGE));
    assert!(size_of::<ArenaHead>().is_multiple_of(PAGE));
};

/// A module's memory in an arena, from its record: offsets in words from the arena's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleMemory {
    /// The commit word, on a cache line of its own.
    pub commit: usize,
    /// Two copies of the outputs.
    pub outputs: [usize; 2],
    /// Words of one copy of the outputs.
    pub output_words: usize,
    /// Two copies of the state.
    pub states: [usize; 2],
    /// Words of one copy of the state.
    pub state_words: usize,
    /// The line.
    pub line: usize,
    /// Words of the line.
    pub line_words: usize,
    /// Whose line the stamps are about: an instance.
    pub line_owner: usize,
    /// The block in which the line is being written; 0 for none. Chunks with its stamp are not whole.
    pub line_block: usize,
    /// For each [`LINE_CHUNK_WORDS`] of the line the block that was written there last; 0 for never.
    pub stamps: usize,
    /// How many.
    pub stamp_words: usize,
    /// First word behind it.
    pub end: usize,
}

/// Samples of a line that have a stamp in common.
pub const LINE_CHUNK_WORDS: usize = 256;

/// Words of a cache line.
const LINE_WORDS: usize = 16;

impl ModuleMemory {
    /// Where everything of a module lies, or `None` if it is not inside an arena of `arena_words` or its
    /// numbers are absurd. Nothing of a record is used as an offset but through here.
    pub fn of(record: &ModuleRecord, block_frames: usize, arena_words: usize) -> Option<Self> {
        let start = record.memory_start as usize;
        if !start.is_multiple_of(LINE_WORDS) || start < ARENA_HEAP_WORDS || block_frames > MAX_BLOCK_FRAMES {
            return None;
        }
        let output_words = (record.output_planes as usize).checked_mul(block_frames)?;
        let state_words = record.state_words as usize;
        let line_words = record.line_words as usize;
        let round = |words: usize| words.checked_next_multiple_of(LINE_WORDS);
        let outputs = start + LINE_WORDS;
        let states = outputs.checked_add(round(output_words)?.checked_mul(2)?)?;
        let line = states.checked_add(round(state_words)?.checked_mul(2)?)?;
        let line_owner = line.checked_add(round(line_words)?)?;
        let stamp_words = line_words.div_ceil(LINE_CHUNK_WORDS);
        let has_line = usize::from(line_words > 0);
        let stamps = line_owner.checked_add(LINE_WORDS * has_line)?;
        let end = stamps.checked_add(round(stamp_words)?)?;
        (end <= arena_words).then_some(Self {
            commit: start,
            outputs: [outputs, outputs + round(output_words)?],
            output_words,
            states: [states, states + round(state_words)?],
            state_words,
            line,
            line_words,
            line_owner,
            line_block: line_owner + has_line,
            stamps,
            stamp_words,
            end,
        })
    }
}
