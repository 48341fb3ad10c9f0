//! OSC 1.0 patterns over ids: `*` any characters, `?` one, `[a-z]` one of, `[!a-z]` none of, `{one,two}` either.
//!
//! In:  a pattern and an id. Out: whether they match. Depends on nothing.
//! The pattern is read once, left to right, carrying the set of places in the id that can be reached so far as
//! bits of one word. So the time is pattern length x id length at worst, whatever the pattern, and there is no
//! allocation and no recursion. (`rosc::address::Matcher` is not OSC 1.0: there a last `*` needs a character,
//! `[a-z]` takes several and nothing backtracks.)

/// Longest pattern; room for a list of some thirty ids.
pub const MAX_PATTERN_BYTES: usize = 512;

/// An id longer than this matches nothing: its places would not fit one word.
const MAX_TEXT_BYTES: usize = 63;

/// True if `text` holds a character that only patterns have.
pub fn is_pattern(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b']' | b'{' | b'}'))
}

/// Says what is wrong with a pattern.
pub fn check(pattern: &str) -> Result<(), &'static str> {
    if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
        return Err("it is empty or over 512 bytes");
    }
    let mut rest = pattern.as_bytes();
    while let Some((part, after)) = next_part(rest)? {
        match part {
            Part::Literal(byte) if !is_id_byte(byte) => return Err("ids have only a-z 0-9 _"),
            Part::OneOf { class, .. } => check_class(class)?,
            Part::Either(list) if !list.iter().all(|&byte| is_id_byte(byte) || byte == b',') => {
                return Err("between { and } only names and commas may stand");
            }
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

/// True if all of `id` is described by `pattern`. A pattern that cannot be read matches nothing.
pub fn matches(pattern: &str, id: &str) -> bool {
    if id.len() > MAX_TEXT_BYTES {
        return false;
    }
    let mut places = Places { text: id.as_bytes(), reached: 1 };
    let mut rest = pattern.as_bytes();
    while let Ok(Some((part, after))) = next_part(rest) {
        places = match part {
            Part::Literal(wanted) => places.step(|byte| byte == wanted),
            Part::AnyOne => places.step(|_| true),
            Part::AnyMany => places.onwards(),
            Part::OneOf { class, is_negated } => places.step(|byte| is_in_class(class, byte) != is_negated),
            Part::Either(list) => places.either(list),
        };
        rest = after;
    }
    rest.is_empty() && places.reached >> id.len() & 1 == 1
}

/// One unit of a pattern.
enum Part<'a> {
    Literal(u8),
    AnyOne,
    AnyMany,
    OneOf { class: &'a [u8], is_negated: bool },
    Either(&'a [u8]),
}

type Split<'a> = (Part<'a>, &'a [u8]);

fn next_part(pattern: &[u8]) -> Result<Option<Split<'_>>, &'static str> {
    let Some((&first, rest)) = pattern.split_first() else {
        return Ok(None);
    };
    let (part, rest) = match first {
        b'?' => (Part::AnyOne, rest),
        b'*' => (Part::AnyMany, rest),
        b'[' => {
            let (class, rest) = up_to(rest, b']').ok_or("a [ is not closed")?;
            match class.strip_prefix(b"!") {
                Some(class) => (Part::OneOf { class, is_negated: true }, rest),
                None => (Part::OneOf { class, is_negated: false }, rest),
            }
        }
        b'{' => {
            let (list, rest) = up_to(rest, b'}').ok_or("a { is not closed")?;
            (Part::Either(list), rest)
        }
        b']' | b'}' => return Err("a ] or } was never opened"),
        literal => (Part::Literal(literal), rest),
    };
    Ok(Some((part, rest)))
}

fn up_to(bytes: &[u8], close: u8) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == close)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn is_id_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')
}

fn check_class(class: &[u8]) -> Result<(), &'static str> {
    if class.is_empty() {
        return Err("between [ and ] there is nothing");
    }
    if !class.iter().all(|&byte| is_id_byte(byte) || byte == b'-') {
        return Err("between [ and ] only a-z 0-9 _ and ranges may stand");
    }
    if ranges(class).any(|(low, high)| low > high) {
        return Err("a range runs backwards");
    }
    Ok(())
}

