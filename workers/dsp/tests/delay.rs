//! The echo's time, level and end.

mod support;

use support::{Bench, peak};

/// Only the first echo, undiluted.
fn echo_of_impulse(time_s: f32, feedback: f32, frames: usize) -> Vec<f32> {
    let mut delay = Bench::new("delay", &[("time", time_s), ("feedback", feedback), ("mix", 1.0)]);
    let mut impulse = vec![0.0; frames];
    impulse[0] = 1.0;
    delay.render(&delay.cable("in", &impulse), frames)
}

#[test]
fn an_echo_comes_at_its_exact_frame() {
    for (time_s, frame) in
        [(0.001, 48), (0.01, 480), (0.1, 4800), (0.3, 14_400), (0.7, 33_600), (2.0, 96_000)]
    {
        let sound = echo_of_impulse(time_s, 0.0, frame + 10);
        assert_eq!(sound[frame], 1.0, "{time_s} s");
        assert_eq!(sound.iter().filter(|&&sample| sample != 0.0).count(), 1, "{time_s} s");
    }
}

#[test]
fn an_echo_between_two_frames_keeps_its_place() {
    let delay_frames = 100.5;
    let sound = echo_of_impulse(delay_frames / support::RATE_HZ, 0.0, 200);
    let weight: f32 = sound.iter().sum();
    let centre: f32 = sound.iter().enumerate().map(|(frame, sample)| frame as f32 * sample).sum();
    assert!((weight - 1.0).abs() < 1e-5);
    assert!((centre / weight - delay_frames).abs() < 1e-3);
}

#[test]
fn each_further_echo_is_fainter_by_the_feedback() {
    let sound = echo_of_impulse(0.01, 0.5, 2000);
    for (echo, frame) in [480, 960, 1440, 1920].into_iter().enumerate() {
        assert_eq!(sound[frame], 0.5_f32.powi(echo as i32));
    }
}

#[test]
fn echoes_end_in_true_zero() {
    let frames = 400_000;
    let sound = echo_of_impulse(0.002, 0.95, frames);
    assert_eq!(peak(&sound[frames - 4800..]), 0.0);
    assert!(sound.iter().all(|sample| !sample.is_subnormal()));
}

#[test]
fn turning_the_time_does_not_click() {
    let mut delay = Bench::new("delay", &[("time", 0.1), ("mix", 1.0), ("feedback", 0.0)]);
    let sine = support::sine(100.0, 48_000);
    let cables = delay.cable("in", &sine);
    let events = [(20_000, backline_dsp::module::Happening::Param { index: 0, value: 0.11 })];
    let sound = delay.render_split(&cables, 48_000, &[], &events);
    let step = sound[10_000..].windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    // A sine of 100 Hz moves 0.013 a frame; the swoop may make it a little faster or slower.
    assert!(step < 0.016, "a step of {step}");
}

#[test]
fn without_a_mix_the_input_passes_untouched() {
    let mut delay = Bench::new("delay", &[("mix", 0.0), ("feedback", 0.9)]);
    let sine = support::sine(440.0, 30_000);
    assert_eq!(delay.render(&delay.cable("in", &sine), 30_000), sine);
}
