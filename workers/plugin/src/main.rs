//! Plug-ins from the command line: list them, describe some, send a sound file through one.

use backline_plugin::host::{Format, reason};
use backline_plugin::render::{Sound, render};
use backline_plugin::report::Line;
use backline_plugin::scan::Scanner;
use backline_plugin::{child, trial, worker};
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: backline-plugin [--rate HZ] --scan [ladspa|lv2|clap]...   all plug-ins, one JSON line each
       backline-plugin [--rate HZ] --describe NAME...            these, in this order
       backline-plugin --render NAME IN.wav OUT.wav [PARAM=VALUE]...
NAME is ladspa:LABEL, lv2:URI or clap:ID. LADSPA_PATH, LV2_PATH and CLAP_PATH say where to look.";

/// Rate at which plug-ins are tried and described, unless it is stated.
const RATE_HZ: f32 = 48_000.0;

/// Exit code for a command line that makes no sense (sysexits' EX_USAGE).
const BAD_USAGE: u8 = 64;
/// Exit code of a worker that could not join (sysexits' EX_CONFIG).
const REFUSED: u8 = 78;
/// Exit code of a trial that lost its parent (sysexits' EX_OSERR).
const NO_PARENT: u8 = 71;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(rate_hz) = take_rate(&mut arguments) else { return refuse() };
    let Some((command, rest)) = arguments.split_first() else { return refuse() };
    let done = match command.as_str() {
        "--scan" => scan(rest, rate_hz),
        "--describe" if !rest.is_empty() => describe(rest, rate_hz),
        "--describe" => describe_preload(),
        "--render" => match rest {
            [name, input, output, settings @ ..] => render_file(name, input, output, settings),
            _ => return refuse(),
        },
        "--scan-one" => return try_one(rest),
        // NAME SLOT CORE ENGINE_PID, from the engine.
        _ if arguments.len() == 4 && !command.starts_with('-') => return work(arguments),
        "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        _ => return refuse(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("backline-plugin: {}", reason(&*error));
            ExitCode::FAILURE
        }
    }
}

fn refuse() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(BAD_USAGE)
}

/// The rate in front of the command; `None` if it is no rate.
fn take_rate(arguments: &mut Vec<String>) -> Option<f32> {
    if arguments.first().is_none_or(|first| first != "--rate") {
        return Some(RATE_HZ);
    }
    let rate_hz = arguments.get(1)?.parse().ok().filter(|rate_hz: &f32| (1.0..=1.0e6).contains(rate_hz))?;
    arguments.drain(..2);
    Some(rate_hz)
}

fn scanner(rate_hz: f32) -> io::Result<Scanner> {
    Ok(Scanner::new(std::env::current_exe()?, rate_hz))
}

fn scan(formats: &[String], rate_hz: f32) -> Result<(), Box<dyn Error>> {
    let stated: Result<Vec<Format>, _> = formats.iter().map(|format| format.parse()).collect();
    let stated = stated?;
    let formats = if stated.is_empty() { &Format::ALL[..] } else { &stated };
    let mut printer = Printer::default();
    scanner(rate_hz)?.scan(formats, &mut |line| printer.print(&line));
    Ok(printer.outcome?)
}

fn describe(names: &[String], rate_hz: f32) -> Result<(), Box<dyn Error>> {
    let mut printer = Printer::default();
    scanner(rate_hz)?.describe(names, &mut |line| printer.print(&line));
    Ok(printer.outcome?)
}

fn describe_preload() -> Result<(), Box<dyn Error>> {
    Ok(worker::describe(std::env::current_exe()?, &mut io::stdout())?)
}

fn work(arguments: Vec<String>) -> ExitCode {
    match worker::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("backline-plugin: {}", reason(&refusal));
            ExitCode::from(REFUSED)
        }
    }
}

/// Prints lines at once, and remembers the first failure to do so.
struct Printer {
    outcome: io::Result<()>,
}

impl Default for Printer {
    fn default() -> Self {
        Self { outcome: Ok(()) }
    }
}

impl Printer {
    fn print(&mut self, line: &Line) {
        if self.outcome.is_ok() {
            self.outcome = serde_json::to_string(line)
                .map_err(io::Error::from)
                .and_then(|line| writeln!(io::stdout(), "{line}"));
        }
    }
}

fn render_file(name: &str, input: &str, output: &str, settings: &[String]) -> Result<(), Box<dyn Error>> {
    let origin = scanner(RATE_HZ)?.origin(name).map_err(|fault| format!("{name}: {}", fault.reason))?;
    backline_abi::rights::flush_denormals();
    let sound = render(name, &origin, &Sound::read(Path::new(input))?, settings)?;
    sound.write(Path::new(output))?;
    Ok(())
}

fn try_one(arguments: &[String]) -> ExitCode {
    let Some((wanted, parent)) = child::parse(arguments) else { return refuse() };
    match trial::run(&wanted, parent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(NO_PARENT),
    }
}
