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
    let near =
        spectrum.iter().enumerate().filter(|&(bin, _)| (frequency_of(bin) - frequency_hz).abs() <= 12.0);
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
    let mut vco = Bench::new("vco", &[("freq", frequency_hz), ("shape", shape), ("width", width)]);
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
                assert!(to_16k < -90.0, "{name} at {frequency_hz} Hz has {to_16k} dB of aliasing");
            }
        }
    }
    assert!(peak(&play(SINE, 440.0, 0.5)) < 1.000_001);
}

#[test]
fn every_harmonic_up_to_16_khz_has_its_ideal_level() {
    type Ideal = fn(f64, f64) -> f64;
    let shapes: [(&str, f32, f32, Ideal); 4] = [
        ("tri", TRI, 0.5, |k, _| 8.0 / (std::f64::consts::PI * k).powi(2) * (k % 2.0)),
        ("saw", SAW, 0.5, |k, _| 2.0 / (std::f64::consts::PI * k)),
        ("square", SQUARE, 0.5, |k, _| 4.0 / (std::f64::consts::PI * k) * (k % 2.0)),
        ("pulse", SQUARE, 0.3, |k, width| {
            4.0 / (std::f64::consts::PI * k) * (std::f64::consts::PI * k * width).sin().abs()
        }),
    ];
    for (name, shape, width, ideal) in shapes {
        for frequency_hz in [55.0_f32, 311.1, 1244.5, 4987.3] {
            let spectrum = spectrum(&play(shape, frequency_hz, width));
            // The power of a sine of amplitude 1.0 through the same window.
            let full_scale = power_near(&self::spectrum(&support::sine(1000.0, FRAMES)), 1000.0);
            let mut worst_db: f64 = 0.0;
            for harmonic in 1..=(16e3 / f64::from(frequency_hz)) as u32 {
                let level = ideal(harmonic.into(), width.into());
                if level > 1e-4 {
                    let power = power_near(&spectrum, f64::from(harmonic) * f64::from(frequency_hz));
                    worst_db =
                        worst_db.max((10.0 * (power / full_scale).log10() - 20.0 * level.log10()).abs());
                }
            }
            println!("{name:6} {frequency_hz:8} Hz: harmonics within {worst_db:.4} dB");
            assert!(worst_db < 0.1, "{name} at {frequency_hz} Hz is {worst_db} dB off");
        }
    }
}

/// Frequency from the phase that a sine gains between two windows far apart.
fn measured_hz(sound: &[f32], about_hz: f64) -> f64 {
    let length = 16_384;
    let distance = FRAMES - length;
    let phase_at = |start: usize| {
        let turn = std::f64::consts::TAU * about_hz / f64::from(RATE_HZ);
        let (mut re, mut im) = (0.0, 0.0);
        for (frame, &sample) in sound[start..start + length].iter().enumerate() {
            let window = 0.5 - 0.5 * (std::f64::consts::TAU * frame as f64 / length as f64).cos();
            let angle = turn * (start + frame) as f64;
            re += window * f64::from(sample) * angle.cos();
            im -= window * f64::from(sample) * angle.sin();
        }
        im.atan2(re)
    };
    let gained = (phase_at(distance) - phase_at(0) + std::f64::consts::PI).rem_euclid(std::f64::consts::TAU)
        - std::f64::consts::PI;
    about_hz + gained / std::f64::consts::TAU * f64::from(RATE_HZ) / distance as f64
}

#[test]
fn tuning_is_within_a_tenth_of_a_cent() {
    let mut worst: f64 = 0.0;
    for (frequency_hz, pitch_oct, detune_cents) in [
        (27.5_f32, 0.0_f32, 0.0_f32),
        (440.0, 0.0, 0.0),
        (110.0, 2.25, 0.0),
        (440.0, -1.5, 33.0),
        (1000.0, 3.1, -7.0),
    ] {
        let params = [("freq", frequency_hz), ("shape", SINE), ("detune", detune_cents)];
        let mut vco = Bench::new("vco", &params);
        let sound = vco.render(&vco.cable("pitch", &vec![pitch_oct; FRAMES]), FRAMES);
        let ideal_hz =
            f64::from(frequency_hz) * (f64::from(pitch_oct) + f64::from(detune_cents) / 1200.0).exp2();
        let cents = 1200.0 * (measured_hz(&sound, ideal_hz) / ideal_hz).log2();
        worst = worst.max(cents.abs());
        assert!(cents.abs() < 0.1, "{frequency_hz} Hz is {cents} cents off");
    }
    println!("tuning within {worst:.5} cents");
}

#[test]
fn linear_fm_through_zero_runs_the_wave_backwards() {
    let mut forwards = Bench::new("vco", &[("freq", 100.0)]);
    let mut there_and_back = Bench::new("vco", &[("freq", 100.0)]);
    let fm: Vec<f32> = (0..1000).map(|frame| if frame < 500 { 0.0 } else { -2.0 }).collect();
    let there = forwards.render(&forwards.no_cables(), 1000);
    let back = there_and_back.render(&there_and_back.cable("fm", &fm), 1000);
    for frame in 0..400 {
        assert!((there[500 - frame] - back[500 + frame]).abs() < 1e-6);
    }
}

#[test]
fn a_pulse_is_high_for_its_width_and_keeps_to_full_scale() {
    for width in [0.05_f32, 0.3, 0.5, 0.9] {
        let sound = play(SQUARE, 100.0, width);
        let high = sound.iter().filter(|&&sample| sample > 0.0).count() as f32 / sound.len() as f32;
        assert!((high - width).abs() < 0.01, "width {width} was high for {high}");
        assert!(peak(&sound) < 1.25, "width {width} reached {}", peak(&sound));
    }
}
