//! Commands as words, for terminals, `/cmd` and scores: `create vco --id 1 --freq 220`, `/gate adsr1 1 0.8`.
//!
//! In:  a line, or words that a shell has split. Out: the OSC message they stand for, so that words and packets
//! meet the same checks in `decode::request`.
//! A word that looks like a number is one, unless quoted. `--name value` may stand anywhere after the command;
//! `#` at the start of a word begins a comment.

use super::guard::{self, MAX_ADDRESS_BYTES, MAX_ARGUMENTS};
use super::refusal::{Reason, Refusal, shown};
use super::{Decoded, decode, verbs};
use rosc::{OscMessage, OscType};

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Without its quotes.
    pub text: String,
    /// A quoted word is text, whatever it looks like.
    pub is_quoted: bool,
}

/// A line as a request that is due now.
pub fn parse_line(line: &str) -> Decoded {
    line_message(line).and_then(decode::request)
}

/// A line as a message.
pub fn line_message(line: &str) -> Result<OscMessage, Refusal> {
    spoken(split(line).map_err(|reason| Refusal::new("/", reason))?)
}

/// Words from a shell as a message; the shell has taken the quotes.
pub fn message(words: &[String]) -> Result<OscMessage, Refusal> {
    spoken(words.iter().map(|text| Word { text: text.clone(), is_quoted: false }).collect())
}

/// Words as a message.
pub fn spoken(words: Vec<Word>) -> Result<OscMessage, Refusal> {
    let mut words = words.into_iter();
    let Some(first) = words.next() else {
        return Err(Refusal::new("/", Reason::NoCommand));
    };
    let addr = if first.text.starts_with('/') { first.text } else { format!("/{}", first.text) };
    if !guard::is_address(&addr) || addr == "/" {
        return Err(Refusal::new("/", Reason::BadAddress(MAX_ADDRESS_BYTES)));
    }
    match arguments(&addr, words) {
        Ok(args) if args.len() > MAX_ARGUMENTS => {
            Err(Refusal::new(&addr, Reason::TooManyArguments(args.len())))
        }
        Ok(args) => Ok(OscMessage { addr, args }),
        Err(reason) => Err(Refusal::new(&addr, reason)),
    }
}

/// Splits a line at white space; `"` and `'` hold words together, `\` escapes inside `"`.
pub fn split(line: &str) -> Result<Vec<Word>, Reason> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|next| next.is_whitespace()).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => words.push(word(&mut chars)?),
        }
    }
}

fn word(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Word, Reason> {
    let mut word = Word { text: String::new(), is_quoted: false };
    while let Some(next) = chars.next_if(|next| !next.is_whitespace()) {
        if next == '"' || next == '\'' {
            word.is_quoted = true;
            quoted(next, chars, &mut word.text)?;
        } else {
            word.text.push(next);
        }
    }
    Ok(word)
}

fn quoted(quote: char, chars: &mut impl Iterator<Item = char>, text: &mut String) -> Result<(), Reason> {
    loop {
        match chars.next().ok_or(Reason::OpenQuote(quote))? {
            close if close == quote => return Ok(()),
            '\\' if quote == '"' => text.push(chars.next().ok_or(Reason::OpenQuote(quote))?),
            other => text.push(other),
        }
    }
}

fn arguments(address: &str, words: impl Iterator<Item = Word>) -> Result<Vec<OscType>, Reason> {
    let mut words = words.peekable();
    let mut args = Vec::new();
    let mut options = Vec::new();
    while let Some(word) = words.next() {
        match option_name(&word) {
            // `/patch/save 007` means 007, not 7.
            None if verbs::takes_file_name(address) => args.push(OscType::String(word.text)),
            None => args.push(argument(word)),
            Some(option) => match option.split_once('=') {
                Some((name, value)) => options.push((name.to_owned(), number_or_text(value))),
                None => {
                    let value = words.next_if(|next| option_name(next).is_none());
                    let value = value.ok_or_else(|| Reason::NoOptionValue(shown(option)))?;
                    options.push((option.to_owned(), argument(value)));
                }
            },
        }
    }
    for (name, value) in options {
        place_option(address, name, value, &mut args)?;
    }
    Ok(args)
}

fn option_name(word: &Word) -> Option<&str> {
    word.text.strip_prefix("--").filter(|_| !word.is_quoted)
}

/// Puts an option where the address expects it among its arguments.
fn place_option(address: &str, name: String, value: OscType, args: &mut Vec<OscType>) -> Result<(), Reason> {
    match (address, name.as_str()) {
        // An odd number of arguments: a type and whole pairs, so no id yet.
        ("/create", "id") if args.len() % 2 == 1 => args.insert(1, value),
        ("/create", "id") => {
            return Err(Reason::Usage {
                fault: "the type is missing or there are two ids".to_owned(),
                usage: verbs::usage(address),
            });
        }
        ("/create" | "/set", _) => args.extend([OscType::String(name), value]),
        ("/connect" | "/patch/connect", "gain") | ("/gate", "velocity") if args.len() == 2 => {
            args.push(value)
        }
        _ => {
            return Err(Reason::UnknownOption { option: shown(&name), usage: verbs::usage(address) });
        }
    }
    Ok(())
}

fn argument(word: Word) -> OscType {
    if word.is_quoted { OscType::String(word.text) } else { number_or_text(&word.text) }
}

fn number_or_text(text: &str) -> OscType {
    let looks_like_a_number =
        text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    if !looks_like_a_number {
        return OscType::from(text);
    }
    let int = text.parse().map(OscType::Int);
    let long = || text.parse().map(OscType::Long);
    let float = || text.parse().map(OscType::Float);
    int.or_else(|_| long()).or_else(|_| float()).unwrap_or_else(|_| OscType::from(text))
}
