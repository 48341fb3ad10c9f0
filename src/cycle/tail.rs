//! What is heard of a sink that is suddenly silent: a short ramp from where it was, never a repeated block and
//! never a jump. Counted in frames, so it sounds the same at every block size.

use super::handoff::Sink;
use backline_abi::layout::MAX_MODULES;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Frames in which what is missing fades out: long enough not to click loudly, not longer than a common block.
pub const RAMP_FRAMES: usize = 64;

/// The last frame heard of each sink, and the ramps in progress.
pub struct Tails {
    /// Last frame by cell, with the instance it belongs to.
    last: Box<[(u32, [f32; 2])]>,
    ramps: Vec<Ramp>,
}

#[derive(Clone, Copy)]
struct Ramp {
    from: [f32; 2],
    frames_left: usize,
}

/// Ramps that may be in progress at one time; beyond it the oldest is cut short.
const MAX_RAMPS: usize = 64;

impl Default for Tails {
    fn default() -> Self {
        Self::new()
    }
}

impl Tails {
    /// Nothing heard yet.
    pub fn new() -> Self {
        Self { last: vec![(0, [0.0; 2]); MAX_MODULES].into(), ramps: Vec::with_capacity(MAX_RAMPS) }
    }

    /// Adds a sink's two `planes` (`stride` apart) to interleaved `out`; returns the samples that were not
    /// finite and count as silence, so that one sink cannot spoil the others. Real-time safe.
    pub fn mix(&mut self, sink: &Sink, planes: &[AtomicU32], stride: usize, out: &mut [f32]) -> u64 {
        let (Some(left), Some(right)) = (planes.get(..stride), planes.get(stride..2 * stride)) else {
            return 0;
        };
        let mut silenced = 0;
        let mut sane = |word: &AtomicU32| {
            let sample = f32::from_bits(word.load(Relaxed));
            silenced += u64::from(!sample.is_finite());
            if sample.is_finite() { sample } else { 0.0 }
        };
        let mut heard = [0.0; 2];
        for (frame, (left, right)) in out.chunks_exact_mut(2).zip(left.iter().zip(right)) {
            heard = [sane(left), sane(right)];
            frame[0] += heard[0];
            frame[1] += heard[1];
        }
        if let Some(last) = self.last.get_mut(sink.cell as usize) {
            *last = (sink.instance, heard);
        }
        silenced
    }

    /// A sink has nothing for this block: it fades from its last frame. Real-time safe.
    pub fn conceal(&mut self, sink: &Sink) {
        let Some(last) = self.last.get_mut(sink.cell as usize) else { return };
        let (instance, from) = std::mem::replace(last, (0, [0.0; 2]));
        if instance == sink.instance && from != [0.0; 2] {
            if self.ramps.len() == MAX_RAMPS {
                self.ramps.remove(0);
            }
            self.ramps.push(Ramp { from, frames_left: RAMP_FRAMES });
        }
    }

    /// The plan has changed: sinks that are gone fade out. Real-time safe.
    pub fn adopt(&mut self, old: &[Sink], new: &[Sink]) {
        let still_there = |sink: &&Sink| new.iter().any(|other| other.instance == sink.instance);
        for gone in old.iter().filter(|sink| !still_there(sink)) {
            self.conceal(gone);
        }
    }

    /// Adds the ramps in progress to interleaved `out`. Real-time safe.
    pub fn ramp_down(&mut self, out: &mut [f32]) {
        for ramp in &mut self.ramps {
            for frame in out.chunks_exact_mut(2).take(ramp.frames_left) {
                ramp.frames_left -= 1;
                let gain = ramp.frames_left as f32 / RAMP_FRAMES as f32;
                frame[0] += ramp.from[0] * gain;
                frame[1] += ramp.from[1] * gain;
            }
        }
        self.ramps.retain(|ramp| ramp.frames_left > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backline_abi::layout::ModuleMemory;

    fn sink() -> Sink {
        let memory = ModuleMemory {
            commit: 0,
            outputs: [0; 2],
            output_words: 0,
            states: [0; 2],
            state_words: 0,
            line: 0,
            line_words: 0,
            line_owner: 0,
            line_block: 0,
            stamps: 0,
            stamp_words: 0,
            end: 0,
        };
        Sink { cell: 3, instance: 9, memory }
    }

    fn fade_in_blocks_of(frames: usize) -> Vec<f32> {
        let planes: Vec<AtomicU32> = (0..2 * frames).map(|_| AtomicU32::new(0.8_f32.to_bits())).collect();
        let mut tails = Tails::new();
        let mut out = vec![0.0; 2 * frames];
        tails.mix(&sink(), &planes, frames, &mut out);
        tails.conceal(&sink());
        let mut heard = Vec::new();
        while heard.len() < 256 {
            out.fill(0.0);
            tails.ramp_down(&mut out);
            heard.extend_from_slice(&out);
        }
        heard.truncate(256);
        heard
    }

    #[test]
    fn what_is_missing_fades_without_a_jump_and_alike_at_every_block_size() {
        let fade = fade_in_blocks_of(128);
        let mut before = 0.8;
        for frame in fade.chunks_exact(2) {
            assert!(frame[0] <= before && before - frame[0] <= 0.8 / RAMP_FRAMES as f32 + 1e-6);
            before = frame[0];
        }
        assert_eq!(before, 0.0);
        assert_eq!(fade, fade_in_blocks_of(16));
    }
}
