//! One block of one module, cut where events fall: the piece of code that a worker process and the in-process
//! render share, so that both play the same.

use crate::catalogue::{CATALOGUE, Entry};
use crate::line::Line;
use crate::module::{Happening, Input, Io};

/// One block of one module.
pub struct Block<'a> {
    /// Ports, then parameters.
    pub inputs: &'a [Input<'a>],
    /// Output planes, `stride` samples each.
    pub outputs: &'a mut [f32],
    /// Samples from one output plane to the next.
    pub stride: usize,
    /// Channels of the module, see [`Entry::channels`].
    pub channels: usize,
    /// Frames in the block.
    pub frames: usize,
    /// The module's delay memory.
    pub line: Line<'a>,
}

impl Entry {
    /// Channels a module of this type has when `asked` were asked for; a sink has two, left and right.
    pub fn channels(&self, asked: usize) -> usize {
        if self.panel.is_sink { 2 } else { asked.clamp(1, crate::module::MAX_CHANNELS) }
    }

    /// Output planes of a module with `channels`.
    pub fn output_planes(&self, channels: usize) -> usize {
        if self.panel.is_sink { 2 } else { self.panel.outputs.len() * channels }
    }

    /// Renders one block: up to each happening, the happening, and on. `happenings` are (frame, what), sorted
    /// by frame; one behind the block's end counts for its last frame's end. Real-time safe.
    pub fn play(
        &self,
        state: &mut [u32],
        happenings: impl Iterator<Item = (usize, Happening)>,
        block: Block<'_>,
    ) {
        let Block { inputs, outputs, stride, channels, frames, line } = block;
        let mut start = 0;
        for (frame, happening) in happenings {
            let end = frame.clamp(start, frames);
            if end > start {
                (self.render)(state, &mut Io::new(inputs, outputs, stride, channels, (start, end), line));
                start = end;
            }
            (self.happen)(state, happening);
        }
        if frames > start {
            (self.render)(state, &mut Io::new(inputs, outputs, stride, channels, (start, frames), line));
        }
    }
}

/// A number that differs between catalogues that differ in names, order or state sizes (FNV-1a).
pub fn fingerprint() -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = OFFSET;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    for entry in CATALOGUE {
        entry.panel.name.bytes().for_each(&mut add);
        entry.state_words.to_le_bytes().into_iter().for_each(&mut add);
        for param in entry.panel.params {
            param.name.bytes().for_each(&mut add);
        }
        for port in entry.panel.inputs.iter().chain(entry.panel.outputs) {
            port.name.bytes().for_each(&mut add);
        }
    }
    hash
}
