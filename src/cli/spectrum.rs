//! What a sound file looks like: level and spectrum over time, in as many columns as a picture is wide.
//!
//! In:  a WAV file of any length, read once from front to back, and a width.
//! Out: [`Overview`]: lowest, highest and effective level of each channel in each column, and its spectrum.
//! Thread: control.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Frames of one spectrum: 85 ms at 48 kHz, a compromise between a bass line's pitch and a hat's moment.
const WINDOW_FRAMES: usize = 4096;
/// Padded with as many zeros, which draws the curve between the bins of the low octaves.
const FFT_FRAMES: usize = 2 * WINDOW_FRAMES;

/// Level of one channel in one column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Level {
    /// Lowest sample.
    pub low: f32,
    /// Highest sample.
    pub high: f32,
    /// Effective value.
    pub rms: f32,
}

/// A sound file at a glance.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Sample rate.
    pub rate_hz: u32,
    /// Length.
    pub frames: u64,
    /// Largest sample of any channel, 1.0 being full scale.
    pub peak: f32,
    /// For each channel, its level in each column.
    pub levels: Vec<Vec<Level>>,
    /// For each column, the power in each bin of the mean of all channels; a sine of full scale has power 1.0.
    pub powers: Vec<Vec<f32>>,
}

impl Overview {
    /// Reads a file into `columns` columns.
    pub fn of(wav: &Path, columns: usize) -> Result<Self, hound::Error> {
        let reader = hound::WavReader::open(wav)?;
        let spec = reader.spec();
        let frames = u64::from(reader.duration());
        let mut survey = Survey::new(frames, usize::from(spec.channels), columns);
        match spec.sample_format {
            hound::SampleFormat::Float => survey.read(reader.into_samples::<f32>())?,
            hound::SampleFormat::Int => {
                let full_scale = (1_u64 << (spec.bits_per_sample - 1)) as f32;
                let samples = reader.into_samples::<i32>();
                survey.read(samples.map(|sample| sample.map(|word| word as f32 / full_scale)))?;
            }
        }
        Ok(survey.finish(spec.sample_rate))
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate_hz.max(1))
    }

    /// The level in decibels below full scale around `frequency_hz` (from `low_hz` to `high_hz`) in a column:
    /// the strongest bin in that band, or the curve between two bins where the band is narrower than one.
    pub fn level_db(&self, column: usize, low_hz: f64, high_hz: f64) -> f32 {
        let Some(power) = self.powers.get(column) else {
            return f32::NEG_INFINITY;
        };
        let bins_per_hz = FFT_FRAMES as f64 / f64::from(self.rate_hz.max(1));
        let (low, high) = (low_hz * bins_per_hz, high_hz * bins_per_hz);
        let first = low.ceil() as usize;
        let last = high.floor() as usize;
        let at = |bin: usize| power.get(bin).copied().unwrap_or(0.0);
        let strongest = if first <= last {
            (first..=last).map(at).fold(0.0, f32::max)
        } else {
            let fraction = (0.5 * (low + high)).fract() as f32;
            at(last) * (1.0 - fraction) + at(first) * fraction
        };
        10.0 * strongest.log10()
    }
}

/// The pass over the file.
struct Survey {
    frames: u64,
    columns: usize,
    levels: Vec<Vec<Sums>>,
    peak: f32,
    /// The last [`WINDOW_FRAMES`] frames, as the mean of all channels.
    recent: VecDeque<f32>,
    /// Frames from one spectrum to the next.
    hop_frames: u64,
    frames_seen: u64,
    spectra: Vec<(Vec<f32>, u32)>,
    transform: Transform,
}

#[derive(Clone, Copy)]
struct Sums {
    low: f32,
    high: f32,
    squares: f64,
    count: u64,
}

impl Sums {
    const NONE: Sums = Sums { low: f32::INFINITY, high: f32::NEG_INFINITY, squares: 0.0, count: 0 };

    fn add(&mut self, sample: f32) {
        self.low = self.low.min(sample);
        self.high = self.high.max(sample);
        self.squares += f64::from(sample) * f64::from(sample);
        self.count += 1;
    }

    fn level(&self) -> Level {
        if self.count == 0 {
            return Level::default();
        }
        let rms = (self.squares / self.count as f64).sqrt() as f32;
        Level { low: self.low, high: self.high, rms }
    }
}

impl Survey {
    fn new(frames: u64, channels: usize, columns: usize) -> Self {
        let frames_per_column = frames / columns.max(1) as u64;
        Self {
            frames,
            columns,
            levels: vec![vec![Sums::NONE; columns]; channels],
            peak: 0.0,
            recent: std::iter::repeat_n(0.0, WINDOW_FRAMES).collect(),
            hop_frames: frames_per_column.clamp(1, WINDOW_FRAMES as u64 / 2),
            frames_seen: 0,
            spectra: vec![(Vec::new(), 0); columns],
            transform: Transform::new(),
        }
    }

    fn column(&self, frame: u64) -> usize {
        let column = u128::from(frame) * self.columns as u128 / u128::from(self.frames.max(1));
        usize::try_from(column).unwrap_or(usize::MAX).min(self.columns.saturating_sub(1))
    }

