//! Sockets, answers, the schedule, and the limit on answers to nonsense.

use backline::command::{Arg, Reply};
use backline::osc::client::{Client, ClientError};
use backline::osc::limit::MAX_SENDERS;
use backline::osc::{
    ArrivalClock, ListenError, Listener, ReplyLimit, Schedule, decode, encode, parse_reply, text,
};
use proptest::prelude::*;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Generous: a test that waits this long has failed anyway.
const PATIENCE: Duration = Duration::from_secs(30);

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn reply(address: &str, args: Vec<Arg>) -> Reply {
    Reply { address: address.to_owned(), args }
}

/// Answers the next packet with what `answers` makes of each message in it.
fn serve(listener: &mut Listener, answers: impl Fn(&str) -> Vec<Reply>) {
    let clock = ArrivalClock::at(0);
    let mut decoded = Vec::new();
    let sender = loop {
        if let Some((bytes, sender)) = listener.receive().unwrap() {
            decode(bytes, &clock, &mut decoded);
            break sender;
        }
        std::thread::yield_now();
    };
    for one in &decoded {
        let answers = match one {
            Ok(request) => answers(&request.address),
            Err(refusal) => vec![refusal.reply()],
        };
        for answer in answers {
            listener.send(&encode(&answer).unwrap(), sender).unwrap();
        }
    }
}

fn line(line: &str) -> rosc::OscMessage {
    text::line_message(line).unwrap()
}

#[test]
fn a_client_waits_for_the_answer_to_its_own_question() {
    let mut listener = Listener::bind(loopback()).unwrap();
    let mut client = Client::connect(listener.address()).unwrap();
    let server = std::thread::spawn(move || {
        serve(&mut listener, |address| {
            vec![
                reply("/n_go", vec![Arg::Text("vco1".to_owned())]),
                Reply::done("/free", [Arg::Text("old".to_owned())]),
                Reply::done(address, [Arg::Text("vco1".to_owned())]),
            ]
        });
        serve(&mut listener, |address| vec![reply(&format!("{address}.reply"), vec![Arg::Int(1)])]);
        serve(&mut listener, |_| vec![]);
        let done = |address: &str| vec![Reply::done(address, [])];
        serve(&mut listener, done);
    });
    let done = client.ask(line("create vco --id 1"), PATIENCE).unwrap();
    assert_eq!(done, Reply::done("/create", [Arg::Text("vco1".to_owned())]));
    assert_eq!(client.ask(line("status"), PATIENCE).unwrap().address, "/status.reply");
    let refused = client.ask(line("crate vco"), PATIENCE).unwrap();
    assert!(refused.is_failure());
    assert_eq!(client.ask(line("/cmd list"), PATIENCE).unwrap(), Reply::done("/list", []));
    server.join().unwrap();
}

#[test]
fn a_client_gathers_many_answers_to_one_question() {
    let mut listener = Listener::bind(loopback()).unwrap();
    let mut client = Client::connect(listener.address()).unwrap();
    let server = std::thread::spawn(move || {
        let schema = |name: &str| reply("/schema.reply", vec![Arg::Text(name.to_owned())]);
        serve(&mut listener, |_| vec![schema("vco"), schema("lfo")]);
        serve(&mut listener, |_| vec![reply("/synced", vec![Arg::Int(1)])]);
    });
    let replies = client.ask_all(line("schema"), PATIENCE).unwrap();
    assert_eq!(replies.len(), 2);
    server.join().unwrap();
}

#[test]
fn a_lost_engine_is_no_answer() {
    let gone = Listener::bind(loopback()).unwrap().address();
    let fault = Client::connect(gone).unwrap().ask(line("status"), PATIENCE).unwrap_err();
    assert!(matches!(fault, ClientError::NoAnswer { .. }), "{fault:?}");

    let silent = UdpSocket::bind(loopback()).unwrap();
    let mut client = Client::connect(silent.local_addr().unwrap()).unwrap();
    let fault = client.ask(line("status"), Duration::from_millis(20)).unwrap_err();
    assert!(fault.to_string().contains("no engine answered at 127.0.0.1:"), "{fault}");
}

#[test]
fn a_message_too_long_for_a_datagram_is_not_sent() {
    let listener = Listener::bind(loopback()).unwrap();
    let mut client = Client::connect(listener.address()).unwrap();
    let long = line(&format!("/cmd {}", "x".repeat(70_000)));
    assert!(matches!(client.ask(long, PATIENCE), Err(ClientError::TooLong { bytes }) if bytes > 70_000));
}

#[test]
fn a_port_in_use_names_its_holder() {
    for address in [loopback(), "[::1]:0".parse().unwrap()] {
        let Ok(first) = Listener::bind(address) else {
            continue;
        };
        let fault = Listener::bind(first.address()).unwrap_err();
        let expected = format!("port {} is in use by pid {} (", first.address().port(), std::process::id());
        assert!(fault.to_string().starts_with(&expected), "{fault}");
        assert!(matches!(fault, ListenError::PortInUse { holder: Some(_), .. }));
    }
}

