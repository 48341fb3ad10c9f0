//! Patches and recordings and what comes in between: a disk that is full at any byte, the death of the engine.

mod support;

use rustix::process::Signal;
use support::processes::{limit_files, signal};
use support::sound::{peak, read};
use support::{Folder, Rig, backline};
use tempfile::TempDir;

const VERSE: &str = "\
version = 1

[[module]]
type = \"vco\"
id = \"7\"
freq = 330.0

[[module]]
type = \"out\"
id = \"out\"

[[connect]]
from = \"7\"
to = \"out.left\"
gain = 0.5
";

/// An engine with a keeper, whose journal nobody else has.
fn kept(state: &TempDir, patches: &Folder) -> Rig {
    let mut command = backline();
    command.env("BACKLINE_STATE", state.path()).env("XDG_RUNTIME_DIR", state.path());
    Rig::kept_as(command, &patches.options_and(&["--workers", "1"]))
}

/// Kills the engine; what its successor brings back is what is in the journal.
fn crash(rig: &mut Rig) {
    rig.until_journaled();
    signal(rig.pid, Signal::KILL);
    rig.started_again();
}

#[test]
fn a_disk_that_is_full_at_any_byte_leaves_the_old_file_and_nothing_beside_it() {
    let folder = Folder::of_patches();
    let mut rig = Rig::start(&folder.options());
    rig.must_all(&["/create vco 1", "/patch/save a"]);
    let old = folder.text("a");
    rig.must_all(&["/set vco1 freq 330", "/create noise 1", "/patch/save b"]);
    let new = folder.text("b");
    for bytes in 0..new.len() {
        limit_files(rig.pid, Some(bytes as u64));
        let said = rig.refused("/patch/save a");
        assert!(said.contains("a.toml cannot be written") && said.contains("is untouched"), "{said}");
        assert_eq!(folder.text("a"), old, "after {bytes} bytes");
        assert_eq!(folder.names(), ["a.toml", "b.toml"], "after {bytes} bytes");
    }
    limit_files(rig.pid, None);
    rig.must("/patch/save a");
    assert_eq!(folder.text("a"), new);
    rig.stop();
}

#[test]
fn a_patch_that_was_loaded_or_cleared_is_so_after_a_crash() {
    let (state, folder) = (TempDir::new().expect("a folder of our own"), Folder::of_patches());
    folder.put("verse", VERSE);
    let mut rig = kept(&state, &folder);
    rig.must_all(&["/create noise before", "/patch/load verse", "/set '7' freq 440"]);
    let modules = rig.modules();
    assert_eq!(modules.len(), 2);
    // What the file says by then is not asked again.
    folder.put("verse", "version = 1\n");
    crash(&mut rig);
    assert_eq!((rig.modules(), &rig.status()["connections"]), (modules.clone(), &1.into()));
    rig.must("/patch/save after");
    assert!(folder.text("after").contains("freq = 440"), "{}", folder.text("after"));

    rig.must_all(&["/begin", "/patch/clear", "/create vco 1", "/abort"]);
    crash(&mut rig);
    assert_eq!(rig.modules(), modules);
    rig.must_all(&["/begin", "/patch/clear", "/create vco 1", "/commit"]);
    let modules = rig.modules();
    crash(&mut rig);
    assert_eq!((rig.modules(), modules.len()), (modules.clone(), 1));

    rig.must("/patch/clear");
    rig.until_journaled();
    let journal = rig.status()["session"]["journal"]["path"].as_str().expect("a path").to_owned();
    let journal = std::fs::read_to_string(journal).expect("it is there");
    assert!(journal.ends_with(" /patch/clear\n"), "{journal}");
    crash(&mut rig);
    assert!(rig.modules().is_empty());
    rig.stop();
}

#[test]
fn a_load_that_is_refused_is_in_no_journal() {
    let (state, folder) = (TempDir::new().expect("a folder of our own"), Folder::of_patches());
    folder.put("bad", VERSE.replace("\"vco\"", "\"vcoo\""));
    let mut rig = kept(&state, &folder);
    rig.must("/create noise 1");
    rig.refused("/patch/load bad");
    let modules = rig.modules();
    crash(&mut rig);
    assert_eq!(rig.modules(), modules);
    rig.stop();
}

#[test]
fn a_recording_is_there_after_a_crash_and_is_not_begun_again() {
    let (state, takes) = (TempDir::new().expect("a folder of our own"), Folder::of_recordings());
    let mut rig = kept(&state, &takes);
    rig.must_all(&[
        "/create out out",
        "/create noise 1",
        "/connect noise1 out.left 0.5",
        "/record/start take",
    ]);
    // It is flushed every second.
    rig.play_blocks(1_000);
    crash(&mut rig);
    assert!(peak(&read(&takes.file("take")).left) > 0.1, "nothing was kept");
    assert_eq!(rig.status()["recordings"].as_array().map(Vec::len), Some(0));
    assert!(rig.refused("/record/start take").contains("there already"));
    rig.must_all(&["/record/start next", "/record/stop"]);
    rig.stop();
}

#[test]
fn what_a_killed_engine_left_beside_a_patch_is_swept_by_the_next_one() {
    let folder = Folder::of_patches();
    folder.put("verse", VERSE);
    // No process has a number beyond the largest that Linux gives.
    let left = folder.path().join(".unfinished-4194305-verse");
    std::fs::write(&left, &VERSE[..20]).expect("our folder is writable");
    let mut rig = Rig::start(&folder.options());
    rig.must("/patch/load verse");
    assert_eq!(folder.names(), ["verse.toml"]);
    rig.stop();
}
