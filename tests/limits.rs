//! Limits for the whole engine and for each client: refused before anything is touched, by name.

mod support;

use backline::command::{Arg, Reply};
use backline::osc::Client;
use rosc::OscMessage;
use serde_json::Value;
use std::net::UdpSocket;
use support::packets::{encoded, line, now_s, tag_after, tagged};
use support::{Rig, WATCHDOG, backline, output, stderr, stdout};

/// Somebody with an address of their own.
struct Performer(Client);

impl Performer {
    fn of(rig: &Rig) -> Self {
        Self(Client::connect(rig.address).expect("loopback is reachable"))
    }

    fn ask(&mut self, message: OscMessage) -> Reply {
        self.0.ask(message, WATCHDOG).expect("an answer comes")
    }

    fn must(&mut self, text: &str) {
        let reply = self.ask(line(text));
        assert!(!reply.is_failure(), "{text}: {reply:?}");
    }

    fn refused(&mut self, text: &str) -> String {
        let reply = self.ask(line(text));
        match (reply.is_failure(), reply.args.get(1)) {
            (true, Some(Arg::Text(reason))) => reason.clone(),
            _ => panic!("{text}: {reply:?}"),
        }
    }
}

fn says(refusal: &str, words: &[&str]) {
    for word in words {
        assert!(refusal.contains(word), "{refusal:?} does not say {word:?}");
    }
}

/// What each client has, in `status`.
fn clients(rig: &mut Rig) -> Vec<Value> {
    rig.status()["use"]["clients"].as_array().expect("a list").clone()
}

#[test]
fn modules_are_limited_for_each_client_and_for_all_and_the_limit_of_all_wins() {
    let mut rig = Rig::start(&["--max-modules", "5", "--client-max-modules", "3"]);
    let (mut one, mut two) = (Performer::of(&rig), Performer::of(&rig));
    for id in ["a", "b", "c"] {
        one.must(&format!("/create lfo {id}"));
    }
    let before = rig.state();
    let own = one.refused("/create lfo d");
    says(&own, &["client 127.0.0.1:", "has 3 modules already", "client_max_modules", "/free one"]);
    assert_eq!(rig.state(), before);
    two.must("/create lfo d");
    two.must("/create lfo e");
    for performer in [&mut one, &mut two] {
        let refusal = performer.refused("/create lfo f");
        says(&refusal, &["there are 5 modules already", "this engine", "max_modules"]);
        assert!(!refusal.contains("client"), "the limit of the engine wins: {refusal}");
    }
    // Anybody may free, and what is freed counts for nobody.
    two.must("/free a");
    one.must("/create lfo a");
    let told = clients(&mut rig);
    let counts: Vec<_> = told.iter().map(|client| client["modules"].as_u64()).collect();
    assert_eq!(counts, [Some(3), Some(2)], "{told:?}");
    rig.stop();
}

#[test]
fn what_is_gathered_and_thrown_away_counts_for_nobody() {
    let rig = Rig::start(&["--client-max-modules", "2"]);
    let mut one = Performer::of(&rig);
    one.must("/begin");
    one.must("/create lfo a");
    one.must("/create lfo b");
    says(&one.refused("/create lfo c"), &["client_max_modules"]);
    one.must("/abort");
    one.must("/create lfo a");
    one.must("/create lfo b");
    says(&one.refused("/create lfo c"), &["client_max_modules"]);
    one.must("/panic");
    one.must("/create lfo a");
    rig.stop();
}

#[test]
fn connections_are_limited_for_each_client_and_for_all() {
    let mut rig = Rig::start(&["--max-connections", "3", "--client-max-connections", "2"]);
    rig.must_all(&["/create lfo a", "/create lfo b", "/create mix m", "/create vca v"]);
    let (mut one, mut two) = (Performer::of(&rig), Performer::of(&rig));
    one.must("/connect a m");
    one.must("/connect b v");
    let own = one.refused("/connect a v.cv");
    says(&own, &["client 127.0.0.1:", "has 2 connections already", "client_max_connections"]);
    one.must("/connect a m 0.5");
    two.must("/connect a v.cv");
    for performer in [&mut one, &mut two] {
        says(&performer.refused("/connect b v.gain"), &["there are 3 connections", "max_connections"]);
    }
    two.must("/disconnect a m");
    one.must("/connect b v.gain");
    assert_eq!(rig.status()["connections"], 3);
    rig.stop();
}

