//! The reference: the same patch, the same module code, the same mix, without worker processes or shared
//! memory. A walk through the patch in render order, as plain as can be, so that what the workers play can be
//! compared with it byte for byte.
//!
//! In: cues. Out: interleaved stereo. Thread: any.

use super::offline::{Cue, Cues, RenderError, refusal};
use crate::command::{Command, Reply};
use crate::config::Settings;
use crate::cycle::guard::OutputGuard;
use crate::cycle::handoff::Sink;
use crate::cycle::tail::Tails;
use crate::patch::order::{Order, Ordered, order};
use crate::patch::{EditError, Limits, Patch, PatchModule};
use backline_abi::cable::add_cable;
use backline_abi::layout::ModuleMemory;
use backline_dsp::catalogue::Entry;
use backline_dsp::line::Line;
use backline_dsp::module::{Happening, Input, MAX_PARAMS, MAX_PORTS, Setup};
use backline_dsp::play::Block;
use std::collections::HashMap;
use std::sync::atomic::AtomicU32;

/// Inputs a module may have.
const MAX_INPUTS: usize = MAX_PORTS + MAX_PARAMS;

/// One module that plays in this process.
struct Local {
    entry: &'static Entry,
    channels: usize,
    state: Vec<u32>,
    line: Vec<AtomicU32>,
    /// Outputs of this block.
    outputs: Vec<f32>,
    /// Outputs of the block before, for cables that close a loop.
    before: Vec<f32>,
    happenings: Vec<(usize, Happening)>,
}

impl Local {
    fn new(module: &PatchModule, rate_hz: f32, block_frames: usize) -> Self {
        let entry = module.row.entry.expect("only our own types are taken");
        let channels = entry.channels(module.channels);
        let setup = Setup { rate_hz, channels, identity: module.identity, params: module.values() };
        let mut state = vec![0; entry.state_words];
        (entry.init)(&setup, &mut state);
        let line = (0..(entry.line_samples)(&setup)).map(|_| AtomicU32::new(0)).collect();
        let outputs = vec![0.0; entry.output_planes(channels) * block_frames];
        Self { entry, channels, state, line, before: outputs.clone(), outputs, happenings: Vec::new() }
    }
}

/// Edits gathered since `begin`, and what shall happen (to whom, at which frame) once they are in force.
type Draft = (Patch, Vec<(u32, u64, Happening)>);

/// A patch that plays in this process.
pub struct InProcess {
    patch: Patch,
    draft: Option<Draft>,
    order: Order,
    locals: HashMap<u32, Local>,
    sinks: Vec<Sink>,
    tails: Tails,
    guard: OutputGuard,
    limits: Limits,
    next_instance: u32,
    frame: u64,
    block_frames: usize,
    rate_hz: u32,
}

impl InProcess {
    /// An empty patch at frame 0.
    pub fn new(settings: &Settings) -> Self {
        Self {
            patch: Patch::default(),
            draft: None,
            order: Order::default(),
            locals: HashMap::new(),
            sinks: Vec::new(),
            tails: Tails::new(),
            guard: OutputGuard::new(settings.rate_hz),
            limits: settings_limits(settings),
            next_instance: 1,
            frame: 0,
            block_frames: settings.block_frames as usize,
            rate_hz: settings.rate_hz,
        }
    }

    /// Renders as [`super::offline::render`] does.
    pub fn render(
        &mut self,
        mut cues: Cues,
        total_frames: u64,
        mut listen: impl FnMut(&[f32]),
    ) -> Result<(), RenderError> {
        backline_abi::rights::flush_denormals();
        self.guard.fade_out_in(total_frames.saturating_sub(self.guard.fade_frames()));
        let mut out = vec![0.0; self.block_frames * 2];
        while self.frame < total_frames {
            let frame = self.frame;
            let end = (frame + self.block_frames as u64).min(total_frames);
            let end = cues
                .perform(frame, end, |cue| self.perform(cue))
                .map_err(|reply| refusal(&reply, frame, self.rate_hz))?;
            let frames = (end - frame) as usize;
            self.play_block(&mut out[..frames * 2]);
            listen(&out[..frames * 2]);
        }
        Ok(())
    }

