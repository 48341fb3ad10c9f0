//! The filters against the ideal ones: cutoff, slope, resonance, and that nothing makes them run away.

mod support;

use proptest::prelude::*;
use support::{Bench, amplitude_at, peak};

const LP: f32 = 0.0;
const HP: f32 = 1.0;
const BP: f32 = 2.0;
const LADDER: f32 = 0.0;
const SVF: f32 = 1.0;

const FRAMES: usize = 48_000;

/// Gain at `frequency_hz` once the filter has settled, by the response to an impulse too small to clip.
fn response(params: &[(&str, f32)]) -> impl Fn(f64) -> f64 + use<> {
    let mut vcf = Bench::new("vcf", params);
    let mut impulse = vec![0.0; FRAMES];
    impulse[0] = 0.01;
    let sound = vcf.render(&vcf.cable("in", &impulse), FRAMES);
    move |frequency_hz| amplitude_at(&sound, frequency_hz) * FRAMES as f64 / 2.0 / 0.01
}

/// Where the gain is greatest, to a thousandth.
fn peak_hz(gain: impl Fn(f64) -> f64, about_hz: f64) -> f64 {
    let candidates = (-80..=80).map(|step| about_hz * 1.001_f64.powi(step));
    candidates.max_by(|one, two| gain(*one).total_cmp(&gain(*two))).expect("there are candidates")
}

#[test]
fn resonance_is_within_two_percent_of_the_cutoff() {
    for (name, model, res) in [("ladder", LADDER, 0.9), ("svf", SVF, 0.97)] {
        for cutoff_hz in [40.0_f32, 220.0, 1000.0, 5000.0, 12_000.0, 18_000.0] {
            let gain = response(&[("cutoff", cutoff_hz), ("res", res), ("model", model)]);
            let off = peak_hz(gain, cutoff_hz.into()) / f64::from(cutoff_hz) - 1.0;
            println!("{name:6} {cutoff_hz:6} Hz: {:+.2} %", 100.0 * off);
            assert!(off.abs() < 0.02, "{name} at {cutoff_hz} Hz is {off} off");
        }
    }
}

#[test]
fn at_the_cutoff_without_resonance_the_gain_is_that_of_the_poles() {
    for cutoff_hz in [100.0_f32, 1000.0, 8000.0] {
        for (model, mode, ideal_db) in [
            (LADDER, LP, -12.04),
            (LADDER, HP, -12.04),
            (LADDER, BP, 0.0),
            (SVF, LP, -3.01),
            (SVF, HP, -3.01),
            (SVF, BP, 0.0),
        ] {
            let gain = response(&[("cutoff", cutoff_hz), ("res", 0.0), ("model", model), ("mode", mode)]);
            let db = 20.0 * gain(cutoff_hz.into()).log10();
            assert!((db - ideal_db).abs() < 0.1, "model {model} mode {mode} at {cutoff_hz} Hz: {db} dB");
        }
    }
}

#[test]
fn slopes_are_24_and_12_db_an_octave() {
    for (model, mode, ideal_db) in [(LADDER, LP, 24.0), (LADDER, HP, 24.0), (SVF, LP, 12.0), (SVF, HP, 12.0)]
    {
        let gain = response(&[("cutoff", 400.0), ("res", 0.0), ("model", model), ("mode", mode)]);
        let (near_hz, far_hz) = if mode == LP { (2400.0, 4800.0) } else { (60.0, 30.0) };
        let db = 20.0 * (gain(near_hz) / gain(far_hz)).log10();
        assert!((db - ideal_db).abs() < 1.0, "model {model} mode {mode}: {db} dB an octave");
    }
}

