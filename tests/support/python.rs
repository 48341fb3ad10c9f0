//! Python classes for engines under test.

use super::{Rig, until, wait_for};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// A folder of Python files.
pub struct Classes(TempDir);

/// A ramp into a comb filter, and beside it.
pub const PIECE: &str = r#"
version = 1
[[module]]
type = "ramp"
id = "ramp1"
[[module]]
type = "comb"
id = "comb1"
freq = 220.0
[[module]]
type = "out"
id = "out"
[[connect]]
from = "ramp1"
to = "comb1"
gain = 0.1
[[connect]]
from = "comb1"
to = "out.left"
[[connect]]
from = "ramp1"
to = "out.right"
gain = 0.5
"#;
/// What happens in it, at odd times.
pub const SCORE: &str = "0.1003 /set ramp1 freq 330.5\n0.25 /set comb1 ring 0.5\n0.4101 /set ramp1 freq 50\n";

/// A module that declares all it remembers: a phasor.
pub const RAMP: &str = r#"
from backline import Module, Param
import numpy as np

class Ramp(Module):
    """Rises from 0 to 1, again and again."""
    params = [Param("freq", "how often", unit="Hz", min=1, max=1000, default=100)]
    state = {"phase": 0.0}

    def render(self, inputs, params, out):
        phase = self.phase + np.cumsum(np.full(out.shape[1], params.freq / self.rate_hz))
        out[0] = phase % 1.0
        self.phase = phase[-1] % 1.0
"#;

/// Modules that break when they are told to: parameter `do`, by number.
pub const BROKEN: &str = r#"
from backline import Module, Param
import os, threading, time
import numpy as np

class Broken(Module):
    """A constant, until it is told to break."""
    exact = False
    params = [Param("do", "0 plays, the rest breaks", min=0, max=9, default=0)]

    def start(self):
        self.kept = []

    def render(self, inputs, params, out):
        out[0] = 0.25
        what = round(params.do)
        if what == 1:
            raise ValueError("told to")
        elif what == 2:
            out[0, 10 * out.shape[1]] = 1.0
        elif what == 3:
            os._exit(3)
        elif what == 4:
            while True:
                pass
        elif what == 5:
            self.kept.append(np.ones(1 << 22))
        elif what == 6 and not self.kept:
            self.kept.append(threading.Thread(target=time.sleep, args=(3600,), daemon=True))
            self.kept[0].start()
            if os.fork() == 0:
                os.setsid()
                time.sleep(3600)
"#;

impl Classes {
    /// Files by name.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder of our own");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("our folder is writable");
        }
        Self(folder)
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The option that names them.
    pub fn option(&self) -> [&str; 2] {
        ["--modules", self.path().to_str().expect("temporary folders have plain names")]
    }
}

/// What status says of the kind `name`.
pub fn kind(rig: &mut Rig, name: &str) -> Value {
    let status = rig.status();
    let kinds = status["kinds"].as_array().expect("a list of kinds");
    kinds.iter().find(|kind| kind["kind"] == name).unwrap_or_else(|| panic!("no {name} in {kinds:?}")).clone()
}

/// Waits until the kind `name` is warm.
pub fn until_warm(rig: &mut Rig, name: &str) {
    until("its workers are warm", || {
        let kind = kind(rig, name);
        assert_ne!(kind["state"], "closed", "{kind}");
        kind["state"] == "warm" && kind["ready"] == kind["workers"]
    });
}

/// The worker that plays the module `id`, once there is one: between a death and the next worker that is ready there may
/// be none.
pub fn worker_of(rig: &mut Rig, id: &str) -> Value {
    let plays =
        |worker: &Value| worker["modules"].as_array().is_some_and(|ids| ids.iter().any(|it| it == id));
    let found = wait_for(|| rig.workers().into_iter().find(plays));
    found.unwrap_or_else(|| panic!("nobody plays {id}: {:?}", rig.workers()))
}

/// Waits until the module `id` is bypassed.
pub fn until_bypassed(rig: &mut Rig, id: &str) {
    if wait_for(|| bypassed(rig, id)).is_none() {
        panic!("{id} is never bypassed: {:#}\n{}", rig.status(), rig.log());
    }
}

/// Why the module `id` is bypassed, if it is.
pub fn bypassed(rig: &mut Rig, id: &str) -> Option<String> {
    let status = rig.status();
    let all = status["bypassed"].as_array().cloned().unwrap_or_default();
    all.iter().find(|row| row["id"] == id).map(|row| row["why"].to_string())
}
