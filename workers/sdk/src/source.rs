//! What a module hears: wait for the commits of its sources, then sum its cables into private planes.

use crate::attach::View;
use crate::rack::Input;
use crate::roster::{Cable, Mine};
use backline_abi::cable::add_cable;
use backline_abi::commit::{self, block_before, next_block, parity};
use backline_abi::plan::{MAX_CHANNELS, MAX_PARAMS};
use backline_abi::wake::{WaitList, now_ns};
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed},
    fence,
};

/// Ports and parameters of one module that cables may enter.
pub const MAX_INPUTS: usize = 8 + MAX_PARAMS;

/// Longest sleep before looking again; whatever there is to see wakes us before. It is longer than the kernel's
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
    /// A module that came to us has not rendered the block before this one, which can still be made good.
    Behind,
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

    /// Waits for and sums everything `mine` hears in the block of `ear`. Real-time safe but for the wait.
    pub fn gather(
        &mut self,
        ear: &Ear<'_>,
        mine: &Mine,
        cables: &[Cable],
        waited_ns: &mut u64,
    ) -> Result<(), Interruption> {
        self.is_patched = [false; MAX_INPUTS];
        // A sink has two channels of its own: left and right.
        self.channels = (mine.record.channels as usize).clamp(1, MAX_CHANNELS);
        for cable in cables {
            self.add(ear, cable, waited_ns)?;
        }
        Ok(())
    }

    fn add(&mut self, ear: &Ear<'_>, cable: &Cable, waited_ns: &mut u64) -> Result<(), Interruption> {
        if cable.input >= MAX_INPUTS {
            return Ok(());
        }
        let outputs = ear.await_source(cable, waited_ns)?;
        let start = cable.input * self.channels * self.stride;
        let planes = &mut self.planes[start..start + self.channels * self.stride];
        if !std::mem::replace(&mut self.is_patched[cable.input], true) {
            planes.fill(0.0);
        }
        let stride = self.stride;
        add_cable(planes, stride, self.channels, ear.frames, cable.channels, cable.gain, |channel| {
            let plane = outputs.get((cable.first_plane + channel) * stride..).unwrap_or(&[]);
            plane.iter().map(|word| f32::from_bits(word.load(Relaxed)))
        });
        // Acquire fence: the samples above are read before the announcement is (pairs with the audio thread's).
        fence(Acquire);
        // Nobody writes over the outputs of N before N + 2 is announced, nor over those of N - 1 before N + 1.
        let allowed = if cable.is_feedback { 0 } else { 1 };
        if ear.blocks_behind() <= allowed { Ok(()) } else { Err(Interruption::TooLate) }
    }
}

/// Who listens, in which block, by which places.
pub struct Ear<'v> {
    /// Everything mapped.
    pub view: &'v View,
    /// The block.
    pub block: u32,
    /// Frames in it.
    pub frames: usize,
    /// Moves counted when the places were looked at last.
    pub moves: u32,
}

impl<'v> Ear<'v> {
    /// How many blocks have been announced after ours.
    fn blocks_behind(&self) -> u32 {
        // Acquire: pairs with the audio thread's announcement.
        self.view.control().block.word.load(Acquire).wrapping_sub(self.block)
    }

    /// The outputs of a source for our block. If it has not committed that, sleeps until it may have, or until a
    /// module has moved; then everything is to be looked at again.
    fn await_source(&self, cable: &Cable, waited_ns: &mut u64) -> Result<&'v [AtomicU32], Interruption> {
        let place = self.view.control().places[cable.source_cell].current();
        let arena = self.view.arenas().get(place.slot as usize).unwrap_or(self.view.own());
        let word = arena.commit_word(cable.source.commit).ok_or(Interruption::TooLate)?;
        let seen = commit::observe(word);
        let wanted = if cable.is_feedback { block_before(self.block) } else { self.block };
        let heard = if cable.is_feedback {
            commit::heard_back(seen.block, wanted)
        } else {
            (seen.block == wanted || seen.block == next_block(wanted)).then_some(wanted)
        };
        if let Some(heard) = heard.filter(|_| seen.lease == place.lease) {
            let start = cable.source.outputs[parity(heard)];
            return Ok(arena.words().get(start..start + cable.source.output_words).unwrap_or(&[]));
        }
        if self.blocks_behind() > 1 {
            return Err(Interruption::TooLate);
        }
        let started_ns = now_ns();
        let mut either = WaitList::<2>::new();
        either.add_commit(word, seen.pack());
        either.add(&self.view.control().moves.word, self.moves);
        either.wait(started_ns + LOOK_AGAIN_NS);
        *waited_ns += now_ns() - started_ns;
        Err(Interruption::LookAgain)
    }
}
