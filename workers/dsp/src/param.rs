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
    (0..frames).step_by(STRETCH_FRAMES).map(move |start| start..(start + STRETCH_FRAMES).min(frames))
}

/// A parameter's value before the first frame: what `setup` says, else the panel's default.
pub fn initial(panel: &ModuleType, setup: &Setup<'_>, index: usize) -> f32 {
    let Some(param) = panel.params.get(index) else {
        return 0.0;
    };
    setup.params.get(index).map_or(param.default, |&value| in_range(param, value))
}

/// `value` brought into the parameter's range; the default if it is not a number. Real-time safe.
pub fn in_range(param: &Param, value: f32) -> f32 {
    if value.is_nan() { param.default } else { value.max(param.min).min(param.max) }
}

/// The index of a parameter that chooses by word. Real-time safe.
pub fn choice(value: f32) -> u32 {
    (value + 0.5) as u32
}

/// One control signal over one stretch.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one stretch, and a box would allocate"
)]
pub enum Course {
    /// The same value throughout, so that what follows from it needs computing only once. A matter of speed
    /// only: whether a signal that rests is called steady depends on where stretches begin.
    Steady(f32),
    /// A value for each frame; only as many as the stretch has frames mean anything.
    Moving([f32; STRETCH_FRAMES]),
}

impl Course {
    /// What a cable brings, made sane; zero without one. Real-time safe.
    #[inline(always)]
    pub fn of_cable(cable: Option<&[f32]>) -> Self {
        match cable {
            None => Self::Steady(0.0),
            Some(samples) => Self::Moving([0.0; STRETCH_FRAMES]).each_with(samples, |_, sample| sane(sample)),
        }
    }

    /// The value at `frame` of the stretch. Real-time safe.
    #[inline(always)]
    pub fn at(&self, frame: usize) -> f32 {
        match self {
            Self::Steady(value) => *value,
            Self::Moving(values) => values[frame % STRETCH_FRAMES],
        }
    }

    /// Multiplies `signal` by it. Real-time safe.
    #[inline(always)]
    pub fn scale(&self, signal: &mut [f32]) {
        match self {
            Self::Steady(value) => signal.iter_mut().for_each(|sample| *sample *= value),
            Self::Moving(values) => {
                signal.iter_mut().zip(values).for_each(|(sample, value)| *sample *= value)
            }
        }
    }

    /// Whether it is the same value throughout. Real-time safe.
    #[inline]
    pub fn is_steady(&self) -> bool {
        matches!(self, Self::Steady(_))
    }

    /// `f` of every value. Real-time safe.
    #[inline(always)]
    pub fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        self.with(&Self::Steady(0.0), |value, _| f(value))
    }

    /// `f` of every pair of values. Real-time safe.
    #[inline(always)]
    pub fn with(&self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        match (self, other) {
            (Self::Steady(one), Self::Steady(two)) => Self::Steady(f(*one, *two)),
            (_, Self::Moving(others)) => self.each_with(others, f),
            (Self::Moving(values), Self::Steady(two)) => {
                let mut values = *values;
                values.iter_mut().for_each(|value| *value = f(*value, *two));
                Self::Moving(values)
            }
        }
    }

    /// `f` of every value and the sample beside it.
    #[inline]
    fn each_with(&self, samples: &[f32], f: impl Fn(f32, f32) -> f32) -> Self {
        let mut values = match self {
            Self::Steady(value) => [*value; STRETCH_FRAMES],
            Self::Moving(values) => *values,
        };
        values.iter_mut().zip(samples).for_each(|(value, &sample)| *value = f(*value, sample));
        Self::Moving(values)
    }

    /// This parameter's course with a cable into it, as its panel says the cable counts. Real-time safe.
    #[inline(always)]
    pub fn modulated(&self, param: &Param, cable: Option<&[f32]>) -> Self {
        let bounded = |value: f32| value.max(param.min).min(param.max);
        match (cable, self) {
            (Some(samples), _) if param.modulation == Modulation::Octaves => {
                self.each_with(samples, |value, cv| bounded(value * exp2(sane(cv))))
            }
            (Some(samples), _) if param.modulation == Modulation::FullScale => {
                let span = param.max - param.min;
                self.each_with(samples, |value, cv| bounded(value + sane(cv) * span))
            }
            // Not `*self`: that would copy room for a whole stretch when there is one value.
            (_, Self::Steady(value)) => Self::Steady(*value),
            (_, Self::Moving(values)) => Self::Moving(*values),
        }
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
        Self { value, target: value, step: 0.0, frames_left: 0, glide_frames: (glide_s * rate_hz) as u32 }
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
    #[inline(always)]
    pub fn course(&mut self, frames: usize) -> Course {
        if self.frames_left == 0 {
            return Course::Steady(self.value);
        }
        let mut values = [self.target; STRETCH_FRAMES];
        for value in values.iter_mut().take(frames) {
            self.advance();
            *value = self.value;
        }
        Course::Moving(values)
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
