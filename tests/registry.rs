//! What a killed engine leaves behind is found by `backline reap` and by the next start; and nobody who merely has
//! the number of a dead process is touched.

mod support;

use backline::supervise::census::{Process, boot_id};
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use support::fakes::{CHILDREN, children_in, worker_with_children};
use support::processes::{is_alive, workers_of};
use support::{Rig, backline, output, stderr, stdout, undisturbed, until};
use tempfile::TempDir;

/// A folder that nobody else's engines know.
fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder of our own")
}

fn in_folder(folder: &Path) -> Command {
    let mut command = backline();
    command.env("XDG_RUNTIME_DIR", folder);
    command
}

fn registries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.join("backline").read_dir() else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

/// What `backline reap --json` says.
fn reap(folder: &Path) -> Value {
    let mut command = in_folder(folder);
    command.args(["reap", "--json"]);
    let ended = output(command);
    assert!(ended.status.success(), "{}", stderr(&ended));
    serde_json::from_str(&stdout(&ended)).expect("reap prints JSON")
}

fn pids_in(told: &Value) -> Vec<u32> {
    let rows = told["processes"].as_array().expect("a list of processes");
    rows.iter().map(|row| row["pid"].as_u64().expect("a number") as u32).collect()
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("sleep starts")
}

/// A process that is gone.
fn somebody_dead() -> Process {
    let mut child = sleeper();
    let process = Process::of_pid(child.id()).expect("it runs");
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    process
}

/// A registry that `engine` left in `folder`.
fn write_registry(folder: &Path, boot: &str, engine: Process, left: &[Process]) -> PathBuf {
    let inside = folder.join("backline");
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&inside).expect("our folder is writable");
    let path = inside.join(format!("engine-{boot}-{}-{}-0", engine.pid, engine.start_ticks));
    let lines = left.iter().map(|process| format!("+ {} {}\n", process.pid, process.start_ticks));
    let text = std::iter::once("backline registry 1\n".to_owned()).chain(lines).collect::<String>();
    std::fs::write(&path, text).expect("our folder is writable");
    path
}

#[test]
fn who_is_left_of_a_dead_engine_is_killed_and_named() {
    let folder = folder();
    let mut left = sleeper();
    let process = Process::of_pid(left.id()).expect("it runs");
    let path = write_registry(folder.path(), &boot_id(), somebody_dead(), &[somebody_dead(), process]);
    let told = reap(folder.path());
    assert!(pids_in(&told).contains(&left.id()), "{told}");
    assert!(!path.exists());
    assert!(!left.wait().expect("it is our child").success());
}

#[test]
fn whoever_merely_has_a_recorded_number_is_not_touched() {
    let folder = folder();
    let mut stranger = sleeper();
    let process = Process::of_pid(stranger.id()).expect("it runs");
    let recycled = Process { start_ticks: process.start_ticks - 1, ..process };
    let recorded = write_registry(folder.path(), &boot_id(), somebody_dead(), &[recycled]);
    let other_boot = write_registry(folder.path(), "00000000", somebody_dead(), &[process]);
    let living_engine = write_registry(folder.path(), &boot_id(), Process::own(), &[process]);
    let told = reap(folder.path());
    assert!(!pids_in(&told).contains(&stranger.id()), "{told}");
    assert!(is_alive(stranger.id()));
    assert_eq!([recorded, other_boot, living_engine].map(|path| path.exists()), [false, false, true]);
    stranger.kill().expect("it is our child");
    stranger.wait().expect("it is our child");
}

