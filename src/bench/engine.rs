//! A real engine (`backline run`, null clock) as a process of its own, asked over UDP as a performer's program would.

use crate::config::Settings;
use crate::osc::parse_reply;
use anyhow::{Context, bail};
use backline_abi::wake::now_ns;
use rosc::{OscMessage, OscPacket, OscType, encoder};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Longest wait for an answer.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// An engine as a process of its own.
pub struct Engine {
    child: Child,
    socket: UdpSocket,
    /// The line that it printed when it was ready.
    pub ready: Value,
    /// From before exec to that line being read here.
    pub ready_ns: u64,
    /// Kept open: what the engine says at its end has somewhere to go.
    _out: BufReader<ChildStdout>,
}

impl Engine {
    /// Starts one with the null clock and returns when it is ready; `options` are further ones of `backline run`.
    pub fn start(settings: &Settings, options: &[&OsStr], stderr: Stdio) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["run", "--audio", "null", "--listen", "127.0.0.1:0", "--json", "--no-keeper"])
            .args(options);
        for (option, value) in [
            ("--block", settings.block_frames.to_string()),
            ("--rate", settings.rate_hz.to_string()),
            ("--workers", settings.workers.to_string()),
            ("--arena", settings.arena_mib.to_string()),
        ] {
            command.args([option, &value]);
        }
        if !settings.wants_realtime {
            command.arg("--no-realtime");
        }
        let start_ns = now_ns();
        let mut child =
            command.stdout(Stdio::piped()).stderr(stderr).spawn().context("cannot start backline run")?;
        let mut out = BufReader::new(child.stdout.take().context("the engine has no standard output")?);
        let mut line = String::new();
        while out.read_line(&mut line)? > 0 {
            let read_ns = now_ns();
            let event: Value = serde_json::from_str(&line)?;
            line.clear();
            if event["event"] == "ready" {
                let address = event["osc_udp"].as_str().context("the engine named no address")?;
                let socket = UdpSocket::bind("127.0.0.1:0")?;
                socket.connect(address)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                return Ok(Self { child, socket, ready: event, ready_ns: read_ns - start_ns, _out: out });
            }
        }
        bail!("the engine ended before it was ready")
    }

    /// Sends `packet`; how long it took, ns, until `answers` answers had come. Any failure is an error.
    pub fn ask(&self, packet: &[u8], answers: usize) -> anyhow::Result<u64> {
        let mut buffer = [0; 65_536];
        let sent_ns = now_ns();
        self.socket.send(packet)?;
        let mut done_ns = 0;
        for _ in 0..answers {
            let length = self.socket.recv(&mut buffer).context("the engine did not answer")?;
            done_ns = now_ns();
            let reply = parse_reply(&buffer[..length]).context("the engine's answer is no OSC")?;
            if reply.is_failure() {
                bail!("the engine refused: {reply:?}");
            }
        }
        Ok(done_ns - sent_ns)
    }

    /// What `/status/json` says.
    pub fn status(&self) -> anyhow::Result<Value> {
        self.socket.send(&packet("/status/json", vec![])?)?;
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer)?;
        match parse_reply(&buffer[..length]).and_then(|reply| reply.args.into_iter().next()) {
            Some(crate::command::Arg::Text(text)) => Ok(serde_json::from_str(&text)?),
            _ => bail!("the engine's status is no text"),
        }
    }

    /// Process ids of its workers.
    pub fn workers(&self) -> anyhow::Result<Vec<u64>> {
        let status = self.status()?;
        let workers = status["workers"].as_array().context("the status lists no workers")?;
        Ok(workers.iter().filter_map(|worker| worker["pid"].as_u64()).collect())
    }

    /// Asks it to leave and waits until it has left.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.ask(&packet("/quit", vec![])?, 1)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Ended already unless the bench failed half-way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An OSC message.
pub fn message(address: &str, args: Vec<OscType>) -> OscPacket {
    OscPacket::Message(OscMessage { addr: address.to_owned(), args })
}

/// An OSC message as bytes.
pub fn packet(address: &str, args: Vec<OscType>) -> anyhow::Result<Vec<u8>> {
    Ok(encoder::encode(&message(address, args))?)
}

/// An OSC string.
pub fn text(word: &str) -> OscType {
    OscType::String(word.to_owned())
}
