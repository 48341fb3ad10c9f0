//! Clients are told what happens, if they asked for it, as long as they are there.

mod support;

use backline::command::{Arg, Reply};
use backline::osc::parse_reply;
use rosc::{OscPacket, OscTime};
use rustix::process::Signal;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};
use support::packets::{bundle, encoded, line, tagged};
use support::processes::{is_stopped, resident_kib, signal};
use support::{Rig, WATCHDOG, output, stderr, stdout, tools, until};

/// A client with a socket of its own.
struct Ear(UdpSocket);

impl Ear {
    fn of(rig: &Rig) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        socket.connect(rig.address).expect("loopback is reachable");
        socket.set_read_timeout(Some(WATCHDOG)).expect("a watchdog can be set");
        Self(socket)
    }

    /// A client that is told what happens, and the number it is known by.
    fn listening_to(rig: &Rig) -> (Self, i32) {
        let ear = Self::of(rig);
        ear.say("/notify 1");
        let reply = ear.next();
        match reply.args[..] {
            [_, Arg::Int(id)] if reply == Reply::done("/notify", [Arg::Int(id)]) => (ear, id),
            _ => panic!("{reply:?}"),
        }
    }

    fn say(&self, text: &str) {
        self.0.send(&encoded(&OscPacket::Message(line(text)))).expect("loopback takes a datagram");
    }

    fn next(&self) -> Reply {
        let mut bytes = [0; 65_536];
        let length = self.0.recv(&mut bytes).expect("something comes");
        parse_reply(&bytes[..length]).expect("it is a message")
    }

    /// Everything that comes, as long as a test may wait for something.
    fn messages(&self) -> impl Iterator<Item = Reply> {
        let since = Instant::now();
        std::iter::repeat_with(|| self.next()).take_while(move |_| since.elapsed() < WATCHDOG)
    }

    /// The next message of `address`; others are passed over.
    fn next_of(&self, address: &str) -> Reply {
        let found = self.messages().find(|message| message.address == address);
        found.unwrap_or_else(|| panic!("no {address} comes"))
    }

    /// Everything until the engine has answered `/sync`.
    fn until_synced(&self) -> Vec<Reply> {
        self.say("/sync 99");
        let is_last =
            |message: &Reply| *message == Reply { address: "/synced".into(), args: vec![Arg::Int(99)] };
        self.messages().take_while(|message| !is_last(message)).collect()
    }
}

fn about(address: &str, id: &str) -> Reply {
    Reply { address: address.to_owned(), args: vec![Arg::Text(id.to_owned())] }
}

#[test]
fn modules_that_come_and_go_are_told_to_everybody_who_asked_and_to_nobody_else() {
    let mut rig = Rig::start(&[]);
    rig.must("/create noise before");
    let (one, id) = Ear::listening_to(&rig);
    let (two, other) = Ear::listening_to(&rig);
    assert_ne!(id, other);
    one.say("/notify 1");
    assert_eq!(one.next(), Reply::done("/notify", [Arg::Int(id)]), "asking again changes nothing");
    let stranger = Ear::of(&rig);
    rig.must_all(&["/create vco 1", "/free vco1"]);
    rig.must_all(&["/begin", "/create lfo 1", "/create lfo 2", "/free before", "/commit"]);
    for ear in [&one, &two] {
        let told: Vec<_> = ear
            .messages()
            .filter(|message| message.address != "/worker/state" && message.address != "/xrun")
            .take(5)
            .collect();
        let mut expected = vec![about("/n_go", "vco1"), about("/n_end", "vco1")];
        expected.extend([about("/n_end", "before"), about("/n_go", "lfo1"), about("/n_go", "lfo2")]);
        assert_eq!(told, expected);
    }
    assert_eq!(stranger.until_synced(), []);
    one.say("/notify 0");
    assert_eq!(one.next_of("/done"), Reply::done("/notify", [Arg::Int(id)]));
    rig.must("/create vco 3");
    assert_eq!(two.next_of("/n_go"), about("/n_go", "vco3"));
    assert_eq!(one.until_synced(), []);
    one.say("/notify 0");
    let refused = one.next();
    assert!(refused.is_failure(), "{refused:?}");
    rig.stop();
}

