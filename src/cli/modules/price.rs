//! What a module type costs here: its stretch rendered again and again in this process.

use std::sync::atomic::AtomicU32;
use std::time::Instant;

use backline_dsp::catalogue::Entry;
use backline_dsp::line::Line;
use backline_dsp::module::{Happening, Input, Io, Setup};

const RATE_HZ: f32 = 48_000.0;
const BLOCK_FRAMES: usize = 64;
/// Blocks timed together: long against the clock's own cost, short against a time slice.
const BATCH_BLOCKS: usize = 50;
/// Batches, of which the median counts: the others met an interrupt or a cold cache.
const BATCHES: usize = 41;

/// Nanoseconds a frame for one channel, its input ports patched, its gate open, its parameters as on the panel.
pub(super) fn price_ns(entry: &Entry) -> f64 {
    let mut module = OnBench::new(entry);
    let mut batches_ns = [0.0; BATCHES];
    for batch_ns in &mut batches_ns {
        let start = Instant::now();
        for _ in 0..BATCH_BLOCKS {
            module.render();
        }
        *batch_ns = start.elapsed().as_nanos() as f64;
    }
    batches_ns.sort_by(f64::total_cmp);
    batches_ns[BATCHES / 2] / (BATCH_BLOCKS * BLOCK_FRAMES) as f64
}

/// One module with its memory, outside of any engine.
struct OnBench<'entry> {
    entry: &'entry Entry,
    state: Vec<u32>,
    line: Vec<AtomicU32>,
    signal: [f32; BLOCK_FRAMES],
    outputs: Vec<f32>,
}

impl<'entry> OnBench<'entry> {
    fn new(entry: &'entry Entry) -> Self {
        let params: Vec<f32> = entry.panel.params.iter().map(|param| param.default).collect();
        let setup = Setup { rate_hz: RATE_HZ, channels: 1, identity: 1, params: &params };
        let mut state = vec![0; entry.state_words];
        (entry.init)(&setup, &mut state);
        if entry.panel.is_gated {
            (entry.happen)(&mut state, Happening::GateOn { velocity: 1.0 });
        }
        let line = (0..(entry.line_samples)(&setup)).map(|_| AtomicU32::new(0)).collect();
        // A sink has two hidden outputs.
        let planes = if entry.panel.is_sink { 2 } else { entry.panel.outputs.len() };
        let signal = std::array::from_fn(|frame| (frame as f32 * 0.4).sin() * 0.5);
        Self { entry, state, line, signal, outputs: vec![0.0; planes * BLOCK_FRAMES] }
    }

    fn render(&mut self) {
        let panel = &self.entry.panel;
        let patched = |input| input < panel.inputs.len();
        let inputs: Vec<Input<'_>> = (0..panel.inputs.len() + panel.params.len())
            .map(|input| if patched(input) { Input::patched(&self.signal, 0) } else { Input::UNPATCHED })
            .collect();
        let whole = (0, BLOCK_FRAMES);
        let mut io = Io::new(&inputs, &mut self.outputs, BLOCK_FRAMES, 1, whole, Line::new(&self.line));
        (self.entry.render)(&mut self.state, &mut io);
        std::hint::black_box(&mut self.outputs);
    }
}
