//! A JACK server of our own, with the dummy driver.

use super::processes::signal;
use super::{tools, until, wait_for};
use rustix::process::Signal;
use std::process::{Child, Command, Stdio};

/// A running jackd. Dropping it ends it.
pub struct JackServer {
    /// For JACK_DEFAULT_SERVER.
    pub name: String,
    child: Child,
}

impl JackServer {
    /// A server at 48 kHz and 128 frames; `None`, with a message, where jackd is not installed.
    pub fn start(name: &str) -> Option<Self> {
        if !tools::has("jackd", "jackd2") || !tools::has("jack_rec", "jackd2") {
            return None;
        }
        // JACK keeps eight names for ever and takes one back only for the same name, so they must not vary.
        let name = format!("backline-{name}");
        let child = Command::new("jackd")
            .args(["-n", &name, "-r", "-d", "dummy", "-r", "48000", "-p", "128"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("jackd starts");
        let server = Self { name, child };
        until("the JACK server answers", || server.ports().contains("system:playback_1"));
        Some(server)
    }

    /// Sets the environment of a client.
    pub fn client(&self, mut command: Command) -> Command {
        command.env("JACK_DEFAULT_SERVER", &self.name).env("JACK_NO_START_SERVER", "1");
        command
    }

    /// All ports and what they are connected to, as `jack_lsp -c` prints them.
    pub fn ports(&self) -> String {
        let mut list = self.client(Command::new("jack_lsp"));
        let listed = list.arg("-c").stdin(Stdio::null()).output();
        listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }
}

impl Drop for JackServer {
    fn drop(&mut self) {
        // Asked first, so that jackd removes its shared memory.
        signal(self.child.id(), Signal::TERM);
        if wait_for(|| self.child.try_wait().ok().flatten()).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
