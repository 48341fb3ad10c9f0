//! `backline status`: pool, workers, modules, audio, limits, and what was refused.

use super::args::AskArgs;
use super::exit::Exit;
use super::send::unanswered;
use crate::command::Arg;
use crate::osc::client::{Client, DEFAULT_PATIENCE};
use rosc::OscMessage;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;

/// Asks a running engine and prints what it says.
pub fn run(args: &AskArgs) -> anyhow::Result<Exit> {
    let question = OscMessage { addr: "/status/json".to_owned(), args: Vec::new() };
    let reply = match Client::connect(args.to).and_then(|mut client| client.ask(question, DEFAULT_PATIENCE)) {
        Ok(reply) => reply,
        Err(error) => return unanswered(error),
    };
    let Some(Arg::Text(text)) = reply.args.first() else {
        anyhow::bail!("the engine answered without a status")
    };
    let status: Value = serde_json::from_str(text)?;
    let shown = if args.json { status.to_string() } else { table(&status) };
    writeln!(std::io::stdout(), "{}", shown.trim_end())?;
    Ok(Exit::Success)
}

fn table(status: &Value) -> String {
    let mut text = String::new();
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let audio = &status["audio"];
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "engine {} pid {}, audio {} at {} Hz, block {}, {}",
        word(&status["engine"]["version"]),
        status["engine"]["pid"],
        word(&audio["clock"]),
        audio["rate_hz"],
        audio["block_frames"],
        if audio["realtime"] == true { "real-time" } else { "NOT REAL-TIME" },
    );
    let _ = writeln!(
        text,
        "blocks {}, concealed {}, xruns {}, cycle {:.1} us (max {:.1}), load {:.1} %",
        audio["blocks"],
        audio["concealed"],
        audio["xruns"],
        audio["cycle_us"].as_f64().unwrap_or(0.0),
        audio["cycle_max_us"].as_f64().unwrap_or(0.0),
        audio["load_percent"].as_f64().unwrap_or(0.0),
    );
    let memory = &status["memory"];
    let _ = writeln!(
        text,
        "modules {} of {}, connections {} of {}, arena {} KiB each, {} KiB used",
        status["modules"],
        status["limits"]["max_modules"],
        status["connections"],
        status["limits"]["max_connections"],
        memory["arena_bytes"].as_u64().unwrap_or(0) / 1024,
        memory["arena_used_bytes"].as_u64().unwrap_or(0) / 1024,
    );
    limits_and_clients(&mut text, status);
    let accounts = &status["accounts"];
    let _ = writeln!(
        text,
        "processes spawned {} = alive {} + reaped {}, orphans reaped {}, signals sent {}",
        accounts["spawned"],
        accounts["alive"],
        accounts["reaped"],
        accounts["orphans_reaped"],
        accounts["signals_sent"],
    );
    let _ = writeln!(text, "{}", session_line(&status["session"]));
    let _ = writeln!(text, "\nslot     pid core state       fifo lock pin  busy us  max us  modules");
    for worker in status["workers"].as_array().into_iter().flatten() {
        let yes = |key: &str| if worker[key] == true { "yes" } else { "NO" };
        let ids = worker["modules"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let _ = writeln!(
            text,
            "{:>4} {:>7} {:>4} {:<11} {:<4} {:<4} {:<4} {:>7.1} {:>7.1}  {}",
            worker["slot"],
            worker["pid"],
            worker["core"],
            word(&worker["state"]),
            yes("fifo"),
            yes("locked"),
            yes("pinned"),
            worker["busy_us"].as_f64().unwrap_or(0.0),
            worker["busy_max_us"].as_f64().unwrap_or(0.0),
            ids.collect::<Vec<_>>().join(" "),
        );
    }
    for recording in status["recordings"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "recording {}: {:.1} s, {} frames dropped{}",
            word(&recording["path"]),
            recording["seconds"].as_f64().unwrap_or(0.0),
            recording["dropped_frames"],
            recording["failure"].as_str().map(|why| format!(", ENDED EARLY: {why}")).unwrap_or_default(),
        );
    }
    for refused in status["refused"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "refused: {}", word(refused));
    }
    text
}

/// `session friday, journal /.../friday.journal with 12 records, keeper pid 4711, 1 restart`
fn session_line(session: &Value) -> String {
    let journal = match (&session["journal"]["path"], &session["journal"]["records"]) {
        (Value::String(path), records) => format!("journal {path} with {records} records"),
        _ => "NO JOURNAL".to_owned(),
    };
    let keeper = match (&session["keeper"]["pid"], session["keeper"]["is_alive"] == true) {
        (Value::Null, _) => "no keeper".to_owned(),
        (pid, true) => format!("keeper pid {pid}"),
        (pid, false) => format!("keeper pid {pid} IS GONE"),
    };
    let name = session["name"].as_str().unwrap_or_default();
    format!("session {name}, {journal}, {keeper}, restarts {}", session["restarts"])
}

/// What there is of what is limited, in all and for each client.
fn limits_and_clients(text: &mut String, status: &Value) {
    let (used, limits) = (&status["use"], &status["limits"]);
    let kib = |used: &Value| used["memory_bytes"].as_u64().unwrap_or(0) / 1024;
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "memory of modules {} of {} KiB, scheduled {} of {}, listeners {}",
        kib(used),
        limits["max_memory_mib"].as_u64().unwrap_or(0) * 1024,
        used["scheduled"],
        limits["max_scheduled"],
        status["network"]["listeners"],
    );
    for client in used["clients"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "client {}: modules {} of {}, connections {} of {}, memory {} of {} KiB, scheduled {} of {}",
            client["client"].as_str().unwrap_or_default(),
            client["modules"],
            limits["client_max_modules"],
            client["connections"],
            limits["client_max_connections"],
            kib(client),
            limits["client_max_memory_mib"].as_u64().unwrap_or(0) * 1024,
            client["scheduled"],
            limits["client_max_scheduled"],
        );
    }
    match used["clients_left_out"].as_u64() {
        None | Some(0) => {}
        Some(more) => drop(writeln!(text, "and {more} clients more")),
    }
}