#[test]
fn a_patch_that_is_loaded_is_told_module_by_module() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let path = folder.path().to_str().expect("temporary folders have plain names");
    let mut rig = Rig::start(&["--patches", path]);
    rig.must_all(&["/create vco a", "/create vco b", "/patch/save two", "/free a", "/create lfo c"]);
    let (ear, _) = Ear::listening_to(&rig);
    rig.must("/patch/load two");
    assert_eq!(ear.next_of("/n_end"), about("/n_end", "c"));
    assert_eq!(ear.next_of("/n_go"), about("/n_go", "a"));
    rig.must("/panic");
    for _ in 0..2 {
        ear.next_of("/n_end");
    }
    rig.stop();
}

#[test]
fn a_worker_that_dies_is_told_with_its_cause_and_its_successor_with_its_pid() {
    let mut rig = Rig::start(&["--workers", "2"]);
    let (ear, _) = Ear::listening_to(&rig);
    let victim = rig.workers()[1]["pid"].as_u64().expect("a pid") as u32;
    signal(victim, Signal::KILL);
    let (mut reasons, mut successor) = (Vec::new(), None);
    for told in ear.messages().filter(|told| told.address == "/worker/state") {
        let [Arg::Int(slot), Arg::Int(pid), Arg::Int(_core), Arg::Text(state), Arg::Text(reason)] =
            &told.args[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!(*slot, 1);
        reasons.push(reason.clone());
        if state == "ready" && *pid != victim as i32 {
            assert_eq!(reason, "");
            successor = Some(*pid);
            break;
        }
    }
    assert!(successor.is_some(), "{reasons:?}");
    assert!(
        reasons.iter().any(|reason| reason.contains("signal 9") || reason.contains("KILL")),
        "{reasons:?}"
    );
    rig.stop();
}

#[test]
fn lateness_is_told_to_all_and_to_the_sender_once() {
    let mut rig = Rig::start(&[]);
    rig.must("/create vco 1");
    let (ear, _) = Ear::listening_to(&rig);
    let past = OscTime { seconds: 3_000_000_000, fractional: 0 };
    let sender = rig.throw(&tagged(past, &["/set vco1 freq 220"]));
    let told = ear.next_of("/late");
    assert!(
        matches!(&told.args[..], [Arg::Double(late_s), Arg::Text(about)] if *late_s > 1.0 && about == "/set")
    );
    let mut bytes = [0; 512];
    for expected in ["/late", "/done"] {
        let length = sender.recv(&mut bytes).expect("an answer comes");
        assert_eq!(parse_reply(&bytes[..length]).expect("a message").address, expected);
    }
    ear.0.send(&encoded(&tagged(past, &["/set vco1 freq 330"]))).expect("loopback takes a datagram");
    let own = ear.until_synced();
    assert_eq!(own.iter().filter(|message| message.address == "/late").count(), 1, "{own:?}");
    rig.stop();
}

#[test]
fn missed_blocks_are_told_as_a_number() {
    let mut rig = Rig::start(&["--no-realtime", "--block", "64"]);
    let (ear, _) = Ear::listening_to(&rig);
    let before = rig.status()["audio"]["xruns"].as_u64().expect("a count");
    // The whole engine stands still for longer than a block, which the clock notices when it goes on.
    signal(rig.pid, Signal::STOP);
    until("it stands still", || is_stopped(rig.pid));
    let since = Instant::now();
    until("a few blocks have passed", || since.elapsed().as_millis() > 30);
    signal(rig.pid, Signal::CONT);
    let told = ear.next_of("/xrun");
    assert!(matches!(told.args[..], [Arg::Int(missed)] if missed >= 1), "{told:?}");
    assert!(rig.status()["audio"]["xruns"].as_u64() > Some(before));
    rig.stop();
}

#[test]
fn a_client_that_is_gone_is_forgotten_and_there_is_room_again() {
    let mut rig = Rig::start(&[]);
    let mut ears: Vec<Ear> = (0..32).map(|_| Ear::listening_to(&rig).0).collect();
    rig.must("/create vco 1");
    assert_eq!(rig.status()["network"]["listeners"], 32);
    let refused = rig.refused("/notify 1");
    assert!(refused.contains("32 clients") && refused.contains("/notify 0"), "{refused}");
    ears.truncate(2);
    until("nobody is told who is not there", || {
        rig.must_all(&["/create lfo 1", "/free lfo1"]);
        rig.status()["network"]["listeners"] == 2
    });
    for ear in &ears {
        assert_eq!(ear.next_of("/n_go"), about("/n_go", "vco1"), "those who are there hear everything");
    }
    let (_ear, id) = Ear::listening_to(&rig);
    assert!((2..32).contains(&id), "a number that is free is given again, not {id}");
    rig.stop();
}

#[test]
fn a_flood_of_events_holds_up_nobody_and_is_over_when_it_is_over() {
    let mut rig = Rig::start(&[]);
    // It never reads, so its buffer in the kernel fills up.
    let (deaf, _) = Ear::listening_to(&rig);
    let (ear, _) = Ear::listening_to(&rig);
    let before = resident_kib(rig.pid);
    for _ in 0..3_000 {
        rig.throw(&bundle(&["/create lfo 1", "/free lfo1", "/create lfo 2", "/free lfo2"]));
    }
    // What came while nobody read is lost in its socket; but from now on everything is heard again.
    let mut number = 0;
    until("it hears again", || {
        number += 1;
        let id = format!("last{number}");
        rig.must(&format!("/create vco {id}"));
        rig.must(&format!("/free {id}"));
        ear.0.set_read_timeout(Some(Duration::from_millis(100))).expect("a time limit can be set");
        let mut bytes = [0; 2_048];
        std::iter::from_fn(|| ear.0.recv(&mut bytes).ok().and_then(|length| parse_reply(&bytes[..length])))
            .take(10_000)
            .any(|message| message == about("/n_end", &id))
    });
    let after = resident_kib(rig.pid);
    assert!(after < before + 16 * 1024, "{before} KiB became {after} KiB");
    drop(deaf);
    rig.stop();
}

const LISTENER: &str = r#"
import socket, sys
from pythonosc.osc_message import OscMessage
from pythonosc.udp_client import SimpleUDPClient

client = SimpleUDPClient("127.0.0.1", int(sys.argv[1]))
client._sock.settimeout(60)
seen = set()
client.send_message("/notify", 1)
client.send_message("/create", ["vco", "heard"])
while not {"/n_go", "/n_end"} <= seen:
    message = OscMessage(client._sock.recv(65536))
    print(message.address, *message.params)
    seen.add(message.address)
    if message.address == "/n_go":
        client.send_message("/free", ["heard"])
client.send_message("/notify", False)
"#;

#[test]
fn python_osc_hears_it() {
    let Some(python) = tools::python_with_osc() else { return };
    let mut rig = Rig::start(&[]);
    let mut command = Command::new(python);
    command.args(["-c", LISTENER, &rig.address.port().to_string()]);
    let ended = output(command);
    let said = stdout(&ended);
    assert!(ended.status.success(), "{said}{}", stderr(&ended));
    for expected in ["/done /notify 0\n", "/n_go heard\n", "/n_end heard\n"] {
        assert!(said.contains(expected), "{said}");
    }
    until("it is told no more", || rig.status()["network"]["listeners"] == 0);
    rig.stop();
}
