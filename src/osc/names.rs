//! The rule of ids and of everything that is written with them.
//!
//! In:  names as a performer wrote them. Out: the same names, known to be well formed.
//! Whether such a module exists is for the patch to say.

use super::args::whole;
use super::refusal::{Reason, shown};
use crate::catalogue;
use crate::command::{PortName, is_file_name};
use crate::pattern;
use rosc::OscType;

/// Longest id or port.
pub const MAX_ID_BYTES: usize = 32;

/// `[a-z0-9_]{1,32}`
pub fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// An id, or a pattern over ids.
pub fn target(written: String) -> Result<String, Reason> {
    if !pattern::is_pattern(&written) {
        return if is_id(&written) { Ok(written) } else { Err(Reason::BadId(shown(&written))) };
    }
    match pattern::check(&written) {
        Ok(()) => Ok(written),
        Err(fault) => Err(Reason::BadPattern { pattern: shown(&written), fault }),
    }
}

/// `id.port`, or `id` alone.
pub fn port(mut written: String) -> Result<PortName, Reason> {
    let (id_bytes, port) = match written.split_once('.') {
        Some((id, port)) if is_id(id) && is_id(port) => (id.len(), Some(port.to_owned())),
        None if is_id(&written) => (written.len(), None),
        _ => return Err(Reason::BadPort(shown(&written))),
    };
    written.truncate(id_bytes);
    Ok(PortName { id: written, port })
}

/// The id of a new module: as written, or made from its type and a number.
pub fn new_id(type_name: &str, written: OscType) -> Result<String, Reason> {
    let number = match written {
        OscType::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_err(|_| Reason::BadId(shown(&text)))?
        }
        OscType::String(text) if is_id(&text) => return Ok(text),
        OscType::String(text) => return Err(Reason::BadId(shown(&text))),
        other => whole("the id", &other)?,
    };
    if !(0..=i64::from(i32::MAX)).contains(&number) {
        let high = f64::from(i32::MAX);
        return Err(Reason::OutOfRange { what: "a number as id", low: 0.0, high, found: number as f64 });
    }
    let id = format!("{}{number}", catalogue::stem(type_name));
    if is_id(&id) { Ok(id) } else { Err(Reason::BadId(shown(&id))) }
}

/// The name of a patch or a recording; a whole number counts by its digits.
pub fn file(written: OscType) -> Result<String, Reason> {
    let name = match written {
        OscType::String(text) => text,
        other => whole("the name", &other)?.to_string(),
    };
    if is_file_name(&name) { Ok(name) } else { Err(Reason::BadFileName(shown(&name))) }
}
