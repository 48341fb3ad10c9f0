//! `delay`: an echo that repeats, up to two seconds late.
//!
//! Each channel has its own part of the line, a ring. The ring is longer than the longest delay by one
//! whole block, so nothing that a block reads is overwritten by the same block: rendered again from the same
//! state, after a worker died in the middle of it, it gives the same samples.

use crate::line::Line;
use crate::math::{sane, without_dust};
use crate::module::{
    Happening, Io, MAX_CHANNELS, MAX_FRAMES, Modulation, Module, ModuleType, Param, Port, Setup,
};
use crate::param::{Course, GLIDE_S, Smoothed, in_range, initial, stretches};
use bytemuck::{Pod, Zeroable};

const IN: usize = 0;
const TIME: usize = 0;
const FEEDBACK: usize = 1;
const MIX: usize = 2;

/// A new time is reached in this long, with the swoop of a tape machine and no click.
const TIME_GLIDE_S: f32 = 0.1;
/// The interpolation reads one sample after the wanted one and two before.
const SHORTEST_FRAMES: f32 = 2.0;
const MARGIN_FRAMES: usize = 4;
/// A time this close to a whole number of frames (0.3 us) means that number: an `f32` of seconds
/// cannot say most of them exactly, and between samples an echo is slightly duller.
const SNAP_FRAMES: f32 = 1.0 / 64.0;

/// The echo's memory, but for the line.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Delay {
    delay_frames: Smoothed,
    feedback: Smoothed,
    mix: Smoothed,
    rate_hz: f32,
    ring_frames: u32,
    /// Where in its ring every channel writes next.
    head: u32,
}

/// One channel's parameters for one stretch, cables included.
struct Knobs {
    delay_frames: Course,
    feedback: Course,
    mix: Course,
}

/// The samples that one channel remembers.
struct Ring<'a> {
    line: Line<'a>,
    start: usize,
    frames: u32,
}

impl Module for Delay {
    const TYPE: ModuleType = ModuleType {
        name: "delay",
        summary: "Echo with feedback, up to two seconds",
        inputs: &[Port { name: "in", summary: "audio, -1..1" }],
        outputs: &[Port { name: "out", summary: "audio" }],
        params: &[
            Param {
                name: "time",
                summary: "time to the first echo (never less than two frames)",
                unit: "s",
                min: 0.0,
                max: 2.0,
                default: 0.3,
                modulation: Modulation::Octaves,
                choices: &[],
            },
            Param {
                name: "feedback",
                summary: "level of each further echo",
                unit: "",
                min: 0.0,
                max: 0.99,
                default: 0.4,
                modulation: Modulation::FullScale,
                choices: &[],
            },
            Param {
                name: "mix",
                summary: "0: only the input, 1: only echoes",
                unit: "",
                min: 0.0,
                max: 1.0,
                default: 0.35,
                modulation: Modulation::FullScale,
                choices: &[],
            },
        ],
        is_gated: false,
        is_sink: false,
    };

    fn line_samples(setup: &Setup<'_>) -> usize {
        ring_frames(setup.rate_hz) * setup.channels
    }

    fn new(setup: &Setup<'_>) -> Self {
        let initial = |index| initial(&Self::TYPE, setup, index);
        Self {
            delay_frames: Smoothed::new(snapped(initial(TIME) * setup.rate_hz), TIME_GLIDE_S, setup.rate_hz),
            feedback: Smoothed::new(initial(FEEDBACK), GLIDE_S, setup.rate_hz),
            mix: Smoothed::new(initial(MIX), GLIDE_S, setup.rate_hz),
            rate_hz: setup.rate_hz,
            ring_frames: ring_frames(setup.rate_hz) as u32,
            head: 0,
        }
    }

