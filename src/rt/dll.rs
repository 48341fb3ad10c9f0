//! When a device's blocks begin, without the jitter of its callbacks: a delay-locked loop, second order, after
//! F. Adriaensen, "Using a DLL to filter time" (Linux Audio Conference 2005).

/// Bandwidth of the loop: slow enough to ignore the scheduler's jitter, fast enough to follow the crystal.
const BANDWIDTH_HZ: f64 = 0.5;
/// A callback this much too early or too late is not jitter: the device was stopped or went through an xrun.
const RESYNC_S: f64 = 0.25;

/// Smoothed time of a device's callbacks.
#[derive(Debug, Clone)]
pub struct BlockClock {
    nominal_rate_hz: f64,
    frame_s: f64,
    next_s: Option<f64>,
}

impl BlockClock {
    /// A loop that expects `rate_hz`.
    pub fn new(rate_hz: u32) -> Self {
        let nominal_rate_hz = f64::from(rate_hz);
        Self { nominal_rate_hz, frame_s: 1.0 / nominal_rate_hz, next_s: None }
    }

    /// A callback for `frames` came at `now_ns`; returns when its first frame began, smoothed. Real-time safe.
    pub fn callback(&mut self, now_ns: u64, frames: usize) -> u64 {
        let now_s = now_ns as f64 * 1e-9;
        let frames = frames as f64;
        let expected_s = self.next_s.unwrap_or(now_s);
        let error_s = now_s - expected_s;
        if self.next_s.is_none() || error_s.abs() > RESYNC_S {
            self.frame_s = 1.0 / self.nominal_rate_hz;
            self.next_s = Some(now_s + frames * self.frame_s);
            return now_ns;
        }
        let omega = std::f64::consts::TAU * BANDWIDTH_HZ * frames / self.nominal_rate_hz;
        let filtered_s = expected_s + std::f64::consts::SQRT_2 * omega * error_s;
        self.frame_s += omega * omega * error_s / frames.max(1.0);
        self.next_s = Some(filtered_s + frames * self.frame_s);
        (filtered_s * 1e9).max(0.0) as u64
    }

    /// Frames a second as the device delivers them. Real-time safe.
    pub fn rate_hz(&self) -> f64 {
        1.0 / self.frame_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_smoothed_and_the_true_rate_found() {
        let mut clock = BlockClock::new(48_000);
        let true_rate_hz = 48_010.0;
        let mut worst_s = 0.0_f64;
        for block in 0..20_000_u64 {
            let ideal_s = 1.0 + (block * 64) as f64 / true_rate_hz;
            // Up to 300 us late, in a pattern without a period that the loop could follow.
            let late_s = (block * 7_919 % 301) as f64 * 1e-6;
            let found_ns = clock.callback(((ideal_s + late_s) * 1e9) as u64, 64);
            if block > 10_000 {
                worst_s = worst_s.max((found_ns as f64 * 1e-9 - ideal_s - 150e-6).abs());
            }
        }
        assert!(worst_s < 20e-6, "{worst_s}");
        assert!((clock.rate_hz() - true_rate_hz).abs() < 1.0, "{}", clock.rate_hz());
    }

    #[test]
    fn after_a_long_gap_it_starts_anew() {
        let mut clock = BlockClock::new(48_000);
        clock.callback(1_000_000_000, 64);
        assert_eq!(clock.callback(9_000_000_000, 64), 9_000_000_000);
    }
}
