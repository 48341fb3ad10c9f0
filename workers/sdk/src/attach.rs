//! Step 5a: a new process finds its place. In: the command line the engine gave it. Out: a [`View`] of all
//! segments, its own arena writable and everything else read-only. Refused: a segment of another build, a
//! parent that is gone.

use backline_abi::layout::{
    ABI_VERSION, ARENA_HEAP_WORDS, ArenaHead, Control, Header, MAGIC, MAX_BLOCK_FRAMES, MAX_SLOTS, stage,
};
use backline_abi::rights;
use backline_abi::segment::{Segment, SegmentError};
use backline_abi::wake;
use std::ops::Range;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// What is touched at once behind what is in use: room for modules that are created meanwhile, 1 MiB.
const TOUCHED_AHEAD_WORDS: usize = 256 * 1024;
/// What is touched between two looks at the bell: a tenth of a millisecond or two, 1 MiB.
const TOUCHED_AT_A_TIME_WORDS: usize = 256 * 1024;

/// Why a worker cannot join.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Started by hand, or with a wrong command line.
    #[error("usage: {}", AttachError::USAGE)]
    Usage,
    /// A segment could not be mapped.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Engine and worker were built apart.
    #[error("worker speaks {what} {worker}, engine {engine}; rebuild both: cargo build --workspace")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// Ours.
        worker: u64,
        /// Theirs.
        engine: u64,
    },
    /// The engine died before we were ready.
    #[error("no engine to work for")]
    NoEngine(#[source] std::io::Error),
    /// The kernel would not tell our death.
    #[error("the kernel refuses the death notice (set_robust_list); a sandbox may forbid it")]
    NoDeathNotice(#[source] std::io::Error),
    /// The rack says why.
    #[error("the worker cannot play: {0}")]
    NotReady(String),
}

impl AttachError {
    /// The command line of a worker.
    pub const USAGE: &'static str = "NAME SLOT CORE ENGINE_PID (workers are started by `backline run`)";
}

/// What the engine tells a worker on its command line.
#[derive(Debug, Clone)]
pub struct Call {
    /// Name of the control segment; arena i is `{name}-{i}`.
    pub name: String,
    /// Which slot we are in.
    pub slot: usize,
    /// Core to pin to.
    pub core: usize,
    /// Process that must be our parent.
    pub engine_pid: u32,
}

impl Call {
    /// Reads `NAME SLOT CORE ENGINE_PID`.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, AttachError> {
        let mut next = || args.next().ok_or(AttachError::Usage);
        let number = |text: String| text.parse::<u32>().map_err(|_| AttachError::Usage);
        let call = Self {
            name: next()?,
            slot: number(next()?)? as usize,
            core: number(next()?)? as usize,
            engine_pid: number(next()?)?,
        };
        if call.slot < MAX_SLOTS { Ok(call) } else { Err(AttachError::Usage) }
    }
}

/// Everything a worker maps.
pub struct View {
    /// Which arena is ours.
    pub slot: usize,
    /// Identity of the engine's segment, checked.
    pub header: Header,
    control: Segment,
    arenas: Vec<Segment>,
}

impl View {
    /// The control segment. Real-time safe.
    pub fn control(&self) -> &Control {
        self.control.control().expect("size was checked when attaching")
    }

    /// All arenas, by slot. Real-time safe.
    pub fn arenas(&self) -> &[Segment] {
        &self.arenas
    }

    /// Our own arena. Real-time safe.
    pub fn own(&self) -> &Segment {
        &self.arenas[self.slot]
    }

    /// Our own arena's head. Real-time safe.
    pub fn head(&self) -> &ArenaHead {
        self.own().arena_head().expect("size was checked when attaching")
    }

    /// Name of the control segment, which the arenas' names begin with.
    pub fn name(&self) -> &str {
        self.control.name()
    }

    /// Our mappings are what they are, from now on and whatever a module does.
    pub fn seal(&self) -> std::io::Result<()> {
        self.control.seal()?;
        self.arenas.iter().try_for_each(Segment::seal)
    }

    /// Tells whoever waits how far we are.
    pub fn enter(&self, stage: u32) {
        self.head().stage.store(stage, Release);
        wake::wake(&self.head().stage);
    }

