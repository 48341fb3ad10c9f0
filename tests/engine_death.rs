//! The engine is killed: its keeper starts it again, and the set is there. And every other way to end.

mod support;

use backline::session::folder::Folder;
use backline::session::record;
use rustix::process::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::processes::{
    children_of, is_alive, limit_files, name_of, segments_of, signal, until_nothing_is_left_of, workers_of,
};
use support::sound::{peak, read};
use support::{Rig, backline, on_its_own, output, program, stderr, stdout, until};
use tempfile::TempDir;

/// A voice that sounds only while its gate is open.
const VOICE: [&str; 7] = [
    "/create out out",
    "/create noise hiss seed 1",
    "/create adsr env attack 0",
    "/create vca amp",
    "/connect hiss amp",
    "/connect env amp.cv",
    "/connect amp out.left 0.5",
];

/// A place for journals, locks and recordings that outlives engines.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder of our own"))
    }

    fn command(&self) -> Command {
        // Whoever runs the tests may have HUP ignored, as nohup does.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(program());
        let mut command = on_its_own(command);
        command.env("BACKLINE_STATE", self.0.path().join("state")).env("XDG_RUNTIME_DIR", self.0.path());
        command
    }

    fn kept(&self, options: &[&str]) -> Rig {
        Rig::kept_as(self.command(), options)
    }

    fn alone(&self, options: &[&str]) -> Rig {
        Rig::start_as(self.command(), options)
    }

    fn refused(&self, options: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command();
        command.args(["run", "--audio", "null", "--listen", "127.0.0.1:0", "--workers", "1"]).args(options);
        let ended = output(command);
        assert_eq!(stdout(&ended), "", "a refusal is no result");
        (ended.status.code(), stderr(&ended))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn journal(&self, session: &str) -> PathBuf {
        self.path("state").join(format!("{session}.journal"))
    }

    fn journals(&self) -> Vec<String> {
        let Ok(folder) = self.path("state").read_dir() else { return Vec::new() };
        let names = folder.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.contains(".journal")).collect()
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("temporary folders have plain names").to_owned()
}

/// Crashes the engine, and waits for the next one.
fn kill(rig: &mut Rig, how: Signal) {
    let engine = rig.pid;
    until("the engine is dead", || {
        // Rust's runtime lets the first SEGV go by that no fault has raised.
        signal(engine, how);
        !is_alive(engine)
    });
    rig.started_again();
}

#[test]
fn a_killed_engine_comes_back_with_the_same_set_on_the_same_port_and_nothing_of_the_old_one() {
    let place = Place::new();
    let wav = text(&place.path("heard.wav"));
    let mut rig = place.kept(&["--workers", "2", "--record", &wav]);
    rig.must_all(&VOICE);
    rig.must("/gate env 1 0.9");
    rig.play_blocks(400);
    rig.until_journaled();
    let (engine, address, modules) = (rig.pid, rig.address, rig.modules());
    assert_eq!((name_of(rig.child_pid()).as_str(), name_of(engine).as_str()), ("backline", "backline"));
    assert_eq!(children_of(rig.child_pid()), [engine]);
    kill(&mut rig, Signal::KILL);

    assert_eq!(workers_of(engine), [0; 0], "an old worker was left when the new engine was ready");
    assert_eq!(segments_of(engine), [""; 0]);
    assert_eq!(rig.modules(), modules);
    assert_eq!(rig.status()["connections"], 3);
    assert_eq!(rig.ready["osc_udp"], address.to_string());
    assert_eq!((&rig.ready["restarted"], &rig.ready["recovered_modules"]), (&1.into(), &4.into()));
    assert!(rig.log().contains("was killed by signal 9; it is started again"), "{}", rig.log());
    assert!(rig.log().contains("4 modules were brought back"), "{}", rig.log());
    let shown = output({
        let mut status = backline();
        status.args(["status", "--to", &address.to_string()]);
        status
    });
    assert!(stdout(&shown).contains("restarts 1"), "{}", stdout(&shown));

    rig.play_blocks(400);
    rig.stop();
    let (before, after) = (read(Path::new(&wav)), read(&place.path("heard-2.wav")));
    assert!(peak(&before.left) > 0.1, "the first recording was overwritten or is empty");
    assert!(peak(&after.left) > 0.1, "the gate that was open is not open again");
}

