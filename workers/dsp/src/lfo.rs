//! `lfo`: a slow oscillator for control, -1..1 times `depth`.
//!
//! Its corners are true corners, for a control voltage has no need of a band limit; use `vco` to listen to.
//! Every shape starts at its rising zero, `square` with its high half.

use crate::math::sine;
use crate::module::{Happening, Io, MAX_CHANNELS, Modulation, Module, ModuleType, Param, Port, Setup};
use crate::param::{GLIDE_S, Smoothed, choice, in_range, initial, stretches};
use bytemuck::{Pod, Zeroable};

const RATE: usize = 0;
const SHAPE: usize = 1;
const DEPTH: usize = 2;

const SINE: u32 = 0;
const TRI: u32 = 1;
const SAW: u32 = 2;

const UNITS_PER_CYCLE: f32 = 4_294_967_296.0;
const CYCLES_PER_UNIT: f32 = 1.0 / UNITS_PER_CYCLE;

/// The slow oscillator's memory.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Lfo {
    rate_hz: Smoothed,
    depth: Smoothed,
    shape: u32,
    sample_period_s: f32,
    /// In units of 2^-32 cycle.
    phase: [u32; MAX_CHANNELS],
}

impl Module for Lfo {
    const TYPE: ModuleType = ModuleType {
        name: "lfo",
        summary: "Slow oscillator for vibrato, sweeps and tremolo",
        inputs: &[],
        outputs: &[Port { name: "out", summary: "control, -1..1 times depth" }],
        params: &[
            Param {
                name: "rate",
                summary: "frequency",
                unit: "Hz",
                min: 0.0,
                max: 200.0,
                default: 2.0,
                modulation: Modulation::Octaves,
                choices: &[],
            },
            Param {
                name: "shape",
                summary: "waveform",
                unit: "",
                min: 0.0,
                max: 3.0,
                default: 0.0,
                modulation: Modulation::None,
                choices: &["sine", "tri", "saw", "square"],
            },
            Param {
                name: "depth",
                summary: "how far it swings",
                unit: "",
                min: 0.0,
                max: 1.0,
                default: 1.0,
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
            rate_hz: glide(RATE),
            depth: glide(DEPTH),
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
            RATE => self.rate_hz.set(value),
            SHAPE => self.shape = choice(value),
            DEPTH => self.depth.set(value),
            _ => {}
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        let params = Self::TYPE.params;
        for range in stretches(io.frames()) {
            let rate_hz = self.rate_hz.course(range.len());
            let depth = self.depth.course(range.len());
            for channel in 0..io.channels().min(MAX_CHANNELS) {
                let rate_hz = rate_hz.modulated(&params[RATE], io.param_cable::<Self>(RATE, channel, &range));
                let depth = depth.modulated(&params[DEPTH], io.param_cable::<Self>(DEPTH, channel, &range));
                let (Some(out), Some(phase)) =
                    (io.output(0, channel).get_mut(range.clone()), self.phase.get_mut(channel))
                else {
                    continue;
                };
                for (frame, sample) in out.iter_mut().enumerate() {
                    *sample = depth.at(frame) * naive_wave(self.shape, *phase);
                    *phase = phase
                        .wrapping_add((rate_hz.at(frame) * self.sample_period_s * UNITS_PER_CYCLE) as u32);
                }
            }
        }
    }
}

#[inline]
fn naive_wave(shape: u32, phase: u32) -> f32 {
    let signed_cycles = phase as i32 as f32 * CYCLES_PER_UNIT;
    match shape {
        SINE => sine(phase),
        TRI => {
            // A saw a quarter of a cycle late, folded at its middle.
            let late_cycles = phase.wrapping_sub(1 << 30) as i32 as f32 * CYCLES_PER_UNIT;
            1.0 - 4.0 * late_cycles.abs()
        }
        SAW => 2.0 * signed_cycles,
        _square if (phase as i32) < 0 => -1.0,
        _square => 1.0,
    }
}
