//! The four-pole ladder of `vcf`: four one-pole low-passes in a row and a feedback around them.
//!
//! Each pole is a trapezoidal integrator and the loop is solved without a delay in it (Zavalishin, "The Art
//! of VA Filter Design", 5.1), so the resonance is where the cutoff says. The feedback alone passes through a
//! soft clipper: whatever happens to cutoff and resonance, the four passive poles are then fed with a bounded
//! signal, and so the filter is bounded too. At levels up to about 0.3 around the loop it is linear.
//!
//! Several channels are computed side by side in the lanes of a vector; lanes never meet, so a channel's bits
//! do not depend on how many there are.

use crate::math::FILTER_BIAS;
use crate::param::STRETCH_FRAMES;
use crate::vcf::{BP, HP};

/// Poles of the ladder.
pub const POLES: usize = 4;

/// Feedback at which the ladder oscillates by itself: each pole halves the power at its cutoff, 1 / sqrt(2)^4.
const FEEDBACK_OF_OSCILLATION: f32 = 4.0;
/// Feedback at full resonance: a little more, so that it does oscillate, at about half of full scale.
const MOST_FEEDBACK: f32 = 1.05 * FEEDBACK_OF_OSCILLATION;
/// Feedback takes the level of the passed band down by 1 + k; this share of it is given back at the input.
const MAKE_UP: f32 = 0.5;

/// Where the soft clipper's curve x - 4/27 x^3 is level; its value there is 1.0.
const CLIP_FROM: f32 = 1.5;
const CLIP_CURVE: f32 = 4.0 / 27.0;

/// What one stretch of `L` lanes is filtered with.
pub struct Stretch<const L: usize> {
    /// Input, then output, a frame a row.
    pub signal: [[f32; L]; STRETCH_FRAMES],
    /// Share of its input that a pole takes at once: g / (1 + g).
    pub share: [[f32; L]; STRETCH_FRAMES],
    /// Resonance, 0.0..=1.0.
    pub resonance: [[f32; L]; STRETCH_FRAMES],
}

impl<const L: usize> Stretch<L> {
    /// Filters `frames` frames in place. `poles` is the state of each integrator. Real-time safe.
    pub fn filter(&mut self, poles: &mut [[f32; L]; POLES], mode: u32, frames: usize) {
        match mode {
            HP => self.filter_as(poles, frames, |[driven, one, two, three, four]| {
                driven - 4.0 * (one + three) + 6.0 * two + four
            }),
            // Two poles up and two down; the factor makes it 1.0 at the cutoff without resonance.
            BP => self.filter_as(poles, frames, |[_, _, two, three, four]| {
                4.0 * (two - 2.0 * three + four)
            }),
            _lp => self.filter_as(poles, frames, |[_, _, _, _, four]| four),
        }
    }

    #[inline]
    fn filter_as(&mut self, poles: &mut [[f32; L]; POLES], frames: usize, tap: impl Fn([f32; 5]) -> f32) {
        let rows = self.signal.iter_mut().zip(&self.share).zip(&self.resonance);
        for ((signal, share), resonance) in rows.take(frames) {
            let [one, two, three, four] = poles;
            for lane in 0..L {
                let state = [one[lane], two[lane], three[lane], four[lane]];
                let (taps, next) = frame(signal[lane], share[lane], resonance[lane], state);
                signal[lane] = tap(taps);
                [one[lane], two[lane], three[lane], four[lane]] = next;
            }
        }
    }
}

/// One frame of one lane: the signal after 0, 1, 2, 3 and 4 poles, and the integrators after it.
#[inline]
fn frame(input: f32, share: f32, resonance: f32, state: [f32; POLES]) -> ([f32; 5], [f32; POLES]) {
    let feedback = MOST_FEEDBACK * resonance;
    let share2 = share * share;
    let (share3, share4) = (share2 * share, share2 * share2);
    let input = (1.0 + MAKE_UP * feedback) * (input + FILTER_BIAS);

    // What the poles would give if nothing came in now.
    let kept = 1.0 - share;
    let rest1 = kept * state[0];
    let rest2 = share * rest1 + kept * state[1];
    let rest3 = share * rest2 + kept * state[2];
    let rest4 = share * rest3 + kept * state[3];

    // The loop solved as if it were linear says what to feed back; the clipper bounds that.
    let linear4 = (rest4 + share4 * input) / (1.0 + feedback * share4);
    let driven = input - feedback * clipped(linear4);

    let after = [
        share * driven + rest1,
        share2 * driven + rest2,
        share3 * driven + rest3,
        share4 * driven + rest4,
    ];
    let next = std::array::from_fn(|pole| 2.0 * after[pole] - state[pole]);
    ([driven, after[0], after[1], after[2], after[3]], next)
}

/// Soft clipper, -1.0..=1.0, with slope 1.0 at zero.
#[inline]
fn clipped(sample: f32) -> f32 {
    let bounded = sample.clamp(-CLIP_FROM, CLIP_FROM);
    bounded - CLIP_CURVE * bounded * bounded * bounded
}
