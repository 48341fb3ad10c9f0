//! One running LADSPA plug-in. Its ports are connected once, to memory that lives as long as it does.

use super::Layout;
use super::abi::Handle;
use super::library::Ladspa;
use crate::host::Instance;
use crate::host::error::HostError;
use std::cell::Cell;
use std::ffi::c_ulong;
use std::rc::Rc;

/// One running LADSPA plug-in.
pub struct LadspaInstance {
    ladspa: Rc<Ladspa>,
    layout: Rc<Layout>,
    /// What `instantiate` gave; nobody else has it.
    handle: Handle,
    /// One value for each port, of which control ports use theirs. Cells, because the plug-in reads and writes
    /// behind the compiler's back; a `Vec`, because its memory stays where it is when it moves.
    values: Vec<Cell<f32>>,
    /// One plane for each audio port: inputs, then outputs.
    planes: Vec<Cell<f32>>,
    max_frames: usize,
}

impl LadspaInstance {
    /// Instantiates, connects and activates.
    pub fn start(
        ladspa: Rc<Ladspa>,
        layout: Rc<Layout>,
        rate_hz: f32,
        max_frames: usize,
    ) -> Result<Self, HostError> {
        // SAFETY: a function and its own descriptor, from a library that `ladspa` keeps open.
        let handle = unsafe { (ladspa.instantiate)(ladspa.descriptor, rate_hz as c_ulong) };
        if handle.is_null() {
            return Err(HostError::Refused { step: "be instantiated" });
        }
        let silence = |count: usize| vec![Cell::new(0.0); count];
        let values = silence(ladspa.ports.len());
        let planes = silence((layout.inputs.len() + layout.outputs.len()) * max_frames);
        let instance = Self { ladspa, layout, handle, values, planes, max_frames };
        instance.set_defaults();
        instance.connect();
        instance.activate();
        Ok(instance)
    }

    fn connect(&self) {
        let audio: Vec<usize> = self.layout.inputs.iter().chain(&self.layout.outputs).copied().collect();
        for (port, value) in self.values.iter().enumerate() {
            let plane = audio.iter().position(|&index| index == port);
            let cells = plane.map_or(std::slice::from_ref(value), |plane| self.plane(plane, self.max_frames));
            let place = cells.as_ptr().cast::<f32>().cast_mut();
            // SAFETY:
            // - the handle is live until `drop`, and `port` is one of its ports;
            // - a control port gets one f32, an audio port `max_frames` of them, in memory that is dropped after the
            //   handle (`drop` cleans up first) and only ever accessed as cells, so it may change under us.
            unsafe { (self.ladspa.connect_port)(self.handle, port as c_ulong, place) };
        }
    }

    fn activate(&self) {
        if let Some(activate) = self.ladspa.activate {
            // SAFETY: a live handle with all ports connected, not active: `start` has just made it, or
            // `deactivate` came before.
            unsafe { activate(self.handle) };
        }
    }

    fn deactivate(&self) {
        if let Some(deactivate) = self.ladspa.deactivate {
            // SAFETY: a live handle that was activated.
            unsafe { deactivate(self.handle) };
        }
    }

    fn set_defaults(&self) {
        for (&port, &default) in self.layout.controls.iter().zip(&self.layout.defaults) {
            self.values[port].set(default);
        }
    }

    /// The first `frames` of plane `plane`.
    fn plane(&self, plane: usize, frames: usize) -> &[Cell<f32>] {
        &self.planes[plane * self.max_frames..][..frames]
    }
}

impl Instance for LadspaInstance {
    fn set(&mut self, param: usize, value: f32) {
        let Some(scale) = self.layout.scales.get(param) else { return };
        if let Some(value) = scale.plugin_value(value) {
            self.values[self.layout.controls[param]].set(value);
        }
    }

    fn gate(&mut self, _is_on: bool, _velocity: f32) {}

    fn run(&mut self, inputs: &[Option<&[f32]>], outputs: &mut [&mut [f32]], frames: usize) {
        let frames = frames.min(self.max_frames);
        let input_count = self.layout.inputs.len();
        for plane in 0..input_count {
            let patched = inputs.get(plane).copied().flatten().unwrap_or_default();
            let samples = patched.iter().copied().chain(std::iter::repeat(0.0));
            self.plane(plane, frames).iter().zip(samples).for_each(|(cell, sample)| cell.set(sample));
        }
        // SAFETY: a live, active handle whose ports are connected to at least `frames` samples each.
        unsafe { (self.ladspa.run)(self.handle, frames as c_ulong) };
        for (index, output) in outputs.iter_mut().enumerate() {
            if index < self.layout.outputs.len() {
                let plane = self.plane(input_count + index, frames);
                output.iter_mut().zip(plane).for_each(|(sample, cell)| *sample = cell.get());
            } else {
                output.iter_mut().take(frames).for_each(|sample| *sample = 0.0);
            }
        }
    }

    fn reset(&mut self) {
        self.deactivate();
        self.set_defaults();
        self.activate();
    }

    fn latency_frames(&self) -> Option<u32> {
        self.layout.latency.map(|port| self.values[port].get().max(0.0).round() as u32)
    }
}

impl Drop for LadspaInstance {
    fn drop(&mut self) {
        self.deactivate();
        if let Some(cleanup) = self.ladspa.cleanup {
            // SAFETY: a live handle, not active any more; this is its last use.
            unsafe { cleanup(self.handle) };
        }
    }
}
