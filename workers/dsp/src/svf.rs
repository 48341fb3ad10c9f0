//! The state-variable filter of `vcf`: two trapezoidal integrators, 12 dB an octave, all modes at once.
//!
//! After Andrew Simper, "Solving the continuous SVF equations using trapezoidal integration and equivalent
//! currents", Cytomic 2013. It is linear, and stable at every cutoff as long as its damping is positive.

use crate::math::FILTER_BIAS;
use crate::param::STRETCH_FRAMES;
use crate::vcf::{BP, HP};

/// Integrators.
pub const POLES: usize = 2;

/// Damping (1/Q) without resonance: Butterworth, flat and -3 dB at the cutoff.
const MOST_DAMPING: f32 = std::f32::consts::SQRT_2;
/// Damping at full resonance: Q is 50, a long ring, but one that ends.
const LEAST_DAMPING: f32 = 0.02;

/// What one stretch of `L` lanes is filtered with.
pub struct Stretch<const L: usize> {
    /// Input, then output, a frame a row.
    pub signal: [[f32; L]; STRETCH_FRAMES],
    /// Warped cutoff, tan(pi f / rate).
    pub warped: [[f32; L]; STRETCH_FRAMES],
    /// Resonance, 0.0..=1.0.
    pub resonance: [[f32; L]; STRETCH_FRAMES],
}

impl<const L: usize> Stretch<L> {
    /// Filters `frames` frames in place. `poles` is the state of each integrator. Real-time safe.
    pub fn filter(&mut self, poles: &mut [[f32; L]; POLES], mode: u32, frames: usize) {
        match mode {
            HP => self.filter_as(poles, frames, |high, _, _| high),
            BP => self.filter_as(poles, frames, |_, band, _| band),
            _lp => self.filter_as(poles, frames, |_, _, low| low),
        }
    }

    #[inline]
    fn filter_as(
        &mut self,
        poles: &mut [[f32; L]; POLES],
        frames: usize,
        tap: impl Fn(f32, f32, f32) -> f32,
    ) {
        let rows = self.signal.iter_mut().zip(&self.warped).zip(&self.resonance);
        for ((signal, warped), resonance) in rows.take(frames) {
            let [first, second] = poles;
            for lane in 0..L {
                let damping = MOST_DAMPING + resonance[lane] * (LEAST_DAMPING - MOST_DAMPING);
                let gain = 1.0 / (1.0 + warped[lane] * (warped[lane] + damping));
                let gain_band = warped[lane] * gain;
                let gain_low = warped[lane] * gain_band;

                let input = signal[lane] + FILTER_BIAS;
                let ahead = input - second[lane];
                let band = gain * first[lane] + gain_band * ahead;
                let low = second[lane] + gain_band * first[lane] + gain_low * ahead;
                first[lane] = 2.0 * band - first[lane];
                second[lane] = 2.0 * low - second[lane];
                // The band is scaled to 1.0 at its peak, whatever the resonance.
                signal[lane] = tap(input - damping * band - low, damping * band, low);
            }
        }
    }
}
