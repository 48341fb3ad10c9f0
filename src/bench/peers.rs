//! What Python's ways to a warm process cost: the peers' rows of [`super::warmup`].
//!
//! In:  the script `benches/warmup/peers.py`, run by an interpreter that has numpy and scipy.
//! Out: a row for each line that it prints; without such an interpreter, a figure for each row that says what is
//! missing.

use super::outcome::{Outcome, Times};
use super::warmup::Run;
use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Part of this program, so that it measures wherever it was copied to.
const SCRIPT: &str = include_str!("../../benches/warmup/peers.py");
/// Names the interpreter; then there is no other choice.
const VARIABLE: &str = "BACKLINE_PYTHON";
/// Tried in this order if nobody names one: the first in PATH may be without libraries that the system's has.
const INTERPRETERS: [&str; 2] = ["python3", "/usr/bin/python3"];
const MISSING: &str = "missing: no Python >= 3.10 with numpy and scipy; apt install python3-numpy python3-scipy, \
                       or name one in BACKLINE_PYTHON";
/// Rows as the script names them, and as we do.
const ROWS: [(&str, &str); 10] = [
    ("cold", "cold process: exec to libraries usable"),
    ("spawn_first_line", "spawn: start to first line"),
    ("spawn_usable", "spawn: start to libraries usable"),
    ("forkserver", "forkserver, no preload: start to libraries usable"),
    ("forkserver_preload", "forkserver, preloaded: start to libraries usable"),
    ("fork", "fork of a loaded parent: start to libraries usable"),
    ("fork_memory", "Pool forked of a loaded parent: largest idle worker, KiB"),
    ("pool_start", "multiprocessing.Pool: start to all workers usable"),
    ("pool_memory", "multiprocessing.Pool: largest idle worker, KiB"),
    ("pool_assign", "multiprocessing.Pool: assign and get the result"),
];

/// One line of the script.
#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    measured: Measured,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Measured {
    Ms(Vec<f64>),
    Kib(Value),
}

/// Runs the script and adds its rows.
pub fn measure(run: &Run<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let script = run.folder.join("peers.py");
    std::fs::write(&script, SCRIPT).with_context(|| format!("cannot write {}", script.display()))?;
    let Some(python) = find_python(&script) else {
        outcome.figures.extend(ROWS.map(|(_, title)| (title.to_owned(), json!(MISSING))));
        return Ok(());
    };
    let executable = python["executable"].as_str().context("the interpreter does not know its path")?;
    let mut command = Command::new(executable);
    command.arg(&script).args([run.n.to_string(), run.settings.workers.to_string()]);
    let ended = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !ended.status.success() {
        bail!("{executable} could not measure ({}); its reason stands above", ended.status);
    }
    outcome.figures.push(("Python of the peers".to_owned(), python));
    for line in String::from_utf8(ended.stdout)?.lines() {
        add(line, outcome).with_context(|| format!("the script printed no row: {line}"))?;
    }
    Ok(())
}

/// What the first interpreter that will do says of itself.
fn find_python(script: &Path) -> Option<Value> {
    let candidates = match std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        Some(named) => vec![PathBuf::from(named)],
        None => INTERPRETERS.map(PathBuf::from).to_vec(),
    };
    candidates.iter().find_map(|python| {
        let mut probe = Command::new(python);
        probe.arg(script).arg("probe").stdin(Stdio::null()).stderr(Stdio::null());
        let ended = probe.output().ok().filter(|ended| ended.status.success())?;
        serde_json::from_slice(&ended.stdout).ok()
    })
}

fn add(line: &str, outcome: &mut Outcome) -> anyhow::Result<()> {
    let row: Row = serde_json::from_str(line)?;
    let (_, title) = ROWS.iter().find(|(name, _)| *name == row.name).context("its name is not known")?;
    match row.measured {
        Measured::Ms(samples_ms) => {
            let mut times = Times::in_ms(*title);
            for sample_ms in samples_ms {
                times.record_ns((sample_ms * 1e6) as u64);
            }
            outcome.times.push(times);
        }
        Measured::Kib(kib) => outcome.figures.push(((*title).to_owned(), kib)),
    }
    Ok(())
}
