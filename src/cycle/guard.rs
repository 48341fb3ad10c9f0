//! The last thing before the device, in every mode, and nothing over OSC switches it off: what is not a number
//! is silence, a standing offset is taken out, a ceiling holds, and start and end fade.
//!
//! A signal that is finite, under the knee and without offset passes bit by bit, so a guarded run can be
//! compared with another byte for byte.

/// Where the ceiling begins to bend the signal; below it nothing is changed.
const KNEE: f32 = 0.95;
/// Offset that is let pass. More than this, standing for a tenth of a second and longer, heats coils.
const ALLOWED_OFFSET: f32 = 0.1;
/// Corner of the offset meter in Hz: far below the lowest note, so that a bass does not look like an offset.
const OFFSET_CORNER_HZ: f32 = 1.0;
/// Fades at start and end, in seconds.
const FADE_S: f32 = 0.02;

/// Guards interleaved stereo.
#[derive(Debug, Clone)]
pub struct OutputGuard {
    offset: [f32; 2],
    offset_step: f32,
    gain: f32,
    gain_step: f32,
    /// Frames until the fade-out begins; `None` is never.
    frames_to_fade: Option<u64>,
}

impl OutputGuard {
    /// A guard that fades in from its first frame.
    pub fn new(rate_hz: u32) -> Self {
        let rate_hz = rate_hz as f32;
        Self {
            offset: [0.0; 2],
            offset_step: std::f32::consts::TAU * OFFSET_CORNER_HZ / rate_hz,
            gain: 0.0,
            gain_step: 1.0 / (FADE_S * rate_hz),
            frames_to_fade: None,
        }
    }

    /// Frames that a fade takes.
    pub fn fade_frames(&self) -> u64 {
        (1.0 / self.gain_step).ceil() as u64
    }

    /// Fades in anew: a device was opened, or opened again. Real-time safe.
    pub fn fade_in(&mut self) {
        self.gain = 0.0;
    }

    /// Fades out from `frames` after the next frame on. Real-time safe.
    pub fn fade_out_in(&mut self, frames: u64) {
        self.frames_to_fade = Some(frames);
    }

    /// True once the fade-out has reached silence. Real-time safe.
    pub fn is_silent(&self) -> bool {
        self.frames_to_fade == Some(0) && self.gain == 0.0
    }

    /// Guards `out` in place; returns the samples that were not finite. Real-time safe.
    pub fn apply(&mut self, out: &mut [f32]) -> u64 {
        let mut silenced = 0;
        for frame in out.chunks_exact_mut(2) {
            let gain = self.next_gain();
            for (sample, offset) in frame.iter_mut().zip(&mut self.offset) {
                if !sample.is_finite() {
                    *sample = 0.0;
                    silenced += 1;
                }
                let held = sample.clamp(-1.0, 1.0);
                *offset += (held - *offset) * self.offset_step;
                let excess = *offset - offset.clamp(-ALLOWED_OFFSET, ALLOWED_OFFSET);
                if excess != 0.0 {
                    *sample -= excess;
                }
                if gain != 1.0 {
                    *sample *= gain;
                }
                *sample = under_ceiling(*sample);
            }
        }
        silenced
    }

    fn next_gain(&mut self) -> f32 {
        match &mut self.frames_to_fade {
            Some(0) => self.gain = (self.gain - self.gain_step).max(0.0),
            Some(frames) => {
                *frames -= 1;
                self.gain = (self.gain + self.gain_step).min(1.0);
            }
            None => self.gain = (self.gain + self.gain_step).min(1.0),
        }
        self.gain
    }
}

/// Bends what is above the knee so that it never reaches 1.0: x maps to knee + room * y / (1 + y), with y the
/// excess over the knee in units of the room; slope 1 at the knee.
fn under_ceiling(sample: f32) -> f32 {
    let level = sample.abs();
    if level <= KNEE {
        return sample;
    }
    let room = 1.0 - KNEE;
    let excess = ((level - KNEE) / room).min(1e6);
    (KNEE + room * excess / (1.0 + excess)).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faded_in() -> OutputGuard {
        let mut guard = OutputGuard::new(48_000);
        guard.apply(&mut vec![0.0; 2 * 960]);
        guard
    }

    #[test]
    fn an_ordinary_signal_passes_bit_by_bit() {
        let signal: Vec<f32> = (0..96_000).map(|i| 0.9 * (i as f32 * 0.01).sin()).collect();
        let mut guarded = signal.clone();
        assert_eq!(faded_in().apply(&mut guarded), 0);
        assert_eq!(guarded, signal);
    }

    #[test]
    fn what_is_not_a_number_is_silence_and_counted() {
        let mut out = [f32::NAN, 0.5, f32::INFINITY, -0.5, f32::NEG_INFINITY, 0.25];
        assert_eq!(faded_in().apply(&mut out), 3);
        assert_eq!(out, [0.0, 0.5, 0.0, -0.5, 0.0, 0.25]);
    }

    #[test]
    fn nothing_reaches_the_ceiling_and_order_is_kept() {
        let mut out = [0.95, 0.95, 1.0, 1.0, 3.0, -3.0, 1e30, -1e30];
        faded_in().apply(&mut out);
        assert!(out.iter().all(|sample| sample.abs() < 1.0 + f32::EPSILON), "{out:?}");
        assert!(out[0] < out[2] && out[2] < out[4], "{out:?}");
        assert_eq!(out[4], -out[5]);
    }

    #[test]
    fn a_standing_offset_is_taken_out_down_to_what_is_allowed() {
        let mut guard = faded_in();
        let mut out = vec![0.7; 2 * 48_000 * 3];
        guard.apply(&mut out);
        assert!((out[out.len() - 1] - ALLOWED_OFFSET).abs() < 0.01, "{}", out[out.len() - 1]);
    }

    #[test]
    fn a_fade_out_ends_in_silence_after_its_frames_whatever_the_block_size() {
        let render = |block: usize| {
            let mut guard = faded_in();
            guard.fade_out_in(100);
            let mut heard = Vec::new();
            while heard.len() < 2 * 2_048 {
                let mut out = vec![0.5; 2 * block];
                guard.apply(&mut out);
                heard.extend(out);
            }
            assert!(guard.is_silent());
            heard
        };
        let fade = render(64);
        assert_eq!(fade, render(16));
        assert_eq!(fade[2 * 99], 0.5);
        assert_eq!(fade[2 * (100 + 961)], 0.0);
    }
}
