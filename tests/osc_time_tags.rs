//! Time tags: now, later, too late, too far.

use backline::command::Due;
use backline::osc::time::MAX_AHEAD_S;
use backline::osc::{ArrivalClock, Decoded, Reason, decode};
use rosc::{OscBundle, OscMessage, OscPacket, OscTime};

const NTP_1970_S: u32 = 2_208_988_800;
/// In January 2027.
const WALL_S: u32 = 1_800_000_000;
const MONO_NS: u64 = 7_000_000_000;
const CLOCK: ArrivalClock = ArrivalClock { wall_unix_ns: WALL_S as u64 * 1_000_000_000, mono_ns: MONO_NS };
const NOW: OscTime = OscTime { seconds: 0, fractional: 1 };

fn tag(seconds: u32) -> OscTime {
    OscTime { seconds, fractional: 0 }
}

fn after_arrival(seconds: i32) -> OscTime {
    tag((NTP_1970_S + WALL_S).wrapping_add_signed(seconds))
}

fn at(timetag: OscTime, content: Vec<OscPacket>) -> OscPacket {
    OscPacket::Bundle(OscBundle { timetag, content })
}

fn gate() -> OscPacket {
    OscPacket::Message(OscMessage { addr: "/begin".to_owned(), args: vec![] })
}

fn decoded_by(clock: &ArrivalClock, packet: &OscPacket) -> Decoded {
    let mut list = Vec::new();
    decode(&rosc::encoder::encode(packet).unwrap(), clock, &mut list);
    assert_eq!(list.len(), 1);
    list.remove(0)
}

fn due_by(clock: &ArrivalClock, packet: &OscPacket) -> (Due, Option<f64>) {
    let request = decoded_by(clock, packet).unwrap();
    (request.due, request.late_s)
}

fn later(ns: u64) -> (Due, Option<f64>) {
    (Due::At(MONO_NS + ns), None)
}

#[test]
fn a_tag_says_when_counted_from_arrival() {
    let half_a_second = OscTime { seconds: NTP_1970_S + WALL_S, fractional: 1 << 31 };
    let table = [
        ("no tag but now", NOW, (Due::Now, None)),
        ("0", tag(0), (Due::Now, Some(f64::from(NTP_1970_S) + f64::from(WALL_S)))),
        ("before 1970", tag(NTP_1970_S - 1), (Due::Now, Some(f64::from(WALL_S) + 1.0))),
        ("1970", tag(NTP_1970_S), (Due::Now, Some(f64::from(WALL_S)))),
        ("last year", after_arrival(-30_000_000), (Due::Now, Some(30_000_000.0))),
        ("a second ago", after_arrival(-1), (Due::Now, Some(1.0))),
        ("at arrival", after_arrival(0), (Due::Now, None)),
        ("half a second ahead", half_a_second, later(500_000_000)),
        ("a second ahead", after_arrival(1), later(1_000_000_000)),
        ("as far as allowed", after_arrival(MAX_AHEAD_S as i32), later(60_000_000_000)),
    ];
    for (name, tag, expected) in table {
        assert_eq!(due_by(&CLOCK, &at(tag, vec![gate()])), expected, "{name}");
    }
}

#[test]
fn tags_too_far_ahead_are_refused() {
    for tag in [after_arrival(61), after_arrival(100_000_000), tag(u32::MAX)] {
        let refusal = decoded_by(&CLOCK, &at(tag, vec![gate()])).unwrap_err();
        assert_eq!(refusal.address, "/begin");
        assert!(matches!(refusal.reason, Reason::TooFarAhead { ahead_s } if ahead_s > 60.0), "{refusal:?}");
    }
    let refusal = decoded_by(&CLOCK, &at(after_arrival(61), vec![gate()])).unwrap_err();
    assert_eq!(refusal.to_string(), "due in 61 s, the limit is 60 s; send it later");
}

#[test]
fn an_inner_bundle_is_never_earlier_than_the_one_around_it() {
    let table = [
        ("inner now", after_arrival(2), NOW, later(2_000_000_000)),
        ("outer now", NOW, after_arrival(2), later(2_000_000_000)),
        ("inner earlier", after_arrival(3), after_arrival(2), later(3_000_000_000)),
        ("inner later", after_arrival(2), after_arrival(3), later(3_000_000_000)),
        ("inner late, outer not", after_arrival(2), after_arrival(-2), later(2_000_000_000)),
        ("both late", after_arrival(-5), after_arrival(-2), (Due::Now, Some(2.0))),
    ];
    for (name, outer, inner, expected) in table {
        assert_eq!(due_by(&CLOCK, &at(outer, vec![at(inner, vec![gate()])])), expected, "{name}");
    }
}

#[test]
fn ntp_seconds_may_wrap_in_2036() {
    let wrap_unix_ns = (u64::from(u32::MAX) + 1 - u64::from(NTP_1970_S)) * 1_000_000_000;
    let before = ArrivalClock { wall_unix_ns: wrap_unix_ns - 1_000_000_000, mono_ns: MONO_NS };
    assert_eq!(due_by(&before, &at(tag(1), vec![gate()])), later(2_000_000_000));
    let after = ArrivalClock { wall_unix_ns: wrap_unix_ns + 1_000_000_000, mono_ns: MONO_NS };
    assert_eq!(due_by(&after, &at(tag(2), vec![gate()])), later(1_000_000_000));
    assert_eq!(due_by(&after, &at(tag(u32::MAX), vec![gate()])), (Due::Now, Some(2.0)));
}

#[test]
fn clocks_at_their_ends_do_no_harm() {
    for wall_unix_ns in [0, u64::MAX] {
        for mono_ns in [0, u64::MAX] {
            for seconds in [0, 1, NTP_1970_S, u32::MAX] {
                for fractional in [0, 1, u32::MAX] {
                    let clock = ArrivalClock { wall_unix_ns, mono_ns };
                    // Due, late or refused: any answer is right, a panic is not.
                    let _ = decoded_by(&clock, &at(OscTime { seconds, fractional }, vec![gate()]));
                }
            }
        }
    }
    assert!(ArrivalClock::at(5).wall_unix_ns > 0);
}