#[test]
fn an_address_of_another_machine_cannot_be_listened_at() {
    let fault = Listener::bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert!(matches!(fault, ListenError::Unusable { .. }), "{fault:?}");
}

#[test]
fn a_quiet_socket_gives_nothing_and_a_full_datagram_arrives_whole() {
    let mut listener = Listener::bind(loopback()).unwrap();
    assert!(listener.receive().unwrap().is_none());
    assert!(listener.receive_buffer_bytes() > 0);
    let sender = UdpSocket::bind(loopback()).unwrap();
    let datagram: Vec<u8> = (0..65_507_u32).map(|index| index as u8).collect();
    sender.send_to(&datagram, listener.address()).unwrap();
    let (bytes, from) =
        std::iter::repeat_with(|| listener.receive().unwrap().map(|(b, from)| (b.to_vec(), from)))
            .flatten()
            .next()
            .unwrap();
    assert_eq!((bytes.len(), from), (datagram.len(), sender.local_addr().unwrap()));
    assert!(bytes == datagram);
}

#[test]
fn answers_survive_the_wire() {
    let answer = reply(
        "/done",
        vec![Arg::Text("/create".to_owned()), Arg::Int(-1), Arg::Float(0.5), Arg::Double(1e-9)],
    );
    assert_eq!(parse_reply(&encode(&answer).unwrap()), Some(answer));
    let odd = encode(&reply("/fail", vec![Arg::Text("a\0b".to_owned()), Arg::Int(7)])).unwrap();
    assert_eq!(parse_reply(&odd).unwrap().args, [Arg::Text("a\u{fffd}b".to_owned()), Arg::Int(7)]);
    assert_eq!(parse_reply(b"#bundle\0\0\0\0\0\0\0\0\x01"), None);
    assert_eq!(parse_reply(b"junk"), None);
}

#[test]
fn an_answer_longer_than_a_datagram_is_refused_with_its_size() {
    let text = |length: usize| reply("/list.reply", vec![Arg::Text("x".repeat(length))]);
    assert!(encode(&text(65_000)).is_ok());
    let fault = encode(&text(65_507)).unwrap_err();
    assert_eq!(fault.bytes, 65_524);
    assert!(fault.to_string().starts_with("the answer /list.reply has 65524 bytes"), "{fault}");
}

#[test]
fn a_sender_of_nonsense_is_answered_at_a_limited_rate() {
    let mut limit = ReplyLimit::per_second(100);
    let sender = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let answered =
        |limit: &mut ReplyLimit, port, at_ns| (0..1_000).filter(|_| limit.allow(sender(port), at_ns)).count();
    assert_eq!(answered(&mut limit, 1, 5), 100);
    assert_eq!(answered(&mut limit, 1, 500_000_005), 50);
    assert_eq!(answered(&mut limit, 2, 500_000_005), 100);
    assert_eq!(limit.withheld(), 900 + 950 + 900);
}

#[test]
fn invented_senders_share_one_allowance_and_one_table() {
    let mut limit = ReplyLimit::per_second(100);
    let sender = |port: usize| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
    let at_once = (0..10_000).filter(|&port| limit.allow(sender(port), 0)).count();
    assert_eq!(at_once, MAX_SENDERS + 100);
    assert!(limit.allow(sender(20_000), 3_000_000_000));
}

#[test]
fn the_schedule_refuses_what_it_cannot_hold_and_hands_it_back() {
    let mut schedule = Schedule::with_limit(2);
    schedule.push(5, "a").unwrap();
    schedule.push(5, "b").unwrap();
    let full = schedule.push(1, "c").unwrap_err();
    assert_eq!(full.item, "c");
    assert!(full.to_string().contains("full with 2 events"));
    assert_eq!(schedule.pop_due(4), None);
    assert_eq!(
        (schedule.pop_due(5), schedule.pop_due(5), schedule.pop_due(5)),
        (Some((5, "a")), Some((5, "b")), None)
    );
    schedule.push(9, "d").unwrap();
    schedule.clear();
    assert!(schedule.is_empty());
    assert_eq!(schedule.next_due(), None);
}

proptest! {
    #[test]
    fn the_schedule_gives_in_order_of_time_then_of_arrival(
        times in prop::collection::vec(0_u64..20, 0..200),
        up_to in 0_u64..20,
    ) {
        let mut schedule = Schedule::default();
        let mut expected: Vec<_> = times.iter().copied().zip(0..).collect();
        for &(due_ns, arrival) in &expected {
            schedule.push(due_ns, arrival).unwrap();
        }
        expected.sort();
        expected.retain(|&(due_ns, _)| due_ns <= up_to);
        let given: Vec<(u64, i32)> = std::iter::from_fn(|| schedule.pop_due(up_to)).collect();
        prop_assert_eq!(given, expected);
        prop_assert_eq!(schedule.len(), times.iter().filter(|&&due_ns| due_ns > up_to).count());
    }
}
