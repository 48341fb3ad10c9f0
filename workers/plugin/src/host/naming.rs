//! Names and units as a performer types them, made from what plug-ins call their ports.

use std::collections::HashSet;

/// Units that are taken out of a name, as it spells them and as we do.
const UNITS: [(&str, &str); 27] = [
    ("hz", "Hz"),
    ("khz", "kHz"),
    ("mhz", "MHz"),
    ("db", "dB"),
    ("db/oct", "dB/oct"),
    ("db/octave", "dB/oct"),
    ("s", "s"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("ms", "ms"),
    ("us", "us"),
    ("min", "min"),
    ("%", "%"),
    ("percent", "%"),
    ("cent", "cents"),
    ("cents", "cents"),
    ("semitone", "semitones"),
    ("semitones", "semitones"),
    ("semi-tones", "semitones"),
    ("octaves", "oct"),
    ("oct", "oct"),
    ("degrees", "degrees"),
    ("bpm", "bpm"),
    ("samples", "frames"),
    ("m", "m"),
];

/// Our spelling of `text` if it is a unit.
pub fn unit(text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    UNITS.iter().find(|(theirs, _)| *theirs == text).map(|(_, ours)| *ours)
}

/// `Attack time (ms)` is `Attack time` in `ms`; without a known unit at the end the label stays whole.
pub fn split_unit(label: &str) -> (&str, &'static str) {
    let bracketed = [('(', ')'), ('[', ']')].iter().find_map(|&(open, close)| {
        let inner = label.trim_end().strip_suffix(close)?;
        let (before, inside) = inner.rsplit_once(open)?;
        Some((before.trim_end(), unit(inside)?))
    });
    bracketed.unwrap_or((label, ""))
}

/// The unit after the number in `12.5 dB`.
pub fn unit_of_value(text: &str) -> Option<&'static str> {
    unit(text.trim().trim_start_matches(|c: char| c.is_ascii_digit() || "+-., ".contains(c)))
}

/// `text` in letters `a` to `z`, digits and single `_`; `fallback` if nothing is left of it.
pub fn plain(text: &str, fallback: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let plain = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    if plain.is_empty() { fallback.to_owned() } else { plain }
}

/// Names handed out so far; the second `gain` becomes `gain_2`.
#[derive(Default)]
pub struct Unique(HashSet<String>);

impl Unique {
    /// `name`, or `name` with the first number that makes it new.
    pub fn take(&mut self, name: String) -> String {
        let mut unique = name.clone();
        let mut number = 2;
        while !self.0.insert(unique.clone()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_leaves_the_name() {
        assert_eq!(split_unit("Attack time (ms)"), ("Attack time", "ms"));
        assert_eq!(split_unit("Gain [dB]"), ("Gain", "dB"));
        assert_eq!(split_unit("Mode (0=a, 1=b)"), ("Mode (0=a, 1=b)", ""));
        assert_eq!(unit_of_value("-12.50 dB"), Some("dB"));
        assert_eq!(unit_of_value("0.5"), None);
    }

    #[test]
    fn any_text_becomes_a_name_that_no_other_has() {
        let mut unique = Unique::default();
        assert_eq!(unique.take(plain("  Delay #1: L/R ", "param")), "delay_1_l_r");
        assert_eq!(unique.take(plain("Delay 1 L R", "param")), "delay_1_l_r_2");
        assert_eq!(unique.take(plain("…", "param")), "param");
        assert_eq!(unique.take(plain("", "param")), "param_2");
    }
}
