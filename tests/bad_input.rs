//! What makes no sense is answered in words, changes nothing, and never ends the engine.

mod support;

use backline::command::{Arg, Reply};
use rosc::{OscPacket, OscType};
use std::net::UdpSocket;
use support::packets::{ahead_ns, encoded, line, tag_after, tagged, throw};
use support::{Rig, backline, output, stderr, until};

/// A rig with a patch in it that must stay as it is.
fn rig() -> Rig {
    let mut rig = Rig::start(&["--workers", "2"]);
    rig.must_all(&["/create vco 1 freq 220", "/create adsr 1", "/create vca 1", "/create out out"]);
    rig.must_all(&["/connect vco1 vca1", "/connect adsr1 vca1.cv", "/connect vca1 out.left 0.5"]);
    rig
}

fn reason(reply: &Reply) -> &str {
    match (reply.address.as_str(), reply.args.get(1)) {
        ("/fail", Some(Arg::Text(reason))) => reason,
        _ => panic!("this should have been refused: {reply:?}"),
    }
}

#[test]
fn what_nobody_knows_is_refused_with_the_nearest_name_and_changes_nothing() {
    let mut rig = rig();
    let before = rig.state();
    let cases = [
        ("/create vcoo 2", "there is no module type 'vcoo'", "vco"),
        ("/free vco2", "there is no module 'vco2'", "vco1"),
        ("/set vco1 freqq 220", "has no parameter 'freqq'", "freq"),
        ("/set vco2 freq 220", "there is no module 'vco2'", "vco1"),
        ("/gate adsr2 1", "there is no module 'adsr2'", "adsr1"),
        ("/gate vco1 1", "has no gate", "adsr"),
        ("/connect vco1 out.lefft", "has no input or parameter 'lefft'", "left"),
        ("/connect vco1.outt out", "has no output 'outt'", "out"),
        ("/connect nobody out", "there is no module 'nobody'", "vco1"),
        ("/connect out vca1", "has no output", "speakers"),
        ("/disconnect vco1 out.right", "is not connected to", "vco1"),
        ("/creat vco", "unknown address", "/create"),
        ("/schema vcx", "there is no module type 'vcx'", "vc"),
    ];
    for (text, what, hint) in cases {
        let said = rig.refused(text);
        assert!(said.contains(what) && said.contains(hint), "{text}: {said}");
    }
    assert_eq!(rig.state(), before);
    rig.stop();
}

#[test]
fn values_out_of_range_or_of_the_wrong_kind_are_refused_with_the_range_and_change_nothing() {
    let mut rig = rig();
    let before = rig.state();
    for (text, what) in [
        ("/set vco1 freq 24001", "0"),
        ("/set vco1 freq -1", "24000"),
        ("/set vco1 freq high", "is not a number"),
        ("/set vco1 shape round", "saw"),
        ("/set vco1 shape sow", "did you mean 'saw'"),
        ("/connect vco1 vco1.shape", "takes no cable"),
        ("/set vco1 shape 9", "0..=3"),
        ("/set vco1 channels 2", "fixed"),
        ("/create vco 3 freq 1e9", "out of range"),
        ("/create vco 3 channels 17", "16"),
        ("/create vco 1", "'vco2' is free"),
        ("/create vco Upper", "is not an id"),
        ("/create vco ../x", "is not an id"),
        ("/gate adsr1 1 1.5", "0..=1"),
        ("/gate adsr1", "/gate id on [velocity]"),
        ("/set vco1 freq", "a value for freq is missing"),
        ("/connect vco1 out 1 2", "too many"),
        ("/sync", "n is missing"),
    ] {
        let said = rig.refused(text);
        assert!(said.contains(what), "{text}: {said}");
    }
    assert_eq!(rig.state(), before);
    rig.stop();
}

