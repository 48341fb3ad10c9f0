//! Vocabulary: the name a person probably meant, for error texts that help.
//!
//! In: a name nobody knows and the names that are known. Out: a hint to end a sentence with.
//! Thread: control. Names may come from the network, so long ones are shortened and never compared.

/// Characters of a name that are compared or repeated in an answer.
const MAX_CHARS: usize = 128;
/// Jaro-Winkler similarity below which a guess confuses more than it helps.
const MIN_SIMILARITY: f64 = 0.75;
/// Known names are listed in full up to this number.
const MAX_LISTED: usize = 20;

/// The known name most like `name`, if one is alike at all; of two equally like, the first.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_CHARS {
        return None;
    }
    let name = name.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let similarity = strsim::jaro_winkler(&name, candidate);
        if similarity >= MIN_SIMILARITY && best.is_none_or(|(highest, _)| similarity > highest) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `; did you mean 'vco'? (known: vco lfo)`, in as far as there is something to say.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let guess = nearest(name, known.iter().copied()).map(|guess| format!("; did you mean '{guess}'?"));
    let is_listed = !known.is_empty() && known.len() <= MAX_LISTED;
    match (guess, is_listed) {
        (Some(guess), true) => format!("{guess} (known: {})", known.join(" ")),
        (Some(guess), false) => guess,
        (None, true) => format!("; known: {}", known.join(" ")),
        (None, false) => String::new(),
    }
}

/// `name` fit to be repeated in an answer: shortened, control characters escaped.
pub fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if name.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        assert_eq!(nearest("vcoo", ["lfo", "vco", "vcf"]), Some("vco"));
        assert_eq!(nearest("cuttoff", ["cutoff", "res", "mode"]), Some("cutoff"));
        assert_eq!(nearest("ATTACK", ["attack", "decay"]), Some("attack"));
    }

    #[test]
    fn a_name_like_no_other_gets_the_list_and_no_guess() {
        assert_eq!(nearest("zzz", ["lfo", "vco"]), None);
        assert_eq!(hint("zzz", ["lfo", "vco"]), "; known: lfo vco");
        assert_eq!(hint("zzz", []), "");
    }

    #[test]
    fn a_long_list_is_not_printed() {
        let many: Vec<String> = (0..100).map(|n| format!("vco{n}")).collect();
        assert_eq!(hint("vco123", many.iter().map(String::as_str)), "; did you mean 'vco12'?");
    }

    #[test]
    fn a_name_of_a_megabyte_is_neither_compared_nor_repeated() {
        let long = "x".repeat(1 << 20);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert!(shown(&long).len() < 160);
        assert_eq!(shown("a\nb"), "a\\nb");
    }
}
