//! Range and default of a control port, by the rules of `ladspa.h`.

use crate::host::panel::Kind;
use std::ffi::c_int;

const BOUNDED_BELOW: c_int = 0x1;
const BOUNDED_ABOVE: c_int = 0x2;
const TOGGLED: c_int = 0x4;
const SAMPLE_RATE: c_int = 0x8;
const LOGARITHMIC: c_int = 0x10;
const INTEGER: c_int = 0x20;
const DEFAULT_MASK: c_int = 0x3C0;
const DEFAULT_MINIMUM: c_int = 0x40;
const DEFAULT_LOW: c_int = 0x80;
const DEFAULT_MIDDLE: c_int = 0xC0;
const DEFAULT_HIGH: c_int = 0x100;
const DEFAULT_MAXIMUM: c_int = 0x140;
const DEFAULT_1: c_int = 0x240;
const DEFAULT_100: c_int = 0x280;
const DEFAULT_440: c_int = 0x2C0;

/// What a hint says.
pub struct Hints {
    pub min: Option<f32>,
    pub max: Option<f32>,
    pub default: f32,
    pub kind: Kind,
}

/// Reads the hint of one port. Bounds that are fractions of the sample rate become Hz.
pub fn read(hint: c_int, lower: f32, upper: f32, rate_hz: f32) -> Hints {
    let factor = if hint & SAMPLE_RATE != 0 { rate_hz } else { 1.0 };
    let min = (hint & BOUNDED_BELOW != 0).then_some(lower * factor);
    let max = (hint & BOUNDED_ABOVE != 0).then_some(upper * factor);
    let default = default(hint, min, max);
    let kind = match hint {
        _ if hint & TOGGLED != 0 => Kind::Toggle,
        _ if hint & INTEGER != 0 => Kind::Whole,
        _ => Kind::Number,
    };
    // The whole numbers 0 to 3 may be written as the range -0.1 to 3.1.
    let (min, max) = match kind {
        Kind::Whole => (min.map(f32::round), max.map(f32::round)),
        _ => (min, max),
    };
    let default = if matches!(kind, Kind::Whole) { default.round() } else { default };
    Hints { min, max, default, kind }
}

fn default(hint: c_int, min: Option<f32>, max: Option<f32>) -> f32 {
    let (low, high) = (min.unwrap_or(0.0), max.unwrap_or(0.0));
    let between = |weight_of_high: f32| {
        // The logarithm of what is not above zero is no number: such a hint means nothing.
        if hint & LOGARITHMIC != 0 && low > 0.0 && high > 0.0 {
            (low.ln() * (1.0 - weight_of_high) + high.ln() * weight_of_high).exp()
        } else {
            low * (1.0 - weight_of_high) + high * weight_of_high
        }
    };
    match hint & DEFAULT_MASK {
        DEFAULT_MINIMUM => low,
        DEFAULT_LOW => between(0.25),
        DEFAULT_MIDDLE => between(0.5),
        DEFAULT_HIGH => between(0.75),
        DEFAULT_MAXIMUM => high,
        DEFAULT_1 => 1.0,
        DEFAULT_100 => 100.0,
        DEFAULT_440 => 440.0,
        // None given, or 0: the value in range nearest to zero.
        _ => 0.0_f32.max(min.unwrap_or(0.0)).min(max.unwrap_or(f32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_header() {
        let both = BOUNDED_BELOW | BOUNDED_ABOVE;
        assert_eq!(read(both | DEFAULT_LOW, 0.0, 8.0, 48000.0).default, 2.0);
        assert_eq!(read(both | DEFAULT_HIGH, 0.0, 8.0, 48000.0).default, 6.0);
        let middle = read(both | LOGARITHMIC | DEFAULT_MIDDLE, 10.0, 1000.0, 48000.0).default;
        assert!((middle - 100.0).abs() < 0.01, "{middle}");
        assert_eq!(read(DEFAULT_440, 0.0, 0.0, 48000.0).default, 440.0);
        assert_eq!(read(both, 2.0, 8.0, 48000.0).default, 2.0, "no default: nearest to zero");
    }

    #[test]
    fn bounds_may_be_fractions_of_the_sample_rate() {
        let both = BOUNDED_BELOW | BOUNDED_ABOVE | SAMPLE_RATE;
        let hints = read(both | DEFAULT_MAXIMUM, 0.0, 0.5, 48000.0);
        assert_eq!((hints.min, hints.max, hints.default), (Some(0.0), Some(24000.0), 24000.0));
    }

    #[test]
    fn whole_numbers_may_be_bounded_loosely() {
        let hints = read(BOUNDED_BELOW | BOUNDED_ABOVE | INTEGER | DEFAULT_MAXIMUM, -0.1, 3.1, 48000.0);
        assert_eq!((hints.min, hints.max, hints.default), (Some(0.0), Some(3.0), 3.0));
    }
}
