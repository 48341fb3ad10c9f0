//! A running engine: `backline run` as a child of the test, on a free port, without a sound card.

use super::packets::{encoded, line};
use super::processes::{
    children_of, name_of, segments_of, signal, threads_of, until_nothing_is_left_of, workers_of,
};
use super::sound::{Stereo, read};
use super::{WATCHDOG, backline, wait_for};
use backline::command::{Arg, Reply};
use backline::osc::Client;
use rosc::{OscMessage, OscPacket, OscType};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// A running engine. Dropping it kills it.
pub struct Rig {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// The first line that it printed.
    pub first_line: Value,
    /// The `ready` event.
    pub ready: Value,
    child: Child,
    lines: Receiver<String>,
    client: Client,
    folder: TempDir,
}

/// How an engine ended, and what it recorded.
pub struct Ended {
    /// Exit code.
    pub code: Option<i32>,
    /// All events after `ready`.
    pub events: Vec<Value>,
    folder: TempDir,
}

impl Rig {
    /// An engine on the null clock, without a keeper, with `options` beside.
    pub fn start(options: &[&str]) -> Self {
        Self::start_as(backline(), options)
    }

    /// The same with its keeper, as users have it, by a command of one's own.
    pub fn kept_as(command: Command, options: &[&str]) -> Self {
        Self::spawned(tempfile::tempdir().expect("a folder of our own"), command, options)
    }

    /// An engine with its keeper.
    pub fn kept(options: &[&str]) -> Self {
        Self::kept_as(backline(), options)
    }

    /// The same, and everything it plays is recorded.
    pub fn recording(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let wav = folder.path().join("heard.wav");
        let record = ["--record", wav.to_str().expect("temporary folders have plain names")];
        Self::start_in(folder, backline(), &[&record, options].concat())
    }

    /// The same by a command of one's own, which `run` and its options are added to.
    pub fn start_as(command: Command, options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder of our own"), command, options)
    }

    fn start_in(folder: TempDir, command: Command, options: &[&str]) -> Self {
        Self::spawned(folder, command, &[&["--no-keeper"], options].concat())
    }

