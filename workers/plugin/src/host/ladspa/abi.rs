//! The C structs of `ladspa.h` 1.1, and a port with its strings copied out.

use std::ffi::{c_char, c_int, c_ulong, c_void};

const PORT_INPUT: c_int = 0x1;
const PORT_OUTPUT: c_int = 0x2;
const PORT_CONTROL: c_int = 0x4;
const PORT_AUDIO: c_int = 0x8;

/// `LADSPA_PortRangeHint`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RangeHint {
    pub hint: c_int,
    pub lower: f32,
    pub upper: f32,
}

/// A running instance, opaque.
pub type Handle = *mut c_void;

/// `LADSPA_Descriptor`. A null function is `None`.
#[repr(C)]
pub struct Descriptor {
    pub unique_id: c_ulong,
    pub label: *const c_char,
    pub properties: c_int,
    pub name: *const c_char,
    pub maker: *const c_char,
    pub copyright: *const c_char,
    pub port_count: c_ulong,
    pub port_descriptors: *const c_int,
    pub port_names: *const *const c_char,
    pub port_range_hints: *const RangeHint,
    pub implementation_data: *mut c_void,
    pub instantiate: Option<unsafe extern "C" fn(*const Descriptor, c_ulong) -> Handle>,
    pub connect_port: Option<unsafe extern "C" fn(Handle, c_ulong, *mut f32)>,
    pub activate: Option<unsafe extern "C" fn(Handle)>,
    pub run: Option<unsafe extern "C" fn(Handle, c_ulong)>,
    pub run_adding: Option<unsafe extern "C" fn(Handle, c_ulong)>,
    pub set_run_adding_gain: Option<unsafe extern "C" fn(Handle, f32)>,
    pub deactivate: Option<unsafe extern "C" fn(Handle)>,
    pub cleanup: Option<unsafe extern "C" fn(Handle)>,
}

/// `ladspa_descriptor`, the one function of a library.
pub type DescriptorFunction = unsafe extern "C" fn(c_ulong) -> *const Descriptor;

/// One port, owned.
pub struct Port {
    pub kind: c_int,
    pub name: String,
    pub hint: c_int,
    pub lower: f32,
    pub upper: f32,
}

impl Port {
    pub fn is_input(&self) -> bool {
        self.kind & PORT_INPUT != 0
    }

    pub fn is_output(&self) -> bool {
        self.kind & PORT_OUTPUT != 0
    }

    pub fn is_control(&self) -> bool {
        self.kind & PORT_CONTROL != 0
    }

    pub fn is_audio(&self) -> bool {
        self.kind & PORT_AUDIO != 0
    }

    /// By convention an output of this name tells the latency in frames.
    pub fn tells_latency(&self) -> bool {
        matches!(self.name.as_str(), "latency" | "_latency")
    }

    /// In or out, audio or control, and not both.
    pub fn is_valid(&self) -> bool {
        self.is_input() != self.is_output() && self.is_audio() != self.is_control()
    }
}
