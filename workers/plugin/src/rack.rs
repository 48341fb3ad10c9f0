//! Plug-ins as the worker loop wants them: each module plays on an instance of its own, started before the set.
//!
//! In:  the plug-ins that were found good, by name and file. Out: blocks.
//! A module's state in the arena is its parameters and its gate. What the plug-in keeps to itself is not there, so a worker
//! that goes on with a module of another one gives it a new instance with these, and fades it in.
//! Thread: the worker's only one. Real-time safe between `warm` and the end, as far as this side goes.

use crate::host::{Host, HostError, Instance, Plugin};
use crate::panel::{STATE_HEAD_WORDS, panel};
use backline_abi::block::{Event, kind};
use backline_abi::commit::{NEVER, block_before};
use backline_abi::panel::{Panel, fingerprint};
use backline_abi::plan::ModuleRecord;
use backline_sdk::rack::{Input, Job, Outcome, Rack};
use std::path::Path;
use std::time::Instant;

/// Blocks rendered of each type while warming.
const WARM_BLOCKS: usize = 16;
/// Modules that may play here at one time.
const MOST_PLAYING: usize = 256;
/// Outputs of a plug-in; the host refuses more.
const MAX_OUTPUTS: usize = crate::description::MAX_OUTPUTS;
/// Inputs of a plug-in; the host refuses more.
const MAX_INPUTS: usize = crate::description::MAX_INPUTS;

/// One plug-in type, opened.
struct Type {
    plugin: Box<dyn Plugin>,
    panel: Panel,
    /// Started, and good as new.
    spare: Vec<Box<dyn Instance>>,
}

/// A module that plays here.
struct Playing {
    module: u32,
    type_index: usize,
    instance: Box<dyn Instance>,
    /// Last block that it rendered; [`NEVER`] if it has still to be told its state.
    last: u32,
}

/// All plug-ins of this worker.
pub struct PluginRack {
    types: Vec<Type>,
    playing: Vec<Playing>,
    /// Instances that are kept ready of each type.
    spares: usize,
}

impl PluginRack {
    /// Opens plug-ins (name, file) for a sample rate and blocks of up to `max_frames`; of each `spares` instances can play.
    pub fn open(
        plugins: &[(String, String)],
        rate_hz: f32,
        max_frames: usize,
        spares: usize,
    ) -> Result<Self, (String, HostError)> {
        let host = Host::new(rate_hz, max_frames);
        let opened = plugins.iter().map(|(name, origin)| {
            let plugin = host.open(name, Path::new(origin)).map_err(|error| (name.clone(), error))?;
            let panel = panel(plugin.description());
            Ok(Type { plugin, panel, spare: Vec::with_capacity(spares) })
        });
        let types = opened.collect::<Result<_, _>>()?;
        Ok(Self { types, playing: Vec::with_capacity(MOST_PLAYING), spares })
    }

    fn start(&mut self, type_index: usize) {
        let entry = &mut self.types[type_index];
        while entry.spare.len() < self.spares {
            match entry.plugin.start() {
                Ok(instance) => entry.spare.push(instance),
                // A module that finds none complains of it.
                Err(_) => return,
            }
        }
    }

    /// Gives the module an instance that is good as new, if there is one left. Real-time safe.
    fn occupy(&mut self, record: &ModuleRecord) -> Option<usize> {
        if self.playing.len() == MOST_PLAYING {
            return None;
        }
        let type_index = record.type_index as usize;
        let instance = self.types.get_mut(type_index)?.spare.pop()?;
        self.playing.push(Playing { module: record.instance, type_index, instance, last: NEVER });
        Some(self.playing.len() - 1)
    }

    fn position(&self, record: &ModuleRecord) -> Option<usize> {
        self.playing.iter().position(|playing| playing.module == record.instance)
    }
}

/// Tells an instance everything that is known of its module.
fn restore(instance: &mut dyn Instance, state: &[u32]) {
    let (head, params) = state.split_at(STATE_HEAD_WORDS);
    params.iter().enumerate().for_each(|(param, value)| instance.set(param, f32::from_bits(*value)));
    if head[0] != 0 {
        instance.gate(true, f32::from_bits(head[1]));
    }
}

/// Something happens to the module.
fn happen(instance: &mut dyn Instance, state: &mut [u32], what: u32, value: f32) {
    note(state, what, value);
    match what {
        kind::GATE_ON | kind::GATE_OFF => instance.gate(what == kind::GATE_ON, value),
        param => instance.set(param as usize, value),
    }
}

/// What happens to the module is part of its state.
fn note(state: &mut [u32], what: u32, value: f32) {
    match what {
        kind::GATE_ON | kind::GATE_OFF => {
            (state[0], state[1]) = ((what == kind::GATE_ON).into(), value.to_bits());
        }
        param => {
            if let Some(word) = state.get_mut(STATE_HEAD_WORDS + param as usize) {
                *word = value.to_bits();
            }
        }
    }
}

