//! The four-pole ladder of `vcf`: four one-pole low-passes in a row and a feedback around them.
//!
//! Each pole is a trapezoidal integrator and the loop is solved without a delay in it (Zavalishin, "The Art
//! of VA Filter Design", 5.1), so the resonance is where the cutoff says. What is fed back passes a soft
//! clipper: whatever happens to cutoff and resonance, the four passive poles are then fed with a bounded
//! signal, and so the filter is bounded too. Below the clipper's knee the filter is exactly linear, and adds
//! no harmonic that could alias.

use crate::lanes::Lanes;
use crate::math::FILTER_BIAS;
use crate::vcf::{BP, HP, Stretch};

/// Poles of the ladder.
pub const POLES: usize = 4;

/// Feedback at which the ladder oscillates by itself: each pole has 1 / sqrt(2) at its cutoff, four have 1/4.
const FEEDBACK_OF_OSCILLATION: f32 = 4.0;
/// Feedback at full resonance: a little more, so that it does oscillate, a little louder than the knee.
const MOST_FEEDBACK: f32 = 1.05 * FEEDBACK_OF_OSCILLATION;
/// Feedback takes the level of the passed band down by 1 + k; this share of it is given back at the input.
const MAKE_UP: f32 = 0.5;

/// Where the clipper begins to bend. What it gives grows towards twice as much, and is never more.
const KNEE: f32 = 0.7;

/// What cutoff and resonance mean for each frame's arithmetic.
///
/// With G = g / (1 + g), pole `i` gives y_i = G y_(i-1) + (1 - G) s_i, and its integrator becomes 2 y_i - s_i.
/// Multiplied out, so that all four poles are computed side by side and none waits for the one before.
#[derive(Clone, Copy)]
struct Coefficients<const L: usize> {
    /// Gain of the input: the make-up for the feedback.
    drive: Lanes<L>,
    feedback: Lanes<L>,
    /// What the ladder's input adds to each integrator, 2 G^i.
    driven: [Lanes<L>; POLES],
    /// What an integrator leaves in itself, 1 - 2G, and adds to those 1, 2 and 3 poles on, 2 (1 - G) G^n.
    passed: [Lanes<L>; POLES],
    /// How much of the input, and of each integrator, is in the output of the solved loop.
    solved_input: Lanes<L>,
    solved: [Lanes<L>; POLES],
}

impl<const L: usize> Coefficients<L> {
    /// For `warped` = tan(pi f / rate).
    #[inline(always)]
    fn new(warped: Lanes<L>, resonance: Lanes<L>) -> Self {
        let share = warped.map(|warped| warped / (1.0 + warped));
        let kept = Lanes::all(1.0) - share;
        let feedback = resonance * MOST_FEEDBACK;
        let share2 = share * share;
        let through = [share, share2, share2 * share, share2 * share2];
        let loop_gain = (feedback * through[3]).map(|around| 1.0 / (1.0 + around));
        let solved4 = kept * loop_gain;
        let twice = kept * 2.0;
        Self {
            drive: Lanes::all(1.0) + feedback * MAKE_UP,
            feedback,
            driven: through.map(|through| through * 2.0),
            passed: [kept - share, twice * through[0], twice * through[1], twice * through[2]],
            solved_input: through[3] * loop_gain,
            solved: [through[2] * solved4, through[1] * solved4, through[0] * solved4, solved4],
        }
    }
}

/// Filters the stretch in place. `poles` is the state of each integrator. Real-time safe.
pub fn filter<const L: usize>(stretch: &mut Stretch<L>, poles: &mut [Lanes<L>; POLES], mode: u32) {
    match mode {
        HP => filter_as(stretch, poles, |[driven, one, two, three, four]| {
            driven + (two * 6.0 + four) - (one + three) * 4.0
        }),
        // Two poles up and two down; the factor makes it 1.0 at the cutoff without resonance.
        BP => filter_as(stretch, poles, |[_, _, two, three, four]| (two + four - three * 2.0) * 4.0),
        _lp => filter_as(stretch, poles, |[_, _, _, _, four]| four),
    }
}

#[inline(always)]
fn filter_as<const L: usize>(
    stretch: &mut Stretch<L>,
    poles: &mut [Lanes<L>; POLES],
    tap: impl Fn([Lanes<L>; 5]) -> Lanes<L>,
) {
    let mut state = *poles;
    let Stretch { signal, warped, resonance, frames, is_steady } = stretch;
    let mut coefficients = Coefficients::new(warped[0], resonance[0]);
    for ((signal, &warped), &resonance) in signal.iter_mut().zip(&*warped).zip(&*resonance).take(*frames) {
        if !*is_steady {
            coefficients = Coefficients::new(warped, resonance);
        }
        let taps;
        (taps, state) = frame(*signal, &coefficients, state);
        *signal = tap(taps);
    }
    *poles = state;
}

/// One frame: the signal after 0, 1, 2, 3 and 4 poles, and the integrators after it.
#[inline(always)]
fn frame<const L: usize>(
    input: Lanes<L>,
    by: &Coefficients<L>,
    state: [Lanes<L>; POLES],
) -> ([Lanes<L>; 5], [Lanes<L>; POLES]) {
    let input = (input + Lanes::all(FILTER_BIAS)) * by.drive;

    // The loop solved as if it were linear says what to feed back; the clipper bounds that. Hardly ever does
    // it have to, so asking first lets the processor go ahead.
    let early = state[0] * by.solved[0] + input * by.solved_input;
    let late = state[2] * by.solved[2] + state[3] * by.solved[3];
    let mut fed_back = (early + state[1] * by.solved[1]) + late;
    if fed_back.is_any_beyond(KNEE) {
        fed_back = bent(fed_back);
    }
    let driven = input - fed_back * by.feedback;

    let [to_self, one_on, two_on, three_on] = by.passed;
    let left = [
        state[0] * to_self,
        state[0] * one_on + state[1] * to_self,
        (state[0] * two_on + state[1] * one_on) + state[2] * to_self,
        (state[0] * three_on + state[1] * two_on) + (state[2] * one_on + state[3] * to_self),
    ];
    let next: [Lanes<L>; POLES] = std::array::from_fn(|pole| left[pole] + by.driven[pole] * driven);
    // The rule of the trapezoid: what a pole gives is the mean of its integrator before and after.
    let [one, two, three, four] = std::array::from_fn(|pole| (next[pole] + state[pole]) * 0.5);
    ([driven, one, two, three, four], next)
}

/// Kept apart, or the compiler would rather divide in every frame than ask.
#[cold]
#[inline(never)]
fn bent<const L: usize>(fed_back: Lanes<L>) -> Lanes<L> {
    fed_back.map(clipped)
}

/// Straight up to the knee, then a hyperbola with the same slope towards twice the knee.
#[inline]
fn clipped(sample: f32) -> f32 {
    let magnitude = sample.abs();
    if magnitude > KNEE { (2.0 * KNEE - KNEE * KNEE / magnitude).copysign(sample) } else { sample }
}
