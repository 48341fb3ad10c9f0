//! OSC packets by hand, for what a client library would not send.

use rosc::{OscBundle, OscMessage, OscPacket, OscTime};
use std::net::{SocketAddr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

/// From 1900, where NTP counts from, to 1970.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// A line such as `/set vco1 freq 220` as a message.
pub fn line(text: &str) -> OscMessage {
    backline::osc::text::line_message(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

/// A bundle of lines that is due at once.
pub fn bundle(lines: &[&str]) -> OscPacket {
    tagged(OscTime { seconds: 0, fractional: 1 }, lines)
}

/// A bundle of lines with a time tag.
pub fn tagged(timetag: OscTime, lines: &[&str]) -> OscPacket {
    let content = lines.iter().map(|text| OscPacket::Message(line(text))).collect();
    OscPacket::Bundle(OscBundle { timetag, content })
}

/// Bundles in one packet.
pub fn together(content: Vec<OscPacket>) -> OscPacket {
    OscPacket::Bundle(OscBundle { timetag: OscTime { seconds: 0, fractional: 1 }, content })
}

/// Now, in seconds since 1970.
pub fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs_f64()
}

/// A tag `frames` of 48 kHz after `start_ns` since 1970.
pub fn tag_after(start_ns: u64, frames: u64) -> OscTime {
    let ns = u128::from(start_ns) + u128::from(frames) * 1_000_000_000 / 48_000;
    // Rounded up: a tag a fraction of a nanosecond early could fall into the frame before.
    let rest = ((ns % 1_000_000_000) << 32).div_ceil(1_000_000_000) as u32;
    OscTime { seconds: ((ns / 1_000_000_000) as u64 + NTP_TO_UNIX_S) as u32, fractional: rest }
}

/// Nanoseconds since 1970, `ahead_ms` from now.
pub fn ahead_ns(ahead_ms: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    now.as_nanos() as u64 + ahead_ms * 1_000_000
}

/// Sends raw bytes, and does not wait for an answer.
pub fn throw(engine: SocketAddr, bytes: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.send_to(bytes, engine).expect("loopback takes a datagram");
}

/// A packet as bytes.
pub fn encoded(packet: &OscPacket) -> Vec<u8> {
    rosc::encoder::encode(packet).expect("encoding into memory works")
}
