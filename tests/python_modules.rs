//! Modules written in Python: they sound, they are exact, and whatever they do the set goes on.

mod support;

use rustix::process::Signal;
use serde_json::Value;
use support::processes::{children_of, is_alive, name_of, signal};
use support::python::{
    BROKEN, Classes, PIECE, RAMP, SCORE, bypassed, kind, until_bypassed, until_warm, worker_of,
};
use support::render::{Piece, Way};
use support::sound::peak;
use support::{Rig, backline, output, stderr, until};

fn pid_of(worker: &Value) -> u32 {
    worker["pid"].as_u64().expect("a worker has a process") as u32
}

#[test]
fn a_class_of_ones_own_sounds_beside_our_own_modules() {
    let classes = Classes::of(&[("ramp.py", RAMP)]);
    let mut rig = Rig::recording(&[&classes.option()[..], &["--workers", "2"]].concat());
    until_warm(&mut rig, "python");
    rig.must_all(&["/create ramp 1", "/create out out", "/connect ramp1 out.left", "/set ramp1 freq 200"]);
    let schema = rig.ask("/schema ramp");
    assert!(format!("{schema:?}").contains("Rises from 0 to 1"), "{schema:?}");
    assert!(rig.refused("/set ramp1 freqq 1").contains("did you mean 'freq'"));
    assert!(rig.refused("/set ramp1 freq 5000").contains("1..=1000 Hz"));
    assert!(rig.refused("/create rampp 1").contains("did you mean 'ramp'"));
    assert!(rig.refused("/create ramp 2 channels 3").contains("1 channels at most"));
    rig.play_blocks(100);
    let worker = worker_of(&mut rig, "ramp1");
    assert_eq!(
        (worker["kind"].as_str(), name_of(pid_of(&worker))),
        (Some("python"), "backline-python".to_owned())
    );
    let heard = rig.stop().recording();
    assert!(peak(&heard.left) > 0.2, "a ramp is heard, without its DC");
}

#[test]
fn what_is_declared_is_exact_however_often_its_worker_dies() {
    let classes =
        Classes::of(&[("ramp.py", RAMP), ("comb.py", include_str!("../workers/python/examples/comb.py"))]);
    let piece = Piece::of_text(PIECE, SCORE, 1.0);
    let rendered = |chaos: &[&str]| {
        let (mut command, wav) = piece.command(Way { workers: 2, block: 64 });
        command.args(classes.option()).args(chaos);
        piece.finish(command.spawn().expect("backline starts"), wav)
    };
    let clean = rendered(&[]);
    assert!(peak(&clean.stereo().left) > 0.05, "the piece is silent");
    for chaos in ["seed=1,kill=0.05,segv=0.02,recycle=0.02", "seed=2,kill=0.1,abort=0.02"] {
        let hit = rendered(&["--chaos", chaos]);
        assert!(hit.told["faults"].as_u64() > Some(10), "{}", hit.told);
        assert_eq!(hit.sha256, clean.sha256, "{chaos}");
    }
}

#[test]
fn modules_lists_them_without_an_engine() {
    let classes = Classes::of(&[("ramp.py", RAMP), ("typo.py", "def render(:\n")]);
    let asked = |more: &[&str]| {
        let mut command = backline();
        command.arg("modules").args(classes.option()).args(more);
        output(command)
    };
    let told = asked(&["ramp", "--json"]);
    let row: Value = serde_json::from_slice(&told.stdout).expect("a line of JSON");
    assert_eq!(
        (&row["type"], &row["exact"], &row["params"][0]["max"]),
        (&"ramp".into(), &true.into(), &1000.0.into())
    );
    assert!(stderr(&told).contains("typo.py gives no module type: SyntaxError"), "{}", stderr(&told));
    assert!(stderr(&asked(&["rampp"])).contains("did you mean 'ramp'"));
}

#[test]
fn files_that_are_no_modules_are_named_and_the_others_play() {
    let long_gone = "import no_such_library_anywhere\n";
    let files = [
        ("ramp.py", RAMP),
        ("typo.py", "def render(:\n"),
        ("lost.py", long_gone),
        ("exits.py", "import sys; sys.exit(3)\n"),
    ];
    let classes = Classes::of(&files);
    let mut rig = Rig::start(&classes.option());
    until_warm(&mut rig, "python");
    let python = kind(&mut rig, "python");
    assert_eq!(python["types"], serde_json::json!(["ramp"]));
    let faults = python["faults"].to_string();
    for words in ["typo.py", "SyntaxError", "lost.py", "no_such_library_anywhere", "exits.py"] {
        assert!(faults.contains(words), "{words} is not in {faults}");
    }
    rig.must("/create ramp 1");
    rig.stop();
}