    /// Touches every page that is in use, our own for writing, so that later accesses fault no more. The rest is
    /// [`View::touch_more`]'s.
    pub fn touch(&self) {
        std::hint::black_box(self.control.touch());
        let used = self.control().arena_used_words.load(Relaxed) as usize;
        let used = used.max(ARENA_HEAP_WORDS) + TOUCHED_AHEAD_WORDS;
        (0..self.arenas.len()).for_each(|slot| self.touch_arena(slot, 0..used));
    }

    fn touch_arena(&self, slot: usize, words: Range<usize>) {
        if slot == self.slot {
            self.own().touch_part_for_writing(words);
        } else {
            std::hint::black_box(self.arenas[slot].touch_part(words));
        }
    }

    /// Touches some of what modules may use one day, from `at` on (words, through all arenas); where to go on, `None` at the
    /// end.
    pub fn touch_more(&self, at: usize) -> Option<usize> {
        let arena_words = self.own().words().len().max(1);
        let (turn, start) = (at / arena_words, at % arena_words);
        if turn >= self.arenas.len() {
            return None;
        }
        // Our own first: that is where a create needs it.
        let slot = (self.slot + turn) % self.arenas.len();
        self.touch_arena(slot, start..start + TOUCHED_AT_A_TIME_WORDS);
        Some((at + TOUCHED_AT_A_TIME_WORDS).min((at / arena_words + 1) * arena_words))
    }
}

fn same(what: &'static str, worker: u64, engine: u64) -> Result<(), AttachError> {
    if worker == engine { Ok(()) } else { Err(AttachError::Mismatch { what, worker, engine }) }
}

fn check(header: &Header) -> Result<(), AttachError> {
    same("segment magic", MAGIC, header.magic)?;
    same("segment version", ABI_VERSION.into(), header.abi_version.into())?;
    same("control segment size", size_of::<Control>() as u64, header.control_bytes.into())?;
    same("arena head size", size_of::<ArenaHead>() as u64, header.arena_head_bytes.into())?;
    same(
        "block limit",
        header.block_frames.clamp(1, MAX_BLOCK_FRAMES as u32).into(),
        header.block_frames.into(),
    )?;
    same("slot limit", header.slots.clamp(1, MAX_SLOTS as u32).into(), header.slots.into())
}

/// Joins the engine that `call` names. `fingerprint` is the rack's.
pub fn attach(call: &Call, fingerprint: u64) -> Result<View, AttachError> {
    rights::die_with_parent(call.engine_pid).map_err(AttachError::NoEngine)?;
    if let Err(cause) = rights::leave_no_core_dump() {
        eprintln!("worker {}: a crash will be noticed late, because it dumps core: {cause}", call.slot);
    }
    let control = Segment::open(&call.name)?;
    control.protect()?;
    let header = control.control()?.header.load();
    check(&header)?;
    // Relaxed: the engine stores it before it starts us.
    let meant = control.control()?.catalogues[call.slot].load(Relaxed);
    same("module catalogue", fingerprint, meant)?;
    let arenas = (0..header.slots as usize)
        .map(|slot| open_arena(&call.name, slot, slot == call.slot))
        .collect::<Result<Vec<_>, _>>()?;
    // All arenas are mirrors: what is inside ours is inside every other.
    arenas.iter().try_for_each(|arena| same("arena size", arena.bytes() as u64, header.arena_bytes))?;
    if call.slot >= arenas.len() {
        return Err(AttachError::Usage);
    }
    let view = View { slot: call.slot, header, control, arenas };
    let head = view.head();
    // A dead predecessor in this slot may have left `READY` here; it must not be read beside our pid.
    head.stage.store(stage::EMPTY, Release);
    // Nor is what it was rendering, and died of, ours.
    head.rendering.store(0, Relaxed);
    head.crash.store(0, Relaxed);
    // Nor its sandbox, and what that has refused.
    head.sandbox.store(0, Relaxed);
    head.refused_calls.store(0, Relaxed);
    head.refused_call.store(0, Relaxed);
    head.pid.store(std::process::id(), Release);
    head.abi_version.store(ABI_VERSION, Relaxed);
    head.magic.store(MAGIC, Release);
    view.enter(stage::ATTACHED);
    Ok(view)
}

fn open_arena(name: &str, slot: usize, is_own: bool) -> Result<Segment, SegmentError> {
    let arena = Segment::open(&format!("{name}-{slot}"))?;
    arena.arena_head()?;
    if !is_own {
        arena.protect()?;
    }
    Ok(arena)
}
