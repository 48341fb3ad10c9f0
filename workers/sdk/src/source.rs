//! What a module hears: wait for the commits of its sources, then sum its cables into private planes.

use crate::attach::View;
use crate::rack::Input;
use crate::roster::{Cable, Mine};
use backline_abi::cable::add_cable;
use backline_abi::commit::{self, NEVER, block_before, next_block, parity};
use backline_abi::plan::{MAX_CHANNELS, MAX_PARAMS};
use backline_abi::wake::{self, now_ns};
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed},
    fence,
};

/// Ports and parameters of one module that cables may enter.
pub const MAX_INPUTS: usize = 8 + MAX_PARAMS;

/// Longest sleep before looking again. A move of the source can slip in between looking and sleeping; control
/// wakes everybody again until it has arrived, so this is only the last resort. It is longer than the kernel's
/// tick, because the timer of a shorter sleep has to be programmed into the hardware and taken out again (two
/// exits to the hypervisor on a virtual machine: measured as 5 us a hop).
const LOOK_AGAIN_NS: u64 = 20_000_000;

/// Why rendering stops before a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// A place changed, or an assignment may be waiting: look at everything again, then go on.
    LookAgain,
    /// The audio thread is two blocks further: inputs of this block are being overwritten.
    TooLate,
}

/// Private planes for the inputs of one module.
pub struct Gathered {
    planes: Vec<f32>,
    is_patched: [bool; MAX_INPUTS],
    channels: usize,
    stride: usize,
}

impl Gathered {
    /// Room for blocks of `block_frames`.
    pub fn with_room(block_frames: usize) -> Self {
        let planes = vec![0.0; MAX_INPUTS * MAX_CHANNELS * block_frames];
        Self { planes, is_patched: [false; MAX_INPUTS], channels: 1, stride: block_frames }
    }

    /// The inputs as the rack wants them. Real-time safe.
    pub fn inputs(&self) -> [Input<'_>; MAX_INPUTS] {
        std::array::from_fn(|input| {
            let start = input * self.channels * self.stride;
            let planes = self.planes.get(start..start + self.channels * self.stride);
            Input { planes: planes.filter(|_| self.is_patched[input]), stride: self.stride }
        })
    }

    /// Waits for and sums everything `mine` hears in `block`. Real-time safe but for the wait.
    pub fn gather(
        &mut self,
        view: &View,
        mine: &Mine,
        cables: &[Cable],
        block: u32,
        frames: usize,
        waited_ns: &mut u64,
    ) -> Result<(), Interruption> {
        self.is_patched = [false; MAX_INPUTS];
        // A sink has two channels of its own: left and right.
        self.channels = (mine.record.channels as usize).clamp(1, MAX_CHANNELS);
        for cable in cables {
            self.add(view, cable, block, frames, waited_ns)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        view: &View,
        cable: &Cable,
        block: u32,
        frames: usize,
        waited_ns: &mut u64,
    ) -> Result<(), Interruption> {
        if cable.input >= MAX_INPUTS {
            return Ok(());
        }
        let outputs = await_source(view, cable, block, waited_ns)?;
        let start = cable.input * self.channels * self.stride;
        let planes = &mut self.planes[start..start + self.channels * self.stride];
        if !std::mem::replace(&mut self.is_patched[cable.input], true) {
            planes.fill(0.0);
        }
        let stride = self.stride;
        add_cable(planes, stride, self.channels, frames, cable.channels, cable.gain, |channel| {
            let plane = outputs.get((cable.first_plane + channel) * stride..).unwrap_or(&[]);
            plane.iter().map(|word| f32::from_bits(word.load(Relaxed)))
        });
        // Acquire fence: the samples above are read before the announcement is (pairs with the audio thread's).
        fence(Acquire);
        // Nobody writes over the outputs of N before N + 2 is announced, nor over those of N - 1 before N + 1.
        let allowed = if cable.is_feedback { 0 } else { 1 };
        if blocks_behind(view, block) <= allowed { Ok(()) } else { Err(Interruption::TooLate) }
    }
}

/// How many blocks have been announced after `block`.
fn blocks_behind(view: &View, block: u32) -> u32 {
    // Acquire: pairs with the audio thread's announcement.
    view.control().block.word.load(Acquire).wrapping_sub(block)
}

fn await_source<'a>(
    view: &'a View,
    cable: &Cable,
    block: u32,
    waited_ns: &mut u64,
) -> Result<&'a [AtomicU32], Interruption> {
    let place = view.control().places[cable.source_cell].current();
    let arena = view.arenas().get(place.slot as usize).unwrap_or(view.own());
    let word = arena.commit_word(cable.source.commit).ok_or(Interruption::TooLate)?;
    let seen = commit::observe(word);
    let wanted = if cable.is_feedback { block_before(block) } else { block };
    let has_it = if cable.is_feedback {
        // What closes a loop may be a block behind us, level with us, or new and silent.
        seen.block == wanted || seen.block == block || seen.block == NEVER
    } else {
        seen.block == wanted || seen.block == next_block(wanted)
    };
    if has_it && seen.lease == place.lease {
        let start = cable.source.outputs[parity(wanted)];
        return Ok(arena.words().get(start..start + cable.source.output_words).unwrap_or(&[]));
    }
    if blocks_behind(view, block) > 1 {
        return Err(Interruption::TooLate);
    }
    let started_ns = now_ns();
    wake::wait_commit(word, seen.pack(), started_ns + LOOK_AGAIN_NS);
    *waited_ns += now_ns() - started_ns;
    Err(Interruption::LookAgain)
}
