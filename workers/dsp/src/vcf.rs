//! `vcf`: the voltage-controlled filter, a four-pole ladder or a two-pole state-variable filter.
//!
//! This file is the panel and brings in what each frame is filtered with; the filters themselves are
//! [`crate::ladder`] and [`crate::svf`].

use crate::math::{exp2, sane, warp, without_dust};
use crate::module::{Happening, Io, MAX_CHANNELS, Modulation, Module, ModuleType, Param, Port, Setup};
use crate::param::{Course, GLIDE_S, STRETCH_FRAMES, Smoothed, choice, in_range, initial, stretches};
use crate::{ladder, svf};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

const IN: usize = 0;
const CV_IN: usize = 1;
const CUTOFF: usize = 0;
const RES: usize = 1;
const MODE: usize = 2;
const MODEL: usize = 3;

/// Values of `mode` besides low-pass, which is 0 and whatever else.
pub(crate) const HP: u32 = 1;
pub(crate) const BP: u32 = 2;

const LADDER: u32 = 0;

/// Below Nyquist, where the warped cutoff would be infinite.
const HIGHEST_CYCLES: f32 = 0.49;

/// The filter's memory.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Vcf {
    cutoff_hz: Smoothed,
    resonance: Smoothed,
    mode: u32,
    model: u32,
    sample_period_s: f32,
    ladder: [[f32; MAX_CHANNELS]; ladder::POLES],
    svf: [[f32; MAX_CHANNELS]; svf::POLES],
}

impl Module for Vcf {
    const TYPE: ModuleType = ModuleType {
        name: "vcf",
        summary: "Filter: four-pole ladder or state-variable; low-, high- and band-pass",
        inputs: &[
            Port {
                name: "in",
                summary: "audio, -1..1",
            },
            Port {
                name: "cv",
                summary: "octaves added to cutoff; 1.0 is one octave up",
            },
        ],
        outputs: &[Port {
            name: "out",
            summary: "audio",
        }],
        params: &[
            Param {
                name: "cutoff",
                summary: "where the resonance is",
                unit: "Hz",
                min: 10.0,
                max: 20_000.0,
                default: 1000.0,
                modulation: Modulation::Octaves,
                choices: &[],
            },
            Param {
                name: "res",
                summary: "resonance; at 1 the ladder oscillates once it is struck",
                unit: "",
                min: 0.0,
                max: 1.0,
                default: 0.2,
                modulation: Modulation::FullScale,
                choices: &[],
            },
            Param {
                name: "mode",
                summary: "low-pass, high-pass or band-pass",
                unit: "",
                min: 0.0,
                max: 2.0,
                default: 0.0,
                modulation: Modulation::None,
                choices: &["lp", "hp", "bp"],
            },
            Param {
                name: "model",
                summary: "ladder: 24 dB an octave, clips softly; svf: 12 dB, clean",
                unit: "",
                min: 0.0,
                max: 1.0,
                default: 0.0,
                modulation: Modulation::None,
                choices: &["ladder", "svf"],
            },
        ],
        is_gated: false,
        is_sink: false,
    };

    fn new(setup: &Setup<'_>) -> Self {
        let glide = |index| Smoothed::new(initial(&Self::TYPE, setup, index), GLIDE_S, setup.rate_hz);
        let chosen = |index| choice(initial(&Self::TYPE, setup, index));
        Self {
            cutoff_hz: glide(CUTOFF),
            resonance: glide(RES),
            mode: chosen(MODE),
            model: chosen(MODEL),
            sample_period_s: 1.0 / setup.rate_hz,
            ladder: Zeroable::zeroed(),
            svf: Zeroable::zeroed(),
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
            CUTOFF => self.cutoff_hz.set(value),
            RES => self.resonance.set(value),
            MODE => self.mode = choice(value),
            MODEL => self.start_model(choice(value)),
            _ => {}
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        let channels = io.channels().min(MAX_CHANNELS);
        for range in stretches(io.frames()) {
            let cutoff_hz = self.cutoff_hz.course(range.len());
            let resonance = self.resonance.course(range.len());
            let knobs = Knobs { cutoff_hz, resonance };
            // As many side by side as there are: one, or a vector or two of them.
            match channels {
                0..=1 => self.render_lanes::<1>(io, 0, &range, &knobs),
                2..=4 => self.render_lanes::<4>(io, 0, &range, &knobs),
                _ => (0..channels)
                    .step_by(8)
                    .for_each(|first| self.render_lanes::<8>(io, first, &range, &knobs)),
            }
        }
    }
}

/// The parameters' courses, before cables.
struct Knobs {
    cutoff_hz: Course,
    resonance: Course,
}

impl Vcf {
    /// The other filter starts from silence.
    fn start_model(&mut self, model: u32) {
        if model != self.model {
            self.model = model;
            self.ladder = Zeroable::zeroed();
            self.svf = Zeroable::zeroed();
        }
    }