#[test]
fn a_crash_of_any_kind_is_mended_again_and_again_and_edits_go_on() {
    let place = Place::new();
    let mut rig = place.kept(&["--workers", "1"]);
    for (n, how) in (1..).zip([Signal::SEGV, Signal::ABORT, Signal::KILL]) {
        rig.must(&format!("/create vco {n}"));
        rig.until_journaled();
        kill(&mut rig, how);
        assert_eq!(rig.modules().len(), n, "after {how:?}");
        assert_eq!(rig.ready["restarted"], n);
    }
    assert_eq!(rig.must("/create vco").args[1], backline::command::Arg::Text("vco4".to_owned()));
    rig.must("/free vco1");
    rig.until_journaled();
    kill(&mut rig, Signal::KILL);
    assert_eq!(rig.modules().len(), 3);
    rig.stop();
    assert_eq!(place.journals(), [""; 0], "a session without a name leaves nothing when it ends cleanly");
}

#[test]
fn edits_that_were_gathered_come_back_together_or_not_at_all() {
    let place = Place::new();
    let mut rig = place.kept(&["--workers", "1"]);
    rig.must("/begin");
    rig.must_all(&VOICE);
    rig.must("/gate env 1");
    rig.must("/commit");
    rig.must("/begin");
    rig.must("/create vco 1");
    rig.must("/free hiss");
    rig.until_journaled();
    let modules = rig.modules();
    kill(&mut rig, Signal::KILL);
    assert_eq!(rig.modules(), modules);
    assert!(rig.refused("/commit").contains("send /begin first"));
    rig.must("/panic");
    rig.until_journaled();
    kill(&mut rig, Signal::KILL);
    assert_eq!(rig.modules(), [""; 0]);
    rig.stop();
}

#[test]
fn the_journal_takes_the_place_of_the_patch_also_when_its_file_is_gone() {
    let place = Place::new();
    let patch = text(&place.path("song.toml"));
    let song = "version = 1\n[settings]\nblock = 256\n[[module]]\ntype = \"vco\"\nid = \"7\"\n\
                [[module]]\ntype = \"out\"\nid = \"out\"\n";
    std::fs::write(&patch, song).expect("our folder is writable");
    let mut rig = place.kept(&["--workers", "1", &patch]);
    assert_eq!(rig.modules().len(), 2);
    rig.must("/create noise hiss");
    rig.must("/free out");
    rig.until_journaled();
    let modules = rig.modules();
    std::fs::remove_file(&patch).expect("it is ours");
    kill(&mut rig, Signal::KILL);
    assert_eq!(rig.modules(), modules);
    assert_eq!(rig.status()["audio"]["block_frames"], 256, "the patch's settings are kept");
    rig.stop();
}

#[test]
fn what_the_performer_asks_for_ends_both_with_the_code_of_the_engine_and_leaves_nothing() {
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let place = Place::new();
        let mut rig = place.kept(&["--workers", "1", "--session", "evening"]);
        rig.must("/create vco 1");
        let engine = rig.pid;
        signal(rig.child_pid(), sent);
        assert_eq!(rig.wait_for_end(), Some(code), "{sent:?}: {}", rig.log());
        until_nothing_is_left_of(engine);
        assert!(!is_alive(engine));
        drop(rig);
        // A clean end: the next evening starts empty.
        let mut next = place.kept(&["--workers", "1", "--session", "evening"]);
        assert_eq!((next.modules().len(), &next.ready["recovered_modules"]), (0, &0.into()), "{sent:?}");
        assert_eq!(next.stop().code, Some(0));
    }
}

#[test]
fn an_engine_that_is_told_to_end_itself_is_not_started_again() {
    let rig = Rig::kept(&["--workers", "1"]);
    let ended = rig.stop_by(Signal::TERM);
    assert_eq!(ended.code, Some(143));
}

#[test]
fn an_engine_that_crashes_all_the_time_is_given_up_loudly() {
    let place = Place::new();
    let mut rig = place.kept(&["--workers", "1"]);
    rig.must("/create vco 1");
    rig.until_journaled();
    // Five in ten seconds; on a slow machine it takes more until five of them are that close.
    let mut killed = 0;
    loop {
        signal(rig.pid, Signal::KILL);
        killed += 1;
        if !rig.is_started_again() {
            break;
        }
        assert!(killed < 100, "it is never given up");
    }
    assert_eq!(rig.wait_for_end(), Some(70));
    assert!(killed >= 5, "given up after {killed}");
    assert!(rig.log().contains("5 crashes in 10 s are too many"), "{}", rig.log());
    until_nothing_is_left_of(rig.pid);
    // The journal's name is told, and the session can be gone on with by hand.
    let journals = place.journals();
    let name = journals.iter().find_map(|file| file.strip_suffix(".journal")).expect("it is kept");
    assert!(rig.log().contains(&format!("--session {name}")), "{}", rig.log());
    let mut by_hand = place.kept(&["--workers", "1", "--session", name]);
    assert_eq!(by_hand.modules().len(), 1);
    by_hand.stop();
}

