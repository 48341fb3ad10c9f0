//! `noise`: white, pink and brown noise that is the same at every rendering of a patch.
//!
//! White noise is a hash of the frame's number and a key for each channel, so there is no generator whose
//! channels could run in step; pink and brown are that noise through a filter.

use crate::module::{Happening, Io, MAX_CHANNELS, Modulation, Module, ModuleType, Param, Port, Setup};
use crate::param::{choice, in_range, initial, stretches};
use bytemuck::{Pod, Zeroable};

const COLOR: usize = 0;
const SEED: usize = 1;

const WHITE: u32 = 0;
const PINK: u32 = 1;

/// 2^32 divided by the golden ratio: successive multiples are spread evenly (Knuth, TAOCP 3, 6.4).
const GOLDEN: u32 = 0x9E37_79B9;

/// Brings pink noise to about -12 dB RMS, whose peaks reach about 1.0.
const PINK_GAIN: f32 = 0.15;
/// RMS of brown noise, for the same peaks.
const BROWN_RMS: f32 = 0.25;
/// Below this brown noise no longer rises, or it would wander off.
const BROWN_CORNER_HZ: f32 = 10.0;

/// Filter from white to pink, within 0.05 dB above 9 Hz at 44.1 kHz: Paul Kellet's refined method, 1999
/// (musicdsp.org, "Pink Noise Filter"). Each row is a pole and the gain into it.
const PINK_POLES: [(f32, f32); 6] = [
    (0.998_86, 0.055_517_9),
    (0.993_32, 0.075_075_9),
    (0.969, 0.153_852),
    (0.866_5, 0.310_485_6),
    (0.55, 0.532_952_2),
    (-0.761_6, -0.016_898),
];
const PINK_LATE_GAIN: f32 = 0.115_926;
const PINK_DIRECT_GAIN: f32 = 0.5362;

/// The noise source's memory.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Noise {
    color: u32,
    identity: u32,
    seed: u32,
    frame: u32,
    brown_keep: f32,
    brown_gain: f32,
    brown: [f32; MAX_CHANNELS],
    pink_late: [f32; MAX_CHANNELS],
    pink: [[f32; PINK_POLES.len()]; MAX_CHANNELS],
}

impl Module for Noise {
    const TYPE: ModuleType = ModuleType {
        name: "noise",
        summary: "Noise, the same at every rendering",
        inputs: &[],
        outputs: &[Port { name: "out", summary: "audio, -1..1" }],
        params: &[
            Param {
                name: "color",
                summary: "white: flat; pink: -3 dB an octave; brown: -6 dB an octave",
                unit: "",
                min: 0.0,
                max: 2.0,
                default: 0.0,
                modulation: Modulation::None,
                choices: &["white", "pink", "brown"],
            },
            Param {
                name: "seed",
                summary: "which noise; 0 takes one that belongs to the module's id",
                unit: "",
                min: 0.0,
                max: 16_777_215.0,
                default: 0.0,
                modulation: Modulation::None,
                choices: &[],
            },
        ],
        is_gated: false,
        is_sink: false,
    };

    fn new(setup: &Setup<'_>) -> Self {
        // One-pole low-pass; the gain keeps the power of white noise (1/3) times what BROWN_RMS asks for.
        let brown_keep = 1.0 - (std::f32::consts::TAU * BROWN_CORNER_HZ / setup.rate_hz).min(1.0);
        let brown_gain = BROWN_RMS * (3.0 * (1.0 - brown_keep * brown_keep)).sqrt();
        let mut noise = Self {
            color: choice(initial(&Self::TYPE, setup, COLOR)),
            identity: setup.identity,
            brown_keep,
            brown_gain,
            ..Self::zeroed()
        };
        noise.start_over(initial(&Self::TYPE, setup, SEED));
        noise
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
            COLOR => self.color = choice(value),
            SEED => self.start_over(value),
            _ => {}
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        for range in stretches(io.frames()) {
            for channel in 0..io.channels().min(MAX_CHANNELS) {
                if let Some(out) = io.output(0, channel).get_mut(range.clone()) {
                    self.fill(channel, out);
                }
            }
            self.frame = self.frame.wrapping_add(range.len() as u32);
        }
    }
}

impl Noise {
    /// From the first sample of the noise that `seed` names.
    fn start_over(&mut self, seed: f32) {
        let seed = seed as u32;
        // An odd word apart, so that seed 1 is not the noise of the module whose identity is 1.
        self.seed = if seed == 0 { mixed(self.identity ^ 0x5EED_0001) } else { mixed(seed) };
        self.frame = 0;
        self.brown = [0.0; MAX_CHANNELS];
        self.pink_late = [0.0; MAX_CHANNELS];
        self.pink = [[0.0; PINK_POLES.len()]; MAX_CHANNELS];
    }

    fn fill(&mut self, channel: usize, out: &mut [f32]) {
        let key = mixed(self.seed.wrapping_add((channel as u32 + 1).wrapping_mul(GOLDEN)));
        for (later, sample) in out.iter_mut().enumerate() {
            *sample = white(key, self.frame.wrapping_add(later as u32));
        }
        match self.color {
            WHITE => {}
            PINK => self.filter_pink(channel, out),
            _brown => self.filter_brown(channel, out),
        }
    }

    fn filter_pink(&mut self, channel: usize, out: &mut [f32]) {
        let (Some(poles), Some(late)) = (self.pink.get_mut(channel), self.pink_late.get_mut(channel)) else {
            return;
        };
        for sample in out {
            let white = *sample;
            let mut sum = *late + PINK_DIRECT_GAIN * white;
            for (pole, &(keep, gain)) in poles.iter_mut().zip(&PINK_POLES) {
                *pole = keep * *pole + gain * white;
                sum += *pole;
            }
            *late = PINK_LATE_GAIN * white;
            *sample = PINK_GAIN * sum;
        }
    }

    fn filter_brown(&mut self, channel: usize, out: &mut [f32]) {
        let Some(level) = self.brown.get_mut(channel) else {
            return;
        };
        for sample in out {
            *level = self.brown_keep * *level + self.brown_gain * *sample;
            *sample = *level;
        }
    }
}

/// Uniform in -1..1.
#[inline]
fn white(key: u32, frame: u32) -> f32 {
    mixed(frame.wrapping_mul(GOLDEN) ^ key) as i32 as f32 * (1.0 / 2_147_483_648.0)
}

/// Any change of one bit changes each bit of the result half of the time: "lowbias32" from Chris Wellons,
/// "Prospecting for Hash Functions", 2018.
#[inline]
fn mixed(word: u32) -> u32 {
    let word = (word ^ (word >> 16)).wrapping_mul(0x7FEB_352D);
    let word = (word ^ (word >> 15)).wrapping_mul(0x846C_A68B);
    word ^ (word >> 16)
}
