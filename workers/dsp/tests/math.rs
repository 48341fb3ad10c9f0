//! The polynomials against double precision.

use backline_dsp::math::{LOUDEST, exp2, one_minus_exp, sane, sine, tan_pi};

#[test]
fn exp2_is_right_to_two_tenmillionths() {
    let mut worst: f64 = 0.0;
    for step in -640_000..=640_000 {
        let octaves = step as f32 * 1e-4;
        let ideal = f64::from(octaves).exp2();
        worst = worst.max((f64::from(exp2(octaves)) / ideal - 1.0).abs());
    }
    println!("exp2: {worst:.2e}, {:.6} cents", 1200.0 * worst / std::f64::consts::LN_2);
    assert!(worst < 2e-7);
    for octaves in -64..=64 {
        assert_eq!(exp2(octaves as f32), 2.0_f32.powi(octaves), "whole octaves are exact");
    }
}

#[test]
fn sine_is_right_to_three_tenmillionths() {
    let worst = (0..1_u32 << 20).map(|step| {
        let phase = step.wrapping_mul(4_099);
        let ideal = (f64::from(phase) / 4_294_967_296.0 * std::f64::consts::TAU).sin();
        (f64::from(sine(phase)) - ideal).abs()
    });
    let worst = worst.fold(0.0, f64::max);
    println!("sine: {worst:.2e}");
    assert!(worst < 3e-7);
}

#[test]
fn tan_is_right_to_a_hundredthousandth_where_filters_use_it() {
    for step in 1..49_000 {
        let half_turns = step as f32 * 1e-5;
        let ideal = (std::f64::consts::PI * f64::from(half_turns)).tan();
        assert!((f64::from(tan_pi(half_turns)) / ideal - 1.0).abs() < 1e-5, "{half_turns}");
    }
}

#[test]
fn one_minus_exp_is_right_to_a_millionth_however_small() {
    for exponent in -240..60 {
        let x = 2.0_f32.powf(exponent as f32 / 10.0);
        let ideal = -f64::from(-x).exp_m1();
        assert!((f64::from(one_minus_exp(x)) / ideal - 1.0).abs() < 1e-6, "{x}");
    }
}

#[test]
fn what_is_no_sound_is_silence() {
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -2.0 * LOUDEST] {
        assert_eq!(sane(broken), 0.0);
    }
    for sound in [0.0, -1.0, 0.25, 100.0] {
        assert_eq!(sane(sound), sound);
    }
}