    fn happen(&mut self, happening: Happening) {
        let Happening::Param { index, value } = happening else {
            return;
        };
        let Some(param) = Self::TYPE.params.get(index) else {
            return;
        };
        let value = in_range(param, value);
        match index {
            TIME => self.delay_frames.set(snapped(value * self.rate_hz)),
            FEEDBACK => self.feedback.set(value),
            MIX => self.mix.set(value),
            _ => {}
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        for range in stretches(io.frames()) {
            let delay_frames = self.delay_frames.course(range.len());
            let feedback = self.feedback.course(range.len());
            let mix = self.mix.course(range.len());
            let mut head = self.head;
            for channel in 0..io.channels().min(MAX_CHANNELS) {
                let cable = |param| io.param_cable::<Self>(param, channel, &range);
                let knobs = Knobs {
                    delay_frames: self.stretched(&delay_frames, cable(TIME)),
                    feedback: feedback.modulated(&Self::TYPE.params[FEEDBACK], cable(FEEDBACK)),
                    mix: mix.modulated(&Self::TYPE.params[MIX], cable(MIX)),
                };
                let input = Course::of_cable(io.input_part(IN, channel, &range));
                let ring = self.ring(io, channel);
                if let Some(out) = io.output(0, channel).get_mut(range.clone()) {
                    head = ring.echo(self.head, &input, &knobs, out);
                }
            }
            self.head = head;
        }
    }
}

impl Delay {
    /// The delay with a cable in `time`, which counts in octaves.
    fn stretched(&self, delay_frames: &Course, cable: Option<&[f32]>) -> Course {
        let seconds = &Self::TYPE.params[TIME];
        let frames = Param { min: SHORTEST_FRAMES, max: seconds.max * self.rate_hz, ..*seconds };
        delay_frames.modulated(&frames, cable)
    }

    fn ring<'a>(&self, io: &Io<'a>, channel: usize) -> Ring<'a> {
        Ring {
            line: io.line(),
            start: channel.wrapping_mul(self.ring_frames as usize),
            frames: self.ring_frames,
        }
    }
}

impl Ring<'_> {
    /// Fills `out` and remembers what was played; gives the head after it.
    fn echo(&self, head: u32, input: &Course, knobs: &Knobs, out: &mut [f32]) -> u32 {
        let mut now = head;
        for (frame, sample) in out.iter_mut().enumerate() {
            let dry = input.at(frame);
            let wet = self.at(now, knobs.delay_frames.at(frame));
            // Echoes that have died away become true zero, here and so in all that is read later.
            self.write(now, without_dust(sane(dry + knobs.feedback.at(frame) * wet)));
            *sample = dry + knobs.mix.at(frame) * (wet - dry);
            now = self.after(now);
        }
        now
    }

    /// The sample `delay_frames` before `now`, between samples on a cubic through four of them (Hermite, as
    /// in Niemitalo, "Polynomial Interpolators for High-Quality Resampling of Oversampled Audio", 2001).
    fn at(&self, now: u32, delay_frames: f32) -> f32 {
        let longest = (self.frames as usize).saturating_sub(MAX_FRAMES + MARGIN_FRAMES) as f32;
        let delay_frames = delay_frames.min(longest).max(SHORTEST_FRAMES);
        let whole = delay_frames as u32;
        let between = delay_frames - whole as f32;
        let here = self.read(now, whole);
        if between == 0.0 {
            return here;
        }
        let (newer, older, oldest) =
            (self.read(now, whole - 1), self.read(now, whole + 1), self.read(now, whole + 2));
        let slope = 0.5 * (older - newer);
        let bend = newer - 2.5 * here + 2.0 * older - 0.5 * oldest;
        let twist = 0.5 * (oldest - newer) + 1.5 * (here - older);
        here + between * (slope + between * (bend + between * twist))
    }

    fn read(&self, now: u32, ago: u32) -> f32 {
        let index = now.checked_sub(ago).unwrap_or_else(|| now.wrapping_sub(ago).wrapping_add(self.frames));
        sane(self.line.read(self.start.wrapping_add(index as usize)))
    }

    fn write(&self, now: u32, sample: f32) {
        self.line.write(self.start.wrapping_add(now as usize), sample);
    }

    /// The place after `now`. A `now` outside the ring, which only a broken state has, comes back into it.
    fn after(&self, now: u32) -> u32 {
        let next = now.wrapping_add(1);
        if next < self.frames { next } else { 0 }
    }
}

/// Frames that each channel remembers.
fn ring_frames(rate_hz: f32) -> usize {
    (Delay::TYPE.params[TIME].max * rate_hz).ceil() as usize + MAX_FRAMES + MARGIN_FRAMES
}

fn snapped(frames: f32) -> f32 {
    let whole = frames.round();
    if (frames - whole).abs() < SNAP_FRAMES { whole } else { frames }
}
