//! Answers become bytes, and for clients, bytes become answers.
//!
//! In:  a `Reply`. Out: one OSC message of at most a datagram; a longer one is refused, not cut, because half
//! a JSON text is worse than none.
//! Thread: control.

use super::decode::guarded;
use super::guard::MAX_DATAGRAM_BYTES;
use crate::command::{Arg, Reply};
use rosc::{OscMessage, OscPacket, OscType};

/// An answer that no datagram can carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the answer {address} has {bytes} bytes, a datagram holds {MAX_DATAGRAM_BYTES}; ask for less at once"
)]
pub struct TooBig {
    /// Address of the answer.
    pub address: String,
    /// Its length, encoded.
    pub bytes: usize,
}

/// An answer as one OSC message.
pub fn encode(reply: &Reply) -> Result<Vec<u8>, TooBig> {
    let message = OscMessage { addr: reply.address.clone(), args: reply.args.iter().map(to_osc).collect() };
    let bytes = packed(message);
    if bytes.len() > MAX_DATAGRAM_BYTES {
        return Err(TooBig { address: reply.address.clone(), bytes: bytes.len() });
    }
    Ok(bytes)
}

/// An answer from an engine, if that is what `packet` is.
pub fn parse_reply(packet: &[u8]) -> Option<Reply> {
    match guarded(packet) {
        Ok(OscPacket::Message(message)) => {
            let args = message.args.into_iter().map(from_osc).collect::<Option<_>>()?;
            Some(Reply { address: message.addr, args })
        }
        _ => None,
    }
}

/// A message as bytes.
pub(super) fn packed(message: OscMessage) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    // Writing to a Vec cannot fail: its error type has no values.
    let Ok(_) = rosc::encoder::encode_into(&OscPacket::Message(message), &mut bytes);
    bytes
}

fn to_osc(arg: &Arg) -> OscType {
    match arg {
        Arg::Int(int) => OscType::Int(*int),
        Arg::Float(float) => OscType::Float(*float),
        Arg::Double(double) => OscType::Double(*double),
        // A zero byte would end the string early and shift everything after it.
        Arg::Text(text) if text.contains('\0') => OscType::String(text.replace('\0', "\u{fffd}")),
        Arg::Text(text) => OscType::String(text.clone()),
    }
}

fn from_osc(arg: OscType) -> Option<Arg> {
    match arg {
        OscType::Int(int) => Some(Arg::Int(int)),
        OscType::Bool(is_true) => Some(Arg::Int(is_true.into())),
        OscType::Float(float) => Some(Arg::Float(float)),
        OscType::Double(double) => Some(Arg::Double(double)),
        OscType::Long(long) => Some(Arg::Double(long as f64)),
        OscType::String(text) => Some(Arg::Text(text)),
        _ => None,
    }
}
