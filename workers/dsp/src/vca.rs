//! `vca`: the voltage-controlled amplifier, `in` x `gain` x `cv`.
//!
//! Without a cable in `cv` only `gain` counts. A negative `cv` is silence, not a turned phase.

use crate::math::sane;
use crate::module::{Happening, Io, MAX_CHANNELS, Modulation, Module, ModuleType, Param, Port, Setup};
use crate::param::{GLIDE_S, Smoothed, in_range, initial, stretches};
use bytemuck::{Pod, Zeroable};

const IN: usize = 0;
const CV_IN: usize = 1;
const GAIN: usize = 0;

/// The amplifier's memory.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Vca {
    gain: Smoothed,
}

impl Module for Vca {
    const TYPE: ModuleType = ModuleType {
        name: "vca",
        summary: "Amplifier: in times gain, times cv where a cable is in cv",
        inputs: &[
            Port { name: "in", summary: "audio, -1..1" },
            Port { name: "cv", summary: "control, 0..1 is silence to full gain; below 0 is silence" },
        ],
        outputs: &[Port { name: "out", summary: "audio" }],
        params: &[Param {
            name: "gain",
            summary: "gain at full control voltage",
            unit: "",
            min: 0.0,
            max: 1.0,
            default: 1.0,
            modulation: Modulation::FullScale,
            choices: &[],
        }],
        is_gated: false,
        is_sink: false,
    };

    fn new(setup: &Setup<'_>) -> Self {
        Self { gain: Smoothed::new(initial(&Self::TYPE, setup, GAIN), GLIDE_S, setup.rate_hz) }
    }

    fn happen(&mut self, happening: Happening) {
        if let Happening::Param { index: GAIN, value } = happening {
            self.gain.set(in_range(&Self::TYPE.params[GAIN], value));
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        for range in stretches(io.frames()) {
            let gain = self.gain.course(range.len());
            for channel in 0..io.channels().min(MAX_CHANNELS) {
                let param = &Self::TYPE.params[GAIN];
                let gain = gain.modulated(param, io.param_cable::<Self>(GAIN, channel, &range));
                let input = io.input_part(IN, channel, &range);
                let cv = io.input_part(CV_IN, channel, &range);
                let Some(out) = io.output(0, channel).get_mut(range.clone()) else {
                    continue;
                };
                match input {
                    Some(input) => {
                        out.iter_mut().zip(input).for_each(|(sample, &input)| *sample = sane(input))
                    }
                    None => out.fill(0.0),
                }
                if let Some(cv) = cv {
                    out.iter_mut().zip(cv).for_each(|(sample, &cv)| *sample *= sane(cv).max(0.0));
                }
                gain.scale(out);
            }
        }
    }
}
