//! What a voice costs: CPU microseconds for each second of audio, one core, blocks of 64 frames.
//!
//! `cargo run --release -p backline-dsp --example cost [WORD]`: only rows whose name has WORD in it.

use backline_dsp::catalogue::{self, Entry};
use backline_dsp::line::Line;
use backline_dsp::module::{Happening, Input, Io, Setup};
use std::sync::atomic::AtomicU32;
use std::time::Instant;

const RATE_HZ: f32 = 48_000.0;
const BLOCK_FRAMES: usize = 64;
const SECONDS: usize = 20;

struct Instance {
    entry: &'static Entry,
    state: Vec<u32>,
    line: Vec<AtomicU32>,
    output: Vec<f32>,
    channels: usize,
}

impl Instance {
    fn new(name: &str, channels: usize, params: &[(&str, f32)]) -> Self {
        let (_, entry) = catalogue::find(name).expect("the type exists");
        let values: Vec<f32> = entry
            .panel
            .params
            .iter()
            .map(|param| {
                params.iter().find(|given| given.0 == param.name).map_or(param.default, |given| given.1)
            })
            .collect();
        let setup = Setup { rate_hz: RATE_HZ, channels, identity: 1, params: &values };
        let mut state = vec![0; entry.state_words];
        (entry.init)(&setup, &mut state);
        let line = (0..(entry.line_samples)(&setup)).map(|_| AtomicU32::new(0)).collect();
        Self { entry, state, line, output: vec![0.0; channels.max(2) * BLOCK_FRAMES], channels }
    }

    fn render(&mut self, inputs: &[Input<'_>]) {
        let line = Line::new(&self.line);
        let mut io = Io::new(inputs, &mut self.output, BLOCK_FRAMES, self.channels, (0, BLOCK_FRAMES), line);
        (self.entry.render)(&mut self.state, &mut io);
    }

    fn cable(&self) -> Input<'_> {
        Input::patched(&self.output, BLOCK_FRAMES)
    }
}

/// Microseconds that a second of each channel takes, in the least disturbed of many seconds.
fn measure(channels: usize, mut block: impl FnMut(usize)) -> f64 {
    let blocks = RATE_HZ as usize / BLOCK_FRAMES;
    let seconds = (0..SECONDS).map(|_| {
        let start = Instant::now();
        (0..blocks).for_each(&mut block);
        start.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min) * 1e6 / channels as f64
}

fn is_wanted(what: &str) -> bool {
    std::env::args().nth(1).is_none_or(|word| what.contains(&word))
}

fn report(what: &str, channels: usize, us: f64) {
    println!("{what:<34} {channels:>2} channels  {us:>8.1} us a second of one channel");
}

fn alone(what: &str, name: &str, channels: usize, params: &[(&str, f32)], patched: &[usize]) {
    if !is_wanted(what) {
        return;
    }
    let mut instance = Instance::new(name, channels, params);
    if instance.entry.panel.is_gated {
        (instance.entry.happen)(&mut instance.state, Happening::GateOn { velocity: 1.0 });
    }
    let noise: Vec<f32> =
        (0..16 * BLOCK_FRAMES).map(|n| ((n * 7919 % 1000) as f32 - 500.0) / 1000.0).collect();
    let panel = &instance.entry.panel;
    let inputs: Vec<Input<'_>> =
        (0..panel.inputs.len() + panel.params.len())
            .map(|input| {
                if patched.contains(&input) { Input::patched(&noise, BLOCK_FRAMES) } else { Input::UNPATCHED }
            })
            .collect();
    let us = measure(channels, |_| instance.render(&inputs));
    report(what, channels, us);
}

/// saw -> ladder -> vca with an envelope that is struck twice a second.
fn voice(channels: usize) {
    if !is_wanted("voice") {
        return;
    }
    let mut vco = Instance::new("vco", channels, &[("freq", 110.0)]);
    let mut vcf = Instance::new("vcf", channels, &[("cutoff", 1200.0), ("res", 0.5)]);
    let mut adsr = Instance::new("adsr", channels, &[]);
    let mut vca = Instance::new("vca", channels, &[]);
    let none = Input::UNPATCHED;
    let us = measure(channels, |block| {
        match block % 375 {
            0 => (adsr.entry.happen)(&mut adsr.state, Happening::GateOn { velocity: 0.8 }),
            187 => (adsr.entry.happen)(&mut adsr.state, Happening::GateOff),
            _ => {}
        }
        vco.render(&[none; 6]);
        vcf.render(&[vco.cable(), none, none, none, none, none]);
        adsr.render(&[none; 5]);
        vca.render(&[vcf.cable(), adsr.cable(), none]);
    });
    report("voice: saw, ladder, adsr, vca", channels, us);
}

fn main() {
    println!("the quickest of {SECONDS} seconds, blocks of {BLOCK_FRAMES} frames at {RATE_HZ} Hz");
    for channels in [1, 4, 8, 16] {
        voice(channels);
    }
    for channels in [1, 16] {
        alone("vco sine", "vco", channels, &[("shape", 0.0)], &[]);
        alone("vco saw", "vco", channels, &[], &[]);
        alone("vco saw, pitch patched", "vco", channels, &[], &[0]);
        alone("vco square", "vco", channels, &[("shape", 3.0)], &[]);
        alone("lfo", "lfo", channels, &[], &[]);
        alone("noise white", "noise", channels, &[], &[]);
        alone("noise pink", "noise", channels, &[("color", 1.0)], &[]);
        alone("vcf ladder", "vcf", channels, &[], &[0]);
        alone("vcf ladder, cv patched", "vcf", channels, &[], &[0, 1]);
        alone("vcf svf", "vcf", channels, &[("model", 1.0)], &[0]);
        alone("vca", "vca", channels, &[], &[0, 1]);
        alone("adsr sustaining", "adsr", channels, &[], &[]);
        alone("mix of four", "mix", channels, &[], &[0, 1, 2, 3]);
        alone("delay", "delay", channels, &[], &[0]);
        alone("out", "out", channels, &[], &[0]);
    }
}