#[test]
fn numbers_that_are_none_and_types_that_do_not_fit_are_refused_and_change_nothing() {
    let mut rig = rig();
    let before = rig.state();
    let text = |word: &str| OscType::String(word.to_owned());
    let strange = [
        OscType::Float(f32::NAN),
        OscType::Float(f32::INFINITY),
        OscType::Double(f64::NEG_INFINITY),
        OscType::Double(1e300),
        OscType::Inf,
        OscType::Nil,
        OscType::Blob(vec![1, 2, 3]),
        OscType::Char('x'),
    ];
    for value in strange {
        let set = rig.ask_osc("/set", vec![text("vco1"), text("freq"), value.clone()]);
        assert!(!reason(&set).is_empty(), "{value:?}");
        let gain = rig.ask_osc("/connect", vec![text("vco1"), text("out"), value.clone()]);
        assert!(!reason(&gain).is_empty(), "{value:?}");
        let gate = rig.ask_osc("/gate", vec![text("adsr1"), value]);
        assert!(!reason(&gate).is_empty());
    }
    assert!(reason(&rig.ask_osc("/free", vec![OscType::Int(1)])).contains("the id must be text"));
    assert_eq!(rig.state(), before);
    rig.stop();
}

#[test]
fn one_bad_value_among_good_ones_refuses_the_whole_command() {
    let mut rig = Rig::start(&["--workers", "2"]);
    rig.must("/create vco 1 freq 220");
    rig.refused("/set vco1 width 0.3 freq 1e9");
    rig.refused("/create vco 2 freq 330 shape round");
    assert_eq!(rig.modules().len(), 1);
    // What a refused create has taken is given back: the id, and all of the memory.
    let before = rig.state();
    for _ in 0..50 {
        rig.refused("/create delay 1 time 99");
    }
    assert_eq!(rig.state(), before);
    rig.stop();
}

#[test]
fn a_cable_that_closes_a_loop_is_taken_and_said_to_be_feedback() {
    let mut rig = Rig::start(&["--workers", "2"]);
    rig.must_all(&["/create delay 1", "/create vcf 1", "/connect delay1 vcf1"]);
    let answer = rig.must("/connect vcf1 delay1 0.5");
    let note = answer.args.last().cloned();
    assert!(matches!(&note, Some(Arg::Text(note)) if note.starts_with("feedback")), "{answer:?}");
    let own = rig.must("/connect vcf1 vcf1.cv 0.1");
    assert!(matches!(own.args.last(), Some(Arg::Text(note)) if note.starts_with("feedback")), "{own:?}");
    assert_eq!(rig.status()["connections"], 3);
    rig.play_blocks(20);
    assert_eq!(rig.status()["audio"]["silenced_samples"], 0);
    rig.stop();
}

/// Answers that came to a socket by the time that a question asked after it is answered.
fn answers(rig: &mut Rig, socket: &UdpSocket) -> Vec<Reply> {
    rig.must("/sync 1");
    socket.set_nonblocking(true).expect("a socket can be told not to wait");
    let mut buffer = vec![0; 65_536];
    let packets = std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|bytes| buffer[..bytes].to_vec()));
    packets.map(|packet| backline::osc::parse_reply(&packet).expect("answers are OSC")).collect()
}

fn sends(rig: &mut Rig, packet: &[u8]) -> Vec<Reply> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.send_to(packet, rig.address).expect("loopback takes a datagram");
    answers(rig, &socket)
}

/// Bundles in bundles, the innermost empty.
fn nested(depth: usize) -> Vec<u8> {
    let mut packet = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
    for _ in 1..depth {
        let mut outer = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
        outer.extend((packet.len() as u32).to_be_bytes());
        outer.extend(&packet);
        packet = outer;
    }
    packet
}