#[test]
fn an_engine_whose_keeper_is_killed_plays_on_says_so_and_can_be_stopped() {
    let place = Place::new();
    let session = ["--workers", "1", "--session", "orphan"];
    let mut rig = place.kept(&session);
    rig.must_all(&VOICE);
    let engine = rig.pid;
    assert_eq!(rig.status()["session"]["keeper"]["is_alive"], true);
    signal(rig.child_pid(), Signal::KILL);
    rig.wait_for_end();
    until("the engine has noticed", || {
        rig.status()["refused"].to_string().contains("nobody would start it again")
    });
    assert!(rig.log().contains("is gone: the engine plays on"), "{}", rig.log());
    rig.play_blocks(20);
    assert_eq!(rig.modules().len(), 4);
    let (code, said) = place.refused(&["--session", "orphan"]);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains(&format!("in use by pid {engine}")), "{said}");
    let stopped = output({
        let mut stop = backline();
        stop.args(["stop", "--to", &rig.address.to_string()]);
        stop
    });
    assert!(stopped.status.success(), "{}", stderr(&stopped));
    until("it has ended", || !is_alive(engine));
    until_nothing_is_left_of(engine);
}

#[test]
fn a_kept_session_in_use_is_refused_with_the_engine_that_has_it() {
    let place = Place::new();
    let mut rig = place.kept(&["--workers", "1", "--session", "friday"]);
    let (code, said) = place.refused(&["--session", "friday"]);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains(&format!("in use by pid {}", rig.pid)), "{said}");
    kill(&mut rig, Signal::KILL);
    assert_eq!(place.refused(&["--session", "friday"]).0, Some(75));
    let unnamed = place.kept(&["--workers", "1"]);
    let name = unnamed.ready["osc_udp"].clone();
    assert_ne!(name, rig.ready["osc_udp"]);
    let stolen = place.journals().into_iter().find(|file| file.starts_with("unnamed-")).expect("it has one");
    let (code, said) = place.refused(&["--session", stolen.trim_end_matches(".journal")]);
    assert_eq!(code, Some(75), "the session of an engine without one was taken: {said}");
    unnamed.stop();
    rig.stop();
}

#[test]
fn a_session_that_crashed_without_a_keeper_goes_on_when_it_is_started_by_hand() {
    let place = Place::new();
    let session = ["--workers", "1", "--session", "friday"];
    let mut rig = place.alone(&session);
    rig.must_all(&VOICE);
    rig.until_journaled();
    let modules = rig.modules();
    rig.killed();
    let mut again = place.alone(&session);
    assert_eq!(again.modules(), modules);
    assert_eq!((&again.ready["restarted"], &again.ready["recovered_modules"]), (&0.into(), &4.into()));
    assert!(again.log().contains("session 'friday' ended in a crash"), "{}", again.log());
    again.stop();
    let mut empty = place.alone(&session);
    assert_eq!(empty.modules(), [""; 0]);
    empty.stop();
}

/// A journal that a crash has left, of four modules.
fn crashed(place: &Place) -> Vec<u8> {
    let mut rig = place.alone(&["--workers", "1", "--session", "friday"]);
    rig.must_all(&VOICE);
    rig.until_journaled();
    rig.killed();
    std::fs::read(place.journal("friday")).expect("it is there")
}

#[test]
fn a_broken_journal_is_believed_up_to_the_fault_which_is_named_and_kept() {
    let place = Place::new();
    let mut broken = crashed(&place);
    let third_record = broken.windows(5).position(|part| part == b" 3 /c").expect("it has a third record");
    broken[third_record + 4] ^= 0x10;
    std::fs::write(place.journal("friday"), &broken).expect("our folder is writable");
    let mut rig = place.kept(&["--workers", "1", "--session", "friday"]);
    assert_eq!(rig.modules().len(), 2);
    assert!(rig.log().contains("friday.journal, line 4: its checksum is not right"), "{}", rig.log());
    let aside = place.path("state").join("friday.journal.broken");
    assert!(rig.log().contains(&text(&aside)), "{}", rig.log());
    assert_eq!(std::fs::read(&aside).expect("it is kept"), broken);
    rig.stop();
}

