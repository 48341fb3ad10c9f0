//! What several tests need: the program, plug-ins of other people's making, a sound to send through them.

// Each test is a crate of its own and takes what it needs.
#![allow(dead_code)]

use backline_plugin::description::Description;
use backline_plugin::host::{Host, Plugin};
use backline_plugin::render::{BLOCK_FRAMES, Sound};
use backline_plugin::report::Line;
use backline_plugin::scan::Scanner;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sample rate of everything here.
pub const RATE_HZ: u32 = 48_000;
/// The Debian packages that the plug-ins come from.
const PACKAGES: &str = "zam-plugins mda-lv2 swh-plugins ladspa-sdk lilv-utils";

/// The program under test.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_backline-plugin"))
}

/// What the program says about these plug-ins.
pub fn describe(names: &[&str]) -> Vec<Line> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut lines = Vec::new();
    Scanner::new(program(), RATE_HZ as f32).describe(&names, &mut |line| lines.push(line));
    lines
}

/// The panel of a plug-in that must be there.
pub fn panel(name: &str) -> Description {
    match describe(&[name]).pop() {
        Some(Line::Type(description)) => description,
        other => panic!("{name}: {other:?}; are these packages installed: {PACKAGES}?"),
    }
}

/// A plug-in that must be there, opened in this process.
pub fn open(name: &str) -> Box<dyn Plugin> {
    let origin = panel(name).origin;
    let opened = Host::new(RATE_HZ as f32, BLOCK_FRAMES).open(name, &origin);
    opened.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Index and value of `param=value` settings.
pub fn settings(description: &Description, settings: &[(&str, f32)]) -> Vec<(usize, f32)> {
    let index = |name: &str| description.params.iter().position(|param| param.name == name);
    let known = |name: &str| index(name).unwrap_or_else(|| panic!("{} has no {name}", description.name));
    settings.iter().map(|&(name, value)| (known(name), value)).collect()
}

/// Plucked notes with noise under them, quiet enough that no effect leaves the range of a 16-bit file, and in steps
/// of 16 bits, so that tools that only know those hear the same.
pub fn sound(channels: usize, frames: usize) -> Sound {
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(seed >> 8) / f64::from(1 << 24) - 0.5
    };
    let mut sample = |channel: usize, frame: usize| {
        let (phase, age) = (frame as f64 * 0.05 * (channel + 1) as f64, (frame % 8000) as f64);
        let plucked = 0.07 * phase.sin() * (-age / 3000.0).exp() + 0.004 * noise();
        (plucked * 32768.0).round() as f32 / 32768.0
    };
    let channels = (0..channels).map(|channel| (0..frames).map(|frame| sample(channel, frame)).collect());
    Sound { rate_hz: RATE_HZ, channels: channels.collect() }
}

/// The largest difference between two sounds of one shape; the loudest sample of the first must show that there is
/// something to compare.
pub fn difference(one: &Sound, other: &Sound) -> f32 {
    assert_eq!((one.channels.len(), one.frames()), (other.channels.len(), other.frames()), "one shape");
    let samples = |sound: &Sound| -> Vec<f32> { sound.channels.iter().flatten().copied().collect() };
    let (one, other) = (samples(one), samples(other));
    let peak = one.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!(peak > 0.003, "silence proves nothing: {peak}");
    one.iter().zip(&other).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// Compiles one C file to a shared library.
pub fn compile(source: &str, library: &Path, definitions: &[&str]) {
    let file = library.with_extension("c");
    std::fs::write(&file, source).expect("the folder is ours");
    let definitions = definitions.iter().map(|definition| format!("-D{definition}"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-o"]).arg(library).args(definitions).arg(&file);
    assert!(gcc.status().expect("gcc is installed").success(), "{} does not compile", file.display());
    std::fs::remove_file(file).expect("it was there");
}

/// Runs the program in an environment and gives back its lines.
pub fn lines(arguments: &[&str], environment: &[(&str, &Path)]) -> Vec<Line> {
    let mut command = Command::new(program());
    command.args(arguments).envs(environment.iter().copied());
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is a line")).collect()
}

/// Names of the types among `lines`.
pub fn types(lines: &[Line]) -> Vec<&str> {
    let mut names = Vec::new();
    for line in lines {
        if let Line::Type(description) = line {
            names.push(description.name.as_str());
        }
    }
    names
}

/// Reason of the fault of `name`.
pub fn reason<'a>(lines: &'a [Line], name: &str) -> &'a str {
    let faults = lines.iter().filter_map(|line| match line {
        Line::Fault(fault) if fault.name == name => Some(fault.reason.as_str()),
        _ => None,
    });
    let faults: Vec<&str> = faults.collect();
    assert_eq!(faults.len(), 1, "one fault of {name}: {lines:?}");
    faults[0]
}
