//! The oscillator against the ideal wave: tuning, harmonics, aliasing.

mod support;

use realfft::RealFftPlanner;
use support::{Bench, RATE_HZ, peak};

/// As long as the comparison with other oscillators was measured.
const FRAMES: usize = 131_072;

const SINE: f32 = 0.0;
const TRI: f32 = 1.0;
const SAW: f32 = 2.0;
const SQUARE: f32 = 3.0;

/// Power spectrum after a squared Blackman window.
fn spectrum(sound: &[f32]) -> Vec<f64> {
    let mut windowed: Vec<f64> = sound
        .iter()
        .enumerate()
        .map(|(frame, &sample)| {
            let turn = std::f64::consts::TAU * frame as f64 / sound.len() as f64;
            f64::from(sample) * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos()).powi(2)
        })
        .collect();
    let fft = RealFftPlanner::new().plan_fft_forward(sound.len());
    let mut bins = fft.make_output_vec();
    fft.process(&mut windowed, &mut bins).expect("the sizes match");
    bins.iter().map(|bin| bin.norm_sqr()).collect()
}

fn frequency_of(bin: usize) -> f64 {
    bin as f64 * f64::from(RATE_HZ) / FRAMES as f64
}

/// Power within 12 Hz of `frequency_hz`.
fn power_near(spectrum: &[f64], frequency_hz: f64) -> f64 {
    let near = spectrum
        .iter()
        .enumerate()
        .filter(|&(bin, _)| (frequency_of(bin) - frequency_hz).abs() <= 12.0);
    near.map(|(_, power)| power).sum()
}

/// Everything between 20 Hz and `to_hz` that is no harmonic, against the fundamental, in dB.
fn aliasing_db(sound: &[f32], frequency_hz: f64, to_hz: f64) -> f64 {
    let spectrum = spectrum(sound);
    let alias: f64 = spectrum
        .iter()
        .enumerate()
        .map(|(bin, power)| (frequency_of(bin), power))
        .filter(|&(frequency, _)| (20.0..to_hz).contains(&frequency))
        .filter(|&(frequency, _)| {
            let harmonic = (frequency / frequency_hz).round();
            (frequency - harmonic * frequency_hz).abs() > 12.0
        })
        .map(|(_, power)| power)
        .sum();
    10.0 * (alias / power_near(&spectrum, frequency_hz)).log10()
}

fn play(shape: f32, frequency_hz: f32, width: f32) -> Vec<f32> {
    let mut vco = Bench::new(
        "vco",
        &[("freq", frequency_hz), ("shape", shape), ("width", width)],
    );
    vco.render(&vco.no_cables(), FRAMES)
}

#[test]
fn nothing_audible_lies_between_the_harmonics() {
    for (name, shape, width) in [
        ("sine", SINE, 0.5),
        ("tri", TRI, 0.5),
        ("saw", SAW, 0.5),
        ("square", SQUARE, 0.5),
        ("pulse", SQUARE, 0.23),
    ] {
        for frequency_hz in [27.5_f32, 110.0, 441.7, 997.1, 2217.3, 4987.3, 9973.7, 15_101.0] {
            let sound = play(shape, frequency_hz, width);
            let (to_16k, to_24k) = (
                aliasing_db(&sound, frequency_hz.into(), 16e3),
                aliasing_db(&sound, frequency_hz.into(), 24e3),
            );
            println!(
                "{name:6} {frequency_hz:8} Hz: {to_16k:7.1} dB below 16 kHz, {to_24k:7.1} dB below 24 kHz"
            );
            if frequency_hz > 30.0 {
                assert!(
                    to_16k < -90.0,
                    "{name} at {frequency_hz} Hz has {to_16k} dB of aliasing"
                );
            }
        }
    }
    assert!(peak(&play(SINE, 440.0, 0.5)) < 1.000_001);
}
