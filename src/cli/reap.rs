//! `backline reap`: remove what a killed engine left. Its workers die with it, what they had started may not; that
//! is found, killed and named here, and at every start, as are its segments.

use super::args::ReapArgs;
use super::exit::Exit;
use crate::pool::rig;
use crate::supervise::registry::{self, Reaped, Survivor};
use serde_json::json;
use std::io::Write;

/// Removes, and says what was removed. A failure if something would not go.
pub fn run(args: &ReapArgs) -> anyhow::Result<Exit> {
    let Reaped { killed, stubborn, registries } = registry::reap();
    let segments = rig::sweep();
    let mut out = std::io::stdout().lock();
    if args.json {
        let row = |left: &Survivor| json!({ "pid": left.process.pid, "name": left.name, "engine_pid": left.engine_pid });
        let rows = |all: &[Survivor]| all.iter().map(row).collect::<Vec<_>>();
        let (killed, left) = (rows(&killed), rows(&stubborn));
        let told =
            json!({ "processes": killed, "left": left, "registries": registries, "segments": segments });
        writeln!(out, "{told}")?;
    } else {
        for Survivor { process, name, engine_pid } in &killed {
            writeln!(out, "killed process {} ({name}) of engine {engine_pid}", process.pid)?;
        }
        registries.iter().try_for_each(|path| writeln!(out, "removed registry {}", path.display()))?;
        segments.iter().try_for_each(|name| writeln!(out, "removed segment {name}"))?;
        if killed.is_empty() && registries.is_empty() && segments.is_empty() && stubborn.is_empty() {
            writeln!(out, "nothing was left behind")?;
        }
    }
    for Survivor { process, name, engine_pid } in &stubborn {
        let pid = process.pid;
        eprintln!(
            "backline: process {pid} ({name}) of engine {engine_pid} is still there; try as its user, or root"
        );
    }
    Ok(if stubborn.is_empty() { Exit::Success } else { Exit::Failure })
}
