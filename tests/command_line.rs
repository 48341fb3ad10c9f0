//! The command line as a user meets it: what it says, how it ends, and that nothing is left.

mod support;

use assert_cmd::Command as Ran;
use rustix::process::Signal;
use serde_json::Value;
use std::process::{Command, Output};
use support::processes::{children_of, segments_of, signal, until_nothing_is_left_of, workers_of};
use support::{Rig, backline, on_its_own, output, program, stderr, stdout, tools};

fn run(args: &[&str]) -> Output {
    let mut command = backline();
    command.args(args);
    output(command)
}

fn refused_with(args: &[&str], code: i32, words: &[&str]) {
    let ended = run(args);
    let said = stderr(&ended);
    assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?}: no {word:?} in: {said}");
    }
    assert_eq!(stdout(&ended), "", "a refusal is no result");
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for args in [
        &["fly"][..],
        &["run", "--block", "1000000"],
        &["run", "--block", "many"],
        &["run", "--workers", "0"],
        &["run", "--audio", "tape"],
        &["run", "--rate", "-1"],
        &["run", "--listen", "0.0.0.0:0"],
        &["render"],
        &["render", "x.toml", "--seconds", "-1", "--out", "x.wav"],
        &["send"],
        &["send", "/"],
        &["status", "--to", "nowhere"],
        &["run", "--session", "../x"],
    ] {
        refused_with(args, 2, &[]);
    }
    refused_with(&["run", "--block", "5"], 2, &["block", "16", "1024"]);
    refused_with(&["run", "--listen", "0.0.0.0:0"], 2, &["--allow", "--insecure"]);
}

#[test]
fn a_port_in_use_is_refused_with_the_name_of_who_holds_it() {
    let rig = Rig::start(&["--workers", "1"]);
    let (address, pid) = (rig.address.to_string(), rig.pid.to_string());
    let refused = ["run", "--audio", "null", "--workers", "1", "--listen", &address];
    refused_with(&refused, 75, &["in use", &pid, "--listen"]);
    rig.stop();
}

#[test]
fn a_session_in_use_is_refused_with_the_process_that_has_it() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let in_folder = || {
        let mut command = backline();
        command.env("XDG_RUNTIME_DIR", folder.path());
        command
    };
    let name = ["--session", "friday", "--workers", "1"];
    let rig = Rig::start_as(in_folder(), &name);
    let mut second = in_folder();
    second.args(["run", "--audio", "null", "--listen", "127.0.0.1:0"]).args(name);
    let second = output(second);
    assert_eq!(second.status.code(), Some(75), "{}", stderr(&second));
    assert!(stderr(&second).contains(&format!("in use by pid {}", rig.pid)), "{}", stderr(&second));
    signal(rig.pid, Signal::KILL);
    drop(rig);
    let again = Rig::start_as(in_folder(), &name);
    again.stop();
}

/// `unshare` with a mount namespace of our own, `None` where that is not permitted.
fn unshare() -> Option<Vec<&'static str>> {
    for how in [&["-m"][..], &["-r", "-m"]] {
        let mut probe = Command::new("unshare");
        probe.args(how).args(["sh", "-c", "mount -t tmpfs tmpfs /dev/shm"]);
        if probe.output().is_ok_and(|ended| ended.status.success()) {
            return Some([&["unshare"], how].concat());
        }
    }
    println!("SKIPPED: this user may not mount a small /dev/shm");
    None
}

