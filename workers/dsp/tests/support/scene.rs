//! One module in one block, as a worker has it: a state to start from, a line in memory that outlives the
//! process, inputs and events that can be had again. And deaths: what a worker leaves behind in the line.

use super::bits;
use backline_dsp::catalogue::Entry;
use backline_dsp::line::Line;
use backline_dsp::module::{Happening, Input, Param, Setup};
use backline_dsp::play::Block;
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Random numbers that are the same for the same seed (Steele, Lea, Flood: SplitMix, 2014).
pub struct Dice(pub u64);

impl Dice {
    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() >> 11) as usize % end.max(1)
    }

    /// True once in `times`.
    pub fn is_one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A number in 0.0..1.0.
    pub fn share(&mut self) -> f32 {
        (self.roll() >> 40) as f32 / (1 << 24) as f32
    }

    /// A value for a parameter: often an end of its range, or close to it.
    pub fn value(&mut self, param: &Param) -> f32 {
        let share = match self.below(8) {
            0 => 0.0,
            1 => 1.0,
            2 => 1.0 - 0.001 * self.share(),
            _ => self.share(),
        };
        param.min + share * (param.max - param.min)
    }
}

/// A module and what does not change about it.
pub struct Scene<'e> {
    /// Its type.
    pub entry: &'e Entry,
    /// Its channels.
    pub channels: usize,
    /// Frames of the longest block.
    pub block_frames: usize,
    /// Sample rate.
    pub rate_hz: f32,
    /// Its parameters at the start.
    pub params: Vec<f32>,
    /// Blocks played: what the outputs held before each differs.
    pub played: Cell<u32>,
}

/// What is left of a worker when it dies: a committed state, and the line.
pub struct Memory {
    state: Vec<u32>,
    line: Vec<AtomicU32>,
}

/// What a module hears and what happens to it in one block.
pub struct Part {
    /// Frames in the block.
    pub frames: usize,
    inputs: Vec<Option<Vec<f32>>>,
    events: Vec<(usize, Happening)>,
}

impl Memory {
    /// The same in another worker's arena.
    pub fn taken_over(&self) -> Self {
        let line = self.line.iter().map(|word| AtomicU32::new(word.load(Relaxed))).collect();
        Self { state: self.state.clone(), line }
    }

    fn line_bits(&self) -> impl Iterator<Item = u32> {
        self.line.iter().map(|word| word.load(Relaxed))
    }

    /// What differs from `expected`, in words.
    pub fn difference(&self, expected: &Self) -> Option<String> {
        let state = self.state.iter().zip(&expected.state).position(|(one, two)| one != two);
        let line = self.line_bits().zip(expected.line_bits()).position(|(one, two)| one != two);
        let state = state.map(|word| format!("word {word} of the state differs"));
        state.or(line.map(|sample| format!("sample {sample} of the line differs")))
    }
}

impl Scene<'_> {
    fn setup(&self) -> Setup<'_> {
        Setup { rate_hz: self.rate_hz, channels: self.channels, identity: 7, params: &self.params }
    }

    /// The module before its first frame.
    pub fn fresh(&self) -> Memory {
        let mut state = vec![0; self.entry.state_words];
        (self.entry.init)(&self.setup(), &mut state);
        let line = (0..(self.entry.line_samples)(&self.setup())).map(|_| AtomicU32::new(0)).collect();
        Memory { state, line }
    }

    /// A block to play: full, or cut short as an edit of the patch cuts it.
    pub fn part(&self, dice: &mut Dice, cables: &[bool]) -> Part {
        let frames = if dice.is_one_in(4) { 1 + dice.below(self.block_frames) } else { self.block_frames };
        let samples = self.channels * self.block_frames;
        let cable = |dice: &mut Dice| (0..samples).map(|_| 2.0 * dice.share() - 1.0).collect();
        let inputs = cables.iter().map(|is_patched| is_patched.then(|| cable(dice))).collect();
        let mut events: Vec<_> =
            (0..dice.below(6)).map(|_| (dice.below(frames) | 1, self.happening(dice))).collect();
        events.sort_by_key(|(frame, _)| *frame);
        Part { frames, inputs, events }
    }

    /// Which inputs have a cable.
    pub fn cables(&self, dice: &mut Dice) -> Vec<bool> {
        let panel = &self.entry.panel;
        (0..panel.inputs.len() + panel.params.len()).map(|input| input == 0 || dice.is_one_in(3)).collect()
    }

    fn happening(&self, dice: &mut Dice) -> Happening {
        let params = self.entry.panel.params;
        match dice.below(4) {
            0 => Happening::GateOn { velocity: dice.share() },
            1 => Happening::GateOff,
            _ if params.is_empty() => Happening::GateOff,
            _ => {
                let index = dice.below(params.len());
                Happening::Param { index, value: dice.value(&params[index]) }
            }
        }
    }

    /// Plays the first `frames` of `part`; the bits of what is heard. Whatever the outputs held before is
    /// poison: a module writes every sample of them.
    pub fn play(&self, memory: &mut Memory, part: &Part, frames: usize) -> Vec<u32> {
        let stride = self.block_frames;
        let inputs: Vec<Input<'_>> = part
            .inputs
            .iter()
            .map(|planes| planes.as_ref().map_or(Input::UNPATCHED, |planes| Input::patched(planes, stride)))
            .collect();
        self.played.set(self.played.get() + 1);
        let poison = -1.0e6 - self.played.get() as f32;
        let mut outputs = vec![poison; self.entry.output_planes(self.channels) * stride];
        let block = Block {
            inputs: &inputs,
            outputs: &mut outputs,
            stride,
            channels: self.channels,
            frames,
            line: Line::new(&memory.line),
        };
        let events =
            part.events.iter().copied().filter(|(frame, _)| *frame < frames || frames == part.frames);
        self.entry.play(&mut memory.state, events, block);
        outputs.chunks(stride).flat_map(|plane| bits(&plane[..frames])).collect()
    }

    /// A worker dies after the first `frames` of `part`: the state is that of the last commit still, the line
    /// has whatever was written by then.
    pub fn die_after(&self, memory: &mut Memory, part: &Part, frames: usize) {
        let committed = memory.state.clone();
        self.play(memory, part, frames);
        memory.state = committed;
    }

    /// A worker dies when `count` of the samples that `part` writes to the line are there, any of them: channels
    /// come one after the other, a stretch at a time, and a module may write in whatever order it likes.
    pub fn die_anywhere(&self, memory: &mut Memory, part: &Part, count: usize, dice: &mut Dice) {
        let mut whole = memory.taken_over();
        self.play(&mut whole, part, part.frames);
        let rows = memory.line.iter().zip(&whole.line);
        let mut written: Vec<_> =
            rows.filter(|(before, after)| before.load(Relaxed) != after.load(Relaxed)).collect();
        for taken in 0..count.min(written.len()) {
            let chosen = taken + dice.below(written.len() - taken);
            written.swap(taken, chosen);
            let (before, after) = written[taken];
            before.store(after.load(Relaxed), Relaxed);
        }
    }
}