/// Frames `start..end` of the block.
fn stretch(
    instance: &mut dyn Instance,
    inputs: &[Input<'_>],
    outputs: &mut [f32],
    stride: usize,
    start: usize,
    end: usize,
) {
    let heard: [Option<&[f32]>; MAX_INPUTS] =
        std::array::from_fn(|port| inputs.get(port)?.planes?.get(start..end));
    let mut planes = outputs.chunks_exact_mut(stride);
    let mut played: [&mut [f32]; MAX_OUTPUTS] =
        std::array::from_fn(|_| planes.next().map_or(&mut [][..], |plane| &mut plane[start..end]));
    instance.run(&heard, &mut played, end - start);
}

impl Rack for PluginRack {
    fn types(&self) -> usize {
        self.types.len()
    }

    fn panels(&self) -> Vec<Panel> {
        self.types.iter().map(|entry| entry.panel.clone()).collect()
    }

    fn fingerprint(&self) -> u64 {
        fingerprint(&self.panels())
    }

    fn warm(&mut self, type_index: usize, _rate_hz: f32, block_frames: usize) -> f32 {
        self.start(type_index);
        let Some(entry) = self.types.get_mut(type_index) else { return 0.0 };
        let Some(mut instance) = entry.spare.pop() else { return 0.0 };
        let mut sound = vec![0.0; MAX_OUTPUTS * block_frames];
        let mut render = || {
            let started = Instant::now();
            stretch(&mut *instance, &[], &mut sound, block_frames, 0, block_frames);
            started.elapsed()
        };
        // The first block pays for everything that happens once; the cheapest of the rest was not disturbed.
        render();
        let cheapest = (0..WARM_BLOCKS).map(|_| render()).min().unwrap_or_default();
        // Who has rendered may remember it.
        drop(instance);
        self.start(type_index);
        cheapest.as_nanos() as f32 / block_frames as f32
    }

    fn fits(&self, record: &ModuleRecord, _rate_hz: f32) -> bool {
        self.types.get(record.type_index as usize).is_some_and(|entry| {
            record.channels == 1
                && record.state_words == entry.panel.state_words
                && record.output_planes as usize == entry.panel.outputs.len()
                && record.line_words == 0
        })
    }

    fn init(&mut self, record: &ModuleRecord, _rate_hz: f32, state: &mut [u32]) {
        state.fill(0);
        for (word, value) in state[STATE_HEAD_WORDS..].iter_mut().zip(&record.params) {
            *word = value.to_bits();
        }
        match self.position(record) {
            Some(position) => self.playing[position].last = NEVER,
            None => drop(self.occupy(record)),
        }
    }

    fn render(&mut self, job: Job<'_>) -> Outcome {
        let Some(position) = self.position(job.record).or_else(|| self.occupy(job.record)) else {
            job.complaint
                .say("no instance of this plug-in is left in its worker; free it and create it again");
            return Outcome::Failed;
        };
        let playing = &mut self.playing[position];
        let is_new = playing.last != block_before(job.block);
        playing.last = job.block;
        let instance = &mut *playing.instance;
        if is_new {
            restore(instance, job.state);
        }
        let mut start = 0;
        for event in job.events {
            let end = (event.offset_frames as usize).clamp(start, job.frames);
            if end > start {
                stretch(instance, job.inputs, job.outputs, job.stride, start, end);
                start = end;
            }
            happen(instance, job.state, event.kind, event.value);
        }
        if job.frames > start {
            stretch(instance, job.inputs, job.outputs, job.stride, start, job.frames);
        }
        if is_new {
            fade_in(job.outputs, job.stride, job.frames);
        }
        Outcome::Rendered
    }

    fn hear(&mut self, _record: &ModuleRecord, events: &[Event], state: &mut [u32]) {
        // The instance hears of it with the next block: it has missed one, and is told all of its state.
        events.iter().for_each(|event| note(state, event.kind, event.value));
    }

    fn rest(&mut self, plays: &dyn Fn(u32) -> bool) {
        for position in (0..self.playing.len())
            .rev()
            .filter(|position| !plays(self.playing[*position].module))
            .collect::<Vec<_>>()
        {
            let Playing { type_index, mut instance, .. } = self.playing.swap_remove(position);
            let entry = &mut self.types[type_index];
            if entry.plugin.description().is_clean_after_reset && entry.spare.len() < self.spares {
                instance.reset();
                entry.spare.push(instance);
            } else {
                drop(instance);
            }
            self.start(type_index);
        }
    }
}

fn fade_in(outputs: &mut [f32], stride: usize, frames: usize) {
    for plane in outputs.chunks_exact_mut(stride) {
        for (frame, sample) in plane.iter_mut().take(frames).enumerate() {
            *sample *= (frame + 1) as f32 / frames as f32;
        }
    }
}