    /// Channels `first..first + L`; those beyond the module's are silent lanes.
    fn render_lanes<const L: usize>(
        &mut self,
        io: &mut Io<'_>,
        first: usize,
        range: &Range<usize>,
        knobs: &Knobs,
    ) {
        let mut signal = [[0.0; L]; STRETCH_FRAMES];
        let mut frequency = [[0.0; L]; STRETCH_FRAMES];
        let mut resonance = [[0.0; L]; STRETCH_FRAMES];
        let lanes = L.min(io.channels().saturating_sub(first));
        for lane in 0..lanes {
            let channel = first + lane;
            if let Some(input) = io.input_part(IN, channel, range) {
                signal
                    .iter_mut()
                    .zip(input)
                    .for_each(|(row, &sample)| row[lane] = sane(sample));
            }
            let of_filter = self.frequency(io, channel, range, &knobs.cutoff_hz);
            frequency
                .iter_mut()
                .zip(&of_filter.values)
                .for_each(|(row, &value)| row[lane] = value);
            let cable = io.param_cable::<Self>(RES, channel, range);
            let of_filter = knobs.resonance.modulated(&Self::TYPE.params[RES], cable);
            resonance
                .iter_mut()
                .zip(&of_filter.values)
                .for_each(|(row, &value)| row[lane] = value);
        }
        let frames = range.len();
        let signal = if self.model == LADDER {
            let mut stretch = ladder::Stretch {
                signal,
                share: frequency,
                resonance,
            };
            with_lanes(&mut self.ladder, first, |poles| {
                stretch.filter(poles, self.mode, frames)
            });
            stretch.signal
        } else {
            let mut stretch = svf::Stretch {
                signal,
                warped: frequency,
                resonance,
            };
            with_lanes(&mut self.svf, first, |poles| {
                stretch.filter(poles, self.mode, frames)
            });
            stretch.signal
        };
        for lane in 0..lanes {
            if let Some(out) = io.output(0, first + lane).get_mut(range.clone()) {
                out.iter_mut()
                    .zip(&signal)
                    .for_each(|(sample, row)| *sample = without_dust(row[lane]));
            }
        }
    }

    /// One channel's cutoff as its filter wants it.
    fn frequency(&self, io: &Io<'_>, channel: usize, range: &Range<usize>, cutoff_hz: &Course) -> Course {
        let cable = io.param_cable::<Self>(CUTOFF, channel, range);
        let cutoff_hz = cutoff_hz.modulated(&Self::TYPE.params[CUTOFF], cable);
        let sweep = Course::of_cable(io.input_part(CV_IN, channel, range)).map(exp2);
        let lowest_cycles = Self::TYPE.params[CUTOFF].min * self.sample_period_s;
        let cycles = cutoff_hz.with(&sweep, |hertz, sweep| {
            (hertz * sweep * self.sample_period_s)
                .max(lowest_cycles)
                .min(HIGHEST_CYCLES)
        });
        let is_ladder = self.model == LADDER;
        cycles.map(|cycles| {
            let (sine, cosine) = warp(cycles);
            // tan x, and tan x / (1 + tan x).
            if is_ladder {
                sine / (sine + cosine)
            } else {
                sine / cosine
            }
        })
    }
}

/// Lends lanes `first..first + L` of each pole to `work`.
fn with_lanes<const P: usize, const L: usize>(
    poles: &mut [[f32; MAX_CHANNELS]; P],
    first: usize,
    work: impl FnOnce(&mut [[f32; L]; P]),
) {
    let mut lanes = [[0.0; L]; P];
    for (lanes, pole) in lanes.iter_mut().zip(poles.iter()) {
        lanes
            .iter_mut()
            .zip(pole.iter().skip(first))
            .for_each(|(lane, &value)| *lane = value);
    }
    work(&mut lanes);
    for (lanes, pole) in lanes.iter().zip(poles) {
        pole.iter_mut()
            .skip(first)
            .zip(lanes)
            .for_each(|(value, &lane)| *value = lane);
    }
}
