//! `vco`: the voltage-controlled oscillator, band-limited.
//!
//! In: `pitch` (octaves) and `fm` (linear, 1.0 is a swing by the whole frequency). Out: one wave, -1..1.
//!
//! A wave comes from [`crate::wave`]; a pulse is the difference of two saws. Every wave starts at its rising
//! zero, so a new oscillator does not click. The frequency stays within Nyquist, in both directions: linear FM
//! through zero runs the wave backwards.

use crate::math::{exp2, sine};
use crate::module::{Happening, Io, MAX_CHANNELS, Modulation, Module, ModuleType, Param, Port, Setup};
use crate::param::{Course, GLIDE_S, STRETCH_FRAMES, Smoothed, choice, in_range, initial, stretches};
use crate::wave::{Table, Wave};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

const PITCH_IN: usize = 0;
const FM_IN: usize = 1;
const FREQ: usize = 0;
const SHAPE: usize = 1;
const WIDTH: usize = 2;
const DETUNE: usize = 3;

const SINE: u32 = 0;
const TRI: u32 = 1;
const SAW: u32 = 2;

/// Phase units (2^-32 cycle) in half a cycle: the jump of a saw, and the largest step.
const HALF_CYCLE: u32 = 1 << 31;
const UNITS_PER_CYCLE: f32 = 4_294_967_296.0;
const CENTS_PER_OCTAVE: f32 = 1200.0;

/// The oscillator's memory.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Vco {
    frequency_hz: Smoothed,
    width_cycles: Smoothed,
    detune_cents: Smoothed,
    shape: u32,
    sample_period_s: f32,
    /// In units of 2^-32 cycle.
    phase: [u32; MAX_CHANNELS],
}

/// The phase of one channel through one stretch.
struct Motion {
    phases: [u32; STRETCH_FRAMES],
    /// How far each frame moves, without direction: what decides how many harmonics fit. If the motion is
    /// steady, only the first means anything.
    steps: [u32; STRETCH_FRAMES],
    is_steady: bool,
}

impl Module for Vco {
    const TYPE: ModuleType = ModuleType {
        name: "vco",
        summary: "Oscillator: band-limited sine, triangle, saw and pulse",
        inputs: &[
            Port { name: "pitch", summary: "octaves added to freq; 1.0 is one octave up" },
            Port { name: "fm", summary: "linear through-zero FM; 1.0 swings by the whole frequency" },
        ],
        outputs: &[Port { name: "out", summary: "audio, -1..1" }],
        params: &[
            Param {
                name: "freq",
                summary: "frequency",
                unit: "Hz",
                min: 0.0,
                max: 24_000.0,
                default: 220.0,
                modulation: Modulation::Octaves,
                choices: &[],
            },
            Param {
                name: "shape",
                summary: "waveform",
                unit: "",
                min: 0.0,
                max: 3.0,
                default: 2.0,
                modulation: Modulation::None,
                choices: &["sine", "tri", "saw", "square"],
            },
            Param {
                name: "width",
                summary: "part of the cycle for which square is high",
                unit: "",
                min: 0.01,
                max: 0.99,
                default: 0.5,
                modulation: Modulation::FullScale,
                choices: &[],
            },
            Param {
                name: "detune",
                summary: "fine tuning",
                unit: "cents",
                min: -1200.0,
                max: 1200.0,
                default: 0.0,
                modulation: Modulation::FullScale,
                choices: &[],
            },
        ],
        is_gated: false,
        is_sink: false,
    };

