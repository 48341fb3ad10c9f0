//! Step 1, second half: a guarded packet becomes requests, in the order they were written.
//!
//! In:  one packet and the clocks at its arrival. Out: for each message a request or a refusal; one faulty
//! message of a bundle does not stop the others.
//! Thread: control. The caller owns the list, so a quiet packet costs only what its own words cost.

use super::guard;
use super::refusal::{Reason, Refusal};
use super::time::{ArrivalClock, When};
use super::{text, verbs};
use crate::command::{Due, Request};
use rosc::{OscMessage, OscPacket};

/// What became of one message.
pub type Decoded = Result<Request, Refusal>;

/// Replaces the contents of `decoded` by what `packet` holds.
pub fn decode(packet: &[u8], clock: &ArrivalClock, decoded: &mut Vec<Decoded>) {
    decoded.clear();
    match guarded(packet) {
        Ok(packet) => flatten(packet, When::Immediately, clock, decoded),
        Err(refusal) => decoded.push(Err(refusal)),
    }
}

/// One message, due now: the shared path of OSC and text.
pub fn request(message: OscMessage) -> Decoded {
    let message = if message.addr == "/cmd" { spelled_out(message)? } else { message };
    let command = verbs::command(&message.addr, message.args).map_err(|(reason, id)| Refusal {
        address: message.addr.clone(),
        id,
        reason,
    })?;
    Ok(Request { address: message.addr, command, due: Due::Now, late_s: None })
}

pub(super) fn guarded(packet: &[u8]) -> Result<OscPacket, Refusal> {
    guard::check(packet)?;
    let codec_fault =
        |fault: String| Refusal::new(guard::address_of(packet).unwrap_or("/"), Reason::Codec(fault));
    match rosc::decoder::decode_udp(packet) {
        Ok(([], packet)) => Ok(packet),
        Ok((rest, _)) => Err(codec_fault(format!("{} bytes left", rest.len()))),
        Err(fault) => Err(codec_fault(fault.to_string())),
    }
}

/// Recurses at most `guard::MAX_BUNDLE_NESTING` times.
fn flatten(packet: OscPacket, when: When, clock: &ArrivalClock, decoded: &mut Vec<Decoded>) {
    match packet {
        OscPacket::Message(message) => decoded.push(timed(message, when, clock)),
        OscPacket::Bundle(bundle) => {
            // An inner bundle is never earlier than the one that holds it.
            let when = when.max(When::of(bundle.timetag, clock));
            for element in bundle.content {
                flatten(element, when, clock, decoded);
            }
        }
    }
}

fn timed(message: OscMessage, when: When, clock: &ArrivalClock) -> Decoded {
    match when.due(clock) {
        Ok((due, late_s)) => request(message).map(|request| Request { due, late_s, ..request }),
        Err(reason) => Err(Refusal::new(&message.addr, reason)),
    }
}

/// The command that `/cmd` holds as text; it is answered under its own address.
fn spelled_out(message: OscMessage) -> Result<OscMessage, Refusal> {
    let line = verbs::cmd_text(message.args).map_err(|reason| Refusal::new("/cmd", reason))?;
    let inner = text::line_message(&line).map_err(|refusal| match refusal.address.as_str() {
        "/" => Refusal { address: "/cmd".to_owned(), ..refusal },
        _ => refusal,
    })?;
    if inner.addr == "/cmd" { Err(Refusal::new("/cmd", Reason::NestedCmd)) } else { Ok(inner) }
}
