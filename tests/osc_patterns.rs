//! The pattern matcher against a slow one that is obviously right.

use backline::pattern::{check, is_pattern, matches};
use proptest::prelude::*;

/// Tries everything; exponential, so only for short patterns.
fn slow_match(pattern: &[u8], id: &[u8]) -> bool {
    let close = |close: u8| pattern.iter().position(|&byte| byte == close);
    match pattern {
        [] => id.is_empty(),
        [b'*', rest @ ..] => (0..=id.len()).any(|skipped| slow_match(rest, &id[skipped..])),
        [b'{', ..] => {
            let end = close(b'}').unwrap();
            pattern[1..end]
                .split(|&byte| byte == b',')
                .any(|name| id.strip_prefix(name).is_some_and(|id| slow_match(&pattern[end + 1..], id)))
        }
        [b'[', ..] => {
            let end = close(b']').unwrap();
            let (class, is_negated) = match &pattern[1..end] {
                [b'!', class @ ..] => (class, true),
                class => (class, false),
            };
            let is_in = |byte| match *class {
                [low, b'-', high] => (low..=high).contains(&byte),
                _ => class.contains(&byte),
            };
            matches!(id, [first, rest @ ..] if is_in(*first) != is_negated && slow_match(&pattern[end + 1..], rest))
        }
        [b'?', rest @ ..] => !id.is_empty() && slow_match(rest, &id[1..]),
        [literal, rest @ ..] => id.first() == Some(literal) && slow_match(rest, &id[1..]),
    }
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]",
        Just("*".to_owned()),
        Just("?".to_owned()),
        "\\[!?(a-b|a|bc|b-c)\\]",
        "\\{[ab]{0,2}(,[abc]{0,2}){0,2}\\}"
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn it_agrees_with_a_matcher_that_tries_everything(
        parts in prop::collection::vec(part(), 1..7),
        id in "[abc]{0,7}",
    ) {
        let pattern = parts.concat();
        prop_assert_eq!(check(&pattern), Ok(()));
        prop_assert_eq!(matches(&pattern, &id), slow_match(pattern.as_bytes(), id.as_bytes()), "{} {}", pattern, id);
    }

    #[test]
    fn an_id_is_a_pattern_of_itself_alone(id in "[a-z0-9_]{1,32}", other in "[a-z0-9_]{1,32}") {
        prop_assert!(!is_pattern(&id));
        prop_assert_eq!(check(&id), Ok(()));
        prop_assert!(matches(&id, &id));
        prop_assert_eq!(matches(&id, &other), id == other);
    }

    #[test]
    fn no_pattern_panics(pattern in "[a-c*?{}!,\\[\\]-]{0,40}", id in "\\PC{0,70}") {
        let _ = check(&pattern);
        let _ = matches(&pattern, &id);
    }
}
