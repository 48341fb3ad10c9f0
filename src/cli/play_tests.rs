//! Scores, sent to an engine's stand-in over real sockets.

use super::*;
use std::thread::JoinHandle;

/// What the stand-in heard: the second since the first bundle's tag and the address.
type Heard = Vec<(f64, String)>;

fn seconds(tag: OscTime) -> f64 {
    f64::from(tag.seconds) + f64::from(tag.fractional) / 4_294_967_296.0
}

/// Answers `/version`, and each message of `expected` bundles with what `answer` says.
fn stand_in(
    expected: usize,
    answer: impl Fn(&str) -> Option<Reply> + Send + 'static,
) -> (SocketAddr, JoinHandle<Heard>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let run = move || {
        let mut buffer = [0; 2048];
        let (mut heard, mut bundles) = (Heard::new(), 0);
        let mut first = None;
        while bundles < expected {
            let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
            let say = |reply: &Reply| {
                socket.send_to(&crate::osc::encode(reply).unwrap(), from).unwrap();
            };
            match rosc::decoder::decode_udp(&buffer[..bytes]).unwrap().1 {
                OscPacket::Message(_) => {
                    say(&Reply { address: "/version.reply".to_owned(), args: Vec::new() });
                }
                OscPacket::Bundle(bundle) => {
                    bundles += 1;
                    let at = seconds(bundle.timetag) - *first.get_or_insert(seconds(bundle.timetag));
                    for packet in bundle.content {
                        let OscPacket::Message(message) = packet else { panic!("a bundle in a bundle") };
                        answer(&message.addr).iter().for_each(say);
                        heard.push((at, message.addr));
                    }
                }
            }
        }
        heard
    };
    (address, std::thread::spawn(run))
}

fn score_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn events_carry_their_time_to_the_microsecond_and_those_of_one_instant_travel_together() {
    let score =
        score_file("0.2 /set a freq 3 # later\n\n# first\n0.0 /gate a 1\n0 /gate b 1\n0.05005 /free a\n");
    let (engine, heard) = stand_in(3, |address| Some(Reply::done(address, [])));
    let played = play(score.path(), engine).unwrap();
    assert!(played.is_success());
    assert_eq!((played.sent, played.done, played.late), (4, 4, 0));
    let heard = heard.join().unwrap();
    let expected = [(0.0, "/gate"), (0.0, "/gate"), (0.05005, "/free"), (0.2, "/set")];
    assert_eq!(heard.len(), expected.len());
    for ((at_s, address), (expected_s, expected_address)) in heard.iter().zip(expected) {
        assert_eq!(address, expected_address);
        assert!((at_s - expected_s).abs() < 1e-6, "{address} at {at_s} s");
    }
}

#[test]
fn refusals_and_lateness_are_told_and_a_refusal_is_no_success() {
    let score = score_file("0 /gate nobody 1\n0.01 /gate a 1\n");
    let (engine, heard) = stand_in(2, move |address| Some(Reply::fail(address, "no module 'nobody'", None)));
    let played = play(score.path(), engine).unwrap();
    heard.join().unwrap();
    assert!(!played.is_success());
    assert_eq!(played.refused, ["/gate: no module 'nobody'", "/gate: no module 'nobody'"]);
}

#[test]
fn an_answer_that_never_comes_is_missed() {
    let score = score_file("0 /gate a 1\n0.01 /free a\n");
    let (engine, heard) = stand_in(2, |address| (address == "/gate").then(|| Reply::done(address, [])));
    let played = play(score.path(), engine).unwrap();
    heard.join().unwrap();
    assert_eq!(played.done, 1);
    assert_eq!(played.unanswered, ["/free"]);
    assert!(!played.is_success());
}

#[test]
fn a_faulty_line_is_refused_before_anything_is_sent() {
    let score = score_file("0 /gate a 1\nsoon /gate a 0\n");
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let error = play(score.path(), nobody).unwrap_err();
    let PlayError::Score { cause, .. } = &error else { panic!("{error}") };
    assert!(cause.to_string().contains("line 2"), "{cause}");
}

#[test]
fn without_an_engine_the_score_is_not_played() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = socket.local_addr().unwrap();
    drop(socket);
    let error = play(score_file("0 /gate a 1\n").path(), nobody).unwrap_err();
    assert!(matches!(error, PlayError::Engine(ClientError::NoAnswer { .. })), "{error:?}");
}
