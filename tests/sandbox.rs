//! Kinds of worker that ask for a sandbox: its level is shown, what it refuses is told with the module's name, and the set
//! goes on; what a module plays is the same with it and without.

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use support::python::{Classes, PIECE, RAMP, SCORE, until_warm, worker_of};
use support::render::{Piece, Way};
use support::sound::peak;
use support::{Rig, file, until};

/// Plays what becomes of its attempt to reach for what a renderer does not need.
const ESCAPES: &str = include_str!("../workers/sdk/tests/escapes/escapes.py");
const STRICT: &str = "[kind.python]\nsandbox = \"strict\"\n";
/// What every kernel has that we run on, and what newer ones have.
const ALWAYS: [&str; 3] = ["no_new_privs", "rlimits", "seccomp"];
const OPTIONAL: [&str; 2] = ["landlock", "sealed"];

/// Settings beside the classes.
fn settings(classes: &Classes, text: &str) -> PathBuf {
    let path = classes.path().join("backline.toml");
    std::fs::write(&path, text).expect("our folder is writable");
    path
}

fn words(value: &Value) -> BTreeSet<String> {
    let words = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    words.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// The options that name the classes, and whoever plays them.
fn options_for(classes: &Classes) -> Vec<String> {
    let python = ["--kinds".to_owned(), plain(&file("workers/python")).to_owned()];
    classes.option().map(str::to_owned).into_iter().chain(python).collect()
}

fn started(classes: &Classes, more: &[&str]) -> Rig {
    let options = options_for(classes);
    Rig::start(&options.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

#[test]
fn the_level_is_shown_and_what_is_refused_is_told_once_with_the_name_of_the_module() {
    let classes = Classes::of(&[("escapes.py", ESCAPES), ("ramp.py", RAMP)]);
    let config = settings(&classes, STRICT);
    let audit = classes.path().join("audit.jsonl");
    let mut rig = started(&classes, &["--config", plain(&config), "--audit", plain(&audit)]);
    until_warm(&mut rig, "python");
    rig.must_all(&["/create escapes 1", "/create ramp 1", "/create out out"]);
    rig.must_all(&["/connect escapes1 out.left", "/connect ramp1 out.right"]);
    let sandbox = worker_of(&mut rig, "escapes1")["sandbox"].clone();
    assert_eq!((&sandbox["wanted"], &sandbox["refused_calls"]), (&json!("strict"), &json!(0)), "{sandbox}");
    let (obtained, refused) = (words(&sandbox["obtained"]), rig.status()["refused"].to_string());
    assert!(ALWAYS.iter().all(|name| obtained.contains(*name)), "{obtained:?}");
    for name in OPTIONAL.iter().filter(|name| !obtained.contains(**name)) {
        println!("this kernel has no {name}; it is said, and not tested");
        assert!(refused.contains("sandbox of python workers") && refused.contains(name), "{refused}");
    }
    if OPTIONAL.iter().all(|name| obtained.contains(*name)) {
        assert!(!refused.contains("sandbox"), "{refused}");
    }
    let mut count = 0;
    for what in ["socket", "open", "thread"] {
        rig.must(&format!("/set escapes1 what {what}"));
        until("calls are refused, block after block", || {
            let sandbox = &worker_of(&mut rig, "escapes1")["sandbox"];
            sandbox["refused_calls"].as_u64() > Some(count + 20)
        });
        count = worker_of(&mut rig, "escapes1")["sandbox"]["refused_calls"].as_u64().expect("a count");
    }
    let native = rig.workers().into_iter().find(|worker| worker["kind"] == "native").expect("there are some");
    assert_eq!(native["sandbox"], json!({ "wanted": "none", "obtained": [], "refused_calls": 0 }));
    assert_eq!(rig.status()["bypassed"], json!([]), "what is refused is no failure");
    assert!(
        rig.log().contains("a system call was refused") && rig.log().contains("escapes1"),
        "{}",
        rig.log()
    );
    let told = rig.stop().events;
    let told: Vec<&Value> = told.iter().filter(|event| event["event"] == "refused_call").collect();
    // One that moved on twice before it was looked for has no name.
    let has_no_other = |event: &Value| event["id"] == "escapes1" || event["id"].is_null();
    assert!(told.iter().all(|event| has_no_other(event) && event["kind"] == "python"), "{told:?}");
    let named = told.iter().filter(|event| event["id"] == "escapes1");
    let calls: Vec<&str> = named.filter_map(|event| event["call"].as_str()).collect();
    assert_eq!(calls[..2], ["socket", "openat"], "each is told once");
    assert!(calls.len() == 3 && calls[2].starts_with("clone"), "{calls:?}");
    let log = std::fs::read_to_string(&audit).expect("the audit log was written");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let audited: Vec<Value> = lines.filter(|line| line["event"] == "refused_call").collect();
    let of_it = |line: &&Value| line["id"] == "escapes1" && line["pid"].as_u64() > Some(0);
    let of_it: Vec<&str> = audited.iter().filter(of_it).filter_map(|line| line["call"].as_str()).collect();
    assert_eq!(of_it, calls, "{audited:?}");
}

#[test]
fn without_a_sandbox_nothing_is_refused_and_nothing_is_claimed() {
    let classes = Classes::of(&[("escapes.py", ESCAPES)]);
    let mut rig = started(&classes, &[]);
    until_warm(&mut rig, "python");
    rig.must_all(&["/create escapes 1", "/create out out", "/connect escapes1 out.left"]);
    for what in ["socket", "open", "executable"] {
        rig.must(&format!("/set escapes1 what {what}"));
        rig.play_blocks(20);
    }
    let sandbox = worker_of(&mut rig, "escapes1")["sandbox"].clone();
    assert_eq!(sandbox, json!({ "wanted": "none", "obtained": [], "refused_calls": 0 }));
    assert!(rig.stop().events.iter().all(|event| event["event"] != "refused_call"));
}

#[test]
fn what_is_played_is_the_same_in_a_sandbox_however_often_a_worker_dies() {
    let comb = include_str!("../workers/python/examples/comb.py");
    let classes = Classes::of(&[("ramp.py", RAMP), ("comb.py", comb)]);
    let config = settings(&classes, STRICT);
    let piece = Piece::of_text(PIECE, SCORE, 1.0);
    let rendered = |options: &[&str]| {
        let (mut command, wav) = piece.command(Way { workers: 2, block: 64 });
        command.args(options_for(&classes)).args(options);
        piece.finish(command.spawn().expect("backline starts"), wav)
    };
    let open = rendered(&[]);
    assert!(peak(&open.stereo().left) > 0.05, "the piece is silent");
    let strict = ["--config", plain(&config)];
    assert_eq!(rendered(&strict).sha256, open.sha256);
    let hit = rendered(&[&strict[..], &["--chaos", "seed=1,kill=0.05,segv=0.02,recycle=0.02"]].concat());
    assert!(hit.told["faults"].as_u64() > Some(10), "{}", hit.told);
    assert_eq!(hit.sha256, open.sha256);
}
