//! Reads the arguments of one message in order, and says what is wrong in the performer's words.
//!
//! In:  arguments as the codec gave them. Out: texts, finite numbers, parameters.
//! Numbers may come as i, h, f, d, T or F; T is 1 and F is 0. NaN and infinity go no further.

use super::refusal::{Reason, shown};
use crate::command::Value;
use rosc::OscType;

/// Longest name of a type or parameter.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest choice by name.
pub const MAX_WORD_BYTES: usize = 256;

/// Arguments still to be read.
pub struct Args {
    /// The whole form, for refusals.
    pub usage: &'static str,
    /// The module named so far, for refusals.
    pub id: Option<String>,
    rest: std::vec::IntoIter<OscType>,
}

impl Args {
    /// All arguments of a message that should have the form `usage`.
    pub fn new(usage: &'static str, all: Vec<OscType>) -> Self {
        Self { usage, id: None, rest: all.into_iter() }
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// True if all have been read.
    pub fn is_empty(&self) -> bool {
        self.rest.len() == 0
    }

    /// Forgets the rest.
    pub fn ignore_rest(&mut self) {
        self.rest.by_ref().for_each(drop);
    }

    /// The next one, whatever it is.
    pub fn any(&mut self, what: &str) -> Result<OscType, Reason> {
        self.rest.next().ok_or_else(|| self.missing(what))
    }

    /// The next one, as text.
    pub fn text(&mut self, what: &str) -> Result<String, Reason> {
        match self.any(what)? {
            OscType::String(text) => Ok(text),
            other => Err(wrong_type(what, "text", &other)),
        }
    }

    /// The next one, as a number.
    pub fn number(&mut self, what: &str) -> Result<f32, Reason> {
        number(what, &self.any(what)?)
    }

    /// The next one if there is one, as a number.
    pub fn optional_number(&mut self, what: &str) -> Result<Option<f32>, Reason> {
        if self.is_empty() { Ok(None) } else { self.number(what).map(Some) }
    }

    /// A name of a type.
    pub fn type_name(&mut self) -> Result<String, Reason> {
        checked_name("the type", self.text("the type")?)
    }

    /// All that is left, as pairs of name and value.
    pub fn params(&mut self) -> Result<Vec<(String, Value)>, Reason> {
        let mut params = Vec::with_capacity(self.len().div_ceil(2));
        while !self.is_empty() {
            let name = checked_name("the parameter", self.text("a parameter's name")?)?;
            if crate::pattern::is_pattern(&name) {
                return Err(Reason::PatternedParameter(shown(&name)));
            }
            let Some(written) = self.rest.next() else {
                return Err(self.missing(&format!("a value for {name}")));
            };
            let value = value(&name, written)?;
            params.push((name, value));
        }
        Ok(params)
    }

    /// Refuses what is left.
    pub fn end(&self) -> Result<(), Reason> {
        match self.len() {
            0 => Ok(()),
            1 => Err(self.misused("1 argument too many".to_owned())),
            many => Err(self.misused(format!("{many} arguments too many"))),
        }
    }

    /// A refusal that shows the whole form.
    pub fn missing(&self, what: &str) -> Reason {
        self.misused(format!("{what} is missing"))
    }

    fn misused(&self, fault: String) -> Reason {
        Reason::Usage { fault, usage: self.usage }
    }
}

/// A finite number of 32 bits.
pub fn number(what: &str, written: &OscType) -> Result<f32, Reason> {
    let number = match *written {
        OscType::Int(int) => int as f32,
        OscType::Long(long) => long as f32,
        OscType::Float(float) => float,
        OscType::Double(double) => double as f32,
        OscType::Bool(is_true) => f32::from(u8::from(is_true)),
        OscType::Inf => f32::INFINITY,
        ref other => return Err(wrong_type(what, "a number", other)),
    };
    if number.is_finite() { Ok(number) } else { Err(Reason::NotFinite(what.to_owned())) }
}

/// A number without a fraction; floats are welcome, many senders know nothing else.
pub fn whole(what: &str, written: &OscType) -> Result<i64, Reason> {
    match *written {
        OscType::Int(int) => Ok(int.into()),
        OscType::Long(long) => Ok(long),
        OscType::Bool(is_true) => Ok(is_true.into()),
        OscType::Float(float) => whole_double(what, float.into(), written),
        OscType::Double(double) => whole_double(what, double, written),
        OscType::Inf => Err(Reason::NotFinite(what.to_owned())),
        ref other => Err(wrong_type(what, "a whole number", other)),
    }
}

/// Where doubles stop counting in ones.
const MAX_WHOLE_DOUBLE: f64 = 9_007_199_254_740_992.0;

fn whole_double(what: &str, double: f64, written: &OscType) -> Result<i64, Reason> {
    if !double.is_finite() {
        return Err(Reason::NotFinite(what.to_owned()));
    }
    if double.fract() == 0.0 && double.abs() < MAX_WHOLE_DOUBLE {
        return Ok(double as i64);
    }
    Err(wrong_type(what, "a whole number", written))
}

fn value(name: &str, written: OscType) -> Result<Value, Reason> {
    match written {
        OscType::String(word) if word.is_empty() || word.len() > MAX_WORD_BYTES || has_control(&word) => {
            Err(Reason::BadName { what: "the choice", found: shown(&word), limit: MAX_WORD_BYTES })
        }
        OscType::String(word) => Ok(Value::Word(word)),
        other => match number(name, &other) {
            Err(Reason::WrongType { what, found, .. }) => {
                Err(Reason::WrongType { what, wanted: "a number or a word", found })
            }
            number => number.map(Value::Number),
        },
    }
}

fn checked_name(what: &'static str, name: String) -> Result<String, Reason> {
    let is_sound =
        !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_sound {
        Ok(name)
    } else {
        Err(Reason::BadName { what, found: shown(&name), limit: MAX_NAME_BYTES })
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// A refusal that says what came instead.
pub fn wrong_type(what: &str, wanted: &'static str, written: &OscType) -> Reason {
    let found = match written {
        OscType::Int(int) => format!("the number {int}"),
        OscType::Long(long) => format!("the number {long}"),
        OscType::Float(float) => format!("the number {float}"),
        OscType::Double(double) => format!("the number {double}"),
        OscType::String(text) => format!("the text {}", shown(text)),
        OscType::Bool(_) => "true or false".to_owned(),
        OscType::Blob(_) => "a blob".to_owned(),
        OscType::Array(_) => "an array".to_owned(),
        OscType::Time(_) => "a time tag".to_owned(),
        OscType::Char(_) => "a character".to_owned(),
        OscType::Color(_) => "a color".to_owned(),
        OscType::Midi(_) => "a MIDI message".to_owned(),
        OscType::Nil => "nil".to_owned(),
        OscType::Inf => "infinity".to_owned(),
    };
    Reason::WrongType { what: what.to_owned(), wanted, found }
}
