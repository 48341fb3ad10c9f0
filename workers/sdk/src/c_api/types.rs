//! What a worker in another language says of itself and is asked, as C sees it. `include/backline.h` is made from this
//! file and from `exports.rs`; what is written here is what an author reads there.
//!
//! Fixed layout, no check and no pointer followed: `checked.rs` does that.

use std::ffi::{c_char, c_void};

/// Version of these structures and of the memory that engine and workers share. Workers of another version are refused.
pub const BACKLINE_ABI_VERSION: u32 = 5;
const _: () = assert!(BACKLINE_ABI_VERSION == backline_abi::layout::ABI_VERSION);

/// How the engine names an opened gate among its events. Authors read `gate` and `is_struck` of a job instead.
pub const BACKLINE_GATE_ON: u32 = 0x100;
/// How the engine names a closed gate among its events.
pub const BACKLINE_GATE_OFF: u32 = 0x101;
const _: () = assert!(BACKLINE_GATE_ON == backline_abi::block::kind::GATE_ON);
const _: () = assert!(BACKLINE_GATE_OFF == backline_abi::block::kind::GATE_OFF);

/// An input or output of a module type. The first of each is the main one.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BacklinePort {
    /// The name in `ID.NAME`: 1 to 32 of a-z, 0-9 and _.
    pub name: *const c_char,
    /// What it carries, in one line; NULL for nothing.
    pub summary: *const c_char,
}

/// A parameter of a module type. A cable may enter it like an input.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BacklineParam {
    /// The name in `/set ID NAME VALUE`: 1 to 32 of a-z, 0-9 and _, and no input's name.
    pub name: *const c_char,
    /// What it does, in one line; NULL for nothing.
    pub summary: *const c_char,
    /// "Hz", "s", "dB" and the like; NULL for a plain number.
    pub unit: *const c_char,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// The value when nobody sets it.
    pub default_value: f32,
    /// What a cable into it means to the author's code: 0 nothing, 1 octaves (value times two to the power of the signal),
    /// 2 full scale (value plus signal times (max - min)).
    pub modulation: u32,
    /// For a parameter that chooses by word, the words; the value is the index, from 0 to choice_count - 1. Else NULL.
    pub choices: *const *const c_char,
    /// How many words.
    pub choice_count: u32,
}

/// A module type.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BacklineModuleType {
    /// What `/create` calls it: 1 to 128 printable characters, no space.
    pub name: *const c_char,
    /// One line for a person who chooses a module; NULL for nothing.
    pub summary: *const c_char,
    /// The file it comes from; NULL for nothing.
    pub origin: *const c_char,
    /// Inputs, at most 8.
    pub inputs: *const BacklinePort,
    /// How many.
    pub input_count: u32,
    /// Outputs, 1 to 4.
    pub outputs: *const BacklinePort,
    /// How many.
    pub output_count: u32,
    /// Parameters, at most 32.
    pub params: *const BacklineParam,
    /// How many.
    pub param_count: u32,
    /// Not 0 if `/gate` means something to it.
    pub is_gated: u32,
    /// Channels that a module of it may have at most, 1 to 16.
    pub most_channels: u32,
    /// The author's own state, in words of 32 bits. It outlives this process: whoever takes the module over gets it.
    pub state_words: u32,
    /// Not 0 if all that decides the sound is in those words. Another worker then goes on bit by bit.
    pub is_exact: u32,
    /// 0: rendered in time. k: rendered by a second thread and heard k blocks later; at most 64, and not exact.
    pub render_ahead_blocks: u32,
}

/// One module.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BacklineSetup {
    /// Its number, never used again while the engine lives; 0 while warming up.
    pub instance: u32,
    /// Its type, counted from 0 in `types`.
    pub type_index: u32,
    /// Channels of each of its inputs and outputs.
    pub channels: u32,
    /// Seed of everything random in it.
    pub identity: u32,
    /// Sample rate, Hz.
    pub rate_hz: f32,
    /// Frames of the longest block.
    pub block_frames: u32,
    /// The values of its parameters: at first for `init`, now for `render`.
    pub params: *const f32,
}

/// One stretch of one block of one module. Whatever happens to a module in the middle of a block cuts it in two.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BacklineJob {
    /// The module, with the values that its parameters have now.
    pub setup: BacklineSetup,
    /// The author's own words: the state before the stretch, and on return the state after it. 64-byte aligned.
    pub state: *mut u32,
    /// One pointer for each input, then one for each parameter; NULL where no cable is. Channel c begins at c * stride.
    pub inputs: *const *const f32,
    /// What is to be filled; silent before. Channel c of output p begins at (p * channels + c) * stride.
    pub outputs: *mut f32,
    /// Samples from one plane to the next.
    pub stride: u32,
    /// Frames in this stretch, at least 1.
    pub frames: u32,
    /// First frame of this stretch in its block. Inputs and outputs point there already.
    pub start_frame: u32,
    /// 1 while the gate is open.
    pub gate: u32,
    /// 1 if the gate was opened, or struck again, at the first frame of this stretch.
    pub is_struck: u32,
    /// Velocity of the last gate, 0.0 to 1.0.
    pub velocity: f32,
    /// Frames since the engine started, of the first frame of this stretch.
    pub first_frame: u64,
}

/// A whole worker. Begin it with `BACKLINE_RACK_INIT`. It is read and checked once, but for `user`, whose memory, like
/// the functions, must live as long as the worker runs.
///
/// All functions are called by the thread that called `backline_worker_run`, one at a time; but those of a type with
/// `render_ahead_blocks` are called (`init` and `render`) by a second thread, at the same time as the others.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BacklineRack {
    /// BACKLINE_ABI_VERSION.
    pub abi_version: u32,
    /// sizeof(BacklineRack).
    pub rack_bytes: u32,
    /// sizeof(BacklineModuleType).
    pub type_bytes: u32,
    /// sizeof(BacklineParam).
    pub param_bytes: u32,
    /// sizeof(BacklineJob).
    pub job_bytes: u32,
    /// What `ps` shows, at most 15 bytes; NULL leaves the program's name.
    pub process: *const c_char,
    /// Module types, at most 256.
    pub types: *const BacklineModuleType,
    /// How many.
    pub type_count: u32,
    /// The author's own; comes back as the first argument of each function.
    pub user: *mut c_void,
    /// State of a module before its first frame; `params` are the first values. The words are 0 already, and NULL leaves
    /// them so. Real-time: neither allocates nor waits.
    pub init: Option<unsafe extern "C" fn(user: *mut c_void, setup: *const BacklineSetup, state: *mut u32)>,
    /// Renders a stretch. Not 0: the block is concealed by a ramp, the state stays as it was, and what was said by
    /// `backline_complain` is told to whoever plays. Real-time: neither allocates nor waits.
    pub render: Option<unsafe extern "C" fn(user: *mut c_void, job: *const BacklineJob) -> i32>,
    /// Makes a type ready to be rendered; may take its time. Not 0: the worker gives up and says why. May be NULL.
    pub warm: Option<
        unsafe extern "C" fn(user: *mut c_void, type_index: u32, rate_hz: f32, block_frames: u32) -> i32,
    >,
    /// Modules have come or gone, and nothing is to be done for now: these are ours. Whoever keeps memory of his own for
    /// each lets go of the others here. One that was let go of may come back. May be NULL.
    pub rest: Option<unsafe extern "C" fn(user: *mut c_void, instances: *const u32, count: u32)>,
}
