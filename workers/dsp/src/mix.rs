//! `mix`: eight inputs, each with its level, added.

use crate::math::sane;
use crate::module::{Happening, Io, MAX_CHANNELS, Modulation, Module, ModuleType, Param, Port, Setup};
use crate::param::{Course, GLIDE_S, STRETCH_FRAMES, Smoothed, in_range, initial, stretches};
use bytemuck::{Pod, Zeroable};

const INPUTS: usize = 8;
/// The last parameter; those before it are the levels of the inputs, in their order.
const GAIN: usize = INPUTS;

/// The mixer's memory.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Mix {
    levels: [Smoothed; INPUTS],
    gain: Smoothed,
}

const fn level(name: &'static str, summary: &'static str) -> Param {
    Param {
        name,
        summary,
        unit: "",
        min: 0.0,
        max: 1.0,
        default: 1.0,
        modulation: Modulation::FullScale,
        choices: &[],
    }
}

impl Module for Mix {
    const TYPE: ModuleType = ModuleType {
        name: "mix",
        summary: "Mixer: eight inputs, each with its level",
        inputs: &[
            Port { name: "in", summary: "audio, input 1" },
            Port { name: "in2", summary: "audio, input 2" },
            Port { name: "in3", summary: "audio, input 3" },
            Port { name: "in4", summary: "audio, input 4" },
            Port { name: "in5", summary: "audio, input 5" },
            Port { name: "in6", summary: "audio, input 6" },
            Port { name: "in7", summary: "audio, input 7" },
            Port { name: "in8", summary: "audio, input 8" },
        ],
        outputs: &[Port { name: "out", summary: "audio, the sum" }],
        params: &[
            level("level1", "level of in"),
            level("level2", "level of in2"),
            level("level3", "level of in3"),
            level("level4", "level of in4"),
            level("level5", "level of in5"),
            level("level6", "level of in6"),
            level("level7", "level of in7"),
            level("level8", "level of in8"),
            level("gain", "level of the sum"),
        ],
        is_gated: false,
        is_sink: false,
    };

    fn new(setup: &Setup<'_>) -> Self {
        let glide = |index| Smoothed::new(initial(&Self::TYPE, setup, index), GLIDE_S, setup.rate_hz);
        Self { levels: std::array::from_fn(glide), gain: glide(GAIN) }
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
            GAIN => self.gain.set(value),
            input => {
                if let Some(level) = self.levels.get_mut(input) {
                    level.set(value);
                }
            }
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        let params = Self::TYPE.params;
        for range in stretches(io.frames()) {
            let gain = self.gain.course(range.len());
            let levels: [Course; INPUTS] =
                std::array::from_fn(|input| self.levels[input].course(range.len()));
            for channel in 0..io.channels().min(MAX_CHANNELS) {
                let mut sum = [0.0; STRETCH_FRAMES];
                for (input, (level, param)) in levels.iter().zip(params).enumerate() {
                    let Some(samples) = io.input_part(input, channel, &range) else {
                        continue;
                    };
                    let level = level.modulated(param, io.param_cable::<Self>(input, channel, &range));
                    let mut scaled = [0.0; STRETCH_FRAMES];
                    scaled.iter_mut().zip(samples).for_each(|(scaled, &sample)| *scaled = sane(sample));
                    level.scale(&mut scaled);
                    sum.iter_mut().zip(&scaled).for_each(|(sum, &scaled)| *sum += scaled);
                }
                let gain = gain.modulated(&params[GAIN], io.param_cable::<Self>(GAIN, channel, &range));
                let Some(out) = io.output(0, channel).get_mut(range.clone()) else {
                    continue;
                };
                out.iter_mut().zip(&sum).for_each(|(sample, &sum)| *sample = sum);
                gain.scale(out);
            }
        }
    }
}