#[test]
fn a_torn_journal_is_believed_up_to_its_last_whole_line() {
    let place = Place::new();
    let whole = crashed(&place);
    std::fs::write(place.journal("friday"), &whole[..whole.len() - 3]).expect("our folder is writable");
    let mut rig = place.kept(&["--workers", "1", "--session", "friday"]);
    assert_eq!((rig.modules().len(), &rig.status()["connections"]), (4, &2.into()));
    assert!(rig.log().contains("it was not written to its end"), "{}", rig.log());
    assert!(!place.path("state").join("friday.journal.broken").exists(), "a torn tail is nothing to keep");
    rig.stop();
}

#[test]
fn a_newer_journal_a_link_and_a_pipe_are_refused_and_left_as_they_are() {
    let place = Place::new();
    let folder = Folder::open_at(place.path("state")).expect("our folder is writable");
    let newer = record::sealed("backline-journal 9 engine=7.0.0");
    folder.replace("newer", newer.as_bytes()).expect("our folder is writable");
    let (code, said) = place.refused(&["--session", "newer"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("newer.journal") && said.contains("version 9"), "{said}");
    assert_eq!(std::fs::read_to_string(place.journal("newer")).ok(), Some(newer));

    let secret = place.path("secret");
    std::fs::write(&secret, "mine").expect("our folder is writable");
    std::os::unix::fs::symlink(&secret, place.journal("link")).expect("links can be made");
    let made = Command::new("mkfifo").arg(place.journal("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo is part of every system");
    for session in ["link", "pipe"] {
        let (code, said) = place.refused(&["--session", session]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("is no regular file"), "{said}");
    }
    assert_eq!(std::fs::read_to_string(&secret).ok().as_deref(), Some("mine"));
}

fn trouble(rig: &mut Rig) -> Value {
    rig.status()["session"]["journal"]["trouble"].clone()
}

#[test]
fn a_full_disk_silences_nothing_and_the_journal_is_complete_when_there_is_room_again() {
    let place = Place::new();
    let mut rig = place.kept(&["--workers", "1"]);
    rig.must_all(&VOICE);
    rig.until_journaled();
    let size = rig.status()["session"]["journal"]["bytes"].as_u64().expect("a count");
    limit_files(rig.pid, Some(size + 10));
    rig.must("/create vco 1");
    until("the trouble is told", || trouble(&mut rig).as_str().is_some());
    rig.must_all(&["/gate env 1", "/create vco 2", "/free vco1"]);
    rig.play_blocks(50);
    let refused = rig.status()["refused"].to_string();
    assert!(refused.contains("is not up to date") && refused.contains("Free some space"), "{refused}");
    assert_eq!(rig.status()["session"]["journal"]["is_up_to_date"], false);
    assert_eq!(rig.modules().len(), 5);
    limit_files(rig.pid, None);
    rig.until_journaled();
    assert_eq!(trouble(&mut rig), Value::Null);
    let modules = rig.modules();
    kill(&mut rig, Signal::KILL);
    assert_eq!(rig.modules(), modules, "what was done while the disk was full came back");
    rig.stop();
}

#[test]
fn without_a_place_for_journals_it_plays_and_says_so() {
    let mut command = backline();
    command.env("BACKLINE_STATE", "/proc/nowhere");
    let mut rig = Rig::kept_as(command, &["--workers", "1"]);
    assert!(rig.ready["refused"].to_string().contains("there is no journal"), "{}", rig.ready);
    rig.must("/create vco 1");
    assert_eq!(rig.status()["session"]["journal"], Value::Null);
    kill(&mut rig, Signal::KILL);
    assert_eq!(rig.modules(), [""; 0]);
    rig.stop();
}

#[test]
fn a_long_set_has_a_short_journal() {
    let place = Place::new();
    let mut rig = place.kept(&["--workers", "1", "--session", "long"]);
    rig.must("/create vco 1");
    for n in 0..9_000 {
        rig.must(&format!("/set vco1 freq {}.5", 100 + n % 1_000));
    }
    rig.must("/set vco1 freq 4321");
    rig.until_journaled();
    let records = rig.status()["session"]["journal"]["records"].as_u64().expect("a count");
    assert!(records < 5_000, "{records} records");
    kill(&mut rig, Signal::KILL);
    let journal = std::fs::read_to_string(place.journal("long")).expect("it is there");
    assert!(journal.contains("/create vco vco1 freq 4321.0 "), "{journal}");
    assert_eq!(journal.lines().count(), 2, "{journal}");
    rig.stop();
}