#[test]
fn a_module_that_raises_is_concealed_reported_and_bypassed_and_the_set_goes_on() {
    let classes = Classes::of(&[("ramp.py", RAMP), ("broken.py", BROKEN)]);
    let mut rig = Rig::start(&classes.option());
    until_warm(&mut rig, "python");
    rig.must_all(&["/create ramp 1", "/create broken 1", "/create broken 2", "/create out out"]);
    rig.must_all(&["/connect ramp1 out.left", "/connect broken1 out.right", "/connect broken2 out.right"]);
    for (module, cause) in [("broken1", "ValueError: told to"), ("broken2", "IndexError")] {
        let number = if module == "broken1" { 1 } else { 2 };
        rig.must(&format!("/set {module} do {number}"));
        until_bypassed(&mut rig, module);
        let complaints = rig.status()["complaints"]["last"].to_string();
        assert!(complaints.contains(cause) && complaints.contains("broken.py"), "{complaints}");
    }
    assert_eq!(bypassed(&mut rig, "ramp1"), None);
    let ended = rig.workers().iter().filter(|worker| worker["last_cause"].is_string()).count();
    assert!(ended <= 2, "{:?}", rig.workers());
    rig.must_all(&["/free broken1", "/create broken 1"]);
    assert_eq!(bypassed(&mut rig, "broken1"), None, "it is tried again");
    rig.stop();
}

#[test]
fn exits_and_endless_loops_cost_their_module_and_nobody_else() {
    let classes = Classes::of(&[("ramp.py", RAMP), ("broken.py", BROKEN)]);
    let mut rig = Rig::start(&classes.option());
    until_warm(&mut rig, "python");
    rig.must_all(&["/create ramp 1", "/create broken 3", "/create broken 4", "/create out out"]);
    rig.must_all(&["/connect ramp1 out.left", "/connect broken3 out.right", "/connect broken4 out.right"]);
    for (module, number) in [("broken3", 3), ("broken4", 4)] {
        rig.must(&format!("/set {module} do {number}"));
        until_bypassed(&mut rig, module);
    }
    until_warm(&mut rig, "python");
    assert_eq!(bypassed(&mut rig, "ramp1"), None);
    rig.must_all(&["/set ramp1 freq 20", "/create ramp 2"]);
    rig.play_blocks(20);
    rig.stop();
}

#[test]
fn a_module_that_takes_memory_is_killed_and_one_that_starts_others_leaves_none() {
    let classes = Classes::of(&[("broken.py", BROKEN)]);
    let settings = classes.path().join("backline.toml");
    std::fs::write(&settings, "[kind.python.limits]\nmemory_mib = 200\n").expect("our folder is writable");
    let settings = settings.to_str().expect("temporary folders have plain names");
    let mut rig = Rig::start(&[&classes.option()[..], &["--config", settings]].concat());
    until_warm(&mut rig, "python");
    rig.must_all(&["/create broken 5", "/create broken 6"]);
    let greedy = worker_of(&mut rig, "broken5");
    rig.must("/set broken5 do 5");
    until("it is killed", || !is_alive(pid_of(&greedy)));
    rig.must("/free broken5");
    until_warm(&mut rig, "python");

    let parent = pid_of(&worker_of(&mut rig, "broken6"));
    rig.must("/set broken6 do 6");
    until("it has a child", || !children_of(parent).is_empty());
    let child = children_of(parent)[0];
    signal(parent, Signal::KILL);
    until("its child is gone with it", || !is_alive(child));
    rig.stop();
}

#[test]
fn a_zygote_that_is_killed_comes_back_and_its_workers_play_on() {
    let classes = Classes::of(&[("ramp.py", RAMP)]);
    let mut rig = Rig::start(&classes.option());
    until_warm(&mut rig, "python");
    rig.must("/create ramp 1");
    let zygote = |rig: &Rig| children_of(rig.pid).into_iter().find(|pid| name_of(*pid) == "backline-zygote");
    let first = zygote(&rig).expect("there is a zygote");
    let before = worker_of(&mut rig, "ramp1");
    signal(first, Signal::KILL);
    until("there is another one", || zygote(&rig).is_some_and(|pid| pid != first));
    assert!(is_alive(pid_of(&before)), "its workers are the engine's children");
    signal(pid_of(&before), Signal::KILL);
    until("another worker plays it", || pid_of(&worker_of(&mut rig, "ramp1")) != pid_of(&before));
    until_warm(&mut rig, "python");
    rig.stop();
}