    fn spawned(folder: TempDir, mut command: Command, options: &[&str]) -> Self {
        let log = std::fs::File::create(folder.path().join("stderr")).expect("our folder is writable");
        command.args(["run", "--listen", "127.0.0.1:0", "--json"]);
        if !options.contains(&"--audio") {
            command.args(["--audio", "null"]);
        }
        command.args(options).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|cause| panic!("{command:?} does not start: {cause}"));
        let lines = lines_of(&mut child);
        let first_line = next_event(&lines).unwrap_or(Value::Null);
        let is_ready = |event: &Value| event["event"] == "ready";
        let later = || std::iter::from_fn(|| next_event(&lines)).find(is_ready);
        let Some(ready) = Some(first_line.clone()).filter(is_ready).or_else(later) else {
            let _ = child.kill();
            let said = std::fs::read_to_string(folder.path().join("stderr")).unwrap_or_default();
            panic!("{:?} and no ready event: {said}", child.wait());
        };
        let address = address_in(&ready);
        let client = Client::connect(address).expect("loopback is reachable");
        let mut rig = Self { address, pid: child.id(), first_line, ready, child, lines, client, folder };
        // A command such as `unshare` that has not become the engine has started it.
        rig.pid = rig.status()["engine"]["pid"].as_u64().expect("status tells the engine's pid") as u32;
        rig
    }

    /// Waits until the keeper has started the engine again, and turns to that one.
    pub fn started_again(&mut self) {
        assert!(self.is_started_again(), "the engine was not started again: {}", self.log());
    }

    /// Waits until the keeper has started the engine again, true, or has ended, false.
    pub fn is_started_again(&mut self) -> bool {
        let ready = std::iter::from_fn(|| next_event(&self.lines)).find(|event| event["event"] == "ready");
        let Some(ready) = ready else { return false };
        self.address = address_in(&ready);
        self.ready = ready;
        self.client = Client::connect(self.address).expect("loopback is reachable");
        let died = self.pid;
        self.pid = self.status()["engine"]["pid"].as_u64().expect("status tells the engine's pid") as u32;
        assert_ne!(self.pid, died, "the dead engine answers");
        true
    }

    /// The process that was started: the keeper, if there is one.
    pub fn child_pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until everything that was done is in the journal.
    pub fn until_journaled(&mut self) {
        super::until("the journal is written", || {
            self.status()["session"]["journal"]["is_up_to_date"] == true
        });
    }

    /// Sends a line such as `/create vco 1` and returns its answer.
    pub fn ask(&mut self, text: &str) -> Reply {
        self.ask_message(line(text))
    }

    /// Sends an address with typed arguments and returns the answer.
    pub fn ask_osc(&mut self, address: &str, args: Vec<OscType>) -> Reply {
        self.ask_message(OscMessage { addr: address.to_owned(), args })
    }

    fn ask_message(&mut self, message: OscMessage) -> Reply {
        let asked = format!("{message:?}");
        let answer = self.client.ask(message, WATCHDOG);
        answer.unwrap_or_else(|error| panic!("{asked}: {error}; the engine says: {}", self.log()))
    }

    /// Whether it answers soon.
    pub fn hears(&mut self) -> bool {
        self.client.ask(line("/sync 1"), Duration::from_secs(1)).is_ok()
    }

    /// Sends a line that must be done.
    pub fn must(&mut self, text: &str) -> Reply {
        let reply = self.ask(text);
        assert!(!reply.is_failure(), "{text}: {reply:?}");
        reply
    }

    /// Sends lines that must be done, in order.
    pub fn must_all(&mut self, lines: &[&str]) {
        for text in lines {
            self.must(text);
        }
    }

    /// Sends a line that must be refused, and returns why.
    pub fn refused(&mut self, text: &str) -> String {
        let reply = self.ask(text);
        assert!(reply.is_failure(), "{text}: {reply:?}");
        match reply.args.get(1) {
            Some(Arg::Text(reason)) => reason.clone(),
            _ => panic!("{text}: no reason in {reply:?}"),
        }
    }

    /// Sends a packet from a socket of its own, and does not wait for answers; they can be read there.
    pub fn throw(&self, packet: &OscPacket) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        socket.set_read_timeout(Some(WATCHDOG)).expect("a watchdog can be set");
        socket.send_to(&encoded(packet), self.address).expect("loopback takes a datagram");
        socket
    }

    /// What `/status/json` says.
    pub fn status(&mut self) -> Value {
        let reply = self.ask("/status/json");
        match reply.args.first() {
            Some(Arg::Text(text)) => serde_json::from_str(text).expect("status is JSON"),
            _ => panic!("no status: {reply:?}"),
        }
    }

    /// Modules as `id type` in order; their workers may change.
    pub fn modules(&mut self) -> Vec<String> {
        let args = self.ask("/list").args;
        args.chunks_exact(3).map(|row| format!("{:?} {:?}", row[0], row[1])).collect()
    }

    /// Everything that a refused command could have changed. Who plays what is not among it: a worker that does not get
    /// its core lends its modules to another one.
    pub fn state(&mut self) -> String {
        let (modules, status) = (self.modules(), self.status());
        let used = &status["memory"]["arena_used_bytes"];
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        let played =
            workers.iter().flat_map(|worker| worker["modules"].as_array().cloned().unwrap_or_default());
        let mut ids: Vec<_> = played.map(|id| id.to_string()).collect();
        ids.sort();
        format!("{modules:?} {} {} {used} {ids:?}", status["modules"], status["connections"])
    }

    /// Blocks that were late or skipped so far.
    pub fn disturbances(&mut self) -> u64 {
        let audio = &self.status()["audio"];
        ["xruns", "concealed"].iter().map(|count| audio[count].as_u64().expect("a count")).sum()
    }

    /// Blocks played so far.
    pub fn blocks(&mut self) -> usize {
        self.status()["audio"]["blocks"].as_u64().expect("a count") as usize
    }

    /// Waits until `count` more blocks have been played.
    pub fn play_blocks(&mut self, count: usize) {
        let end = self.blocks() + count;
        super::until("the blocks are played", || self.blocks() >= end);
    }

    /// The status of each worker.
    pub fn workers(&mut self) -> Vec<Value> {
        self.status()["workers"].as_array().expect("a list of workers").clone()
    }

    /// What the engine has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// The engine's folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Asks it to stop, and checks that nothing is left.
    pub fn stop(mut self) -> Ended {
        self.must("/quit");
        self.ended()
    }

    /// Sends it a signal, waits for its end, and checks that nothing is left.
    pub fn stop_by(self, signal_sent: Signal) -> Ended {
        signal(self.pid, signal_sent);
        self.ended()
    }

    /// Waits until somebody else has stopped it; its exit code.
    pub fn wait_for_end(&mut self) -> Option<i32> {
        let ended = wait_for(|| self.child.try_wait().expect("it is our child"));
        let stuck = || {
            let threads = [self.child.id(), self.pid].map(threads_of);
            panic!("process {} does not end: {threads:#?}; it says: {}", self.child.id(), self.log())
        };
        ended.unwrap_or_else(stuck).code()
    }

    /// Kills it as a crash would, and leaves what it left.
    pub fn killed(mut self) {
        signal(self.pid, Signal::KILL);
        self.wait_for_end();
    }

    fn ended(mut self) -> Ended {
        let code = self.wait_for_end();
        until_nothing_is_left_of(self.pid);
        // To the end of the pipe: the reader may be behind the process.
        let rest = std::iter::from_fn(|| self.lines.recv_timeout(WATCHDOG).ok());
        let events = rest.filter_map(|text| serde_json::from_str(&text).ok()).collect();
        let empty = tempfile::tempdir().expect("a folder of our own");
        Ended { code, events, folder: std::mem::replace(&mut self.folder, empty) }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // The keeper first, or it would start another engine.
        let mut engines = children_of(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        engines.retain(|pid| name_of(*pid) == "backline");
        engines.push(self.pid);
        engines.iter().for_each(|pid| signal(*pid, Signal::KILL));
        // A killed engine cannot clean up; its workers must be gone all the same.
        for name in segments_of(self.pid) {
            let _ = std::fs::remove_file(format!("/dev/shm/{name}"));
        }
        if !std::thread::panicking() {
            super::until("workers of a killed engine are gone", || workers_of(self.pid).is_empty());
        }
    }
}

impl Ended {
    /// What it recorded.
    pub fn recording(&self) -> Stereo {
        let told = self.events.iter().find(|event| event["event"] == "recorded");
        let told = told.unwrap_or_else(|| panic!("nothing was recorded: {:?}", self.events));
        assert_eq!(told["dropped_frames"], 0, "the recorder lost frames");
        read(&self.folder.path().join("heard.wav"))
    }
}

fn address_in(ready: &Value) -> SocketAddr {
    let address = ready["osc_udp"].as_str().and_then(|text| text.parse().ok());
    address.unwrap_or_else(|| panic!("no address in {ready}"))
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let stdout = child.stdout.take().expect("it was piped");
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for text in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Whoever listened may be gone.
            let _ = sender.send(text);
        }
    });
    lines
}

/// The next event, or `None` if the engine ends or hangs before.
fn next_event(lines: &Receiver<String>) -> Option<Value> {
    serde_json::from_str(&lines.recv_timeout(WATCHDOG).ok()?).ok()
}