#[test]
fn registries_of_another_kind_are_left_alone_and_torn_ones_are_read_as_far_as_they_go() {
    let folder = folder();
    let mut left = sleeper();
    let process = Process::of_pid(left.id()).expect("it runs");
    let newer = write_registry(folder.path(), &boot_id(), somebody_dead(), &[process]);
    std::fs::write(&newer, "backline registry 2\n+ 1 1\n").expect("our folder is writable");
    let foreign = folder.path().join("backline/notes.txt");
    std::fs::write(&foreign, "of somebody else").expect("our folder is writable");
    let link = folder.path().join("backline/engine-00000001-7-7-0");
    std::os::unix::fs::symlink(&foreign, &link).expect("our folder is writable");
    let torn = write_registry(folder.path(), &boot_id(), somebody_dead(), &[process]);
    let whole = std::fs::read_to_string(&torn).expect("we wrote it");
    std::fs::write(&torn, &whole[..whole.len() - 1]).expect("our folder is writable");
    let told = reap(folder.path());
    assert!(!pids_in(&told).contains(&left.id()), "a line without its end says nothing: {told}");
    assert_eq!([&newer, &foreign, &torn].map(|path| path.exists()), [true, true, false]);
    assert!(foreign.exists(), "what a link points to is never removed");
    left.kill().expect("it is our child");
    left.wait().expect("it is our child");
}

#[test]
fn an_engine_that_ends_leaves_no_registry_and_a_killed_one_its_own() {
    let folder = folder();
    let rig = Rig::start_as(in_folder(folder.path()), &["--workers", "2", "--no-realtime"]);
    let names = registries(folder.path());
    assert_eq!(names.len(), 1, "{names:?}");
    let text = std::fs::read_to_string(&names[0]).expect("it is ours");
    for pid in workers_of(rig.pid) {
        assert!(text.contains(&format!("+ {pid} ")), "{text}");
    }
    rig.stop();
    assert_eq!(registries(folder.path()), [""; 0].map(PathBuf::from));

    let rig = Rig::start_as(in_folder(folder.path()), &["--workers", "2", "--no-realtime"]);
    let pid = rig.pid;
    rig.killed();
    assert_eq!(registries(folder.path()).len(), 1);
    until("its workers are gone", || workers_of(pid).is_empty());
    reap(folder.path());
    assert_eq!(registries(folder.path()).len(), 0);
}

/// A killed engine of which the children of its workers are left; who they are.
fn survivors(folder: &Path, tag: u32) -> Vec<u32> {
    let mut command = in_folder(folder);
    command.env("BACKLINE_WORKER", worker_with_children(folder, tag, &CHILDREN));
    let mut rig = Rig::start_as(command, &["--workers", "2", "--no-realtime"]);
    until("every worker has its children, and the engine knows them", || {
        let count = [0, 1].map(|slot| children_in(slot, tag).len());
        count == [CHILDREN.len(); 2] && rig.status()["accounts"]["descendants"].as_u64() >= Some(8)
    });
    let children = [0, 1].map(|slot| children_in(slot, tag)).concat();
    rig.killed();
    children
}

#[test]
fn whatever_outlives_a_killed_engine_is_killed_by_reap_which_names_it() {
    let tag = std::process::id() * 10 + 3;
    undisturbed(|| {
        let folder = folder();
        let children = survivors(folder.path(), tag);
        let told = reap(folder.path());
        until("they are dead", || children.iter().all(|pid| !is_alive(*pid)));
        assert_eq!(registries(folder.path()).len(), 0);
        // Any engine that starts just now on this machine may have been there first, for those with a mark.
        let named = pids_in(&told);
        children.iter().all(|pid| named.contains(pid)).then_some(())
    });
}

#[test]
fn the_next_start_kills_what_outlived_a_killed_engine() {
    let (folder, tag) = (folder(), std::process::id() * 10 + 4);
    let children = survivors(folder.path(), tag);
    let rig = Rig::start_as(in_folder(folder.path()), &["--workers", "1", "--no-realtime"]);
    assert!(children.iter().all(|pid| !is_alive(*pid)), "before it was ready");
    assert_eq!(registries(folder.path()).len(), 1, "its own");
    rig.stop_by(Signal::TERM);
}
