//! Racks as C would write them, in Rust.

use backline_abi::panel::{Modulation, Panel, Param, Port};
use backline_sdk::c_api::reading::{self, Offer};
use backline_sdk::c_api::refusal::RackError;
use backline_sdk::c_api::types::{
    BACKLINE_ABI_VERSION, BacklineJob, BacklineModuleType, BacklineParam, BacklinePort, BacklineRack,
};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{null, null_mut};

/// Renders nothing.
pub unsafe extern "C" fn silence(_user: *mut c_void, _job: *const BacklineJob) -> i32 {
    0
}

/// A port.
pub const fn port(name: &'static CStr) -> BacklinePort {
    BacklinePort { name: name.as_ptr(), summary: null() }
}

/// A parameter from 0 to 1.
pub const fn param(name: &'static CStr) -> BacklineParam {
    BacklineParam {
        name: name.as_ptr(),
        summary: null(),
        unit: null(),
        min: 0.0,
        max: 1.0,
        default_value: 0.5,
        modulation: 0,
        choices: null(),
        choice_count: 0,
    }
}

/// For the rest of the test, because nobody counts who points there.
pub fn kept<T>(list: Vec<T>) -> *const T {
    Vec::leak(list).as_ptr()
}

/// A type with one input, one output and one parameter.
pub fn module_type(name: &'static CStr) -> BacklineModuleType {
    BacklineModuleType {
        name: name.as_ptr(),
        summary: null(),
        origin: null(),
        inputs: kept(vec![port(c"in")]),
        input_count: 1,
        outputs: kept(vec![port(c"out")]),
        output_count: 1,
        params: kept(vec![param(c"level")]),
        param_count: 1,
        is_gated: 0,
        most_channels: 1,
        state_words: 0,
        is_exact: 0,
        render_ahead_blocks: 0,
    }
}

/// A rack with these types.
pub fn rack(types: Vec<BacklineModuleType>) -> BacklineRack {
    BacklineRack {
        abi_version: BACKLINE_ABI_VERSION,
        rack_bytes: size_of::<BacklineRack>() as u32,
        type_bytes: size_of::<BacklineModuleType>() as u32,
        param_bytes: size_of::<BacklineParam>() as u32,
        job_bytes: size_of::<BacklineJob>() as u32,
        process: null(),
        type_count: types.len() as u32,
        types: kept(types),
        user: null_mut(),
        init: None,
        render: Some(silence),
        warm: None,
        rest: None,
    }
}

/// What the library makes of it.
pub fn read(rack: &BacklineRack) -> Result<Offer, RackError> {
    // SAFETY: racks here are made of lists and texts that are never freed, with their true numbers or larger ones that are
    // refused before anything is read.
    unsafe { reading::read(rack) }
}

/// What C would write to offer `panel`, which has `own_words` more words of state than its author knows.
pub fn described(panel: &Panel, own_words: u32) -> BacklineModuleType {
    BacklineModuleType {
        name: text(&panel.name),
        summary: text(&panel.summary),
        origin: text(&panel.origin),
        inputs: ports(&panel.inputs),
        input_count: panel.inputs.len() as u32,
        outputs: ports(&panel.outputs),
        output_count: panel.outputs.len() as u32,
        params: kept(panel.params.iter().map(described_param).collect()),
        param_count: panel.params.len() as u32,
        is_gated: panel.is_gated.into(),
        most_channels: panel.most_channels,
        state_words: panel.state_words - own_words,
        is_exact: panel.is_exact.into(),
        render_ahead_blocks: 0,
    }
}

fn text(text: &str) -> *const c_char {
    CString::new(text).expect("no NUL inside").into_raw()
}

fn ports(ports: &[Port]) -> *const BacklinePort {
    kept(
        ports
            .iter()
            .map(|port| BacklinePort { name: text(&port.name), summary: text(&port.summary) })
            .collect(),
    )
}

fn described_param(param: &Param) -> BacklineParam {
    BacklineParam {
        name: text(&param.name),
        summary: text(&param.summary),
        unit: text(&param.unit),
        min: param.min,
        max: param.max,
        default_value: param.default,
        modulation: match param.modulation {
            Modulation::None => 0,
            Modulation::Octaves => 1,
            Modulation::FullScale => 2,
        },
        choices: kept(param.choices.iter().map(|choice| text(choice)).collect()),
        choice_count: param.choices.len() as u32,
    }
}
