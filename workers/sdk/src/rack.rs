//! The module types of a worker, as the worker loop sees them.

use backline_abi::block::Event;
use backline_abi::complaint::Complaint;
use backline_abi::panel::Panel;
use backline_abi::plan::ModuleRecord;
use std::sync::atomic::AtomicU32;

/// One input of a module for a block: planes of samples, channel `c` from `c * stride`.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// `None` where no cable is.
    pub planes: Option<&'a [f32]>,
    /// Samples from one channel to the next.
    pub stride: usize,
}

/// One block of one module. All slices are private memory, except `line`, which is the module's own.
pub struct Job<'a> {
    /// What the module is.
    pub record: &'a ModuleRecord,
    /// Its state before the block; after it on return.
    pub state: &'a mut [u32],
    /// Ports, then parameters.
    pub inputs: &'a [Input<'a>],
    /// Output planes, `stride` samples each, to fill.
    pub outputs: &'a mut [f32],
    /// Samples from one output plane to the next.
    pub stride: usize,
    /// Frames in this block, 1..=stride.
    pub frames: usize,
    /// What happens to the module in this block, sorted by frame.
    pub events: &'a [Event],
    /// Its delay memory.
    pub line: &'a [AtomicU32],
    /// One word for each [`backline_abi::layout::LINE_CHUNK_WORDS`] of it: whoever writes there stores `block` first.
    pub stamps: &'a [AtomicU32],
    /// The block.
    pub block: u32,
    /// Frames since the engine started, of the first frame.
    pub first_frame: u64,
    /// No deadline: the engine waits for the block however long it takes.
    pub is_free_running: bool,
    /// What it has to say if it fails.
    pub complaint: &'a mut Complaint,
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Outputs and state are those after the block.
    Rendered,
    /// It could not be rendered, whatever stands in outputs and state: the block is concealed by a ramp, the state stays as
    /// it was before, and the complaint is told.
    Failed,
    /// The same, but nothing is told: it was told already, or is nobody's fault.
    Concealed,
}

/// The module types of a worker. A type is its row number in [`Rack::types`].
pub trait Rack {
    /// Number of types.
    fn types(&self) -> usize;

    /// What each type is, for an engine that does not know it already.
    fn panels(&self) -> Vec<Panel> {
        Vec::new()
    }

    /// Words of the largest state of any type.
    fn most_state_words(&self) -> usize {
        4_096
    }

    /// A number that differs between catalogues that differ: names and sizes of all types.
    fn fingerprint(&self) -> u64;

    /// Renders type `type_index` for a while and returns what a frame of one channel costs, in ns. May
    /// allocate: it is called before `ready`.
    fn warm(&mut self, type_index: usize, rate_hz: f32, block_frames: usize) -> f32;

    /// Every type is warm, and the render thread has FIFO `priority` if any. Whoever needs threads of his own makes them now.
    /// `Err` says why this worker cannot play. May allocate.
    fn ready(&mut self, _priority: Option<u32>) -> Result<(), String> {
        Ok(())
    }

    /// Whether sizes in `record` are what this type needs. Real-time safe.
    fn fits(&self, record: &ModuleRecord, rate_hz: f32) -> bool;

    /// Writes the state before the first frame. Real-time safe.
    fn init(&mut self, record: &ModuleRecord, rate_hz: f32, state: &mut [u32]);

    /// Renders one block. Real-time safe.
    fn render(&mut self, job: Job<'_>) -> Outcome;

    /// These events come without a block: that one failed and `state` is what it was before, or nobody rendered it. They
    /// happen to the module now. Real-time safe.
    fn hear(&mut self, record: &ModuleRecord, events: &[Event], state: &mut [u32]);

    /// Modules have come or gone, and nothing is to be done for now; `plays` tells whether an instance is one of ours. A
    /// rack that keeps private memory for each lets go of the others here. May allocate; whoever waits is the next block.
    fn rest(&mut self, _plays: &dyn Fn(u32) -> bool) {}
}