#[test]
fn memory_is_limited_for_each_client_and_for_all() {
    let mut rig = Rig::start(&["--max-memory", "4", "--client-max-memory", "2", "--arena", "64"]);
    let (mut one, mut two) = (Performer::of(&rig), Performer::of(&rig));
    let fill = |performer: &mut Performer, name: &str| {
        let mut count = 0;
        loop {
            let reply = performer.ask(line(&format!("/create delay {name}{count}")));
            let Some(Arg::Text(reason)) = reply.args.get(1).filter(|_| reply.is_failure()) else {
                count += 1;
                assert!(count < 64, "there is no limit");
                continue;
            };
            return (count, reason.clone());
        }
    };
    let (own, refusal) = fill(&mut one, "a");
    assert!(own > 0);
    says(&refusal, &["client 127.0.0.1:", "KiB", "2 MiB", "client_max_memory_mib"]);
    let before = rig.state();
    one.refused("/create delay again");
    assert_eq!(rig.state(), before);
    fill(&mut two, "b");
    let mut three = Performer::of(&rig);
    let (_, refusal) = fill(&mut three, "c");
    says(&refusal, &["this engine accepts is 4 MiB", "raise max_memory_mib"]);
    let status = rig.status();
    let used = status["use"]["memory_bytes"].as_u64().expect("a number");
    assert!(used <= 4 << 20 && used > 3 << 20, "{used} bytes");
    for client in status["use"]["clients"].as_array().expect("a list") {
        assert!(client["memory_bytes"].as_u64() <= Some(2 << 20), "{client}");
    }
    three.must("/free a*");
    let (again, _) = fill(&mut one, "a");
    assert_eq!(again, own);
    rig.stop();
}

#[test]
fn commands_that_wait_are_limited_for_each_client_and_for_all() {
    let mut rig = Rig::start(&["--max-scheduled", "5", "--client-max-scheduled", "3"]);
    rig.must("/create vco 1");
    let in_30_s = tag_after((now_s() * 1e9) as u64, 30 * 48_000);
    let schedule = |count: usize| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        socket.set_read_timeout(Some(WATCHDOG)).expect("a watchdog can be set");
        let lines = vec!["/set vco1 freq 220"; count];
        socket.send_to(&encoded(&tagged(in_30_s, &lines)), rig.address).expect("loopback takes a datagram");
        socket
    };
    let refusal = |socket: &UdpSocket| {
        let mut bytes = [0; 1_024];
        let length = socket.recv(&mut bytes).expect("a refusal comes");
        let reply = backline::osc::parse_reply(&bytes[..length]).expect("a message");
        assert!(reply.is_failure());
        format!("{:?}", reply.args[1])
    };
    let one = schedule(4);
    says(&refusal(&one), &["client 127.0.0.1:", "3 commands", "client_max_scheduled"]);
    let two = schedule(3);
    says(&refusal(&two), &["5 commands are scheduled already", "this engine", "raise max_scheduled"]);
    let status = rig.status();
    assert_eq!(status["use"]["scheduled"], 5);
    let mut of_clients: Vec<_> = status["use"]["clients"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|client| client["scheduled"].as_u64())
        .filter(|count| *count > 0)
        .collect();
    of_clients.sort_unstable();
    assert_eq!(of_clients, [2, 3]);
    rig.must("/panic");
    assert_eq!(rig.status()["use"]["scheduled"], 0);
    rig.stop();
}

#[test]
fn what_has_been_performed_waits_no_more() {
    let mut rig = Rig::start(&["--client-max-scheduled", "2"]);
    rig.must("/create vco 1");
    let mut done = 0;
    for _ in 0..5 {
        let soon = tag_after((now_s() * 1e9) as u64, 480);
        let socket = rig.throw(&tagged(soon, &["/set vco1 freq 220", "/create lfo"]));
        let mut bytes = [0; 1_024];
        for _ in 0..2 {
            let length = socket.recv(&mut bytes).expect("an answer comes");
            let reply = backline::osc::parse_reply(&bytes[..length]).expect("a message");
            done += usize::from(!reply.is_failure() && reply.address == "/done");
        }
    }
    assert!(done >= 8, "only {done} were done");
    support::until("nothing waits", || rig.status()["use"]["scheduled"] == 0);
    rig.stop();
}

