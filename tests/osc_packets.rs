//! Whatever bytes arrive, the OSC stage answers in words and stays on its feet.

use backline::command::{Command, Due};
use backline::osc::guard::{self, MAX_ARGUMENTS, MAX_BUNDLE_NESTING, MAX_ELEMENTS, MAX_PACKET_BYTES};
use backline::osc::{ArrivalClock, Decoded, Reason, decode};
use rosc::{OscArray, OscBundle, OscMessage, OscPacket, OscTime, OscType};

const CLOCK: ArrivalClock = ArrivalClock { wall_unix_ns: 1_800_000_000_000_000_000, mono_ns: 5_000_000_000 };
const NOW: OscTime = OscTime { seconds: 0, fractional: 1 };

fn decoded(packet: &[u8]) -> Vec<Decoded> {
    let mut list = Vec::new();
    decode(packet, &CLOCK, &mut list);
    list
}

fn message(address: &str, args: Vec<OscType>) -> OscPacket {
    OscPacket::Message(OscMessage { addr: address.to_owned(), args })
}

fn bundle(content: Vec<OscPacket>) -> OscPacket {
    OscPacket::Bundle(OscBundle { timetag: NOW, content })
}

fn bytes(packet: &OscPacket) -> Vec<u8> {
    rosc::encoder::encode(packet).unwrap()
}

fn words(text: &str) -> Vec<u8> {
    let mut padded = text.as_bytes().to_vec();
    padded.resize((padded.len() + 1).next_multiple_of(4), 0);
    padded
}

/// Built by hand, so that building it does not recurse either.
fn nested_bundles(depth: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    for level in 0..depth {
        packet.extend_from_slice(b"#bundle\0\0\0\0\0\0\0\0\x01");
        let left = (depth - level - 1) * 20;
        if left > 0 {
            packet.extend_from_slice(&u32::try_from(left - 4).unwrap().to_be_bytes());
        }
    }
    packet
}

/// The only refusal of a packet: its address and reason.
fn only_refusal(packet: &[u8]) -> (String, Reason) {
    let mut list = decoded(packet);
    assert_eq!(list.len(), 1, "{list:?}");
    let refusal = list.remove(0).expect_err("it should be refused");
    (refusal.address, refusal.reason)
}

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(128 * 1024).spawn(work).unwrap().join().unwrap()
}

#[test]
fn bundles_nested_thousands_deep_are_refused_on_a_small_stack() {
    let packet = nested_bundles(3_000);
    let shallow = on_a_small_stack(move || only_refusal(&packet));
    assert_eq!(shallow, ("/".to_owned(), Reason::BundlesTooDeep));
    // 5,000 levels are more than a packet may have bytes; the size is judged first.
    let packet = nested_bundles(5_000);
    let deep = on_a_small_stack(move || only_refusal(&packet));
    assert_eq!(deep.1, Reason::PacketTooLong(5_000 * 20 - 4));
}

#[test]
fn bundles_may_be_nested_8_deep_and_no_deeper() {
    let nest = |depth: usize| {
        let mut packet = message("/status", vec![]);
        for _ in 0..depth {
            packet = bundle(vec![packet]);
        }
        bytes(&packet)
    };
    let packet = nest(MAX_BUNDLE_NESTING);
    assert!(on_a_small_stack(move || decoded(&packet).remove(0).is_ok()));
    assert_eq!(only_refusal(&nest(MAX_BUNDLE_NESTING + 1)).1, Reason::BundlesTooDeep);
}

#[test]
fn arrays_may_be_nested_4_deep_and_no_deeper() {
    let nest = |depth: usize| {
        let mut arg = OscType::Int(1);
        for _ in 0..depth {
            arg = OscType::Array(OscArray { content: vec![arg] });
        }
        bytes(&message("/set", vec!["vco1".into(), "freq".into(), arg]))
    };
    assert_eq!(guard::check(&nest(4)), Ok(()));
    assert_eq!(only_refusal(&nest(5)), ("/set".to_owned(), Reason::ArraysTooDeep));
    for tags in [",[", ",]", ",][", ",[[]"] {
        assert_eq!(only_refusal(&[words("/set"), words(tags)].concat()).1, Reason::UnbalancedArray, "{tags}");
    }
}

#[test]
fn elements_are_counted_over_all_bundles_of_a_packet() {
    let of = |count: usize| bytes(&bundle(vec![message("/list", vec![]); count]));
    assert_eq!(decoded(&of(MAX_ELEMENTS)).len(), MAX_ELEMENTS);
    assert_eq!(only_refusal(&of(MAX_ELEMENTS + 1)), ("/list".to_owned(), Reason::TooManyElements));

    let halves = bundle(vec![bundle(vec![message("/list", vec![]); MAX_ELEMENTS / 2]); 2]);
    assert_eq!(only_refusal(&bytes(&halves)).1, Reason::TooManyElements);
}

#[test]
fn a_message_may_have_256_arguments_and_no_more() {
    let of = |count: usize| bytes(&message("/set", vec![OscType::Int(1); count]));
    assert_eq!(guard::check(&of(MAX_ARGUMENTS)), Ok(()));
    assert_eq!(only_refusal(&of(MAX_ARGUMENTS + 1)).1, Reason::TooManyArguments(MAX_ARGUMENTS + 1));
    let trues = [words("/set"), words(&format!(",{}", "T".repeat(60_000)))].concat();
    assert_eq!(only_refusal(&trues), ("/set".to_owned(), Reason::TooManyArguments(60_000)));
    let closing = [words("/set"), words(&format!(",{}", "]".repeat(60_000)))].concat();
    assert!(matches!(only_refusal(&closing).1, Reason::TooManyArguments(_)));
}