fn is_in_class(class: &[u8], byte: u8) -> bool {
    ranges(class).any(|(low, high)| (low..=high).contains(&byte))
}

/// The ranges of a class, single characters as ranges of one. A `-` at either end is only itself.
fn ranges(class: &[u8]) -> impl Iterator<Item = (u8, u8)> {
    let mut rest = class;
    std::iter::from_fn(move || match *rest {
        [low, b'-', high, ref after @ ..] => {
            rest = after;
            Some((low, high))
        }
        [single, ref after @ ..] => {
            rest = after;
            Some((single, single))
        }
        [] => None,
    })
}

/// Places in a text between its characters; bit n is the place before character n.
#[derive(Clone, Copy)]
struct Places<'a> {
    text: &'a [u8],
    reached: u64,
}

impl Places<'_> {
    /// One character further, where it is welcome.
    fn step(self, is_welcome: impl Fn(u8) -> bool) -> Self {
        let mut reached = 0;
        for (place, &byte) in self.text.iter().enumerate() {
            if self.reached >> place & 1 == 1 && is_welcome(byte) {
                reached |= 1 << (place + 1);
            }
        }
        Self { reached, ..self }
    }

    /// Any number of characters further.
    fn onwards(self) -> Self {
        if self.reached == 0 {
            return self;
        }
        let first_to_last = u64::MAX >> (63 - self.text.len());
        Self { reached: (u64::MAX << self.reached.trailing_zeros()) & first_to_last, ..self }
    }

    /// One of the names of a comma-separated list further.
    fn either(self, list: &[u8]) -> Self {
        let along = |name: &[u8]| {
            name.iter().fold(self, |places, &wanted| places.step(|byte| byte == wanted)).reached
        };
        let reached = list.split(|&byte| byte == b',').map(along).fold(0, |all, some| all | some);
        Self { reached, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_follow_osc_1_0() {
        let table = [
            ("vco1", "vco1", true),
            ("vco1", "vco10", false),
            ("*", "vco1", true),
            ("vco1*", "vco1", true),
            ("*1", "vco1", true),
            ("v*o*1", "vco1", true),
            ("v*x*1", "vco1", false),
            ("**", "a", true),
            ("vco?", "vco1", true),
            ("vco?", "vco", false),
            ("vco?", "vco12", false),
            ("?*?", "ab", true),
            ("?*?", "a", false),
            ("vco[1-3]", "vco2", true),
            ("vco[1-3]", "vco4", false),
            ("vco[1-3]", "vco22", false),
            ("vco[!1-3]", "vco4", true),
            ("vco[!1-3]", "vco2", false),
            ("vco[!1-3]", "vco", false),
            ("[a-cx_]1", "_1", true),
            ("[-a]", "a", true),
            ("{vco,lfo}1", "lfo1", true),
            ("{vco,lfo}1", "vca1", false),
            ("{a,ab}{c,bc}", "abc", true),
            ("{a,}b", "b", true),
            ("*[0-9]{l,r}*", "bank3r_x", true),
            ("", "", true),
            ("[a", "a", false),
            ("a}", "a", false),
        ];
        for (pattern, id, expected) in table {
            assert_eq!(matches(pattern, id), expected, "{pattern} on {id}");
        }
    }

    #[test]
    fn faulty_patterns_are_named() {
        for pattern in
            ["", "[", "[]", "[!]", "[z-a]", "[A]", "{a", "a}", "]", "V*", "{a,[b]}", "a b*", "a.b*"]
        {
            assert!(check(pattern).is_err(), "{pattern}");
        }
        for pattern in ["*", "?", "[a-z]", "[!0-9_]", "{a,b}", "{a,}", "vco*[1-9]?{l,r}"] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
        assert!(check(&"*".repeat(MAX_PATTERN_BYTES + 1)).is_err());
    }

    #[test]
    fn a_pattern_made_to_blow_up_does_not() {
        let id = "a".repeat(32);
        assert!(!matches(&format!("{}b", "*a".repeat(255)), &id));
        assert!(matches(&"{a,aa,aaa,}".repeat(46), &id));
        assert!(!matches(&format!("{}b", "{a,aa,aaa,}*".repeat(42)), &id));
        assert!(!matches("*", &"a".repeat(64)));
        assert!(matches("*a", &"a".repeat(63)));
    }
}