#[test]
fn packets_that_are_no_osc_are_answered_or_dropped_and_change_nothing() {
    let mut rig = rig();
    let before = rig.state();
    let whole = encoded(&OscPacket::Message(line("/create vco 7")));
    let deep = nested(3_200);
    assert!(deep.len() < 65_507, "it fits a datagram: {}", deep.len());
    let many = [b"/x\0\0,".as_slice(), &[b'T'; 60_000], &[0, 0, 0]].concat();
    let cases: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (b"hello, engine...", "begins with"),
        (&whole[..whole.len() - 4], "cut short"),
        (&whole[..whole.len() - 1], "multiple of 4"),
        (&deep, "nested deeper"),
        (&[0xff; 65_504], "begins with"),
        (b"/create\0", "no type tags"),
        (&many, "the limit is 256"),
    ];
    for (packet, what) in cases {
        let answered = sends(&mut rig, packet);
        assert_eq!(answered.len(), 1, "{what}: {answered:?}");
        assert!(reason(&answered[0]).contains(what), "{what}: {answered:?}");
    }
    assert_eq!(rig.status()["network"]["malformed"], cases.len(), "each is counted");
    assert_eq!(rig.state(), before);
    rig.must("/set vco1 freq 330");
    rig.stop();
}

#[test]
fn a_packet_cut_inside_a_message_changes_nothing() {
    let mut rig = rig();
    let before = rig.state();
    let lines = ["/create vco 7", "/free vco1", "/connect vco1 out.right"];
    let whole = encoded(&support::packets::bundle(&lines));
    // A bundle does not say how long it is: cut between two messages it is a shorter one, and nobody can tell.
    let mut between = vec![16];
    for text in lines {
        let message = encoded(&OscPacket::Message(line(text)));
        between.push(between[between.len() - 1] + 4 + message.len());
    }
    assert_eq!(between.last(), Some(&whole.len()), "that is where its messages end");
    for length in (0..whole.len()).filter(|length| !between.contains(length)) {
        throw(rig.address, &whole[..length]);
    }
    rig.must("/sync 1");
    assert_eq!(rig.state(), before, "a packet with one fault is refused whole");
    throw(rig.address, &whole);
    rig.must("/sync 2");
    assert_ne!(rig.state(), before, "whole, it would have changed something");
    rig.stop();
}

#[test]
fn a_flood_of_junk_is_answered_less_than_it_comes_and_the_engine_plays_on() {
    let mut rig = rig();
    let before = rig.state();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    let mut sent_bytes = 0;
    for number in 0..5_000_u32 {
        let junk: Vec<u8> = (0..64).map(|n| (number.wrapping_mul(2_654_435_761) >> (n % 24)) as u8).collect();
        sent_bytes += socket.send_to(&junk, rig.address).expect("loopback takes a datagram");
    }
    let answered = answers(&mut rig, &socket);
    assert!(answered.iter().all(Reply::is_failure));
    let answered_bytes: usize =
        answered.iter().map(|reply| backline::osc::encode(reply).map_or(0, |b| b.len())).sum();
    assert!(answered_bytes < sent_bytes, "{answered_bytes} bytes of answers to {sent_bytes} of junk");
    rig.play_blocks(20);
    assert_eq!(rig.state(), before);
    rig.stop();
}

#[test]
fn a_flood_of_parameters_holds_up_no_gate() {
    let mut rig = rig();
    let flood = encoded(&OscPacket::Message(line("/set vco1 freq 220.5")));
    for _ in 0..20_000 {
        throw(rig.address, &flood);
    }
    // A datagram that comes while the kernel's buffer is full is lost, as everywhere; it is soon empty again.
    until("it hears again", || rig.hears());
    rig.must_all(&["/gate adsr1 1", "/gate adsr1 0"]);
    assert_eq!(rig.modules().len(), 4);
    rig.stop();
}

#[test]
fn time_tags_of_another_age_are_late_or_refused() {
    let mut rig = rig();
    let mut tag = |tag| {
        let socket = rig.throw(&tagged(tag, &["/set vco1 freq 440"]));
        answers(&mut rig, &socket)
    };
    let now_ns = ahead_ns(0);
    let far = tag(tag_after(now_ns + 120_000_000_000, 0));
    assert!(reason(&far[0]).contains("the limit is 60 s"), "{far:?}");
    let past = tag(tag_after(now_ns - 2_000_000_000, 0));
    assert!(past.iter().any(|reply| reply.address == "/late"), "{past:?}");
    assert!(past.iter().any(|reply| reply.address == "/done"), "{past:?}");
    for seconds in [0, 1, 2_208_988_799] {
        let ancient = tag(rosc::OscTime { seconds, fractional: 0 });
        assert!(!ancient.is_empty(), "before 1970: {seconds}");
    }
    rig.must("/sync 2");
    rig.stop();
}

