//! One running CLAP plug-in. Everything that changes reaches it as events at the first frame of a block.

use super::ours::{Backline, answer_callback};
use super::{ClapPlugin, Layout, NoteDialect, instantiate};
use crate::description::MAX_PARAMS;
use crate::host::error::HostError;
use crate::host::notes::{KeyEvent, Keys};
use crate::host::{Instance, fill, pour};
use clack_extensions::latency::PluginLatency;
use clack_host::events::event_types::{MidiEvent, NoteOffEvent, NoteOnEvent, ParamValueEvent};
use clack_host::prelude::*;
use std::rc::Rc;

/// Events of one block: each parameter once, and the keys. More cannot come together.
const MAX_EVENTS: usize = 2 * MAX_PARAMS;

/// One running CLAP plug-in.
pub struct ClapInstance {
    /// Before the instance, so that it is dropped first: it is what keeps it active. None if it would not start
    /// again after a reset; then there is silence.
    processor: Option<StartedPluginAudioProcessor<Backline>>,
    instance: PluginInstance<Backline>,
    layout: Rc<Layout>,
    configuration: PluginAudioConfiguration,
    keys: Keys,
    /// New values that the plug-in has not heard of.
    pending: Vec<Option<f32>>,
    events: EventBuffer,
    input_ports: AudioPorts,
    output_ports: AudioPorts,
    inputs: Vec<f32>,
    outputs: Vec<f32>,
    max_frames: usize,
    frames_so_far: u64,
    latency_frames: Option<u32>,
}

impl ClapInstance {
    /// Instantiates, activates and starts.
    pub fn start(of: &ClapPlugin) -> Result<Self, HostError> {
        let layout = Rc::clone(&of.layout);
        let (inputs, outputs) = (layout.inputs.iter().sum(), layout.outputs.iter().sum());
        let configuration = PluginAudioConfiguration {
            sample_rate: of.rate_hz.into(),
            min_frames_count: 1,
            max_frames_count: of.max_frames as u32,
        };
        let mut started = Self {
            processor: None,
            instance: instantiate(&of.entry, &of.id)?,
            configuration,
            keys: Keys::new(),
            pending: vec![None; layout.params.len()],
            events: EventBuffer::with_capacity(MAX_EVENTS),
            input_ports: AudioPorts::with_capacity(inputs, layout.inputs.len()),
            output_ports: AudioPorts::with_capacity(outputs, layout.outputs.len()),
            inputs: vec![0.0; inputs * of.max_frames],
            outputs: vec![0.0; outputs * of.max_frames],
            max_frames: of.max_frames,
            frames_so_far: 0,
            latency_frames: None,
            layout,
        };
        started.activate();
        started.set_defaults();
        if started.processor.is_some() { Ok(started) } else { Err(HostError::Refused { step: "start" }) }
    }

    fn activate(&mut self) {
        let Ok(stopped) = self.instance.activate(|_, _| (), self.configuration) else { return };
        let plugin = self.instance.plugin_handle();
        let latency = plugin.get_extension::<PluginLatency>();
        self.latency_frames = latency.map(|latency| latency.get(&plugin));
        self.processor = stopped.start_processing().ok();
        answer_callback(&mut self.instance);
    }

    /// Leaves the instance inactive, whatever it was.
    fn deactivate(&mut self) {
        if let Some(processor) = self.processor.take() {
            self.instance.deactivate(processor.stop_processing());
        }
    }

    fn set_defaults(&mut self) {
        for (pending, scale) in self.pending.iter_mut().zip(&self.layout.scales) {
            *pending = Some(scale.default);
        }
    }

    /// Writes what happened since the last block into `events`.
    fn write_events(&mut self) {
        self.events.clear();
        for (&param, pending) in self.layout.params.iter().zip(&mut self.pending) {
            if let Some(value) = pending.take() {
                self.events.push(&ParamValueEvent::new(0, param, Pckn::match_all(), value.into()));
            }
        }
        let Some(dialect) = self.layout.notes else { return };
        for &event in self.keys.drain() {
            match dialect {
                NoteDialect::Midi => self.events.push(&MidiEvent::new(0, 0, event.midi())),
                NoteDialect::Clap => push_note(&mut self.events, event),
            }
        }
    }
}

fn push_note(events: &mut EventBuffer, event: KeyEvent) {
    let address = Pckn::new(0_u16, 0_u16, u16::from(event.key), clack_host::events::Match::All);
    if event.is_on {
        events.push(&NoteOnEvent::new(0, address, event.velocity.into()));
    } else {
        events.push(&NoteOffEvent::new(0, address, event.velocity.into()));
    }
}

impl Instance for ClapInstance {
    fn set(&mut self, param: usize, value: f32) {
        let is_gated = self.layout.notes.is_some();
        if is_gated && param == 0 {
            return self.keys.set_key(value);
        }
        let own = param - usize::from(is_gated);
        let Some(scale) = self.layout.scales.get(own) else { return };
        if let Some(value) = scale.plugin_value(value) {
            self.pending[own] = Some(value);
        }
    }

    fn gate(&mut self, is_on: bool, velocity: f32) {
        self.keys.gate(is_on, velocity);
    }

    fn run(&mut self, inputs: &[Option<&[f32]>], outputs: &mut [&mut [f32]], frames: usize) {
        let stride = self.max_frames;
        let frames = frames.min(stride);
        if frames == 0 {
            return;
        }
        for (index, plane) in self.inputs.chunks_exact_mut(stride).enumerate() {
            fill(&mut plane[..frames], inputs.get(index).copied().flatten());
        }
        self.write_events();
        let layout = &self.layout;
        let mut rest = &mut self.inputs[..];
        let audio_inputs = self.input_ports.with_input_buffers(layout.inputs.iter().map(|channels| {
            let (planes, after) = std::mem::take(&mut rest).split_at_mut(channels * stride);
            rest = after;
            let planes = planes.chunks_exact_mut(stride).map(|plane| &mut plane[..frames]);
            let channels = planes.map(|buffer| InputChannel { buffer, is_constant: false });
            AudioPortBuffer { latency: 0, channels: AudioPortBufferType::f32_input_only(channels) }
        }));
        let mut rest = &mut self.outputs[..];
        let mut audio_outputs =
            self.output_ports.with_output_buffers(layout.outputs.iter().map(|channels| {
                let (planes, after) = std::mem::take(&mut rest).split_at_mut(channels * stride);
                rest = after;
                let planes = planes.chunks_exact_mut(stride).map(|plane| &mut plane[..frames]);
                AudioPortBuffer { latency: 0, channels: AudioPortBufferType::f32_output_only(planes) }
            }));
        let (events, time) = (self.events.as_input(), Some(self.frames_so_far));
        let played = self.processor.as_mut().map(|processor| {
            let mut void = OutputEvents::void();
            processor.process(&audio_inputs, &mut audio_outputs, &events, &mut void, time, None)
        });
        self.frames_so_far += frames as u64;
        if !matches!(played, Some(Ok(_))) {
            // What a plug-in leaves behind when it says that it failed may be anything.
            self.outputs.fill(0.0);
        }
        pour(&self.outputs, stride, outputs, frames);
    }

    fn reset(&mut self) {
        // CLAP's own reset is an empty function in many plug-ins; being activated anew is not.
        self.deactivate();
        self.activate();
        self.keys = Keys::new();
        self.frames_so_far = 0;
        self.set_defaults();
    }

    fn latency_frames(&self) -> Option<u32> {
        self.latency_frames
    }
}
