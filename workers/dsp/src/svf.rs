//! The state-variable filter of `vcf`: two trapezoidal integrators, 12 dB an octave, all modes at once.
//!
//! After Andrew Simper, "Solving the continuous SVF equations using trapezoidal integration and equivalent
//! currents", Cytomic 2013. It is linear, and stable at every cutoff as long as its damping is positive.

use crate::lanes::Lanes;
use crate::math::FILTER_BIAS;
use crate::vcf::{BP, HP, Stretch};

/// Integrators.
pub const POLES: usize = 2;

/// Damping (1/Q) without resonance: Butterworth, flat and -3 dB at the cutoff.
const MOST_DAMPING: f32 = std::f32::consts::SQRT_2;
/// Damping at full resonance: Q is 50, a long ring, but one that ends.
const LEAST_DAMPING: f32 = 0.02;

/// What cutoff and resonance mean for each frame's arithmetic.
#[derive(Clone, Copy)]
struct Coefficients<const L: usize> {
    damping: Lanes<L>,
    /// Through no, one and two integrators.
    gain: Lanes<L>,
    gain_band: Lanes<L>,
    gain_low: Lanes<L>,
}

impl<const L: usize> Coefficients<L> {
    /// For `warped` = tan(pi f / rate).
    #[inline(always)]
    fn new(warped: Lanes<L>, resonance: Lanes<L>) -> Self {
        let damping = resonance * (LEAST_DAMPING - MOST_DAMPING) + Lanes::all(MOST_DAMPING);
        let gain = (warped * (warped + damping)).map(|around| 1.0 / (1.0 + around));
        let gain_band = warped * gain;
        Self { damping, gain, gain_band, gain_low: warped * gain_band }
    }
}

/// Filters the stretch in place. `poles` is the state of each integrator. Real-time safe.
pub fn filter<const L: usize>(stretch: &mut Stretch<L>, poles: &mut [Lanes<L>; POLES], mode: u32) {
    match mode {
        HP => filter_as(stretch, poles, |[high, _, _]| high),
        BP => filter_as(stretch, poles, |[_, band, _]| band),
        _lp => filter_as(stretch, poles, |[_, _, low]| low),
    }
}

#[inline(always)]
fn filter_as<const L: usize>(
    stretch: &mut Stretch<L>,
    poles: &mut [Lanes<L>; POLES],
    tap: impl Fn([Lanes<L>; 3]) -> Lanes<L>,
) {
    let [mut first, mut second] = *poles;
    let Stretch { signal, warped, resonance, frames, is_steady } = stretch;
    let mut by = Coefficients::new(warped[0], resonance[0]);
    for ((signal, &warped), &resonance) in signal.iter_mut().zip(&*warped).zip(&*resonance).take(*frames) {
        if !*is_steady {
            by = Coefficients::new(warped, resonance);
        }
        let input = *signal + Lanes::all(FILTER_BIAS);
        let ahead = input - second;
        let band = by.gain * first + by.gain_band * ahead;
        let low = second + (by.gain_band * first + by.gain_low * ahead);
        first = band + (band - first);
        second = low + (low - second);
        // The band is scaled to 1.0 at its peak, whatever the resonance.
        let band = by.damping * band;
        *signal = tap([input - band - low, band, low]);
    }
    *poles = [first, second];
}