    fn perform(&mut self, cue: &Cue) -> Vec<Reply> {
        let address = &cue.request.address;
        match self.edit(&cue.request.command, cue.frame) {
            Ok(()) => vec![Reply::done(address, [])],
            Err(refusal) => vec![Reply::fail(address, refusal, None)],
        }
    }

    fn edit(&mut self, command: &Command, frame: u64) -> Result<(), EditError> {
        let limits = self.limits;
        match command {
            Command::Begin => self.draft = Some((self.patch.clone(), Vec::new())),
            Command::Abort => self.draft = None,
            Command::Commit => {
                if let Some((patch, happenings)) = self.draft.take() {
                    self.patch = patch;
                    self.put_in_force();
                    happenings.into_iter().for_each(|(instance, at, what)| self.happen(instance, at, what));
                }
            }
            Command::Panic => {
                self.draft = None;
                self.patch = Patch::default();
                self.put_in_force();
            }
            Command::PatchClear => {
                self.edited().clear();
                if self.draft.is_none() {
                    self.put_in_force();
                }
            }
            Command::Set { target, params } => {
                for (instance, index, value) in self.edited().set(target, params)? {
                    self.happen(instance, frame, Happening::Param { index, value });
                }
            }
            Command::Gate { target, is_on, velocity } => {
                let what =
                    if *is_on { Happening::GateOn { velocity: *velocity } } else { Happening::GateOff };
                for instance in self.edited().gate(target)? {
                    self.happen(instance, frame, what);
                }
            }
            structural => {
                let mut next_instance = self.next_instance;
                restructure(self.edited(), structural, &mut next_instance, &limits)?;
                self.next_instance = next_instance;
                if self.draft.is_none() {
                    self.put_in_force();
                }
            }
        }
        Ok(())
    }

    fn edited(&mut self) -> &mut Patch {
        self.draft.as_mut().map_or(&mut self.patch, |(patch, _)| patch)
    }

    fn happen(&mut self, instance: u32, frame: u64, what: Happening) {
        if let Some((_, happenings)) = &mut self.draft {
            happenings.push((instance, frame, what));
        } else if let Some(local) = self.locals.get_mut(&instance) {
            local.happenings.push((frame.saturating_sub(self.frame) as usize, what));
        }
    }

    fn put_in_force(&mut self) {
        let old = std::mem::take(&mut self.sinks);
        self.locals.retain(|instance, _| self.patch.position(*instance).is_some());
        for module in self.patch.modules() {
            let fresh = || Local::new(module, self.rate_hz as f32, self.block_frames);
            self.locals.entry(module.instance).or_insert_with(fresh);
        }
        self.order = order(&self.patch);
        let is_sink =
            |instance: &&u32| self.locals.get(instance).is_some_and(|local| local.entry.panel.is_sink);
        self.sinks =
            self.order.modules.iter().filter(is_sink).map(|instance| local_sink(*instance)).collect();
        self.tails.adopt(&old, &self.sinks);
    }

    fn play_block(&mut self, out: &mut [f32]) {
        let frames = out.len() / 2;
        for position in 0..self.order.modules.len() {
            self.play_module(position, frames);
        }
        out.fill(0.0);
        for sink in &self.sinks {
            let Some(local) = self.locals.get(&sink.instance) else { continue };
            let planes: Vec<AtomicU32> = local.outputs.iter().map(|s| AtomicU32::new(s.to_bits())).collect();
            self.tails.mix(sink, &planes, self.block_frames, out);
        }
        self.tails.ramp_down(out);
        self.guard.apply(out);
        self.frame += frames as u64;
    }

