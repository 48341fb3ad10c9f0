//! One block as the audio thread announces it: how many frames, until when, and what happens in it.

use crate::commit::NEVER;
use crate::layout::EVENTS_PER_BLOCK;
use crate::plan::MAX_PARAMS;
use crate::words::Record;
use bytemuck::{Pod, Zeroable};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

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
    /// Frames in the block before, 0 if there was none.
    pub frames_before: u32,
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
    reserved: [AtomicU32; 6],
    /// The first `header.events` are valid.
    pub events: [Record<Event, 4>; EVENTS_PER_BLOCK],
}

/// The last value of each parameter and the last gate of one cell's module, each with the block in which it came.
/// Written by the audio thread beside the events, for a module that has missed blocks: what happened in them is
/// not lost, it happens late.
#[repr(C)]
pub struct LatestCell {
    instance: AtomicU32,
    gate_block: AtomicU32,
    gate_kind: AtomicU32,
    gate_velocity: AtomicU32,
    param_blocks: [AtomicU32; MAX_PARAMS],
    params: [AtomicU32; MAX_PARAMS],
}

/// Events that a module can have missed at most: one a parameter, and a gate.
pub const MOST_MISSED: usize = MAX_PARAMS + 1;

impl LatestCell {
    /// `event` comes in `block`. Engine's audio thread only. Real-time safe.
    pub fn note(&self, event: &Event, block: u32) {
        if self.instance.swap(event.instance, Relaxed) != event.instance {
            self.gate_block.store(NEVER, Relaxed);
            self.param_blocks.iter().for_each(|since| since.store(NEVER, Relaxed));
        }
        let index = event.kind as usize;
        if let (Some(value), Some(since)) = (self.params.get(index), self.param_blocks.get(index)) {
            value.store(event.value.to_bits(), Relaxed);
            since.store(block, Relaxed);
        } else {
            self.gate_kind.store(event.kind, Relaxed);
            self.gate_velocity.store(event.value.to_bits(), Relaxed);
            self.gate_block.store(block, Relaxed);
        }
    }

    /// Calls `happen` with what came to `instance` after block `last` and before block `now`. Real-time safe.
    pub fn missed(&self, instance: u32, last: u32, now: u32, mut happen: impl FnMut(Event)) {
        if self.instance.load(Relaxed) != instance {
            return;
        }
        let is_missed = |since: &AtomicU32| {
            let since = since.load(Relaxed);
            // Both distances are short; a block that is not between the two is far away modulo 2^32.
            since != NEVER
                && since.wrapping_sub(last).wrapping_sub(1) < now.wrapping_sub(last).wrapping_sub(1)
        };
        for (index, (since, value)) in self.param_blocks.iter().zip(&self.params).enumerate() {
            if is_missed(since) {
                let value = f32::from_bits(value.load(Relaxed));
                happen(Event { instance, offset_frames: 0, kind: index as u32, value });
            }
        }
        if is_missed(&self.gate_block) {
            let value = f32::from_bits(self.gate_velocity.load(Relaxed));
            happen(Event { instance, offset_frames: 0, kind: self.gate_kind.load(Relaxed), value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(cell: &LatestCell, instance: u32, last: u32, now: u32) -> Vec<(u32, f32)> {
        let mut found = Vec::new();
        cell.missed(instance, last, now, |event| found.push((event.kind, event.value)));
        found
    }

    #[test]
    fn what_came_in_missed_blocks_comes_late_and_what_was_heard_does_not_come_again() {
        let cell: LatestCell = nothing_yet();
        let event = |kind, value| Event { instance: 7, offset_frames: 3, kind, value };
        cell.note(&event(2, 440.0), 10);
        cell.note(&event(kind::GATE_ON, 0.5), 12);
        cell.note(&event(kind::GATE_OFF, 0.0), 13);
        assert_eq!(missed(&cell, 7, 9, 20), [(2, 440.0), (kind::GATE_OFF, 0.0)]);
        assert_eq!(missed(&cell, 7, 10, 20), [(kind::GATE_OFF, 0.0)], "block 10 was heard");
        assert_eq!(missed(&cell, 7, 9, 13), [(2, 440.0)], "block 13 brings its own events");
        assert_eq!(missed(&cell, 8, 9, 20), [], "another module");
        cell.note(&Event { instance: 8, ..event(1, 1.0) }, 15);
        assert_eq!(missed(&cell, 8, 9, 20), [(1, 1.0)], "its predecessor's events are forgotten");
    }

    fn nothing_yet() -> LatestCell {
        LatestCell {
            instance: AtomicU32::new(0),
            gate_block: AtomicU32::new(0),
            gate_kind: AtomicU32::new(0),
            gate_velocity: AtomicU32::new(0),
            param_blocks: [const { AtomicU32::new(0) }; MAX_PARAMS],
            params: [const { AtomicU32::new(0) }; MAX_PARAMS],
        }
    }
}
