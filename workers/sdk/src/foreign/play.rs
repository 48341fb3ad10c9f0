//! One block of one module, cut where something happens to it. Real-time safe, as far as the author's code is.

use super::words::OwnWords;
use crate::c_api::functions::{Functions, Module, Stretch};
use crate::rack::Input;
use crate::source::MAX_INPUTS;
use backline_abi::block::Event;
use backline_abi::plan::ModuleRecord;

/// One block of one module.
pub struct Block<'a> {
    /// The module.
    pub record: &'a ModuleRecord,
    /// Sample rate.
    pub rate_hz: f32,
    /// Frames of the longest block.
    pub block_frames: usize,
    /// How many parameters its type has.
    pub params: usize,
    /// Our words and the author's, before the block; after it on return.
    pub state: &'a mut [u32],
    /// Inputs, then parameters.
    pub inputs: &'a [Input<'a>],
    /// Planes to fill.
    pub outputs: &'a mut [f32],
    /// Samples from one plane to the next, of inputs and outputs.
    pub stride: usize,
    /// Frames in this block.
    pub frames: usize,
    /// What happens, sorted by frame; what comes behind the last one counts for the next block.
    pub events: &'a [Event],
    /// Frames since the engine started.
    pub first_frame: u64,
}

/// Renders a block, stretch by stretch. The first code that is not 0 ends it, and comes back.
pub fn play(functions: &Functions, mut block: Block<'_>) -> i32 {
    block.outputs.fill(0.0);
    let (events, frames) = (block.events, block.frames);
    let mut start = 0;
    for event in events {
        let end = (event.offset_frames as usize).clamp(start, frames);
        if end > start {
            let code = stretch(functions, &mut block, start, end);
            if code != 0 {
                return code;
            }
            start = end;
        }
        OwnWords::split(block.state, block.params).0.happen(event);
    }
    if frames > start { stretch(functions, &mut block, start, frames) } else { 0 }
}

fn stretch(functions: &Functions, block: &mut Block<'_>, start: usize, end: usize) -> i32 {
    let (mut own, state) = OwnWords::split(block.state, block.params);
    let is_struck = own.take_struck();
    let mut inputs = [None; MAX_INPUTS];
    for (from_start, input) in inputs.iter_mut().zip(block.inputs) {
        *from_start = input.planes.and_then(|planes| planes.get(start..));
    }
    let module = Module {
        record: block.record,
        rate_hz: block.rate_hz,
        block_frames: block.block_frames,
        params: own.params(),
    };
    functions.render(Stretch {
        module,
        state,
        inputs: &inputs,
        outputs: &mut block.outputs[start..],
        stride: block.stride,
        frames: (start, end),
        is_open: own.is_open(),
        is_struck,
        velocity: own.velocity(),
        first_frame: block.first_frame,
    })
}
