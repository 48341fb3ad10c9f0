//! The author's functions, called as C wants it: slices go in here, pointers come out.

use super::types::{BacklineJob, BacklineRack, BacklineSetup};
use backline_abi::plan::ModuleRecord;
use std::ffi::c_void;

use crate::source::MAX_INPUTS;

/// What is said of a module in each call.
#[derive(Clone, Copy)]
pub struct Module<'a> {
    /// What it is.
    pub record: &'a ModuleRecord,
    /// Sample rate.
    pub rate_hz: f32,
    /// Frames of the longest block.
    pub block_frames: usize,
    /// The values of its parameters.
    pub params: &'a [f32],
}

/// A stretch to render.
pub struct Stretch<'a> {
    /// Of which module.
    pub module: Module<'a>,
    /// The author's words.
    pub state: &'a mut [u32],
    /// For each input, then each parameter, what comes in there, from the first frame of the stretch on.
    pub inputs: &'a [Option<&'a [f32]>],
    /// What goes out, from the first frame of the stretch on.
    pub outputs: &'a mut [f32],
    /// Samples from one plane to the next.
    pub stride: usize,
    /// Its frames: from, until.
    pub frames: (usize, usize),
    /// Whether the gate is open.
    pub is_open: bool,
    /// Whether it was just struck.
    pub is_struck: bool,
    /// Velocity of the last gate.
    pub velocity: f32,
    /// Frames since the engine started, of the first frame of the block.
    pub first_frame: u64,
}

/// The author's functions.
#[derive(Debug, Clone, Copy)]
pub struct Functions {
    user: *mut c_void,
    init: Option<unsafe extern "C" fn(*mut c_void, *const BacklineSetup, *mut u32)>,
    render: unsafe extern "C" fn(*mut c_void, *const BacklineJob) -> i32,
    warm: Option<unsafe extern "C" fn(*mut c_void, u32, f32, u32) -> i32>,
    rest: Option<unsafe extern "C" fn(*mut c_void, *const u32, u32)>,
}

// SAFETY: a number and addresses of code. That `user` may be used by the threads that call, at the same time where types
// are rendered ahead, is what the author promises (`BacklineRack`).
unsafe impl Send for Functions {}

impl Functions {
    /// Those of `rack`; `None` if it has no `render`.
    ///
    /// # Safety
    ///
    /// The functions are what their types say, and they and `user` are good as long as the value or a copy of it.
    pub unsafe fn of(rack: &BacklineRack) -> Option<Self> {
        let BacklineRack { user, init, warm, rest, .. } = *rack;
        Some(Self { user, init, render: rack.render?, warm, rest })
    }

    /// State before the first frame; `state` is 0. As real-time safe as the author is.
    pub fn init(&self, module: Module<'_>, state: &mut [u32]) {
        let Some(init) = self.init else { return };
        let setup = setup(module);
        // SAFETY: the function is good (`of`); setup and state live through the call, and nobody else has the state.
        unsafe { init(self.user, &setup, state.as_mut_ptr()) };
    }

    /// Renders a stretch; 0 if that could be done. As real-time safe as the author is.
    pub fn render(&self, stretch: Stretch<'_>) -> i32 {
        let (start, end) = stretch.frames;
        let mut inputs = [std::ptr::null(); MAX_INPUTS];
        for (pointer, input) in inputs.iter_mut().zip(stretch.inputs) {
            *pointer = input.map_or(std::ptr::null(), <[f32]>::as_ptr);
        }
        let job = BacklineJob {
            setup: setup(stretch.module),
            state: stretch.state.as_mut_ptr(),
            inputs: inputs.as_ptr(),
            outputs: stretch.outputs.as_mut_ptr(),
            stride: stretch.stride as u32,
            frames: (end - start) as u32,
            start_frame: start as u32,
            gate: stretch.is_open.into(),
            is_struck: stretch.is_struck.into(),
            velocity: stretch.velocity,
            first_frame: stretch.first_frame + start as u64,
        };
        // SAFETY: the function is good (`of`); all that the job points to lives through the call, and nobody else has
        // what may be written.
        unsafe { (self.render)(self.user, &job) }
    }

    /// Makes a type ready; 0 if that could be done.
    pub fn warm(&self, type_index: usize, rate_hz: f32, block_frames: usize) -> i32 {
        let Some(warm) = self.warm else { return 0 };
        // SAFETY: the function is good (`of`); numbers only.
        unsafe { warm(self.user, type_index as u32, rate_hz, block_frames as u32) }
    }

    /// These modules are ours now.
    pub fn rest(&self, instances: &[u32]) {
        let Some(rest) = self.rest else { return };
        // SAFETY: the function is good (`of`); the list lives through the call.
        unsafe { rest(self.user, instances.as_ptr(), instances.len() as u32) };
    }
}

fn setup(module: Module<'_>) -> BacklineSetup {
    BacklineSetup {
        instance: module.record.instance,
        type_index: module.record.type_index,
        channels: module.record.channels,
        identity: module.record.identity,
        rate_hz: module.rate_hz,
        block_frames: module.block_frames as u32,
        params: module.params.as_ptr(),
    }
}
