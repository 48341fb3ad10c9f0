//! Ears: WAV files, where sound begins and ends, and how high it is.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use std::path::Path;

/// Rate of every test.
pub const RATE_HZ: f64 = 48_000.0;

/// A stereo file: left and right.
pub struct Stereo {
    /// Left.
    pub left: Vec<f32>,
    /// Right.
    pub right: Vec<f32>,
}

/// Reads a WAV file of two channels, whole numbers or floats.
pub fn read(path: &Path) -> Stereo {
    let mut file = hound::WavReader::open(path)
        .unwrap_or_else(|fault| panic!("{} is no WAV file: {fault}", path.display()));
    let spec = file.spec();
    assert_eq!((spec.sample_rate, spec.channels), (48_000, 2), "{}", path.display());
    let full_scale = (1_u64 << (spec.bits_per_sample - 1)) as f32;
    let all: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => file.samples::<f32>().map(|s| s.expect("a sample")).collect(),
        hound::SampleFormat::Int => {
            file.samples::<i32>().map(|s| s.expect("a sample") as f32 / full_scale).collect()
        }
    };
    let of_channel = |channel: usize| all.iter().skip(channel).step_by(2).copied().collect();
    Stereo { left: of_channel(0), right: of_channel(1) }
}

/// Frame of the first sample that is not silence.
pub fn first_sound(samples: &[f32]) -> Option<usize> {
    samples.iter().position(|sample| *sample != 0.0)
}

/// Frame of the last sample that is not silence.
pub fn last_sound(samples: &[f32]) -> Option<usize> {
    samples.iter().rposition(|sample| *sample != 0.0)
}

/// Greatest absolute sample.
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Frequency of the strongest partial: the top of a parabola through the logarithms of the highest bin of the
/// spectrum and its neighbours. Good to a fifth of a Hz for a lone sine of a tenth of a second.
pub fn frequency_hz(samples: &[f32]) -> f64 {
    assert!(samples.len() >= 4_096, "{} frames are too few to measure a pitch", samples.len());
    let last = samples.len() as f32;
    let hann = |frame: usize| 0.5 - 0.5 * (std::f32::consts::TAU * frame as f32 / last).cos();
    let mut windowed: Vec<f32> =
        samples.iter().enumerate().map(|(frame, sample)| sample * hann(frame)).collect();
    let fft = RealFftPlanner::new().plan_fft_forward(windowed.len());
    let mut spectrum = fft.make_output_vec();
    fft.process(&mut windowed, &mut spectrum).expect("lengths fit: the plan made them");
    let level = |bin: usize| f64::from(Complex::norm(spectrum[bin])).max(1e-30).ln();
    let highest = (1..spectrum.len() - 1).max_by(|a, b| level(*a).total_cmp(&level(*b)));
    let top = highest.expect("there are thousands of bins");
    let (below, at, above) = (level(top - 1), level(top), level(top + 1));
    let lean = 0.5 * (below - above) / (below - 2.0 * at + above);
    (top as f64 + lean) * RATE_HZ / samples.len() as f64
}

/// Asserts the pitch of the middle of `samples`, away from fades: the median over stretches of a tenth of a second, so
/// that a block that a busy machine concealed does not matter.
pub fn assert_pitch(samples: &[f32], expected_hz: f64) {
    let middle = &samples[samples.len() / 8..samples.len() * 7 / 8];
    let mut heard_hz: Vec<f64> = middle.chunks_exact(4_096).map(frequency_hz).collect();
    assert!(heard_hz.len() >= 3, "{} frames are too few to measure a pitch", samples.len());
    heard_hz.sort_by(f64::total_cmp);
    let heard_hz = heard_hz[heard_hz.len() / 2];
    assert!((heard_hz - expected_hz).abs() < 0.5, "heard {heard_hz:.2} Hz instead of {expected_hz} Hz");
}

/// Where two signals differ first, if they do.
pub fn first_difference(one: &[f32], other: &[f32]) -> Option<usize> {
    let differ = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits();
    let shorter = one.len().min(other.len());
    one.iter().zip(other).position(differ).or_else(|| (one.len() != other.len()).then_some(shorter))
}
