//! A module on the bench: its state, its line and whatever is patched into it.
#![allow(dead_code, reason = "each test file uses its own part of the bench")]

pub mod careless;
pub mod scene;

use backline_dsp::catalogue::{self, Entry};
use backline_dsp::line::Line;
use backline_dsp::module::{Happening, Input, Io, MAX_FRAMES, Setup};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Sample rate of the tests.
pub const RATE_HZ: f32 = 48_000.0;

/// Something that happens before frame `frame` of a run.
pub type Event = (usize, Happening);

/// What is patched into each input: the planes of all channels, one after the other, or nothing.
pub type Cables = Vec<Option<Vec<f32>>>;

/// One module, with its memory.
pub struct Bench {
    /// Its row in the catalogue.
    pub entry: &'static Entry,
    /// Its channels.
    pub channels: usize,
    /// Its state.
    pub state: Vec<u32>,
    /// Its delay memory.
    pub line: Vec<AtomicU32>,
}

impl Bench {
    /// A mono module with some parameters set.
    pub fn new(name: &str, params: &[(&str, f32)]) -> Self {
        Self::with_channels(name, 1, params)
    }

    /// A module with some parameters set.
    pub fn with_channels(name: &str, channels: usize, params: &[(&str, f32)]) -> Self {
        let (_, entry) = catalogue::find(name).expect("the type exists");
        let mut values: Vec<f32> = entry.panel.params.iter().map(|param| param.default).collect();
        for &(param, value) in params {
            values[Self::index_of(entry, param)] = value;
        }
        Self::with_values(entry, channels, &values)
    }

    /// A module with all its parameters given.
    pub fn with_values(entry: &'static Entry, channels: usize, values: &[f32]) -> Self {
        let setup = Setup { rate_hz: RATE_HZ, channels, identity: 7, params: values };
        let mut state = vec![0; entry.state_words];
        (entry.init)(&setup, &mut state);
        let line = (0..(entry.line_samples)(&setup)).map(|_| AtomicU32::new(0)).collect();
        Self { entry, channels, state, line }
    }

    fn index_of(entry: &Entry, param: &str) -> usize {
        entry.panel.params.iter().position(|candidate| candidate.name == param).expect("the parameter exists")
    }

    /// The index of an input port, or of the cable into a parameter.
    pub fn input(&self, name: &str) -> usize {
        let port = self.entry.panel.inputs.iter().position(|port| port.name == name);
        port.unwrap_or_else(|| self.entry.panel.inputs.len() + Self::index_of(self.entry, name))
    }

    /// Inputs, ports and parameters together.
    pub fn inputs(&self) -> usize {
        self.entry.panel.inputs.len() + self.entry.panel.params.len()
    }

    /// Channels of all its outputs together.
    pub fn planes(&self) -> usize {
        if self.entry.panel.is_sink { 2 } else { self.entry.panel.outputs.len() * self.channels }
    }

    /// Nothing patched.
    pub fn no_cables(&self) -> Cables {
        vec![None; self.inputs()]
    }

    /// One mono signal, patched into the input `name` and fed to every channel.
    pub fn cable(&self, name: &str, signal: &[f32]) -> Cables {
        let mut cables = self.no_cables();
        cables[self.input(name)] = Some(signal.repeat(self.channels));
        cables
    }

    /// Sets a parameter just before the next frame.
    pub fn set(&mut self, param: &str, value: f32) {
        let index = Self::index_of(self.entry, param);
        self.happen(Happening::Param { index, value });
    }

    /// Something happens just before the next frame.
    pub fn happen(&mut self, happening: Happening) {
        (self.entry.happen)(&mut self.state, happening);
    }

    /// The same module in other memory.
    pub fn copied(&self) -> Self {
        let line = self.line.iter().map(|word| AtomicU32::new(word.load(Relaxed))).collect();
        Self { entry: self.entry, channels: self.channels, state: self.state.clone(), line }
    }

    /// Renders `frames` frames in the longest blocks there are; the planes of all channels, one after the other.
    pub fn render(&mut self, cables: &Cables, frames: usize) -> Vec<f32> {
        self.render_split(cables, frames, &[], &[])
    }

    /// Renders `frames` frames, with a block's end at each of `splits` and something happening at each event.
    pub fn render_split(
        &mut self,
        cables: &Cables,
        frames: usize,
        splits: &[usize],
        events: &[Event],
    ) -> Vec<f32> {
        let mut edges: Vec<usize> = (0..frames).step_by(MAX_FRAMES).chain([frames]).collect();
        edges.extend(
            splits.iter().chain(events.iter().map(|(frame, _)| frame)).filter(|&&edge| edge < frames),
        );
        edges.sort_unstable();
        edges.dedup();
        let mut sound = vec![f32::NAN; self.planes() * frames];
        for edge in edges.windows(2) {
            for &(_, happening) in events.iter().filter(|(frame, _)| *frame == edge[0]) {
                self.happen(happening);
            }
            self.render_part(cables, frames, (edge[0], edge[1]), &mut sound);
        }
        sound
    }

    /// Renders frames `start..end` of a run of `frames`.
    pub fn render_part(
        &mut self,
        cables: &Cables,
        frames: usize,
        (start, end): (usize, usize),
        sound: &mut [f32],
    ) {
        let inputs: Vec<Input<'_>> = cables
            .iter()
            .map(|cable| cable.as_ref().map_or(Input::UNPATCHED, |planes| Input::patched(planes, frames)))
            .collect();
        let mut io = Io::new(&inputs, sound, frames, self.channels, (start, end), Line::new(&self.line));
        (self.entry.render)(&mut self.state, &mut io);
    }
}

/// The bits of every sample, which is what "the same" means here.
pub fn bits(sound: &[f32]) -> Vec<u32> {
    sound.iter().map(|sample| sample.to_bits()).collect()
}

/// The loudest sample.
pub fn peak(sound: &[f32]) -> f32 {
    sound.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Amplitude of the sine at `frequency_hz` in `sound`, which should be whole periods of it or long.
pub fn amplitude_at(sound: &[f32], frequency_hz: f64) -> f64 {
    let turn = std::f64::consts::TAU * frequency_hz / f64::from(RATE_HZ);
    let (mut re, mut im) = (0.0, 0.0);
    for (frame, &sample) in sound.iter().enumerate() {
        re += f64::from(sample) * (turn * frame as f64).cos();
        im += f64::from(sample) * (turn * frame as f64).sin();
    }
    2.0 * re.hypot(im) / sound.len() as f64
}

/// A sine of full scale.
pub fn sine(frequency_hz: f64, frames: usize) -> Vec<f32> {
    let turn = std::f64::consts::TAU * frequency_hz / f64::from(RATE_HZ);
    (0..frames).map(|frame| (turn * frame as f64).sin() as f32).collect()
}
