//! The child of a scan: opens one file, tries what is in it, tells its parent each step before it is taken.
//!
//! In:  a file and what is wanted of it. Out: [`Word`]s, one a line, on what was its standard output; the plug-in
//!      itself writes to nowhere. The parent may read the last word before an accident.
//! Thread: the only one, of a process that has nothing to lose.

use crate::description::Description;
use crate::host::{Format, Host, HostError, Instance, reason};
use crate::report::{Doing, Fault, Line, Word};
use backline_abi::rights;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Frames of a block in a trial.
const BLOCK_FRAMES: usize = 64;
/// Blocks rendered at a time: enough that a plug-in that works in larger pieces comes to several of them.
const BLOCKS: usize = 128;

/// What is wanted of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Its plug-ins' names.
    Names,
    /// All its plug-ins from this one on.
    AllFrom(usize),
    /// One plug-in.
    Only(String),
}

/// One trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The format of the file.
    pub format: Format,
    /// The file or bundle.
    pub origin: PathBuf,
    /// What is wanted.
    pub wanted: Wanted,
    /// Sample rate to try it at.
    pub rate_hz: f32,
}

/// Runs a trial as the child of process `parent`, with which it dies.
pub fn run(trial: &Trial, parent: u32) -> io::Result<()> {
    rights::die_with_parent(parent)?;
    rights::leave_no_core_dump()?;
    rights::flush_denormals();
    let mut teller = Teller { parent: take_output()? };
    match &trial.wanted {
        Wanted::Names => {
            let host = Host::new(trial.rate_hz, BLOCK_FRAMES);
            match names(&host, trial, &mut teller)? {
                Ok(names) => teller.tell(&Word::Names(names))?,
                Err(fault) => teller.tell(&Word::Line(Line::Fault(fault)))?,
            }
        }
        Wanted::AllFrom(first) => all(trial, *first, &mut teller)?,
        Wanted::Only(name) => one(trial, 0, name, &mut teller)?,
    }
    teller.tell(&Word::Done)
}

/// What was standard output, now only ours: a plug-in that prints prints to nowhere.
fn take_output() -> io::Result<File> {
    let parent = rustix::io::dup(rustix::stdio::stdout())?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(nowhere)?;
    Ok(File::from(parent))
}

struct Teller {
    parent: File,
}

impl Teller {
    fn tell(&mut self, word: &Word) -> io::Result<()> {
        let mut line = serde_json::to_vec(word)?;
        line.push(b'\n');
        self.parent.write_all(&line)
    }

    fn step(&mut self, index: Option<usize>, name: &str, doing: Doing) -> io::Result<()> {
        self.tell(&Word::Step { index, name: name.to_owned(), doing })
    }
}

fn names(host: &Host, trial: &Trial, teller: &mut Teller) -> io::Result<Result<Vec<String>, Fault>> {
    let file = shown(&trial.origin);
    teller.step(None, &file, Doing::Open)?;
    let ids = host.ids(trial.format, &trial.origin);
    let names = ids.map(|ids| ids.iter().map(|id| trial.format.name(id)).collect());
    Ok(names.map_err(|error| Fault { name: file, reason: reason(&error) }))
}

fn all(trial: &Trial, first: usize, teller: &mut Teller) -> io::Result<()> {
    let host = Host::new(trial.rate_hz, BLOCK_FRAMES);
    match names(&host, trial, teller)? {
        Ok(names) => {
            for (index, name) in names.iter().enumerate().skip(first) {
                one(trial, index, name, teller)?;
            }
            Ok(())
        }
        Err(fault) => teller.tell(&Word::Line(Line::Fault(fault))),
    }
}

fn one(trial: &Trial, index: usize, name: &str, teller: &mut Teller) -> io::Result<()> {
    let mut steps = Vec::new();
    let mut told = Ok(());
    let tried = attempt(trial, name, &mut |doing| {
        steps.push(doing);
        told = teller.step(Some(index), name, doing);
    });
    told?;
    let fault = |error: HostError| Fault { name: name.to_owned(), reason: reason(&error) };
    let line = tried.map_or_else(|error| Line::Fault(fault(error)), Line::Type);
    match serde_json::to_string(&line) {
        Ok(_) => teller.tell(&Word::Line(line)),
        // Only a path that is no text: nobody could say it back to us.
        Err(error) => {
            let fault = Fault { name: name.to_owned(), reason: error.to_string() };
            teller.tell(&Word::Line(Line::Fault(fault)))
        }
    }
}

/// Everything that happens to a plug-in in a set, once.
fn attempt(trial: &Trial, name: &str, step: &mut dyn FnMut(Doing)) -> Result<Description, HostError> {
    let host = Host::new(trial.rate_hz, BLOCK_FRAMES);
    step(Doing::Open);
    let plugin = host.open(name, &trial.origin)?;
    let mut description = plugin.description().clone();
    step(Doing::Start);
    let mut instance = plugin.start()?;
    step(Doing::Run);
    let new = strike(&mut *instance, &description);
    description.latency_frames = instance.latency_frames();
    instance.gate(false, 0.0);
    let mut used = plugin.start()?;
    leave_far(&mut *used, &description);
    strike(&mut *used, &description);
    step(Doing::Reset);
    used.reset();
    description.is_clean_after_reset = new == strike(&mut *used, &description);
    step(Doing::Stop);
    drop((instance, used));
    Ok(description)
}

/// Sets everything to one end or the other.
fn leave_far(instance: &mut dyn Instance, description: &Description) {
    for (index, param) in description.params.iter().enumerate() {
        instance.set(index, if index % 2 == 0 { param.max } else { param.min });
    }
}

/// What comes out, to the bit, of a key struck and held, and of noise.
fn strike(instance: &mut dyn Instance, description: &Description) -> Vec<u32> {
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut input = [0.0; BLOCK_FRAMES];
    let mut sound = vec![[0.0; BLOCK_FRAMES]; description.outputs.len()];
    let mut bits = Vec::new();
    instance.gate(true, 1.0);
    for _ in 0..BLOCKS {
        input.iter_mut().for_each(|sample| *sample = noise());
        let patched = vec![Some(&input[..]); description.inputs.len()];
        let mut outputs: Vec<&mut [f32]> = sound.iter_mut().map(|plane| &mut plane[..]).collect();
        instance.run(&patched, &mut outputs, BLOCK_FRAMES);
        bits.extend(sound.iter().flatten().map(|sample| sample.to_bits()));
    }
    bits
}

/// A path as it is shown to a person.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