    fn play_module(&mut self, position: usize, frames: usize) {
        let instance = self.order.modules[position];
        let Some(mut local) = self.locals.remove(&instance) else { return };
        // What closes a loop on itself is read below, from the block before.
        std::mem::swap(&mut local.outputs, &mut local.before);
        let stride = self.block_frames;
        let mut planes = vec![0.0; MAX_INPUTS * local.channels * stride];
        let mut is_patched = [false; MAX_INPUTS];
        for ordered in self.order.inputs(position) {
            let input = ordered.connection.target_input;
            is_patched[input] = true;
            let start = input * local.channels * stride;
            let plane = &mut planes[start..start + local.channels * stride];
            self.add(plane, ordered, &local, instance, frames);
        }
        let inputs: Vec<Input<'_>> = (0..MAX_INPUTS)
            .map(|input| match is_patched[input] {
                true => Input::patched(&planes[input * local.channels * stride..], stride),
                false => Input::UNPATCHED,
            })
            .collect();
        let panel = &local.entry.panel;
        let block = Block {
            inputs: &inputs[..panel.inputs.len() + panel.params.len()],
            outputs: &mut local.outputs,
            stride,
            channels: local.channels,
            frames,
            line: Line::new(&local.line),
        };
        local.happenings.sort_by_key(|(frame, _)| *frame);
        local.entry.play(&mut local.state, local.happenings.drain(..), block);
        if local.outputs.iter().any(|sample| !sample.is_finite()) {
            let module = self.patch.by_instance(instance);
            local.outputs.fill(0.0);
            if let Some(module) = module {
                local.state = Local::new(module, self.rate_hz as f32, stride).state;
            }
        }
        self.locals.insert(instance, local);
    }

    fn add(&self, planes: &mut [f32], ordered: &Ordered, target: &Local, instance: u32, frames: usize) {
        let cable = &ordered.connection;
        let source = if cable.source == instance { Some(target) } else { self.locals.get(&cable.source) };
        let Some(source) = source else { return };
        // A module later in the order has not played this block: its outputs are those of the block before.
        let is_still_to_come = self.order.modules.iter().position(|other| *other == cable.source)
            > self.order.modules.iter().position(|other| *other == instance);
        let samples = match ordered.is_feedback && !is_still_to_come {
            true => &source.before,
            false => &source.outputs,
        };
        let (stride, first) = (self.block_frames, cable.source_port * source.channels);
        add_cable(planes, stride, target.channels, frames, source.channels, cable.gain, |channel| {
            samples[(first + channel) * stride..].iter().copied()
        });
    }
}

fn settings_limits(settings: &Settings) -> Limits {
    Limits { max_modules: settings.max_modules, max_connections: settings.max_connections, client: None }
}

fn restructure(
    patch: &mut Patch,
    command: &Command,
    next_instance: &mut u32,
    limits: &Limits,
) -> Result<(), EditError> {
    match command {
        Command::Create { type_name, id, params } => {
            patch.create(type_name, id.as_deref(), params, next_instance, limits).map(drop)
        }
        Command::Free { target } => patch.free(target).map(drop),
        Command::Connect { source, target, gain } => patch.connect(source, target, *gain, limits).map(drop),
        Command::Disconnect { source, target } => patch.disconnect(source, target).map(drop),
        _ => Ok(()),
    }
}

/// A sink as the tails know it; it has no memory in an arena. Its number stands in for the cell.
fn local_sink(instance: u32) -> Sink {
    Sink { cell: instance % backline_abi::layout::MAX_MODULES as u32, instance, memory: NOWHERE }
}

const NOWHERE: ModuleMemory = ModuleMemory {
    commit: 0,
    outputs: [0; 2],
    output_words: 0,
    states: [0; 2],
    state_words: 0,
    line: 0,
    line_words: 0,
    line_owner: 0,
    line_block: 0,
    stamps: 0,
    stamp_words: 0,
    end: 0,
};