fn each_is_refused<const N: usize>(table: [(Vec<u8>, &str, Reason); N]) {
    for (packet, address, reason) in table {
        let shown = packet.escape_ascii().to_string();
        assert_eq!(only_refusal(&packet), (address.to_owned(), reason), "{shown:.80}");
    }
}

#[test]
fn a_packet_that_is_no_osc_is_refused() {
    let too_long = MAX_PACKET_BYTES + 4;
    each_is_refused([
        (vec![], "/", Reason::Empty),
        (b"/set\0\0\0".to_vec(), "/set", Reason::Unaligned { what: "the packet", bytes: 7 }),
        (vec![0xff; too_long], "/", Reason::PacketTooLong(too_long)),
        (vec![0xff; MAX_PACKET_BYTES], "/", Reason::NotOsc),
        (vec![0; MAX_PACKET_BYTES], "/", Reason::NotOsc),
        (b"/abc".to_vec(), "/", Reason::Truncated("the address")),
        (words("/a b"), "/", Reason::BadAddress(255)),
        (words(&"/long".repeat(60)), "/", Reason::BadAddress(255)),
        (words("/set"), "/set", Reason::NoTypeTags),
    ]);
}

#[test]
fn a_message_whose_arguments_do_not_fit_its_type_tags_is_refused() {
    let table = [
        ("if", &b""[..], Reason::NoTypeTags),
        (",i", b"", Reason::Truncated("an argument")),
        (",h", &[0; 4], Reason::Truncated("an argument")),
        (",s", b"abcd", Reason::Truncated("a string argument")),
        (",s", &[0xff, 0, 0, 0], Reason::NotUtf8("a string argument")),
        (",b", &[0xff; 4], Reason::Truncated("a blob")),
        (",b", &[0, 0, 0, 5, 1, 2, 3, 4], Reason::Truncated("a blob")),
        (",x", b"", Reason::UnknownTag("x".to_owned())),
        (",c", &[0, 0, 0xd8, 0], Reason::NotAChar(0xd800)),
        (",", &[0; 8], Reason::LeftOver(8)),
    ];
    for (tags, arguments, reason) in table {
        let packet = [words("/set"), words(tags), arguments.to_vec()].concat();
        assert_eq!(only_refusal(&packet), ("/set".to_owned(), reason), "{tags}");
    }
    let open_tags = [words("/set"), b",iii".to_vec()].concat();
    assert_eq!(only_refusal(&open_tags).1, Reason::Truncated("the type tag string"));
}

#[test]
fn a_bundle_whose_lengths_do_not_fit_is_refused_with_the_address_where_it_can_be_read() {
    let bundle = |element: &[u8]| [b"#bundle\0\0\0\0\0\0\0\0\x01", element].concat();
    let unaligned = Reason::Unaligned { what: "a bundle element", bytes: 5 };
    each_is_refused([
        (b"#bundle\0\0\0\0\0".to_vec(), "/", Reason::Truncated("a bundle's time tag")),
        (b"#bundle!\0\0\0\0\0\0\0\x01".to_vec(), "/", Reason::NotOsc),
        (bundle(b"\0\0\0\0"), "/", Reason::EmptyElement),
        (bundle(b"\xff\xff\xff\xff/ab\0"), "/ab", Reason::Truncated("a bundle element")),
        (bundle(b"\0\0\0\x05/abc\0\0\0\0"), "/abc", unaligned),
    ]);
}

#[test]
fn an_empty_bundle_asks_for_nothing() {
    assert!(decoded(&bytes(&bundle(vec![]))).is_empty());
}

#[test]
fn one_faulty_message_does_not_stop_the_others_of_its_bundle() {
    let packet = bundle(vec![
        message("/begin", vec![]),
        message("/connect", vec!["vco1".into(), "OUT".into()]),
        bundle(vec![message("/gate", vec!["adsr1".into(), OscType::Int(1)]), message("/nowhere", vec![])]),
        message("/commit", vec![]),
    ]);
    let list = decoded(&bytes(&packet));
    let shown: Vec<_> = list
        .iter()
        .map(|one| match one {
            Ok(request) => format!("did {}", request.address),
            Err(refusal) => format!("refused {}", refusal.address),
        })
        .collect();
    let expected =
        ["did /begin", "refused /connect", "did /gate", "refused /nowhere", "did /commit"].map(str::to_owned);
    assert_eq!(shown, expected);
}

#[test]
fn a_reused_list_holds_only_the_latest_packet() {
    let mut list = Vec::new();
    decode(&bytes(&message("/list", vec![])), &CLOCK, &mut list);
    decode(&bytes(&message("/panic", vec![])), &CLOCK, &mut list);
    assert_eq!(list.len(), 1);
    let request = list.remove(0).unwrap();
    assert_eq!((request.command, request.due), (Command::Panic, Due::Now));
}

#[test]
fn every_truncation_of_a_valid_packet_is_refused() {
    let args = vec![
        "vco".into(),
        OscType::Int(1),
        "freq".into(),
        OscType::Double(220.0),
        "blob".into(),
        OscType::Blob(vec![1, 2, 3]),
    ];
    let whole =
        bytes(&bundle(vec![message("/create", args.clone()), bundle(vec![message("/create", args)])]));
    // Cut just after the header or between elements, it is a shorter bundle, and sound.
    let first_bytes = u32::from_be_bytes(whole[16..20].try_into().unwrap()) as usize;
    let sound = [16, 20 + first_bytes];
    for cut in (0..whole.len()).filter(|cut| !sound.contains(cut)) {
        assert!(guard::check(&whole[..cut]).is_err(), "cut at {cut} of {}", whole.len());
        assert!(decoded(&whole[..cut]).iter().all(Result::is_err));
    }
    assert_eq!(guard::check(&whole), Ok(()));
}