#[test]
fn too_little_shared_memory_is_refused_at_the_start_with_both_figures() {
    let Some(unshare) = unshare() else { return };
    let mut command = on_its_own(Command::new(unshare[0]));
    let script = "mount -t tmpfs -o size=2m tmpfs /dev/shm && exec \"$0\" \"$@\"";
    command.args(&unshare[1..]).args(["sh", "-c", script, program()]);
    command.args(["run", "--audio", "null", "--listen", "127.0.0.1:0", "--workers", "2"]);
    let ended = output(command);
    let said = stderr(&ended);
    assert_eq!(ended.status.code(), Some(73), "{said}");
    assert!(said.contains("bytes needed, 2097152 free"), "{said}");
    let needed = said.split("small: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    assert!(needed.is_some_and(|bytes| bytes > 2 * 16 * 1024 * 1024), "{said}");
}

#[test]
fn a_device_that_was_asked_for_by_name_and_is_not_there_is_refused() {
    let no_card = ["run", "--audio", "cpal", "--device", "no such card", "--listen", "127.0.0.1:0"];
    refused_with(&no_card, 69, &["no such card", "--audio null"]);
    let mut command = backline();
    command.env("JACK_DEFAULT_SERVER", "backline-test-nobody").env("JACK_NO_START_SERVER", "1");
    command.args(["run", "--audio", "jack", "--device", "nosuch", "--listen", "127.0.0.1:0"]);
    let ended = output(command);
    assert_eq!(ended.status.code(), Some(69), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("JACK"), "{}", stderr(&ended));
}

fn refusals(rig: &Rig) -> String {
    rig.ready["refused"].to_string()
}

#[test]
fn without_real_time_it_plays_and_says_so() {
    let mut rig = Rig::start(&["--no-realtime", "--workers", "2"]);
    assert!(refusals(&rig).contains("--no-realtime"), "{}", rig.ready);
    rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out"]);
    rig.play_blocks(20);
    assert_eq!(rig.status()["audio"]["realtime"], false);
    rig.stop();
}

#[test]
fn without_rights_it_plays_and_names_each_right_that_was_refused() {
    if !tools::has("setpriv", "util-linux") || !tools::has("prlimit", "util-linux") {
        return;
    }
    let is_root = rustix::process::geteuid().is_root();
    let drops: &[&str] = if is_root { &["setpriv", "--inh-caps=-all", "--bounding-set=-all"] } else { &[] };
    let words = [drops, &["prlimit", "--rtprio=0", "--memlock=65536", program()]].concat();
    let powerless = || {
        let mut command = on_its_own(Command::new(words[0]));
        command.args(&words[1..]);
        command
    };
    let mut rig = Rig::start_as(powerless(), &["--workers", "2"]);
    for right in ["real-time priority of the workers", "locked memory of the workers"] {
        assert!(refusals(&rig).contains(right), "{}", rig.ready);
    }
    rig.play_blocks(5);
    let refused = rig.status()["refused"].to_string();
    assert!(refused.contains("real-time priority of the audio thread"), "{refused}");
    let shown = run(&["status", "--to", &rig.address.to_string()]);
    assert!(stdout(&shown).contains("NOT REAL-TIME") && stdout(&shown).contains("refused: "));
    rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out"]);
    rig.stop();
}

#[test]
fn interrupted_and_terminated_it_leaves_nothing_and_ends_with_the_code_of_the_signal() {
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut rig = Rig::recording(&["--workers", "2"]);
        rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out 0.5"]);
        rig.play_blocks(20);
        assert!(!segments_of(rig.pid).is_empty() && workers_of(rig.pid).len() == 2);
        let ended = rig.stop_by(sent);
        assert_eq!(ended.code, Some(code));
        assert!(support::sound::peak(&ended.recording().left) > 0.1, "the recording was finished");
    }
}

#[test]
fn stop_ends_a_running_engine_with_success_and_nothing_is_left() {
    let mut rig = Rig::start(&["--workers", "2"]);
    let (address, pid) = (rig.address.to_string(), rig.pid);
    assert_eq!(children_of(pid).len(), 2);
    let asked = run(&["stop", "--to", &address]);
    assert_eq!((asked.status.code(), stdout(&asked).trim()), (Some(0), "/done /quit"));
    assert_eq!(rig.wait_for_end(), Some(0));
    until_nothing_is_left_of(pid);
}

#[test]
fn workers_of_a_killed_engine_die_and_reap_removes_what_it_left() {
    let rig = Rig::start(&["--workers", "2"]);
    let pid = rig.pid;
    assert_eq!(segments_of(pid).len(), 4, "one for the engine, one for each worker, and one to spare");
    rig.killed();
    support::until("its workers are gone", || workers_of(pid).is_empty());
    let reaped = run(&["reap", "--json"]);
    assert!(reaped.status.success(), "{}", stderr(&reaped));
    let told: Value = serde_json::from_slice(&reaped.stdout).expect("reap prints JSON");
    assert!(told["segments"].is_array(), "{told}");
    // Engines of other tests sweep too when they start; whoever was first, it is gone now.
    assert_eq!(segments_of(pid), [""; 0]);
}

#[test]
fn what_a_killed_engine_left_is_swept_by_the_next_start_and_nobody_elses() {
    let living = Rig::start(&["--workers", "1"]);
    let own = segments_of(living.pid);
    let dead = Rig::start(&["--workers", "1"]);
    let pid = dead.pid;
    dead.killed();
    let next = Rig::start(&["--workers", "1"]);
    assert_eq!(segments_of(pid), [""; 0]);
    assert_eq!(segments_of(living.pid), own, "a living engine's segments were touched");
    next.stop();
    living.stop();
}

#[test]
fn every_setting_is_shown_with_its_origin_the_strongest_first() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let config = folder.path().join("backline.toml");
    std::fs::write(&config, "block = 64\nrate = 44100\n").expect("our folder is writable");
    let config = config.to_str().expect("temporary folders have plain names");
    let shown = run(&["run", "--print-config", "--config", config, "--block", "256"]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    let text = stdout(&shown);
    let row = |key: &str| {
        let found = text.lines().find(|row| row.split_whitespace().next() == Some(key));
        found.unwrap_or_else(|| panic!("no {key} in {text}")).to_owned()
    };
    assert!(row("block").contains("256") && row("block").contains("command line"), "{text}");
    assert!(row("rate").contains("44100") && row("rate").contains("backline.toml"), "{text}");
    assert!(row("lookahead").contains("default"), "{text}");
    let json = run(&["run", "--print-config", "--json"]);
    serde_json::from_slice::<Value>(&json.stdout).expect("it is JSON");
}

