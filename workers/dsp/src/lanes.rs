//! Several channels side by side: arithmetic on `L` of them at once, which the compiler turns into vectors.
//!
//! Lanes never meet, so a channel's bits do not depend on how many there are beside it.

use std::array::from_fn;
use std::ops::{Add, Mul, Sub};

/// One value for each of `L` channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lanes<const L: usize>(pub [f32; L]);

impl<const L: usize> Lanes<L> {
    /// The same value in every lane. Real-time safe.
    #[inline(always)]
    pub fn all(value: f32) -> Self {
        Self([value; L])
    }

    /// `f` of every lane. Real-time safe.
    #[inline(always)]
    pub fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }

    /// Whether the magnitude of any lane is beyond `limit`. Real-time safe.
    #[inline(always)]
    pub fn is_any_beyond(self, limit: f32) -> bool {
        self.0.iter().fold(false, |is_any, lane| is_any | (lane.abs() > limit))
    }
}

impl<const L: usize> Add for Lanes<L> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] + other.0[lane]))
    }
}

impl<const L: usize> Sub for Lanes<L> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] - other.0[lane]))
    }
}

impl<const L: usize> Mul for Lanes<L> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] * other.0[lane]))
    }
}

impl<const L: usize> Mul<f32> for Lanes<L> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        self.map(|lane| lane * factor)
    }
}
