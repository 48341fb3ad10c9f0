//! One block as the audio thread announces it: how many frames, until when, and what happens in it.

use crate::layout::EVENTS_PER_BLOCK;
use crate::words::Record;
use bytemuck::{Pod, Zeroable};

/// Announcement of one block.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct BlockHeader {
    /// Number of the block; a reader that finds another one here came too late.
    pub block: u32,
    /// Frames in it, 1..=block size.
    pub frames: u32,
    /// Version of the plan it is rendered by.
    pub plan_version: u32,
    /// Buffer that holds the plan.
    pub plan_buffer: u32,
    /// Events in it.
    pub events: u32,
    /// Zero.
    pub reserved: u32,
    /// When the audio thread stops waiting, monotonic nanoseconds; `u64::MAX` when free-running.
    pub deadline_ns: u64,
    /// Frames since the engine started, of the first frame.
    pub first_frame: u64,
}

/// What happens.
pub mod kind {
    /// A gate opens or is struck again; the value is the velocity.
    pub const GATE_ON: u32 = 0x100;
    /// The gate closes.
    pub const GATE_OFF: u32 = 0x101;
}

/// One event: something happens to one module just before one frame. Below [`kind::GATE_ON`], `kind` is the
/// index of a parameter.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct Event {
    /// Module.
    pub instance: u32,
    /// Frame in the block, 0..frames.
    pub offset_frames: u32,
    /// Parameter index, or one of [`kind`].
    pub kind: u32,
    /// New value or velocity.
    pub value: f32,
}

/// A block in shared memory, with its events sorted by (instance, offset).
#[repr(C)]
pub struct BlockCell {
    /// The announcement.
    pub header: Record<BlockHeader, 10>,
    reserved: [std::sync::atomic::AtomicU32; 6],
    /// The first `header.events` are valid.
    pub events: [Record<Event, 4>; EVENTS_PER_BLOCK],
}
