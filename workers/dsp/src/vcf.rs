//! `vcf`: the voltage-controlled filter, a four-pole ladder or a two-pole state-variable filter.
//!
//! This file is the panel and brings in what each frame is filtered with; the filters themselves are
//! `ladder` and `svf`.

use crate::lanes::Lanes;
use crate::math::{exp2, sane, tan_pi, without_dust};
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
            Port { name: "in", summary: "audio, -1..1" },
            Port { name: "cv", summary: "octaves added to cutoff; 1.0 is one octave up" },
        ],
        outputs: &[Port { name: "out", summary: "audio" }],
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

/// What one stretch of `L` channels is filtered with, a frame a row.
pub(crate) struct Stretch<const L: usize> {
    /// Input, then output.
    pub signal: [Lanes<L>; STRETCH_FRAMES],
    /// Warped cutoff, tan(pi f / rate).
    pub warped: [Lanes<L>; STRETCH_FRAMES],
    /// 0.0..=1.0.
    pub resonance: [Lanes<L>; STRETCH_FRAMES],
    /// Rows that mean anything.
    pub frames: usize,
    /// All rows of `warped` and `resonance` are the same.
    pub is_steady: bool,
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
        let mut stretch = self.stretch::<L>(io, first, range, knobs);
        if self.model == LADDER {
            with_lanes(&mut self.ladder, first, |poles| ladder::filter(&mut stretch, poles, self.mode));
        } else {
            with_lanes(&mut self.svf, first, |poles| svf::filter(&mut stretch, poles, self.mode));
        }
        for lane in 0..L.min(io.channels().saturating_sub(first)) {
            if let Some(out) = io.output(0, first + lane).get_mut(range.clone()) {
                out.iter_mut()
                    .zip(&stretch.signal)
                    .for_each(|(sample, row)| *sample = without_dust(row.0[lane]));
            }
        }
    }

    fn stretch<const L: usize>(
        &self,
        io: &Io<'_>,
        first: usize,
        range: &Range<usize>,
        knobs: &Knobs,
    ) -> Stretch<L> {
        let silence = [Lanes::all(0.0); STRETCH_FRAMES];
        let mut stretch = Stretch {
            signal: silence,
            warped: silence,
            resonance: silence,
            frames: range.len(),
            is_steady: true,
        };
        for lane in 0..L.min(io.channels().saturating_sub(first)) {
            let channel = first + lane;
            if let Some(input) = io.input_part(IN, channel, range) {
                stretch.signal.iter_mut().zip(input).for_each(|(row, &sample)| row.0[lane] = sane(sample));
            }
            let warped = self.warped(io, channel, range, &knobs.cutoff_hz);
            stretch.warped.iter_mut().enumerate().for_each(|(frame, row)| row.0[lane] = warped.at(frame));
            let cable = io.param_cable::<Self>(RES, channel, range);
            let resonance = knobs.resonance.modulated(&Self::TYPE.params[RES], cable);
            stretch
                .resonance
                .iter_mut()
                .enumerate()
                .for_each(|(frame, row)| row.0[lane] = resonance.at(frame));
            stretch.is_steady &= warped.is_steady() & resonance.is_steady();
        }
        stretch
    }

    /// One channel's cutoff as the filters want it, tan(pi f / rate).
    fn warped(&self, io: &Io<'_>, channel: usize, range: &Range<usize>, cutoff_hz: &Course) -> Course {
        let cable = io.param_cable::<Self>(CUTOFF, channel, range);
        let cutoff_hz = cutoff_hz.modulated(&Self::TYPE.params[CUTOFF], cable);
        let sweep = Course::of_cable(io.input_part(CV_IN, channel, range)).map(exp2);
        let lowest_cycles = Self::TYPE.params[CUTOFF].min * self.sample_period_s;
        cutoff_hz.with(&sweep, |hertz, sweep| {
            let cycles = (hertz * sweep * self.sample_period_s).max(lowest_cycles).min(HIGHEST_CYCLES);
            tan_pi(cycles)
        })
    }
}

/// Lends lanes `first..first + L` of each pole to `work`.
fn with_lanes<const P: usize, const L: usize>(
    poles: &mut [[f32; MAX_CHANNELS]; P],
    first: usize,
    work: impl FnOnce(&mut [Lanes<L>; P]),
) {
    let mut lanes = [Lanes([0.0; L]); P];
    for (lanes, pole) in lanes.iter_mut().zip(poles.iter()) {
        lanes.0.iter_mut().zip(pole.iter().skip(first)).for_each(|(lane, &value)| *lane = value);
    }
    work(&mut lanes);
    for (lanes, pole) in lanes.iter().zip(poles) {
        pole.iter_mut().skip(first).zip(&lanes.0).for_each(|(value, &lane)| *value = lane);
    }
}
