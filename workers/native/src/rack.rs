//! The module catalogue as the worker loop wants it.

use backline_abi::block::{Event, kind};
use backline_abi::plan::ModuleRecord;
use backline_dsp::catalogue::{CATALOGUE, Entry};
use backline_dsp::line::Line;
use backline_dsp::module::{Happening, Input, MAX_PARAMS, MAX_PORTS, Setup};
use backline_dsp::play::{Block, fingerprint};
use backline_sdk::rack::{Job, Outcome, Rack};
use std::sync::atomic::AtomicU32;
use std::time::Instant;

/// Blocks rendered of each type while warming: enough for a steady figure, few enough to be done in no time.
const WARM_BLOCKS: usize = 16;
const _: () = assert!(backline_dsp::line::CHUNK_SAMPLES == backline_abi::layout::LINE_CHUNK_WORDS);

/// Inputs a module may have.
const MAX_INPUTS: usize = MAX_PORTS + MAX_PARAMS;

/// The catalogue.
pub struct Native;

fn setup<'r>(record: &'r ModuleRecord, rate_hz: f32, entry: &Entry) -> Setup<'r> {
    let params = record.params.get(..entry.panel.params.len()).unwrap_or(&record.params);
    Setup { rate_hz, channels: record.channels as usize, identity: record.identity, params }
}

fn happening(event: &Event) -> (usize, Happening) {
    let what = match event.kind {
        kind::GATE_ON => Happening::GateOn { velocity: event.value },
        kind::GATE_OFF => Happening::GateOff,
        index => Happening::Param { index: index as usize, value: event.value },
    };
    (event.offset_frames as usize, what)
}

impl Rack for Native {
    fn types(&self) -> usize {
        CATALOGUE.len()
    }

    fn fingerprint(&self) -> u64 {
        fingerprint()
    }

    fn warm(&mut self, type_index: usize, rate_hz: f32, block_frames: usize) -> f32 {
        let Some(entry) = CATALOGUE.get(type_index) else { return 0.0 };
        let channels = entry.channels(1);
        let params: Vec<f32> = entry.panel.params.iter().map(|param| param.default).collect();
        let setup = Setup { rate_hz, channels, identity: 1, params: &params };
        let mut state = vec![0; entry.state_words];
        (entry.init)(&setup, &mut state);
        let line: Vec<AtomicU32> = (0..(entry.line_samples)(&setup)).map(|_| AtomicU32::new(0)).collect();
        let inputs = [Input::UNPATCHED; MAX_INPUTS];
        let mut outputs = vec![0.0; entry.output_planes(channels) * block_frames];
        let struck =
            std::iter::once((0, Happening::GateOn { velocity: 1.0 })).filter(|_| entry.panel.is_gated);
        let mut render = |happenings: &mut dyn Iterator<Item = (usize, Happening)>| {
            let line = Line::new(&line);
            let (inputs, outputs) = (&inputs[..], &mut outputs[..]);
            let block = Block { inputs, outputs, stride: block_frames, channels, frames: block_frames, line };
            let started = Instant::now();
            entry.play(&mut state, happenings, block);
            started.elapsed()
        };
        // The first block pays for everything that happens once; the cheapest of the rest was not disturbed.
        render(&mut struck.into_iter());
        let cheapest = (0..WARM_BLOCKS).map(|_| render(&mut std::iter::empty())).min().unwrap_or_default();
        cheapest.as_nanos() as f32 / (block_frames * channels) as f32
    }

    fn fits(&self, record: &ModuleRecord, rate_hz: f32) -> bool {
        let Some(entry) = CATALOGUE.get(record.type_index as usize) else { return false };
        let channels = record.channels as usize;
        channels == entry.channels(channels)
            && record.state_words as usize == entry.state_words
            && record.output_planes as usize == entry.output_planes(channels)
            && record.line_words as usize == (entry.line_samples)(&setup(record, rate_hz, entry))
    }

    fn init(&mut self, record: &ModuleRecord, rate_hz: f32, state: &mut [u32]) {
        if let Some(entry) = CATALOGUE.get(record.type_index as usize) {
            (entry.init)(&setup(record, rate_hz, entry), state);
        }
    }

    fn render(&mut self, job: Job<'_>) -> Outcome {
        let Some(entry) = CATALOGUE.get(job.record.type_index as usize) else { return Outcome::Rendered };
        let used = (entry.panel.inputs.len() + entry.panel.params.len()).min(job.inputs.len());
        let mut inputs = [Input::UNPATCHED; MAX_INPUTS];
        for (input, gathered) in inputs.iter_mut().zip(&job.inputs[..used]) {
            if let Some(planes) = gathered.planes {
                *input = Input::patched(planes, gathered.stride);
            }
        }
        let block = Block {
            inputs: &inputs[..used],
            outputs: job.outputs,
            stride: job.stride,
            channels: job.record.channels as usize,
            frames: job.frames,
            line: Line::stamped(job.line, job.stamps, job.block),
        };
        entry.play(job.state, job.events.iter().map(happening), block);
        Outcome::Rendered
    }

    fn hear(&mut self, record: &ModuleRecord, events: &[Event], state: &mut [u32]) {
        if let Some(entry) = CATALOGUE.get(record.type_index as usize) {
            events.iter().map(happening).for_each(|(_, what)| (entry.happen)(state, what));
        }
    }
}
