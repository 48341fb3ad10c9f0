//! Parameters as the DSP meets them: gliding to a new value without zipper noise, and modulated by cables.

use crate::math::{exp2, sane};
use crate::module::{Modulation, ModuleType, Param, Setup};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

/// Modules render in stretches of at most this many frames, so that their working buffers fit the stack and
/// the first-level cache. It is no control rate: what a sample is does not depend on where stretches begin.
pub const STRETCH_FRAMES: usize = 64;

/// How long a changed parameter glides: short enough to feel immediate, long enough not to click.
pub const GLIDE_S: f32 = 0.005;

/// Cuts `frames` into stretches. Real-time safe.
pub fn stretches(frames: usize) -> impl Iterator<Item = Range<usize>> {
    (0..frames)
        .step_by(STRETCH_FRAMES)
        .map(move |start| start..(start + STRETCH_FRAMES).min(frames))
}

/// A parameter's value before the first frame: what `setup` says, else the panel's default.
pub fn initial(panel: &ModuleType, setup: &Setup<'_>, index: usize) -> f32 {
    let Some(param) = panel.params.get(index) else {
        return 0.0;
    };
    setup
        .params
        .get(index)
        .map_or(param.default, |&value| in_range(param, value))
}

/// `value` brought into the parameter's range; the default if it is not a number. Real-time safe.
pub fn in_range(param: &Param, value: f32) -> f32 {
    if value.is_nan() {
        param.default
    } else {
        value.max(param.min).min(param.max)
    }
}

/// The index of a parameter that chooses by word. Real-time safe.
pub fn choice(value: f32) -> u32 {
    (value + 0.5) as u32
}

/// One signal over one stretch.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// A value for each frame; only as many as the stretch has frames mean anything.
    pub values: [f32; STRETCH_FRAMES],
    /// All the values are the same, so that what follows from them needs computing only once. A hint for
    /// speed only: it depends on where stretches begin.
    pub is_steady: bool,
}

impl Course {
    /// The same value throughout. Real-time safe.
    pub fn steady(value: f32) -> Self {
        Self {
            values: [value; STRETCH_FRAMES],
            is_steady: true,
        }
    }

    /// What a cable brings, made sane; zero without one. Real-time safe.
    pub fn of_cable(cable: Option<&[f32]>) -> Self {
        let mut course = Self::steady(0.0);
        if let Some(samples) = cable {
            course.is_steady = false;
            for (value, &sample) in course.values.iter_mut().zip(samples) {
                *value = sane(sample);
            }
        }
        course
    }

    /// `f` of every value, computed once if the signal is steady. Real-time safe.
    #[inline]
    pub fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        if self.is_steady {
            return Self::steady(f(self.values[0]));
        }
        Self {
            values: self.values.map(f),
            is_steady: false,
        }
    }

    /// `f` of every pair of values, computed once if both signals are steady. Real-time safe.
    #[inline]
    pub fn with(&self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        if self.is_steady && other.is_steady {
            return Self::steady(f(self.values[0], other.values[0]));
        }
        let mut both = *self;
        both.is_steady = false;
        for (value, &second) in both.values.iter_mut().zip(&other.values) {
            *value = f(*value, second);
        }
        both
    }

    /// This parameter's course with a cable into it, as its panel says the cable counts. Real-time safe.
    pub fn modulated(&self, param: &Param, cable: Option<&[f32]>) -> Self {
        let Some(samples) = cable else { return *self };
        let mut course = *self;
        course.is_steady = false;
        let pairs = course.values.iter_mut().zip(samples);
        match param.modulation {
            Modulation::Octaves => {
                pairs.for_each(|(value, &cv)| {
                    *value = (*value * exp2(sane(cv))).max(param.min).min(param.max)
                });
            }
            Modulation::FullScale => {
                let span = param.max - param.min;
                pairs.for_each(|(value, &cv)| {
                    *value = (*value + sane(cv) * span).max(param.min).min(param.max)
                });
            }
            Modulation::None => course.is_steady = self.is_steady,
        }
        course
    }
}

/// A parameter that glides in a straight line to each new value and then rests on exactly that value.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Smoothed {
    value: f32,
    target: f32,
    step: f32,
    frames_left: u32,
    glide_frames: u32,
}

impl Smoothed {
    /// Starts at `value`, at rest. Changes take `glide_s`; zero means they are immediate.
    pub fn new(value: f32, glide_s: f32, rate_hz: f32) -> Self {
        Self {
            value,
            target: value,
            step: 0.0,
            frames_left: 0,
            glide_frames: (glide_s * rate_hz) as u32,
        }
    }

    /// Starts to glide to `target` from the next frame on. Real-time safe.
    pub fn set(&mut self, target: f32) {
        self.target = target;
        if self.glide_frames == 0 {
            self.jump(target);
        } else {
            self.step = (target - self.value) / self.glide_frames as f32;
            self.frames_left = self.glide_frames;
        }
    }

    /// Is at `value` from the next frame on. Real-time safe.
    pub fn jump(&mut self, value: f32) {
        self.value = value;
        self.target = value;
        self.frames_left = 0;
    }

    /// The values of the next `frames` frames. Real-time safe.
    pub fn course(&mut self, frames: usize) -> Course {
        if self.frames_left == 0 {
            return Course::steady(self.value);
        }
        let mut course = Course {
            values: [self.target; STRETCH_FRAMES],
            is_steady: false,
        };
        for value in course.values.iter_mut().take(frames) {
            self.advance();
            *value = self.value;
        }
        course
    }

    fn advance(&mut self) {
        match self.frames_left {
            0 => {}
            1 => self.jump(self.target),
            _ => {
                self.value += self.step;
                self.frames_left -= 1;
            }
        }
    }
}
