//! `out`: where a patch ends in the mix, left and right.
//!
//! A port that carries several channels counts with their mean, so a mono cable, which feeds all of them,
//! keeps its level. With nothing in `right`, `left` is the whole signal: its even channels (0, 2, ...) go
//! left and its odd ones right, so a stereo cable stays stereo and a mono cable is heard on both sides.

use crate::math::sane;
use crate::module::{Happening, Io, MAX_CHANNELS, Modulation, Module, ModuleType, Param, Port, Setup};
use crate::param::{GLIDE_S, STRETCH_FRAMES, Smoothed, in_range, initial, stretches};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

const LEFT_IN: usize = 0;
const RIGHT_IN: usize = 1;
const LEVEL: usize = 0;

/// The output's memory.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Out {
    level: Smoothed,
}

impl Module for Out {
    const TYPE: ModuleType = ModuleType {
        name: "out",
        summary: "To the loudspeakers",
        inputs: &[
            Port { name: "left", summary: "audio, -1..1; both sides while nothing is in right" },
            Port { name: "right", summary: "audio, -1..1" },
        ],
        outputs: &[],
        params: &[Param {
            name: "level",
            summary: "loudness",
            unit: "",
            min: 0.0,
            max: 1.0,
            default: 1.0,
            modulation: Modulation::FullScale,
            choices: &[],
        }],
        is_gated: false,
        is_sink: true,
    };

    fn new(setup: &Setup<'_>) -> Self {
        Self { level: Smoothed::new(initial(&Self::TYPE, setup, LEVEL), GLIDE_S, setup.rate_hz) }
    }

    fn happen(&mut self, happening: Happening) {
        if let Happening::Param { index: LEVEL, value } = happening {
            self.level.set(in_range(&Self::TYPE.params[LEVEL], value));
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        let is_right_patched = io.input(RIGHT_IN, 0).is_some();
        let channels = io.channels().min(MAX_CHANNELS);
        for range in stretches(io.frames()) {
            let level = self.level.course(range.len());
            for side in [0, 1] {
                let cable = io.param_cable::<Self>(LEVEL, side.min(channels.saturating_sub(1)), &range);
                let level = level.modulated(&Self::TYPE.params[LEVEL], cable);
                let sound = match (is_right_patched, side) {
                    (true, 0) => mean(io, LEFT_IN, 0..channels, 1, &range),
                    (true, _) => mean(io, RIGHT_IN, 0..channels, 1, &range),
                    // One channel has no odd one; it is both sides.
                    (false, side) => {
                        mean(io, LEFT_IN, side.min(channels.saturating_sub(1))..channels, 2, &range)
                    }
                };
                let Some(out) = io.output(0, side).get_mut(range.clone()) else {
                    continue;
                };
                out.iter_mut().zip(&sound).for_each(|(sample, &sound)| *sample = sound);
                level.scale(out);
            }
        }
    }
}

/// Mean of every `every`th of a port's channels; silence if nothing is patched.
fn mean(
    io: &Io<'_>,
    port: usize,
    channels: Range<usize>,
    every: usize,
    range: &Range<usize>,
) -> [f32; STRETCH_FRAMES] {
    let mut sum = [0.0; STRETCH_FRAMES];
    let share = 1.0 / channels.len().div_ceil(every).max(1) as f32;
    for channel in channels.step_by(every) {
        let Some(samples) = io.input_part(port, channel, range) else {
            continue;
        };
        for (sum, &sample) in sum.iter_mut().zip(samples) {
            *sum += share * sane(sample);
        }
    }
    sum
}
