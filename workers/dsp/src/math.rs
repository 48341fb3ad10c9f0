//! The few functions that sound needs for every sample, as polynomials: the same bits on every machine and
//! in every process, several samples at a time where the compiler sees a loop, and no call into libm.
//!
//! The coefficients interpolate each function at the Chebyshev nodes of its range; the errors stated were
//! measured over the whole range and are asserted in `tests/math.rs`.

/// Louder than any sound: what lies beyond counts as broken input.
pub const LOUDEST: f32 = 1.0e6;

/// Quieter than any sound (-360 dB), yet far above the denormals that slow a processor down.
const QUIETEST: f32 = 1.0e-18;

/// `sample`, or silence if it is NaN, infinite or absurd, so that one broken sample can never stay in a
/// filter or a delay line. Every module passes every input through here. Real-time safe.
#[inline]
pub fn sane(sample: f32) -> f32 {
    if sample.abs() <= LOUDEST { sample } else { 0.0 }
}

/// `sample`, or true zero when it has decayed below hearing and any converter. Real-time safe.
#[inline]
pub fn without_dust(sample: f32) -> f32 {
    if sample.abs() <= 8.0 * QUIETEST { 0.0 } else { sample }
}

/// Added to a filter's input, so that a silent filter settles here and not among the denormals;
/// [`without_dust`] takes it off the output again.
pub const FILTER_BIAS: f32 = QUIETEST;

/// 1.5 x 2^23: adding and subtracting it rounds to the nearest whole number, without a call.
const ROUNDER: f32 = 12_582_912.0;

/// 2 to the power of `octaves`, relative error below 2e-7 (0.0004 cents), exact for whole octaves.
/// Beyond +-64 octaves the result stays at the limit; not a number stays one. Real-time safe.
#[inline]
pub fn exp2(octaves: f32) -> f32 {
    let bounded = octaves.clamp(-64.0, 64.0);
    let whole = (bounded + ROUNDER) - ROUNDER;
    let part = bounded - whole;
    let part_ratio = 1.0
        + part
            * (std::f32::consts::LN_2
                + part
                    * (0.240_226_5
                        + part
                            * (0.055_503_27
                                + part
                                    * (0.009_618_057 + part * (0.001_340_042_8 + part * 0.000_154_614_45)))));
    let exponent = (whole as i32).wrapping_add(127);
    part_ratio * f32::from_bits((exponent as u32) << 23)
}

/// sin(pi x) for -0.5..=0.5, absolute error below 3e-7. Real-time safe.
#[inline]
pub fn sin_pi(half_turns: f32) -> f32 {
    let square = half_turns * half_turns;
    half_turns
        * (std::f32::consts::PI
            + square * (-5.167_71 + square * (2.550_077_4 + square * (-0.598_290_4 + square * 0.077_655_91))))
}

/// Sine of a whole-turn phase (2^32 is one turn), absolute error below 3e-7. Real-time safe.
#[inline]
pub fn sine(phase: u32) -> f32 {
    // Fold the turn onto the quarter turns on both sides of zero, in exact integers.
    let signed = phase as i32;
    let quarter_folded =
        if signed.wrapping_add(1 << 30) < 0 { i32::MIN.wrapping_sub(signed) } else { signed };
    sin_pi(quarter_folded as f32 * (1.0 / 2_147_483_648.0))
}

/// tan(pi x) for 0.0..0.5: the warped frequency of a trapezoidal integrator. Real-time safe.
///
/// Relative error below 1e-5 up to 0.49, where the filters stop.
#[inline]
pub fn tan_pi(half_turns: f32) -> f32 {
    sin_pi(half_turns) / sin_pi(0.5 - half_turns)
}

/// 1 - e^-x for x >= 0, relative error below 1e-6 even for the tiny x of slow envelopes. Real-time safe.
#[inline]
pub fn one_minus_exp(x: f32) -> f32 {
    if x < 0.125 {
        // Taylor series; the term left out is below x^6 / 720, 5e-8 of the result at 0.125.
        x * (1.0 - x * (0.5 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x * (1.0 / 120.0)))))
    } else {
        1.0 - exp2(-x * std::f32::consts::LOG2_E)
    }
}
