//! Before the worker is ready: each type is made ready by its author, then rendered and timed. May allocate.

use super::play::{self, Block};
use super::words::OwnWords;
use crate::aligned::AlignedWords;
use crate::c_api::functions::{Functions, Module};
use crate::c_api::voice;
use crate::rack::Input;
use crate::source::MAX_INPUTS;
use backline_abi::block::{Event, kind};
use backline_abi::complaint::Complaint;
use backline_abi::panel::Panel;
use backline_abi::plan::{MAX_PARAMS, ModuleRecord};
use bytemuck::Zeroable;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Blocks rendered of each type: enough for a steady figure, few enough to be done in no time.
const WARM_BLOCKS: usize = 16;

/// Has the author make a type ready, or says why that cannot be.
pub fn make_ready(
    functions: &Functions,
    panel: &Panel,
    type_index: usize,
    rate_hz: f32,
    block_frames: usize,
) -> Result<(), String> {
    voice::clear();
    match functions.warm(type_index, rate_hz, block_frames) {
        0 => Ok(()),
        code => Err(format!("{:?} cannot be made ready: {}", panel.name, said("warm", code))),
    }
}

/// Renders a type for a while. Returns what a frame of one channel costs, in ns. What cannot be rendered is said on
/// standard error, and is no reason not to play the other types.
pub fn price_ns(
    functions: &Functions,
    panel: &Panel,
    type_index: usize,
    rate_hz: f32,
    block_frames: usize,
) -> f32 {
    let record = plain(panel, type_index);
    let mut state = AlignedWords::filled(0, panel.state_words as usize);
    let (mut own, authors) = OwnWords::split(&mut state, panel.params.len());
    own.begin(&record.params);
    functions.init(Module { record: &record, rate_hz, block_frames, params: own.params() }, authors);
    let mut outputs = vec![0.0; panel.outputs.len() * block_frames];
    let inputs = [Input { planes: None, stride: block_frames }; MAX_INPUTS];
    let mut has_failed = false;
    let mut render = |events: &[Event]| -> Duration {
        voice::clear();
        let block = Block {
            record: &record,
            rate_hz,
            block_frames,
            params: panel.params.len(),
            state: &mut state,
            inputs: &inputs,
            outputs: &mut outputs,
            stride: block_frames,
            frames: block_frames,
            events,
            first_frame: 0,
        };
        let started = Instant::now();
        let code = play::play(functions, block);
        let spent = started.elapsed();
        if code != 0 && !std::mem::replace(&mut has_failed, true) {
            let reason = said("render", code);
            // Whether or not there is a standard error.
            let _ = writeln!(io::stderr(), "{:?} fails while warming up: {reason}", panel.name);
        }
        spent
    };
    let struck = [Event { instance: 0, offset_frames: 0, kind: kind::GATE_ON, value: 1.0 }];
    // The first block pays for everything that happens once; the cheapest of the rest was not disturbed.
    render(if panel.is_gated { &struck } else { &[] });
    let cheapest = (0..WARM_BLOCKS).map(|_| render(&[])).min().unwrap_or_default();
    cheapest.as_nanos() as f32 / block_frames as f32
}

/// A module as it comes, with one channel and nobody's number.
fn plain(panel: &Panel, type_index: usize) -> ModuleRecord {
    let mut params = [0.0; MAX_PARAMS];
    params.iter_mut().zip(&panel.params).for_each(|(value, param)| *value = param.default);
    ModuleRecord {
        type_index: type_index as u32,
        channels: 1,
        identity: 1,
        state_words: panel.state_words,
        output_planes: panel.outputs.len() as u32,
        params,
        input_ports: panel.inputs.len() as u32,
        ..ModuleRecord::zeroed()
    }
}

fn said(function: &str, code: i32) -> String {
    let mut complaint = Complaint::default();
    voice::tell(&mut complaint, function, code);
    complaint.text().to_owned()
}
