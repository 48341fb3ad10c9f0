//! The words of every refusal of this stage: what failed, on which thing, what to do next.
//!
//! Whatever a sender wrote is clipped and escaped before it is repeated, so an answer stays short and cannot
//! carry control characters into a terminal or a log.

use super::guard::{MAX_ARGUMENTS, MAX_ARRAY_NESTING, MAX_BUNDLE_NESTING, MAX_ELEMENTS, MAX_PACKET_BYTES};
use crate::command::Reply;

/// One thing that will not be done; it is answered with one `/fail`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The address the performer used, or `/` when it cannot be told.
    pub address: String,
    /// The module meant, if it was named before the fault.
    pub id: Option<String>,
    /// Why.
    pub reason: Reason,
}

impl Refusal {
    /// A refusal that concerns no module in particular.
    pub fn new(address: &str, reason: Reason) -> Self {
        Self { address: address.to_owned(), id: None, reason }
    }

    /// `/fail ADDRESS reason [id]`
    pub fn reply(&self) -> Reply {
        Reply::fail(&self.address, &self.reason, self.id.as_deref())
    }
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Reason {
    /// No bytes at all.
    #[error("the packet is empty; send an OSC message or bundle")]
    Empty,
    /// Over the size limit.
    #[error("the packet has {0} bytes, the limit is {MAX_PACKET_BYTES}; send it in parts")]
    PacketTooLong(usize),
    /// OSC counts in words of four bytes.
    #[error("{what} has {bytes} bytes, not a multiple of 4; pad it with zeros")]
    Unaligned {
        /// The packet or a bundle element.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// Something runs past the end of what holds it.
    #[error("{0} runs past the end; the packet was cut short or a length in it is wrong")]
    Truncated(&'static str),
    /// Neither a message nor a bundle.
    #[error("an OSC packet begins with '/' or '#bundle'; this one does not")]
    NotOsc,
    /// An address with bytes that have no place in one.
    #[error("the address holds a space, '#' or unprintable character, or is over {0} characters; shorten it")]
    BadAddress(usize),
    /// No type tag string.
    #[error("no type tags after the address; send ',' even without arguments")]
    NoTypeTags,
    /// A type nobody here reads.
    #[error("type tag '{0}' is not known; use i f s b h t d c r m T F N I or [ ]")]
    UnknownTag(String),
    /// More arguments than anything needs.
    #[error("the message has {0} arguments, the limit is {MAX_ARGUMENTS}; send several messages")]
    TooManyArguments(usize),
    /// Arrays in arrays in arrays.
    #[error("arrays are nested deeper than {MAX_ARRAY_NESTING}; flatten them")]
    ArraysTooDeep,
    /// A bracket without its partner.
    #[error("a '[' or ']' in the type tags has no partner; mend the type tags")]
    UnbalancedArray,
    /// Bundles in bundles in bundles.
    #[error("bundles are nested deeper than {MAX_BUNDLE_NESTING}; flatten them")]
    BundlesTooDeep,
    /// A bundle element of no bytes.
    #[error("a bundle element is empty; leave it out")]
    EmptyElement,
    /// A flood in one packet.
    #[error("the packet has more than {MAX_ELEMENTS} bundle elements; send several packets")]
    TooManyElements,
    /// Bytes after the last argument.
    #[error("{0} bytes are left over after the last argument; the type tags do not tell of them")]
    LeftOver(usize),
    /// Text in another encoding.
    #[error("{0} is not UTF-8; send plain text")]
    NotUtf8(&'static str),
    /// A `c` argument that is no character.
    #[error("a 'c' argument is not a character: {0:#x}")]
    NotAChar(u32),
    /// The guard let it through and the codec did not.
    #[error("the packet could not be decoded ({0}); check the sender")]
    Codec(String),
    /// No such address.
    #[error("unknown address; the nearest is {nearest}")]
    UnknownAddress {
        /// The known one that looks most alike.
        nearest: &'static str,
    },
    /// Too few or too many arguments.
    #[error("{fault}; write {usage}")]
    Usage {
        /// What is missing or too much.
        fault: String,
        /// The whole form.
        usage: &'static str,
    },
    /// A text where a number belongs, and so on.
    #[error("{what} must be {wanted}, not {found}")]
    WrongType {
        /// The argument.
        what: String,
        /// What it should be.
        wanted: &'static str,
        /// What came.
        found: String,
    },
    /// NaN, infinite, or too big for 32 bits.
    #[error("{0} is not a finite number; send a number")]
    NotFinite(String),
    /// Outside a range known without the patch.
    #[error("{what} must be {low}..={high}, not {found}")]
    OutOfRange {
        /// The argument.
        what: &'static str,
        /// Least.
        low: f64,
        /// Greatest.
        high: f64,
        /// What came.
        found: f64,
    },
    /// A name that breaks the rule of ids.
    #[error("{0} is not an id; an id is 1 to 32 of a-z 0-9 _")]
    BadId(String),
    /// A name that breaks the rule of files.
    #[error("{0} is not a name of a patch or recording; use 1 to 64 of a-z 0-9 _ - (no path, no ending)")]
    BadFileName(String),
    /// A name that breaks the rule of ports.
    #[error("{0} is not a port; write id.port, or id alone for its main port")]
    BadPort(String),
    /// A pattern that cannot be read.
    #[error("{pattern} is not a pattern: {fault}; write * ? [a-z] [!a-z] {{one,two}}")]
    BadPattern {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A pattern where one thing must be named.
    #[error("{0} is a pattern; name one parameter, patterns are for ids")]
    PatternedParameter(String),
    /// A type or parameter name nobody can have.
    #[error("{what} {found} is empty, over {limit} bytes or unprintable")]
    BadName {
        /// Type, parameter or choice.
        what: &'static str,
        /// As written.
        found: String,
        /// Bytes allowed.
        limit: usize,
    },
    /// A time tag too far in the future.
    #[error("due in {ahead_s:.0} s, the limit is {} s; send it later", super::time::MAX_AHEAD_S)]
    TooFarAhead {
        /// Seconds from arrival.
        ahead_s: f64,
    },
    /// A quote that is never closed.
    #[error("a quote is not closed; close it with {0}")]
    OpenQuote(char),
    /// Text with no word in it.
    #[error("there is no command in the text; write one such as: create vco --id 1")]
    NoCommand,
    /// `--name` at the end of a line.
    #[error("--{0} needs a value after it")]
    NoOptionValue(String),
    /// `--name` where it means nothing.
    #[error("--{option} is not known here; write {usage}")]
    UnknownOption {
        /// Without its dashes.
        option: String,
        /// The whole form.
        usage: &'static str,
    },
    /// `/cmd "/cmd ..."`
    #[error("/cmd cannot hold another /cmd; write the inner command alone")]
    NestedCmd,
}

/// What a sender wrote, in quotes, escaped, and short enough to be repeated.
pub fn shown(written: &str) -> String {
    const MOST_CHARS: usize = 48;
    let mut clipped: String = written.chars().take(MOST_CHARS).collect();
    if clipped.len() < written.len() {
        clipped.push('…');
    }
    format!("{clipped:?}")
}
