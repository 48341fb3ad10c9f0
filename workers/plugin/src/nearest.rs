//! The name a person probably meant.

/// Likeness below which a guess confuses more than it helps.
const MIN_LIKENESS: f64 = 0.6;
/// Likeness of `lv2:urn:zamaudio:ZamComp` to `lv2:zamcomp`: better than most slips, not as good as a small one.
const CONTAINED: f64 = 0.85;
/// Longer names are not compared: the effort grows with the square.
const MAX_BYTES: usize = 256;

/// The known name most like `name`, if one is alike at all; of two equally like, the first.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    let is_comparable = |name: &str| name.len() <= MAX_BYTES;
    let wanted = name.to_lowercase();
    let id = wanted.split_once(':').map_or(wanted.as_str(), |(_, id)| id);
    let likeness = |candidate: &String| {
        let candidate = candidate.to_lowercase();
        let contained = if !id.is_empty() && candidate.contains(id) { CONTAINED } else { 0.0 };
        strsim::normalized_damerau_levenshtein(&wanted, &candidate).max(contained)
    };
    let mut best: Option<(f64, &String)> = None;
    for candidate in known.into_iter().filter(|candidate| is_comparable(candidate) && is_comparable(name)) {
        let likeness = likeness(candidate);
        if likeness >= MIN_LIKENESS && best.is_none_or(|(highest, _)| likeness > highest) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_a_wrong_case_and_a_part_of_a_uri_find_their_name() {
        let known = ["ladspa:amp_mono", "ladspa:amp_stereo", "lv2:urn:zamaudio:ZamComp"].map(str::to_owned);
        let found = |name: &str| nearest(name, &known).map(String::as_str);
        assert_eq!(found("ladspa:amp_mno"), Some("ladspa:amp_mono"));
        assert_eq!(found("ladspa:AMP_STEREO"), Some("ladspa:amp_stereo"));
        assert_eq!(found("lv2:zamcomp"), Some("lv2:urn:zamaudio:ZamComp"));
        assert_eq!(found("clap:com.example.other"), None);
    }
}
