//! Plug-ins that nobody here wrote, in whole engines: named, created, heard, killed, and replaced after use.

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::processes::{name_of, signal};
use support::python::{kind, until_warm, worker_of};
use support::sound::peak;
use support::{Rig, until};

const COMP: &str = "ladspa:ZamComp";
const TUBE: &str = "lv2:urn:zamaudio:ZamTube";
const DELAY: &str = "clap:com.zamaudio.ZamDelay";
const SYNTH: &str = "lv2:http://drobilla.net/plugins/mda/JX10";

fn pid_of(worker: &Value) -> u32 {
    worker["pid"].as_u64().expect("a worker has a process") as u32
}

/// Settings in a folder of our own, and the options that name them.
fn with_settings(text: &str) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let path = folder.path().join("backline.toml");
    std::fs::write(&path, text).expect("our folder is writable");
    let path = path.display().to_string();
    (folder, vec!["--config".to_owned(), path])
}

fn started(options: &[String], is_recording: bool) -> Rig {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    if is_recording { Rig::recording(&options) } else { Rig::start(&options) }
}

#[test]
fn plug_ins_of_all_formats_are_played_like_modules() {
    let plugins = [COMP, TUBE, DELAY, SYNTH].map(|name| format!("\"{name}\"")).join(", ");
    let (_folder, options) =
        with_settings(&format!("plugins = [{plugins}]\n[kind.plugin]\ncount = 3\ntrust = \"own\"\n"));
    let mut rig = started(&options, true);
    until_warm(&mut rig, "plugin");
    assert_eq!(kind(&mut rig, "plugin")["types"].as_array().map(Vec::len), Some(4));
    rig.must_all(&["/create vco 1", "/set vco1 freq 220", "/create out out"]);
    for (name, id) in [(COMP, "zamcomp1"), (TUBE, "zamtube1"), (DELAY, "zamdelay1")] {
        rig.must(&format!("/create {name} 1"));
        rig.must(&format!("/connect vco1 {id}"));
        rig.must(&format!("/connect {id} out.left 0.3"));
    }
    rig.must_all(&[&format!("/create {SYNTH} synth"), "/connect synth out.right", "/gate synth 1"]);
    let refusal = rig.refused("/set zamcomp1 ratio 1000");
    assert!(refusal.contains("1..=20"), "{refusal}");
    assert!(rig.refused("/set zamcomp1 ration 2").contains("did you mean 'ratio'"));
    rig.must("/set zamcomp1 ratio 4");
    rig.play_blocks(400);
    let status = rig.status();
    assert_eq!(status["inexact"], serde_json::json!(["zamcomp1", "zamtube1", "zamdelay1", "synth"]));
    assert_eq!(name_of(pid_of(&worker_of(&mut rig, "synth"))), "backline-plugin");

    let victim = pid_of(&worker_of(&mut rig, "synth"));
    signal(victim, Signal::KILL);
    until("another worker plays it", || pid_of(&worker_of(&mut rig, "synth")) != victim);
    rig.play_blocks(100);
    let heard = rig.stop().recording();
    assert!(peak(&heard.left) > 0.01 && peak(&heard.right) > 0.001, "plug-ins are silent");
    let last = &heard.right[heard.right.len() - 4_800..];
    assert!(peak(last) > 0.001, "the key that was held is held by the next worker");
}

#[test]
fn a_worker_plays_one_plug_in_and_is_replaced_unless_it_is_trusted() {
    let options = ["--plugin".to_owned(), COMP.to_owned()];
    let mut rig = started(&options, false);
    until_warm(&mut rig, "plugin");
    rig.must_all(&[&format!("/create {COMP} 1"), &format!("/create {COMP} 2")]);
    let (first, second) = (worker_of(&mut rig, "zamcomp1"), worker_of(&mut rig, "zamcomp2"));
    assert_ne!(first["slot"], second["slot"]);
    let refusal = rig.refused(&format!("/create {COMP} 3"));
    assert!(refusal.contains("all 2 workers of kind plugin are taken"), "{refusal}");
    rig.must("/free zamcomp1");
    until("the worker that was used is gone", || {
        rig.workers().iter().all(|worker| pid_of(worker) != pid_of(&first))
    });
    until_warm(&mut rig, "plugin");
    rig.must(&format!("/create {COMP} 3"));
    assert_eq!(pid_of(&worker_of(&mut rig, "zamcomp2")), pid_of(&second), "nobody else was replaced");
    rig.stop();
}

#[test]
fn plug_ins_that_crash_hang_or_are_not_there_are_named_and_the_others_play() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let crashing = bad_plugin(
        folder.path(),
        "crashing",
        "__attribute__((constructor)) static void go(void) { *(volatile int *)0 = 1; }",
    );
    let leaving = bad_plugin(
        folder.path(),
        "leaving",
        "#include <stdlib.h>\n__attribute__((constructor)) static void go(void) { exit(3); }",
    );
    let path = format!("{}:/usr/lib/ladspa", folder.path().display());
    let mut command = support::backline();
    command.env("LADSPA_PATH", path);
    let mut rig = Rig::start_as(
        command,
        &["--plugin", COMP, "--plugin", "ladspa:nothing", "--plugin", "lv2:urn:nowhere"],
    );
    until_warm(&mut rig, "plugin");
    let plugin = kind(&mut rig, "plugin");
    assert_eq!(plugin["types"], serde_json::json!([COMP]));
    let faults = plugin["faults"].to_string();
    for words in ["ladspa:nothing", "no such plug-in", "lv2:urn:nowhere"] {
        assert!(faults.contains(words), "{words} is not in {faults}");
    }
    for file in [crashing, leaving] {
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        assert!(faults.contains(&name), "{name} is not in {faults}");
    }
    rig.must(&format!("/create {COMP} 1"));
    rig.stop();
}

/// A library that does something when it is opened.
fn bad_plugin(folder: &Path, name: &str, source: &str) -> PathBuf {
    let (text, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&text, source).expect("our folder is writable");
    let status = Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&text).status();
    assert!(status.is_ok_and(|status| status.success()), "gcc builds {name}");
    library
}
