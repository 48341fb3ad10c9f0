//! One trait for three formats.
//!
//! In:  a file and a name in it, the sample rate, the longest block.
//! Out: a [`Plugin`] that says what it is ([`Plugin::description`]), and as many started [`Instance`]s of it as
//!      are wanted ([`Plugin::start`]); all memory is theirs from then on.
//! Thread: everything that has to do with one [`Host`] stays on one thread; nothing here is `Send`. Opening and
//!      starting run foreign code that may do anything, also crash: try it in another process first (`scan`).

mod clap;
mod error;
mod ladspa;
mod lv2;
mod naming;
mod notes;
mod panel;

pub use error::{HostError, reason};

use crate::description::Description;
use std::cell::OnceCell;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A plug-in format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One C struct, control ports and audio ports.
    Ladspa,
    /// Turtle files beside a library.
    Lv2,
    /// One C struct with extensions, events for everything.
    Clap,
}

impl Format {
    /// All, in the order in which they are listed.
    pub const ALL: [Format; 3] = [Format::Ladspa, Format::Lv2, Format::Clap];

    /// The word in front of the colon of a plug-in's name.
    pub fn prefix(self) -> &'static str {
        match self {
            Format::Ladspa => "ladspa",
            Format::Lv2 => "lv2",
            Format::Clap => "clap",
        }
    }

    /// `lv2:urn:x` is `urn:x` in LV2.
    pub fn split(name: &str) -> Result<(Format, &str), HostError> {
        let (prefix, id) = name.split_once(':').ok_or(HostError::NoFormat)?;
        Ok((prefix.parse()?, id))
    }

    /// The full name of what the format itself calls `id`.
    pub fn name(self, id: &str) -> String {
        format!("{self}:{id}")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix())
    }
}

impl FromStr for Format {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::ALL.into_iter().find(|format| format.prefix() == text).ok_or(HostError::NoFormat)
    }
}

/// One opened plug-in type. Its library stays in memory for as long as this or an instance of it lives.
pub trait Plugin {
    /// Its panel.
    fn description(&self) -> &Description;

    /// A new instance that is ready to run, with every parameter at its default. Allocates.
    fn start(&self) -> Result<Box<dyn Instance>, HostError>;
}

/// One running plug-in. `set`, `gate` and `run` are real-time safe as far as this side goes: no allocation, lock
/// or log, no loop without a bound. What the plug-in does inside is its own affair.
pub trait Instance {
    /// Sets parameter `param` (an index into [`Description::params`]) before the next frame. The value is held in
    /// range; an unknown parameter and what is no number change nothing.
    fn set(&mut self, param: usize, value: f32);

    /// Opens the gate before the next frame, or strikes again if it is open: plays the key that `note` says, with
    /// `velocity` 0.0..=1.0. Or closes it: the key that was played is let go, also if `note` has changed since.
    fn gate(&mut self, is_on: bool, velocity: f32);

    /// Renders `frames` frames, at most the host's longest block. An input of `None` is silence, and so is one
    /// that is missing; a slice must have `frames` samples, and what it lacks is silence. Outputs the plug-in does
    /// not have are silence too.
    fn run(&mut self, inputs: &[Option<&[f32]>], outputs: &mut [&mut [f32]], frames: usize);

    /// Makes it as good as new, by the means its format has (it is activated anew): no sound in it, no key held,
    /// parameters at their defaults. Many plug-ins leave something behind all the same, see
    /// [`Description::is_clean_after_reset`]. This side allocates nothing, but the plug-in may: call it when an
    /// instance comes back, not while others play.
    fn reset(&mut self);

    /// Frames by which its output is late with the parameters it has, if it says so. Known after the first run.
    fn latency_frames(&self) -> Option<u32>;
}

/// What all plug-ins of a process share.
pub struct Host {
    rate_hz: f32,
    max_frames: usize,
    /// What LV2 plug-ins get from their host. Made for the first of them: it starts a thread.
    lv2: OnceCell<lv2::Features>,
}

impl Host {
    /// A host for one sample rate and blocks of up to `max_frames` (at least 1).
    pub fn new(rate_hz: f32, max_frames: usize) -> Self {
        Self { rate_hz, max_frames: max_frames.max(1), lv2: OnceCell::new() }
    }

    /// What the file or bundle `origin` calls its plug-ins. Runs its code.
    pub fn ids(&self, format: Format, origin: &Path) -> Result<Vec<String>, HostError> {
        match format {
            Format::Ladspa => ladspa::ids(origin),
            Format::Lv2 => Ok(lv2::ids(origin)),
            Format::Clap => clap::ids(origin),
        }
    }

    /// Opens the plug-in `name` (`ladspa:LABEL`, `lv2:URI`, `clap:ID`) of the file or bundle `origin`.
    pub fn open(&self, name: &str, origin: &Path) -> Result<Box<dyn Plugin>, HostError> {
        let (format, id) = Format::split(name)?;
        Ok(match format {
            Format::Ladspa => Box::new(ladspa::open(id, origin, self.rate_hz, self.max_frames)?),
            Format::Lv2 => Box::new(lv2::open(id, origin, self.rate_hz, self.max_frames, &self.lv2)?),
            Format::Clap => Box::new(clap::open(id, origin, self.rate_hz, self.max_frames)?),
        })
    }
}

/// Copies what is patched into `plane` and fills the rest with silence. Real-time safe.
fn fill(plane: &mut [f32], input: Option<&[f32]>) {
    let input = input.unwrap_or_default();
    let patched = input.len().min(plane.len());
    plane[..patched].copy_from_slice(&input[..patched]);
    plane[patched..].fill(0.0);
}

/// Copies each plane of `stride` to its output; an output without a plane is silent. Real-time safe.
fn pour(planes: &[f32], stride: usize, outputs: &mut [&mut [f32]], frames: usize) {
    let sources = planes.chunks_exact(stride).map(Some).chain(std::iter::repeat(None));
    for (output, plane) in outputs.iter_mut().zip(sources) {
        let wanted = frames.min(output.len());
        fill(&mut output[..wanted], plane.map(|plane| &plane[..wanted]));
    }
}
