//! `backline reap`: remove what a killed engine left. Its workers die with it; its segments are swept here, and
//! at every start.

use super::args::ReapArgs;
use super::exit::Exit;
use crate::pool::rig;
use serde_json::json;
use std::io::Write;

/// Sweeps and says what was swept.
pub fn run(args: &ReapArgs) -> anyhow::Result<Exit> {
    let swept = rig::sweep();
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json!({"segments": swept}))?;
    } else if swept.is_empty() {
        writeln!(out, "nothing was left behind")?;
    } else {
        swept.iter().try_for_each(|name| writeln!(out, "removed segment {name}"))?;
    }
    Ok(Exit::Success)
}
