//! What scripts rely on: exit codes, what is said where, and that nothing is left behind.

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::process::Command;
use support::processes::{segments_of, signal, until_nothing_is_left_of, workers_of};
use support::{Rig, backline, on_its_own, output, program, stderr, stdout, until};

fn ends_with(args: &[&str], code: i32, words: &[&str]) -> String {
    let mut command = backline();
    command.args(args);
    let ended = output(command);
    let said = stderr(&ended);
    assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
    assert!(words.iter().all(|word| said.contains(word)), "{args:?}: {said}");
    stdout(&ended)
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    ends_with(&["dance"], 2, &["dance"]);
    ends_with(&["run", "--block", "7"], 2, &["block", "7", "16"]);
    ends_with(&["run", "--workers", "0"], 2, &["workers"]);
    ends_with(&["run", "--listen", "0.0.0.0:57190"], 2, &["--allow"]);
    ends_with(&["run", "--session", "../x"], 2, &["../x"]);
}

#[test]
fn nobody_home_ends_with_75_and_a_port_in_use_says_by_whom() {
    ends_with(&["send", "--to", "127.0.0.1:9", "/version"], 75, &["127.0.0.1:9"]);
    let rig = Rig::start(&["--workers", "1"]);
    let (address, pid) = (rig.address.to_string(), rig.pid.to_string());
    let port = rig.address.port().to_string();
    ends_with(&["run", "--audio", "null", "--listen", &address], 75, &[&port, &pid]);
}

#[test]
fn two_engines_of_one_session_exclude_each_other() {
    let name = format!("test-{}", std::process::id());
    let rig = Rig::start(&["--workers", "1", "--session", &name]);
    let pid = rig.pid.to_string();
    let args = ["run", "--audio", "null", "--listen", "127.0.0.1:0", "--session", &name];
    ends_with(&args, 75, &[&name, &pid]);
}

#[test]
fn a_device_that_is_not_there_ends_with_69() {
    let run = ["run", "--listen", "127.0.0.1:0", "--workers", "1", "--audio"];
    ends_with(
        &[&run[..], &["cpal", "--device", "no such card"]].concat(),
        69,
        &["no such card", "--audio null"],
    );
    let mut command = backline();
    command
        .args(run)
        .arg("jack")
        .env("JACK_DEFAULT_SERVER", "nobody-runs-this")
        .env("JACK_NO_START_SERVER", "1");
    let ended = output(command);
    assert_eq!(ended.status.code(), Some(69), "{}", stderr(&ended));
}

#[test]
fn shared_memory_that_is_too_small_ends_with_73_and_says_what_is_needed() {
    let script = "mount -t tmpfs -o size=3m tmpfs /dev/shm && exec \"$@\"";
    let mut command = on_its_own(Command::new("unshare"));
    command.args(["--mount", "sh", "-c", script, "sh", program(), "run"]);
    command.args(["--audio", "null", "--listen", "127.0.0.1:0", "--workers", "2", "--arena", "4"]);
    let ended = output(command);
    let said = stderr(&ended);
    if said.contains("unshare:") || said.contains("mount:") {
        return println!("SKIPPED: a mount namespace needs root: {said}");
    }
    assert_eq!(ended.status.code(), Some(73), "{said}");
    assert!(said.contains("bytes needed") && said.contains("free") && said.contains("--arena"), "{said}");
}

#[test]
fn without_rights_it_plays_and_says_what_was_refused() {
    let mut rig = Rig::start(&["--workers", "2", "--no-realtime"]);
    let status = rig.status();
    assert_eq!(status["audio"]["realtime"], false);
    assert!(status["refused"].to_string().contains("--no-realtime"), "{status}");
    rig.must("/create vco 1");
    assert!(rig.ready["refused"].to_string().contains("--no-realtime"), "{}", rig.ready);
}

#[test]
fn rights_that_the_kernel_refuses_are_named_with_the_remedy() {
    let mut command = on_its_own(Command::new("setpriv"));
    command.args(["--bounding-set", "-sys_nice,-ipc_lock", "--inh-caps", "-sys_nice,-ipc_lock"]);
    command.args(["prlimit", "--rtprio=0", "--memlock=65536", program()]);
    let probe = output(on_its_own(Command::new("setpriv")));
    if probe.status.code().is_none() {
        return println!("SKIPPED: setpriv is not here; it comes with: apt install util-linux");
    }
    let mut rig = Rig::start_as(command, &["--workers", "2"]);
    let refused = rig.status()["refused"].to_string();
    assert!(refused.contains("real-time priority") && refused.contains("setup-realtime"), "{refused}");
    assert!(refused.contains("locked memory"), "{refused}");
    rig.must("/create vco 1");
}

#[test]
fn signals_end_it_with_their_codes_and_nothing_is_left() {
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut rig = Rig::start(&[]);
        rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out"]);
        let engine = rig.pid;
        let groups: Vec<u32> = workers_of(engine);
        assert_eq!(groups.len(), rig.workers().len());
        assert!(!segments_of(engine).is_empty());
        // `stop_by` checks that no process and no segment is left.
        assert_eq!(rig.stop_by(sent).code, Some(code));
    }
}

#[test]
fn workers_die_with_a_killed_engine_and_its_segments_are_swept() {
    let rig = Rig::start(&["--workers", "2"]);
    let engine = rig.pid;
    signal(engine, Signal::KILL);
    until("the workers of a killed engine are gone", || workers_of(engine).is_empty());
    assert!(!segments_of(engine).is_empty(), "a killed engine cannot clean up");
    rig.reap();
    ends_with(&["reap"], 0, &[]);
    until_nothing_is_left_of(engine);
}

#[test]
fn a_worker_program_that_is_missing_or_is_none_is_named() {
    for (program, words) in
        [("/no/such/worker", "/no/such/worker"), ("/etc/passwd", "worker 0 could not be started")]
    {
        let mut command = backline();
        command.args(["run", "--audio", "null", "--listen", "127.0.0.1:0"]).env("BACKLINE_WORKER", program);
        let ended = output(command);
        let said = stderr(&ended);
        assert!(matches!(ended.status.code(), Some(1 | 77)), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn what_is_for_machines_can_be_read_by_machines() {
    for args in [&["modules", "--json"][..], &["doctor", "--json"], &["run", "--print-config", "--json"]] {
        let mut command = backline();
        command.args(args);
        let said = stdout(&output(command));
        assert!(!said.is_empty(), "{args:?}");
        for line in said.lines() {
            serde_json::from_str::<Value>(line).unwrap_or_else(|fault| panic!("{args:?}: {fault}: {line}"));
        }
    }
    for args in [
        &["completions", "bash"][..],
        &["man"],
        &["modules"],
        &["modules", "vcf"],
        &["run", "--print-config"],
    ] {
        assert!(ends_with(args, 0, &[]).lines().count() > 3, "{args:?}");
    }
    ends_with(&["modules", "vcg"], 1, &["vcg", "did you mean"]);
}
