//! Random packets, sound and unsound: each message gets one answer, and nothing panics.

use backline::osc::{ArrivalClock, Decoded, decode, guard};
use proptest::prelude::*;
use rosc::{OscBundle, OscMessage, OscPacket, OscType};

const CLOCK: ArrivalClock = ArrivalClock { wall_unix_ns: 1_800_000_000_000_000_000, mono_ns: 5_000_000_000 };

fn decoded(packet: &[u8]) -> Vec<Decoded> {
    let mut list = Vec::new();
    decode(packet, &CLOCK, &mut list);
    list
}

fn message(address: &str, args: Vec<OscType>) -> OscPacket {
    OscPacket::Message(OscMessage { addr: address.to_owned(), args })
}

fn bytes(packet: &OscPacket) -> Vec<u8> {
    rosc::encoder::encode(packet).unwrap()
}

fn osc_arg() -> impl Strategy<Value = OscType> {
    prop_oneof![
        any::<i32>().prop_map(OscType::Int),
        any::<i64>().prop_map(OscType::Long),
        any::<f32>().prop_map(OscType::Float),
        any::<f64>().prop_map(OscType::Double),
        any::<bool>().prop_map(OscType::Bool),
        "[a-z0-9.*?{},\\[\\]!-]{0,12}".prop_map(OscType::String),
        "[^\0]{0,40}".prop_map(OscType::String),
        any::<char>().prop_map(OscType::Char),
        any::<(u32, u32)>().prop_map(OscType::from),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(OscType::Blob),
        Just(OscType::Nil),
        Just(OscType::Inf),
    ]
}

fn osc_packet() -> impl Strategy<Value = OscPacket> {
    let known = prop::sample::select(vec![
        "/create",
        "/free",
        "/gate",
        "/set",
        "/connect",
        "/disconnect",
        "/begin",
        "/cmd",
        "/sync",
        "/schema",
        "/mod/*/freq",
        "/gate/adsr1",
        "/patch/create",
        "/patch/save",
        "/nowhere",
    ]);
    let messages = (known, prop::collection::vec(osc_arg(), 0..8)).prop_map(|(at, args)| message(at, args));
    messages.prop_recursive(6, 24, 4, |inner| {
        (any::<(u32, u32)>(), prop::collection::vec(inner, 0..4))
            .prop_map(|(tag, content)| OscPacket::Bundle(OscBundle { timetag: tag.into(), content }))
    })
}

fn messages_in(packet: &OscPacket) -> usize {
    match packet {
        OscPacket::Message(_) => 1,
        OscPacket::Bundle(bundle) => bundle.content.iter().map(messages_in).sum(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        decoded(&bytes);
    }

    #[test]
    fn whatever_the_codec_can_write_each_message_gets_one_answer(packet in osc_packet()) {
        let bytes = bytes(&packet);
        prop_assert_eq!(guard::check(&bytes), Ok(()));
        prop_assert_eq!(decoded(&bytes).len(), messages_in(&packet));
    }

    #[test]
    fn a_valid_packet_with_wrong_bytes_never_panics(
        packet in osc_packet(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = bytes(&packet);
        if !bytes.is_empty() {
            for (index, byte) in wrong {
                let place = index.index(bytes.len());
                bytes[place] = byte;
            }
        }
        for refusal in decoded(&bytes).into_iter().filter_map(Result::err) {
            prop_assert!(refusal.to_string().len() < 1_000);
            prop_assert!(!refusal.to_string().contains(char::is_control), "{}", refusal);
        }
    }
}
