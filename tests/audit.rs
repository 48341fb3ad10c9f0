//! Everything that is done to processes is written down, and the accounts always agree.

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use support::processes::{children_of, signal};
use support::{Rig, backline, output, stderr, until};

/// Kills in the storm.
const KILLS: usize = 80;

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the log was written");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn all<'l>(lines: &'l [Value], event: &'l str) -> impl Iterator<Item = &'l Value> {
    lines.iter().filter(move |line| line["event"] == event)
}

fn account(accounts: &Value, name: &str) -> u64 {
    accounts[name].as_u64().unwrap_or_else(|| panic!("no {name} in {accounts}"))
}

fn pid_of(worker: &Value) -> u32 {
    worker["pid"].as_u64().expect("a pid") as u32
}

#[test]
fn under_a_storm_of_kills_spawned_is_alive_and_reaped_and_every_process_is_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let log = folder.path().join("audit.jsonl");
    let path = log.to_str().expect("temporary folders have plain names");
    let mut rig = Rig::start(&["--workers", "4", "--no-realtime", "--audit", path]);
    rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out 0.5"]);
    let kinds = [Signal::KILL, Signal::SEGV, Signal::TERM, Signal::ABORT, Signal::BUS];
    let mut killed = HashSet::new();
    while killed.len() < KILLS {
        for worker in rig.workers() {
            let pid = pid_of(&worker);
            if pid != 0 && killed.insert(pid) {
                // Who sent it the signal of a fault, a worker can tell once it has joined.
                let is_ready = matches!(worker["state"].as_str(), Some("ready" | "playing"));
                signal(pid, if is_ready { kinds[killed.len() % kinds.len()] } else { Signal::KILL });
            }
        }
        let accounts = rig.status()["accounts"].clone();
        let [spawned, alive, reaped] = ["spawned", "alive", "reaped"].map(|name| account(&accounts, name));
        assert_eq!(spawned, alive + reaped, "{accounts}");
    }
    until("the pool is full again", || {
        rig.workers().iter().all(|worker| matches!(worker["state"].as_str(), Some("ready" | "playing")))
    });
    let accounts = rig.status()["accounts"].clone();
    assert_eq!(account(&accounts, "alive") as usize, children_of(rig.pid).len(), "{accounts}");
    assert_eq!(account(&accounts, "reaped") as usize, killed.len(), "{accounts}");
    assert_eq!(account(&accounts["audit"], "lost"), 0, "{accounts}");
    rig.must_all(&["/create noise still", "/connect still out 0.1"]);
    rig.stop();

    let lines = lines(&log);
    let numbers = |event: &str| all(&lines, event).map(pid_of).collect::<HashSet<u32>>();
    assert_eq!(lines[0]["event"], "opened");
    let last = lines.last().expect("there are lines");
    assert_eq!((last["event"].as_str(), last["left"].as_u64()), (Some("closed"), Some(0)));
    assert_eq!(numbers("spawned").len(), killed.len() + 4);
    assert_eq!(numbers("spawned"), numbers("exited"), "whoever was started has ended");
    assert!(killed.is_subset(&numbers("exited")));
    for end in all(&lines, "exited").filter(|end| killed.contains(&pid_of(end))) {
        assert!(kinds.iter().any(|kind| end["signal"] == kind.as_raw()), "{end}");
        assert!(end["cause"].as_str().is_some_and(|cause| cause.starts_with("killed by signal")), "{end}");
        assert!(end["user_ms"].is_u64() && end["system_ms"].is_u64(), "{end}");
    }
    assert!(all(&lines, "signal").all(|sent| sent["why"].is_string() && pid_of(sent) > 0));
    for judged in all(&lines, "judged") {
        assert_eq!(
            (&judged["doing"], &judged["blamed"]),
            (&"somebody else".into(), &Value::Null),
            "{judged}"
        );
    }
}

#[test]
fn a_log_that_cannot_be_written_is_said_loudly_and_the_set_goes_on() {
    let mut rig = Rig::start(&["--workers", "1", "--no-realtime", "--audit", "/proc/nowhere/audit.jsonl"]);
    rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out 0.5"]);
    rig.play_blocks(10);
    until("the loss is counted", || account(&rig.status()["accounts"]["audit"], "lost") > 0);
    assert!(rig.status()["refused"].to_string().contains("/proc/nowhere/audit.jsonl"));
    assert!(rig.log().contains("the audit log is not written"), "{}", rig.log());
    rig.stop();
}

#[test]
fn without_a_word_the_log_lies_in_the_state_folder_under_the_name_of_the_session() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let in_folder = || {
        let mut command = backline();
        command.env("BACKLINE_STATE", folder.path()).env("XDG_RUNTIME_DIR", folder.path());
        command
    };
    let options = ["--workers", "1", "--no-realtime"];
    let rig = Rig::start_as(in_folder(), &[&options[..], &["--session", "friday"]].concat());
    rig.stop();
    assert_eq!(all(&lines(&folder.path().join("audit-friday.jsonl")), "closed").count(), 1);
    let rig = Rig::start_as(in_folder(), &options);
    let path = folder.path().join(format!("audit-pid-{}.jsonl", rig.pid));
    rig.stop();
    assert_eq!(all(&lines(&path), "closed").count(), 1);
}

#[test]
fn a_worker_that_dies_before_it_is_ready_is_in_the_log_of_the_start_that_failed() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let log = folder.path().join("audit.jsonl");
    let program = support::fakes::script(folder.path(), "exit 3");
    let mut command = backline();
    command.env("BACKLINE_WORKER", program).args(["run", "--audio", "null", "--listen", "127.0.0.1:0"]);
    command.args(["--workers", "1", "--audit"]).arg(&log);
    let ended = output(command);
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    let lines = lines(&log);
    assert!(all(&lines, "exited").any(|end| end["code"] == 3), "{lines:?}");
}