#[test]
fn completions_and_manual_pages_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Ran::from_std({
            let mut command = backline();
            command.args(["completions", shell]);
            command
        })
        .assert()
        .success();
        assert!(String::from_utf8_lossy(&script.get_output().stdout).contains("render"), "{shell}");
    }
    let page = stdout(&run(&["man"]));
    assert!(page.contains(".TH") && page.contains("render"));
}

/// Every line of standard output as JSON.
fn json_lines(args: &[&str]) -> Vec<Value> {
    let text = stdout(&run(args));
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{args:?}: {fault} in {line}")));
    lines.collect()
}

#[test]
fn modules_and_doctor_print_json_that_parses() {
    let modules = json_lines(&["modules", "--json"]);
    assert_eq!(modules.len(), backline_dsp::catalogue::CATALOGUE.len());
    assert!(!json_lines(&["doctor", "--json"]).is_empty());
    assert_eq!(json_lines(&["modules", "vcf", "--json"]).len(), 1);
    let unknown = run(&["modules", "vcff"]);
    assert!(!unknown.status.success() && stderr(&unknown).contains("vcf"), "{}", stderr(&unknown));
}

#[test]
fn send_ends_as_its_answer_says_and_75_if_nobody_answers() {
    let rig = Rig::start(&["--workers", "1"]);
    let to = rig.address.to_string();
    let sent = |words: &[&str]| run(&[&["send", "--to", &to], words].concat());
    let made = sent(&["create", "vco", "--id", "1", "--freq", "220"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(stdout(&made).starts_with("/done /create vco1 "), "{}", stdout(&made));
    let refused = sent(&["/set", "vco1", "freq", "-5"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).starts_with("/fail /set "), "{}", stdout(&refused));
    let shown = json_lines(&["status", "--json", "--to", &to]);
    assert_eq!(shown[0]["modules"], 1);
    rig.stop();
    for args in [&["send", "--to", &to, "/status"][..], &["status", "--to", &to], &["stop", "--to", &to]] {
        refused_with(args, 75, &["no engine answered"]);
    }
}

#[test]
fn the_first_line_of_json_is_the_ready_event() {
    let rig = Rig::start(&["--workers", "2"]);
    assert_eq!(rig.first_line["event"], "ready", "{}", rig.first_line);
    assert_eq!(rig.ready["workers"], 2);
    assert!(rig.ready["warm_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    rig.stop();
}

#[test]
fn a_worker_program_that_is_missing_or_is_none_is_named_at_once() {
    let none = "worker 0 could not be started";
    for (worker, words) in [("/nonexistent/worker", "/nonexistent/worker"), ("/etc/passwd", none)] {
        let mut command = backline();
        command.env("BACKLINE_WORKER", worker);
        command.args(["run", "--audio", "null", "--listen", "127.0.0.1:0"]);
        let ended = output(command);
        assert!(matches!(ended.status.code(), Some(1 | 77)), "{worker}: {}", ended.status);
        assert!(stderr(&ended).contains(words), "{}", stderr(&ended));
    }
}

#[test]
fn a_worker_that_never_joins_ends_the_start_and_leaves_nothing() {
    let mut command = backline();
    command.env("BACKLINE_WORKER", "/bin/false");
    command.args(["run", "--no-keeper", "--audio", "null", "--listen", "127.0.0.1:0"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let child = child.expect("backline starts");
    let pid = child.id();
    let ended = child.wait_with_output().expect("it is our child");
    assert!(!ended.status.success());
    assert!(stderr(&ended).contains("before it was ready"), "{}", stderr(&ended));
    assert_eq!(segments_of(pid), [""; 0]);
}

#[test]
fn limits_that_make_no_sense_are_refused_with_the_key_and_the_range() {
    refused_with(&["run", "--recycle-ttl", "-1"], 2, &["recycle_ttl", "0..=604800"]);
    refused_with(&["run", "--memory-soft", "-5"], 2, &["memory_soft"]);
    refused_with(&["run", "--memory-hard", "100"], 2, &["memory_hard cannot be 100", "memory_soft", "256"]);
    refused_with(
        &["run", "--memory-soft", "4000"],
        2,
        &["memory_soft cannot be 4000", "memory_hard", "1024"],
    );
    let mut command = backline();
    command.args(["run", "--memory-hard", "0", "--memory-soft", "4000", "--print-config"]);
    let shown = output(command);
    assert!(shown.status.success(), "{}", stderr(&shown));
}