#[test]
fn a_struck_ladder_at_full_resonance_sings_at_its_cutoff_and_stays_within_full_scale() {
    for cutoff_hz in [110.0_f32, 1000.0, 6000.0] {
        let mut vcf = Bench::new("vcf", &[("cutoff", cutoff_hz), ("res", 1.0)]);
        let mut struck = vec![0.0; 4 * FRAMES];
        struck[0] = 1.0;
        let sound = vcf.render(&vcf.cable("in", &struck), 4 * FRAMES);
        let late = &sound[3 * FRAMES..];
        let sung_hz = peak_hz(|hertz| amplitude_at(late, hertz), cutoff_hz.into());
        println!("{cutoff_hz} Hz sings at {sung_hz:.1} Hz, {:.2} loud", peak(late));
        assert!((sung_hz / f64::from(cutoff_hz) - 1.0).abs() < 0.02);
        assert!((0.3..1.2).contains(&peak(late)));
    }
}

#[test]
fn a_filter_that_hears_nothing_any_more_falls_truly_silent() {
    for model in [LADDER, SVF] {
        for mode in [LP, HP, BP] {
            let mut vcf = Bench::new("vcf", &[("cutoff", 1000.0), ("model", model), ("mode", mode)]);
            let mut sound = support::sine(500.0, FRAMES);
            sound[FRAMES / 4..].fill(0.0);
            let filtered = vcf.render(&vcf.cable("in", &sound), FRAMES);
            assert_eq!(peak(&filtered[FRAMES / 2..]), 0.0, "model {model} mode {mode}");
            assert!(vcf.state.iter().all(|&word| !f32::from_bits(word).is_subnormal() || word < 0x1_0000));
        }
    }
}

#[test]
fn moving_the_cutoff_clicks_no_louder_than_the_sound_moves() {
    let mut vcf = Bench::new("vcf", &[("cutoff", 300.0)]);
    let steady = vec![0.5; 4800];
    let cables = vcf.cable("in", &steady);
    vcf.render(&cables, 4800);
    vcf.set("cutoff", 9000.0);
    let moved = vcf.render(&cables, 4800);
    let step = moved.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.002, "a step of {step}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_cutoff_and_resonance_makes_it_run_away(
        model in 0..2_u8,
        mode in 0..3_u8,
        moves in prop::collection::vec((-4.0_f32..4.0, 0.0_f32..=1.0, 1..200_usize), 40),
        loudness in 0.1_f32..1.0,
    ) {
        let params = [("model", f32::from(model)), ("mode", f32::from(mode)), ("res", 0.0), ("cutoff", 1500.0)];
        let mut vcf = Bench::new("vcf", &params);
        let frames: usize = moves.iter().map(|(_, _, length)| length).sum();
        let spread = |pick: fn(&(f32, f32, usize)) -> f32| -> Vec<f32> {
            moves.iter().flat_map(|each| std::iter::repeat_n(pick(each), each.2)).collect()
        };
        let mut cables = vcf.cable("in", &(0..frames).map(|n| loudness * if n / 40 % 2 == 0 { 1.0 } else { -1.0 }).collect::<Vec<_>>());
        let (cv, res) = (vcf.input("cv"), vcf.input("res"));
        cables[cv] = Some(spread(|each| each.0));
        cables[res] = Some(spread(|each| each.1));
        let sound = vcf.render(&cables, frames);
        // Q is 50 at most and a square's fundamental 4/pi; jumps of the cutoff may add as much again.
        prop_assert!(peak(&sound) < 150.0, "reached {}", peak(&sound));
    }

    #[test]
    fn every_channel_is_filtered_as_if_it_were_alone(model in 0..2_u8, res in 0.0_f32..=1.0, channels in 1..=16_usize) {
        let params = [("model", f32::from(model)), ("res", res), ("cutoff", 700.0)];
        let frames = 300;
        let sounds: Vec<Vec<f32>> = (0..channels).map(|channel| support::sine(100.0 * (channel + 1) as f64, frames)).collect();
        let mut together = Bench::with_channels("vcf", channels, &params);
        let mut cables = together.no_cables();
        cables[0] = Some(sounds.concat());
        let all = together.render(&cables, frames);
        for (channel, sound) in sounds.iter().enumerate() {
            let mut alone = Bench::new("vcf", &params);
            let one = alone.render(&alone.cable("in", sound), frames);
            prop_assert_eq!(support::bits(&one), support::bits(&all[channel * frames..][..frames]));
        }
    }
}
