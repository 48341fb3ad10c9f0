//! One running LV2 plug-in.

use super::{Features, Layout, Lv2Plugin};
use crate::host::error::HostError;
use crate::host::notes::Keys;
use crate::host::{Instance, fill, pour};
use livi::event::LV2AtomSequence;
use livi::{EmptyPortConnections, PortIndex};
use std::cell::Cell;
use std::rc::Rc;

/// Room for the notes of a block, and for what a plug-in wants to tell us.
const ATOM_BYTES: usize = 4096;

/// One running LV2 plug-in.
pub struct Lv2Instance {
    /// First, so that it is dropped before the memory it is connected to.
    instance: livi::Instance,
    _features: Features,
    layout: Rc<Layout>,
    keys: Keys,
    midi_urid: u32,
    /// Control inputs, then control outputs. Ours and not livi's, because livi holds values to bounds that it does
    /// not multiply by the sample rate. Cells, because the plug-in writes behind the compiler's back.
    values: Vec<Cell<f32>>,
    /// Audio planes, then CV planes.
    inputs: Vec<f32>,
    outputs: Vec<f32>,
    atom_inputs: Vec<LV2AtomSequence>,
    atom_outputs: Vec<LV2AtomSequence>,
    max_frames: usize,
}

impl Lv2Instance {
    /// Instantiates, connects and activates.
    pub fn start(of: &Lv2Plugin) -> Result<Self, HostError> {
        let features = &of.features;
        let layout = Rc::clone(&of.layout);
        // SAFETY: the rate is that of a sound card. Nobody can vouch for the plug-in's code and its Turtle files; a
        // process of its own has tried them before one that matters does.
        let instance = unsafe { of.plugin.instantiate(features.clone(), of.rate_hz.into()) };
        let instance = instance.map_err(|_unknown| HostError::Refused { step: "be instantiated" })?;
        let planes = |count: usize| vec![0.0; count * of.max_frames];
        let atoms = |count: usize| (0..count).map(|_| LV2AtomSequence::new(features, ATOM_BYTES)).collect();
        let mut started = Self {
            instance,
            _features: features.clone(),
            keys: Keys::new(),
            midi_urid: features.midi_urid(),
            values: vec![Cell::new(0.0); layout.controls.len() + layout.control_outputs.len()],
            inputs: planes(layout.audio_inputs + layout.cv_inputs),
            outputs: planes(layout.audio_outputs + layout.cv_outputs),
            atom_inputs: atoms(layout.atom_inputs),
            atom_outputs: atoms(layout.atom_outputs),
            max_frames: of.max_frames,
            layout,
        };
        started.connect_controls();
        // livi has activated it already, with its own values; once more with ours.
        started.reset();
        Ok(started)
    }

    fn connect_controls(&mut self) {
        let layout = Rc::clone(&self.layout);
        let ports = layout.controls.iter().chain(&layout.control_outputs);
        for (&PortIndex(port), value) in ports.zip(&self.values) {
            let instance = self.instance.raw_mut().instance_mut();
            // SAFETY: a live instance, one of its control ports, and one f32 that stays where it is (a `Vec` that
            // never grows) and is dropped after the instance.
            unsafe { instance.connect_port(port, value.as_ptr().cast_const()) };
        }
    }

    /// What happened since the last block, as MIDI at its first frame.
    fn write_notes(&mut self) {
        self.atom_inputs.iter_mut().for_each(LV2AtomSequence::clear);
        let notes = self.layout.midi_input.and_then(|index| self.atom_inputs.get_mut(index));
        let Some(notes) = notes else { return };
        for event in self.keys.drain() {
            let pushed = notes.push_midi_event::<3>(0, self.midi_urid, &event.midi());
            debug_assert!(pushed.is_ok(), "there is room for all of them");
        }
    }
}

impl Instance for Lv2Instance {
    fn set(&mut self, param: usize, value: f32) {
        let is_gated = self.layout.midi_input.is_some();
        if is_gated && param == 0 {
            return self.keys.set_key(value);
        }
        let own = param - usize::from(is_gated);
        let Some(scale) = self.layout.scales.get(own) else { return };
        if let Some(value) = scale.plugin_value(value) {
            self.values[own].set(value);
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
        self.write_notes();
        let (audio_in, cv_in) = self.inputs.split_at(self.layout.audio_inputs * stride);
        let (audio_out, cv_out) = self.outputs.split_at_mut(self.layout.audio_outputs * stride);
        let ports = EmptyPortConnections::new()
            .with_audio_inputs(audio_in.chunks_exact(stride))
            .with_cv_inputs(cv_in.chunks_exact(stride))
            .with_audio_outputs(audio_out.chunks_exact_mut(stride))
            .with_cv_outputs(cv_out.chunks_exact_mut(stride))
            .with_atom_sequence_inputs(self.atom_inputs.iter())
            .with_atom_sequence_outputs(self.atom_outputs.iter_mut());
        // SAFETY: as many buffers of each kind as the plug-in has ports, each of `stride` samples or of its own
        // size; the atoms were made with the instance's features; nothing else runs this instance.
        let ran = unsafe { self.instance.run(frames, ports) };
        debug_assert_eq!(ran, Ok(()), "all ports are there");
        pour(&self.outputs, stride, outputs, frames);
    }

    fn reset(&mut self) {
        self.keys = Keys::new();
        for (value, &default) in self.values.iter().zip(&self.layout.defaults) {
            value.set(default);
        }
        let instance = self.instance.raw().instance();
        let handle = instance.handle();
        let Some(descriptor) = instance.descriptor() else { return };
        if let Some(deactivate) = descriptor.deactivate {
            deactivate(handle);
        }
        if let Some(activate) = descriptor.activate {
            activate(handle);
        }
    }

    fn latency_frames(&self) -> Option<u32> {
        let value = &self.values[self.layout.controls.len() + self.layout.latency?];
        Some(value.get().max(0.0).round() as u32)
    }
}