#[test]
fn limits_are_refused_by_name_and_freed_room_is_room_again() {
    let mut rig = Rig::start(&["--workers", "2", "--max-modules", "3", "--max-connections", "1"]);
    rig.must_all(&["/create vco 1", "/create vco 2", "/create out out", "/connect vco1 out"]);
    assert!(rig.refused("/create vco 3").contains("there are 3 modules already"));
    assert!(rig.refused("/connect vco2 out").contains("there are 1 connections already"));
    rig.must_all(&["/free vco1", "/create vco 3", "/connect vco2 out"]);
    rig.stop();
}

#[test]
fn a_module_that_does_not_fit_in_memory_is_refused_with_the_remedy() {
    let mut rig = Rig::start(&["--workers", "1", "--arena", "1"]);
    let said = rig.refused("/create delay 1 channels 16");
    assert!(said.contains("KiB") && said.contains("--arena"), "{said}");
    rig.must("/create vcf 2");
    assert_eq!(rig.modules().len(), 1);
    rig.stop();
}

/// Runs a command on a patch of this text; the exit code and what it said.
fn load(verb: &[&str], patch: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let path = folder.path().join("bad.toml");
    std::fs::write(&path, patch).expect("our folder is writable");
    let mut command = backline();
    command.args(verb).arg(&path);
    if verb == ["render"] {
        command.args(["--seconds", "0.1", "--out"]).arg(folder.path().join("x.wav"));
    } else {
        command.args(["--audio", "null", "--listen", "127.0.0.1:0"]);
    }
    let ended = output(command);
    assert!(!folder.path().join("x.wav").exists(), "a refused patch left a file");
    (ended.status.code(), stderr(&ended))
}

#[test]
fn a_patch_file_that_makes_no_sense_is_refused_with_its_line_before_anything_starts() {
    let module = |lines: &str| format!("version = 1\n[[module]]\n{lines}\n");
    let cases = [
        (module("type = \"vcoo\""), "line 3", "vco"),
        (module("type = \"vco\"\nfreqq = 220.0"), "line 4", "freq"),
        (module("type = \"vco\"\nfreq = 99999.0"), "line 4", "24000"),
        (module("type = \"vco\"\nid = \"Upper\""), "line 4", "cannot be an id"),
        (module("id = \"vco1\""), "line 2", "has no type"),
        (
            "version = 1\n[[connect]]\nfrom = \"vco1\"\nto = \"out\"\n".to_owned(),
            "line 3",
            "no module 'vco1'",
        ),
        ("version = 1\n[[module]\n".to_owned(), "line 2", "not TOML"),
        ("version = 2\n".to_owned(), "line 1", "version 2"),
        ("[[module]]\ntype = \"vco\"\n".to_owned(), "version = 1", "needs its version"),
    ];
    for (patch, place, what) in &cases {
        for verb in [&["render"][..], &["run"][..]] {
            let (code, said) = load(verb, patch);
            assert_eq!(code, Some(1), "{verb:?} {patch}: {said}");
            assert!(
                said.contains(place) && said.contains(what) && said.contains("bad.toml"),
                "{patch}: {said}"
            );
        }
    }
}

#[test]
fn unknown_keys_outside_parameters_are_kept_and_passed_over() {
    let patch = "version = 1\ntitle = \"mine\"\n[[module]]\ntype = \"vco\"\n[module.notes]\nby = \"me\"\n";
    let folder = tempfile::tempdir().expect("a folder of our own");
    let path = folder.path().join("good.toml");
    std::fs::write(&path, patch).expect("our folder is writable");
    let mut rig = Rig::start(&[path.to_str().expect("temporary folders have plain names")]);
    assert_eq!(rig.modules().len(), 1);
    rig.stop();
}