    fn read(
        &mut self,
        mut samples: impl Iterator<Item = Result<f32, hound::Error>>,
    ) -> Result<(), hound::Error> {
        let channels = self.levels.len();
        for frame in 0..self.frames {
            let column = self.column(frame);
            let mut sum = 0.0;
            for channel in 0..channels {
                let Some(sample) = samples.next().transpose()? else {
                    return Ok(());
                };
                let sample = if sample.is_finite() { sample } else { 0.0 };
                self.levels[channel][column].add(sample);
                self.peak = self.peak.max(sample.abs());
                sum += sample;
            }
            self.see(sum / channels as f32);
        }
        for _ in 0..WINDOW_FRAMES / 2 {
            self.see(0.0);
        }
        Ok(())
    }

    /// Takes the next frame, and a spectrum around the frame half a window ago when one is due.
    fn see(&mut self, frame: f32) {
        self.recent.pop_front();
        self.recent.push_back(frame);
        self.frames_seen += 1;
        let Some(centre) = self.frames_seen.checked_sub(WINDOW_FRAMES as u64 / 2) else {
            return;
        };
        if !centre.is_multiple_of(self.hop_frames) || centre >= self.frames {
            return;
        }
        let column = self.column(centre);
        let (sums, count) = &mut self.spectra[column];
        self.transform.add_power(&self.recent, sums);
        *count += 1;
    }

    fn finish(self, rate_hz: u32) -> Overview {
        let mut powers: Vec<Vec<f32>> = Vec::with_capacity(self.columns);
        for (sums, count) in self.spectra {
            let mean = match (count, powers.last()) {
                (0, Some(before)) => before.clone(),
                _ => sums.iter().map(|sum| sum / count as f32).collect(),
            };
            powers.push(mean);
        }
        let levels = self.levels.iter().map(|sums| sums.iter().map(Sums::level).collect()).collect();
        Overview { rate_hz, frames: self.frames, peak: self.peak, levels, powers }
    }
}

/// One windowed spectrum.
struct Transform {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    input: Vec<f32>,
    output: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// Makes the power of a sine of full scale 1.0.
    scale: f32,
}

impl Transform {
    fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(FFT_FRAMES);
        let window: Vec<f32> = (0..WINDOW_FRAMES).map(hann).collect();
        let gain: f32 = window.iter().sum::<f32>() / 2.0;
        Self {
            input: fft.make_input_vec(),
            output: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            scale: 1.0 / (gain * gain),
            window,
            fft,
        }
    }

    fn add_power(&mut self, frames: &VecDeque<f32>, sums: &mut Vec<f32>) {
        sums.resize(self.output.len(), 0.0);
        self.input.fill(0.0);
        for ((input, frame), window) in self.input.iter_mut().zip(frames).zip(&self.window) {
            *input = frame * window;
        }
        // It fails only for buffers of a wrong length, and these were made by the plan itself.
        if self.fft.process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch).is_ok() {
            for (sum, bin) in sums.iter_mut().zip(&self.output) {
                *sum += bin.norm_sqr() * self.scale;
            }
        }
    }
}

fn hann(frame: usize) -> f32 {
    let turns = (frame as f32 + 0.5) / WINDOW_FRAMES as f32;
    0.5 - 0.5 * (std::f32::consts::TAU * turns).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::record::{WavShape, write_wav};

    fn overview(samples: &[f32], channels: u16, columns: usize) -> Overview {
        let folder = tempfile::tempdir().unwrap();
        let wav = folder.path().join("sound.wav");
        write_wav(&wav, WavShape::new(48_000, channels), [samples]).unwrap();
        Overview::of(&wav, columns).unwrap()
    }

    fn sine(hz: f32, amplitude: f32, frames: usize) -> Vec<f32> {
        (0..frames).map(|n| amplitude * (std::f32::consts::TAU * hz * n as f32 / 48_000.0).sin()).collect()
    }

    #[test]
    fn a_sine_shows_its_level_at_its_frequency_and_nowhere_else() {
        let view = overview(&sine(1000.0, 0.5, 48_000), 1, 100);
        let at = |hz: f64| view.level_db(50, hz * 0.99, hz * 1.01);
        assert!((at(1000.0) - -6.02).abs() < 0.2, "{}", at(1000.0));
        assert!(at(100.0) < -80.0 && at(5000.0) < -80.0, "{} {}", at(100.0), at(5000.0));
        assert!((view.peak - 0.5).abs() < 1e-3);
        assert!((view.levels[0][50].rms - 0.5 / 2.0_f32.sqrt()).abs() < 1e-3);
    }

    #[test]
    fn sound_is_shown_when_it_happens() {
        let silence_then_sine = [vec![0.0; 24_000], sine(2000.0, 1.0, 24_000)].concat();
        let view = overview(&silence_then_sine, 1, 10);
        assert_eq!(view.levels[0][4], Level::default());
        assert!(view.levels[0][5].high > 0.99);
        assert!(view.level_db(2, 1900.0, 2100.0) < -100.0);
        assert!(view.level_db(7, 1900.0, 2100.0) > -1.0);
    }

    #[test]
    fn channels_are_kept_apart() {
        let both: Vec<f32> = sine(440.0, 0.8, 4800).iter().flat_map(|&left| [left, 0.0]).collect();
        let view = overview(&both, 2, 20);
        assert!(view.levels[0][10].high > 0.7);
        assert_eq!(view.levels[1][10], Level::default());
    }

    #[test]
    fn files_shorter_than_the_picture_is_wide_and_empty_files_can_be_seen_too() {
        let view = overview(&[0.5; 10], 1, 100);
        assert_eq!((view.frames, view.powers.len()), (10, 100));
        let empty = overview(&[], 2, 100);
        assert_eq!((empty.frames, empty.peak), (0, 0.0));
        assert!(empty.level_db(0, 20.0, 30.0).is_infinite());
    }
}
