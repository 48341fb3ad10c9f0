//! What module types a kind of worker has, asked without an engine: for `backline modules`.

use super::Kind;
use backline_abi::panel::{Fault, Line, Panel};
use std::io;
use std::process::{Command, Stdio};

/// Starts a process of `kind` that says what it has, and waits for its end: its types, and what gave none.
pub fn describe(kind: &Kind) -> io::Result<(Vec<Panel>, Vec<Fault>)> {
    let mut command = Command::new(&kind.recipe.program);
    command.args(&kind.recipe.args).arg("--describe").envs(kind.recipe.variables.iter().cloned());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    let (mut panels, mut faults) = (Vec::new(), Vec::new());
    for text in output.stdout.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()) {
        match serde_json::from_slice(text) {
            Ok(Line::Type(panel)) => panels.push(panel),
            Ok(Line::Fault(fault)) => faults.push(fault),
            Ok(Line::Stage(_) | Line::Ready(_)) => {}
            Err(problem) => {
                return Err(io::Error::other(format!("this is no line of a description: {problem}")));
            }
        }
    }
    if !output.status.success() {
        let name = kind.manifest.name.clone();
        faults.push(Fault { name, reason: format!("its description ended early: {}", output.status) });
    }
    Ok((panels, faults))
}