#[test]
fn a_set_with_python_modules_comes_back_when_the_engine_is_killed() {
    let classes = Classes::of(&[("ramp.py", RAMP)]);
    let mut rig = Rig::kept(&[&classes.option()[..], &["--session", "python-comes-back"]].concat());
    until_warm(&mut rig, "python");
    rig.must_all(&["/create ramp 1", "/create out out", "/connect ramp1 out.left", "/set ramp1 freq 321"]);
    rig.until_journaled();
    let before = rig.modules();
    signal(rig.pid, Signal::KILL);
    rig.started_again();
    assert_eq!(rig.ready["recovered_modules"], 2, "{}", rig.log());
    assert_eq!(rig.modules(), before);
    assert_eq!(worker_of(&mut rig, "ramp1")["kind"], "python");
    rig.stop();
}

#[test]
fn who_asks_too_early_is_told_what_is_still_warming() {
    let slow = format!("import time\ntime.sleep(1)\n{RAMP}");
    let classes = Classes::of(&[("ramp.py", &slow)]);
    let mut rig = Rig::start(&classes.option());
    let reason = rig.refused("/create ramp 1");
    assert!(reason.contains("python workers are still warming"), "{reason}");
    rig.must("/create vco 1");
    until_warm(&mut rig, "python");
    rig.must("/create ramp 1");
    rig.stop();
}

#[test]
fn manifests_and_settings_that_make_no_sense_are_refused_with_the_place() {
    let classes = Classes::of(&[("ramp.py", RAMP)]);
    let folder = tempfile::tempdir().expect("a folder of our own");
    let place = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is in our folder")).expect("our folder is writable");
        std::fs::write(&path, text).expect("our folder is writable");
        path.display().to_string()
    };
    // A folder each: all are written before the first is read.
    let number = std::cell::Cell::new(0);
    let next = |name: &str, text: &str| {
        number.set(number.get() + 1);
        place(&format!("{}/{name}", number.get()), text)
    };
    let manifest = |text: &str| vec!["--kinds".to_owned(), next("worker.toml", text)];
    let settings = |text: &str| {
        let [option, modules] = classes.option().map(str::to_owned);
        vec![option, modules, "--config".to_owned(), next("backline.toml", text)]
    };
    let cases = [
        (
            manifest("name = \"x\"\ncommand = [\"true\"]\ncuont = 2\n"),
            "line 3: there is no key 'cuont'; did you mean 'count'",
        ),
        (manifest("name = \"x\"\ncommand = []\n"), "command is empty"),
        (manifest("name = \"x\"\ncommand = [\"true\"]\ncount = 99\n"), "1..=16"),
        (manifest("name = \"native\"\ncommand = [\"true\"]\n"), "name 'native'"),
        (manifest("name = 1"), "line 1: invalid type"),
        (settings("[kind.python]\ncuont = 2\n"), "there is no key 'cuont'"),
        (settings("[kind.pyhton]\ncount = 2\n"), "no such kind"),
        (settings("[routes]\nramp = \"pyhton\"\n"), "no such kind"),
        (settings("[routes]\nramp = 3\n"), "names of module types"),
        (vec!["--kinds".to_owned(), "/nonexistent".to_owned()], "no worker.toml"),
        (vec!["--modules".to_owned(), "/nonexistent".to_owned()], "no such file or folder"),
        (vec!["--plugin".to_owned(), "zamcomp".to_owned()], "lv2:URI"),
    ];
    for (options, words) in cases {
        let mut command = backline();
        let folders = options.iter().map(|option| option.trim_end_matches("/worker.toml"));
        command.args(["run", "--audio", "null", "--listen", "127.0.0.1:0", "--no-keeper"]).args(folders);
        let ended = output(command);
        let said = stderr(&ended);
        assert!(matches!(ended.status.code(), Some(1 | 2)), "{options:?}: {:?} {said}", ended.status);
        assert!(said.contains(words), "{options:?}: {said}");
    }
}

#[test]
fn settings_say_who_plays_a_name_that_two_have() {
    let vco = RAMP.replace("class Ramp", "class Vco");
    let classes = Classes::of(&[("vco.py", &vco)]);
    let settings = classes.path().join("backline.toml");
    std::fs::write(&settings, "[routes]\nvco = \"python\"\n[kind.python]\ncount = 1\n").expect("writable");
    let settings = settings.to_str().expect("temporary folders have plain names");
    let mut rig = Rig::start(&classes.option());
    until_warm(&mut rig, "python");
    rig.must("/create vco 1");
    assert_eq!(worker_of(&mut rig, "vco1")["kind"], "native", "our own unless somebody says otherwise");
    rig.stop();
    let mut rig = Rig::start(&[&classes.option()[..], &["--config", settings]].concat());
    until_warm(&mut rig, "python");
    assert_eq!(kind(&mut rig, "python")["workers"], 1);
    rig.must("/create vco 1");
    assert_eq!(worker_of(&mut rig, "vco1")["kind"], "python");
    rig.stop();
}