#[test]
fn patch_files_belong_to_nobody_and_obey_the_limits_of_the_engine() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let path = folder.path().to_str().expect("temporary folders have plain names");
    let file = |count: usize| {
        let module = |n: usize| format!("[[module]]\ntype = \"lfo\"\nid = \"m{n}\"\n");
        format!("version = 1\n{}", (0..count).map(module).collect::<String>())
    };
    for (name, count) in [("four", 4), ("six", 6)] {
        std::fs::write(folder.path().join(format!("{name}.toml")), file(count))
            .expect("our folder is writable");
    }
    let mut rig = Rig::start(&["--patches", path, "--max-modules", "5", "--client-max-modules", "1"]);
    rig.must("/patch/load four");
    assert!(clients(&mut rig).is_empty(), "they are nobody's");
    rig.must("/create lfo own");
    let before = rig.state();
    says(&rig.refused("/patch/load six"), &["5 modules", "max_modules"]);
    assert_eq!(rig.state(), before);
    rig.must("/patch/load four");
    assert_eq!(rig.status()["modules"], 4);
    rig.stop();
}

#[test]
fn status_shows_limits_and_use() {
    let mut rig = Rig::start(&["--client-max-modules", "7", "--max-scheduled", "9"]);
    let mut one = Performer::of(&rig);
    one.must("/create lfo a");
    one.must("/create vca v");
    one.must("/connect a v.cv");
    let status = rig.status();
    for (key, value) in [
        ("max_modules", 1_024),
        ("max_connections", 4_096),
        ("max_memory_mib", 1_024),
        ("max_scheduled", 9),
        ("client_max_modules", 7),
        ("client_max_connections", 4_096),
        ("client_max_memory_mib", 1_024),
        ("client_max_scheduled", 16_384),
    ] {
        assert_eq!(status["limits"][key], value, "{key}");
    }
    let client = &status["use"]["clients"][0];
    assert_eq!((&client["modules"], &client["connections"]), (&2.into(), &1.into()), "{client}");
    assert!(client["client"].as_str().is_some_and(|text| text.starts_with("127.0.0.1:")));
    let mut command = backline();
    command.args(["status", "--to", &rig.address.to_string()]);
    let shown = stdout(&output(command));
    says(&shown, &["client 127.0.0.1:", "modules 2 of 7", "connections 1 of 4096", "scheduled 0 of 9"]);
    rig.stop();
}

#[test]
fn many_clients_do_not_make_the_status_too_long() {
    let mut rig = Rig::start(&[]);
    // All at once, because a port that is given back is given to the next.
    let mut performers: Vec<_> = (0..200).map(|_| Performer::of(&rig)).collect();
    for (n, performer) in performers.iter_mut().enumerate() {
        performer.must(&format!("/create lfo m{n}"));
    }
    let status = rig.status();
    assert_eq!(status["use"]["clients"].as_array().map(Vec::len), Some(32));
    assert_eq!(status["use"]["clients_left_out"], 168);
    rig.stop();
}

#[test]
fn nonsense_is_refused_at_the_start_with_the_key_and_the_range() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let config = folder.path().join("backline.toml");
    let refused = |arguments: &[&str], words: &[&str]| {
        let mut command = backline();
        command.args(["run", "--audio", "null", "--listen", "127.0.0.1:0"]).args(arguments);
        let ended = output(command);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", stderr(&ended));
        says(&stderr(&ended), words);
    };
    for (flag, key, value, range) in [
        ("--max-modules", "max_modules", "0", "1..=1024 modules"),
        ("--max-connections", "max_connections", "-1", "1..=4096 connections"),
        ("--max-memory", "max_memory_mib", "100000", "1..=1024 MiB"),
        ("--max-scheduled", "max_scheduled", "0", "1..=65536 commands"),
        ("--client-max-modules", "client_max_modules", "2000", "1..=1024 modules"),
        ("--client-max-connections", "client_max_connections", "0", "1..=4096 connections"),
        ("--client-max-memory", "client_max_memory_mib", "0", "1..=1024 MiB"),
        ("--client-max-scheduled", "client_max_scheduled", "99999999", "1..=65536 commands"),
    ] {
        refused(&[flag, value], &[key, value, range, flag]);
        std::fs::write(&config, format!("\n{key} = {value}\n")).expect("our folder is writable");
        let path = config.to_str().expect("temporary folders have plain names");
        refused(&["--config", path], &[key, value, range, "line 2"]);
        std::fs::write(&config, format!("{key} = \"many\"\n")).expect("our folder is writable");
        refused(&["--config", path], &[key, "'many'", range, "line 1"]);
    }
}