    fn new(setup: &Setup<'_>) -> Self {
        let glide = |index| Smoothed::new(initial(&Self::TYPE, setup, index), GLIDE_S, setup.rate_hz);
        Self {
            frequency_hz: glide(FREQ),
            width_cycles: glide(WIDTH),
            detune_cents: glide(DETUNE),
            shape: choice(initial(&Self::TYPE, setup, SHAPE)),
            sample_period_s: 1.0 / setup.rate_hz,
            phase: [0; MAX_CHANNELS],
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
            FREQ => self.frequency_hz.set(value),
            SHAPE => self.shape = choice(value),
            WIDTH => self.width_cycles.set(value),
            DETUNE => self.detune_cents.set(value),
            _ => {}
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        for range in stretches(io.frames()) {
            let frequency_hz = self.frequency_hz.course(range.len());
            let width_cycles = self.width_cycles.course(range.len());
            let detune_cents = self.detune_cents.course(range.len());
            for channel in 0..io.channels().min(MAX_CHANNELS) {
                let step_cycles = self.step_cycles(io, channel, &range, &frequency_hz, &detune_cents);
                let width_cycles = width_cycles
                    .modulated(&Self::TYPE.params[WIDTH], io.param_cable::<Self>(WIDTH, channel, &range));
                let motion = self.advance(channel, &step_cycles, range.len());
                if let Some(out) = io.output(0, channel).get_mut(range.clone()) {
                    self.draw(&motion, &width_cycles, out);
                }
            }
        }
    }
}

impl Vco {
    /// How far one channel moves in each frame, -0.5..=0.5 cycles.
    fn step_cycles(
        &self,
        io: &Io<'_>,
        channel: usize,
        range: &Range<usize>,
        frequency_hz: &Course,
        detune_cents: &Course,
    ) -> Course {
        let params = Self::TYPE.params;
        let frequency_hz =
            frequency_hz.modulated(&params[FREQ], io.param_cable::<Self>(FREQ, channel, range));
        let detune_cents =
            detune_cents.modulated(&params[DETUNE], io.param_cable::<Self>(DETUNE, channel, range));
        let pitch_oct = Course::of_cable(io.input_part(PITCH_IN, channel, range));
        let fm = Course::of_cable(io.input_part(FM_IN, channel, range));

        let ratio =
            pitch_oct.with(&detune_cents, |octaves, cents| exp2(octaves + cents * (1.0 / CENTS_PER_OCTAVE)));
        let cycles = frequency_hz.with(&ratio, |hertz, ratio| hertz * ratio * self.sample_period_s);
        cycles.with(&fm, |cycles, fm| (cycles * (1.0 + fm)).clamp(-0.5, 0.5))
    }

    fn advance(&mut self, channel: usize, step_cycles: &Course, frames: usize) -> Motion {
        let mut motion = Motion {
            phases: [0; STRETCH_FRAMES],
            steps: [0; STRETCH_FRAMES],
            is_steady: step_cycles.is_steady(),
        };
        let Some(phase) = self.phase.get_mut(channel) else {
            return motion;
        };
        if motion.is_steady {
            let step = units(step_cycles.at(0));
            motion.steps[0] = step.unsigned_abs();
            for (frame, now) in (0_u32..).zip(&mut motion.phases) {
                *now = phase.wrapping_add(frame.wrapping_mul(step as u32));
            }
            *phase = phase.wrapping_add((frames as u32).wrapping_mul(step as u32));
            return motion;
        }
        let rows = motion.phases.iter_mut().zip(&mut motion.steps).enumerate();
        for (frame, (now, size)) in rows.take(frames) {
            let step = units(step_cycles.at(frame));
            *now = *phase;
            *size = step.unsigned_abs();
            *phase = phase.wrapping_add(step as u32);
        }
        motion
    }

    fn draw(&self, motion: &Motion, width_cycles: &Course, out: &mut [f32]) {
        match self.shape {
            SINE => out.iter_mut().zip(&motion.phases).for_each(|(sample, &phase)| *sample = sine(phase)),
            TRI => motion.draw(Wave::TRI, out, |table, phase, _frame| table.at(phase)),
            SAW => motion.draw(Wave::SAW, out, |table, phase, _frame| table.at(phase)),
            _square => motion.draw(Wave::SAW, out, |table, phase, frame| {
                let width = width_cycles.at(frame);
                pulse(table, phase, width)
            }),
        }
    }
}

impl Motion {
    /// `wave(table, phase, frame)` for every frame, with the table that fits the frame's step.
    #[inline]
    fn draw(&self, tables: Wave, out: &mut [f32], wave: impl Fn(Table, u32, usize) -> f32) {
        let mut mip = Wave::mip_for(self.steps[0]);
        let mut table = tables.table(mip);
        for (frame, (sample, &phase)) in out.iter_mut().zip(&self.phases).enumerate() {
            if !self.is_steady {
                let fitting = Wave::mip_for(self.steps[frame % STRETCH_FRAMES]);
                if fitting != mip {
                    (mip, table) = (fitting, tables.table(fitting));
                }
            }
            *sample = wave(table, phase, frame);
        }
    }
}

/// Phase units in `cycles`; half a cycle saturates one unit below, which is as good as there.
#[inline]
fn units(cycles: f32) -> i32 {
    (cycles * UNITS_PER_CYCLE) as i32
}

/// High for the first `width_cycles` of the cycle, low for the rest: one saw that jumps up at the start, less
/// one that jumps where the pulse ends, moved so that high is 1.0 and low is -1.0.
#[inline]
fn pulse(table: Table, phase: u32, width_cycles: f32) -> f32 {
    let width = (width_cycles * UNITS_PER_CYCLE) as u32;
    let rising = phase.wrapping_add(HALF_CYCLE);
    let falling = rising.wrapping_sub(width);
    table.at(falling) - table.at(rising) + (2.0 * width_cycles - 1.0)
}
