//! Copies a rack out of the author's memory, once, into what Rust owns. Refused: another version, other sizes, absurd
//! counts, pointers that lead nowhere, texts that are none. What the copies say is checked by `rules.rs`.
//!
//! C has no way to say how long an array is but a number beside it: that these numbers are true is the author's promise,
//! and the only one.

use super::functions::Functions;
use super::refusal::RackError;
use super::rules;
use super::types::BacklineRack;
use super::types::{BACKLINE_ABI_VERSION, BacklineJob, BacklineModuleType, BacklineParam, BacklinePort};
use crate::foreign::words::OwnWords;
use backline_abi::layout::MAX_TYPES;
use backline_abi::panel::{Modulation, Panel, Param, Port};
use backline_abi::plan::{MAX_CHANNELS, MAX_PARAMS};
use std::ffi::{CStr, c_char};

/// Inputs of a module type.
const MAX_INPUTS: u32 = 8;
/// Outputs of a module type.
const MAX_OUTPUTS: u32 = 4;
/// Words of the author's state: 64 MiB.
const MAX_STATE_WORDS: u32 = 1 << 24;
/// Words that a parameter can choose among.
const MAX_CHOICES: u32 = 1_024;
/// Blocks that a module can be rendered ahead.
const MAX_AHEAD_BLOCKS: u32 = 64;
/// Bytes of a process's name, as the kernel keeps it.
const MAX_PROCESS_BYTES: u32 = 15;

/// A rack that can be played: copied, and checked.
#[derive(Debug)]
pub struct Offer {
    /// What it is called, if anything.
    pub process: Option<String>,
    /// Its types.
    pub panels: Vec<Panel>,
    /// For each type how many blocks ahead it is rendered; 0 is in time.
    pub ahead_blocks: Vec<u32>,
    /// What the author's code does.
    pub functions: Functions,
}

/// Copies and checks `rack`.
///
/// # Safety
///
/// `rack` is null or points to a rack as its own version and sizes tell it, and each pointer in that is null or points to
/// as much as the count beside it says, texts to their final NUL. Functions and `user` are good until the process ends.
pub unsafe fn read(rack: *const BacklineRack) -> Result<Offer, RackError> {
    // SAFETY: as our caller promises.
    let rack = unsafe { same_build(rack) }?;
    // SAFETY: a text or null, as our caller promises.
    let process = unsafe { text(rack.process, || "the rack's process".to_owned()) }?;
    if let Some(process) = &process {
        within("the length of the rack's process in bytes", process.len() as u32, 1, MAX_PROCESS_BYTES)?;
    }
    within("the rack's type_count", rack.type_count, 0, MAX_TYPES as u32)?;
    // SAFETY: `type_count` types, as our caller promises.
    let types = unsafe { list(rack.types, rack.type_count, || "the rack's types".to_owned()) }?;
    let mut panels = Vec::with_capacity(types.len());
    for (index, described) in types.iter().enumerate() {
        // SAFETY: copied from the rack, so its pointers are as our caller promises.
        panels.push(unsafe { panel(index, described) }?);
    }
    rules::check(&panels)?;
    // SAFETY: functions and `user` are good, as our caller promises.
    let functions = unsafe { Functions::of(&rack) }
        .ok_or_else(|| RackError::Null { thing: "the rack's render".to_owned() })?;
    let ahead_blocks = types.iter().map(|described| described.render_ahead_blocks).collect();
    Ok(Offer { process, panels, ahead_blocks, functions })
}

/// A copy of the rack, if both sides mean the same by that.
///
/// # Safety
///
/// As [`read`] says.
unsafe fn same_build(rack: *const BacklineRack) -> Result<BacklineRack, RackError> {
    if rack.is_null() || !rack.is_aligned() {
        return Err(RackError::Null { thing: "the rack".to_owned() });
    }
    // SAFETY: the first word is the version, whatever the version, as our caller promises.
    let worker = unsafe { rack.cast::<u32>().read() };
    if worker != BACKLINE_ABI_VERSION {
        return Err(RackError::Version { worker, library: BACKLINE_ABI_VERSION });
    }
    // SAFETY: in this version there is a second word.
    let sizes = unsafe { rack.cast::<[u32; 5]>().read() };
    let ours = [
        ("BacklineRack", size_of::<BacklineRack>()),
        ("BacklineModuleType", size_of::<BacklineModuleType>()),
        ("BacklineParam", size_of::<BacklineParam>()),
        ("BacklineJob", size_of::<BacklineJob>()),
    ];
    for ((what, library), worker) in ours.into_iter().zip(sizes.into_iter().skip(1)) {
        let library = library as u32;
        if worker != library {
            return Err(RackError::Size { what, worker, library });
        }
    }
    // SAFETY: it is as large as ours.
    Ok(unsafe { rack.read() })
}

/// # Safety
///
/// Pointers in `described` are as [`read`] says.
unsafe fn panel(index: usize, described: &BacklineModuleType) -> Result<Panel, RackError> {
    let numbered = || format!("module type {}", index + 1);
    // SAFETY: a text or null, as our caller promises.
    let name = unsafe { name(described.name, numbered) }?;
    let thing = rules::type_called(index, &name);
    check_numbers(&thing, described)?;
    // SAFETY: a text or null, as our caller promises.
    let summary = unsafe { text(described.summary, || format!("the summary of {thing}")) }?;
    // SAFETY: a text or null, as our caller promises.
    let origin = unsafe { text(described.origin, || format!("the origin of {thing}")) }?;
    // SAFETY: `input_count` ports, as our caller promises.
    let inputs = unsafe { ports(described.inputs, described.input_count, &format!("{thing}: inputs")) }?;
    // SAFETY: `output_count` ports, as our caller promises.
    let outputs = unsafe { ports(described.outputs, described.output_count, &format!("{thing}: outputs")) }?;
    // SAFETY: `param_count` parameters, as our caller promises.
    let params = unsafe { params(described.params, described.param_count, &thing) }?;
    let state_words = OwnWords::count(params.len()) as u32 + described.state_words;
    Ok(Panel {
        name,
        summary: summary.unwrap_or_default(),
        inputs,
        outputs,
        params,
        is_gated: described.is_gated != 0,
        most_channels: described.most_channels,
        state_words,
        is_exact: described.is_exact != 0,
        origin: origin.unwrap_or_default(),
    })
}

fn check_numbers(thing: &str, described: &BacklineModuleType) -> Result<(), RackError> {
    let within = |what: &str, found, least, most| within(&format!("{thing}: {what}"), found, least, most);
    within("input_count", described.input_count, 0, MAX_INPUTS)?;
    within("output_count", described.output_count, 1, MAX_OUTPUTS)?;
    within("param_count", described.param_count, 0, MAX_PARAMS as u32)?;
    within("most_channels", described.most_channels, 1, MAX_CHANNELS as u32)?;
    within("state_words", described.state_words, 0, MAX_STATE_WORDS)?;
    within("render_ahead_blocks", described.render_ahead_blocks, 0, MAX_AHEAD_BLOCKS)?;
    if described.render_ahead_blocks > 0 && described.is_exact != 0 {
        return Err(RackError::AheadAndExact { thing: thing.to_owned() });
    }
    Ok(())
}

/// # Safety
///
/// `first` is null or the first of `count` ports, whose texts are as [`read`] says.
unsafe fn ports(first: *const BacklinePort, count: u32, thing: &str) -> Result<Vec<Port>, RackError> {
    // SAFETY: as our caller promises.
    let described = unsafe { list(first, count, || thing.to_owned()) }?;
    let port = |(index, port): (usize, &BacklinePort)| {
        let thing = || format!("{thing}, number {}", index + 1);
        // SAFETY: a text or null, as our caller promises.
        let name = unsafe { name(port.name, thing) }?;
        // SAFETY: a text or null, as our caller promises.
        let summary = unsafe { text(port.summary, || format!("the summary of {}", thing())) }?;
        Ok(Port { name, summary: summary.unwrap_or_default() })
    };
    described.iter().enumerate().map(port).collect()
}

/// # Safety
///
/// `first` is null or the first of `count` parameters, whose pointers are as [`read`] says.
unsafe fn params(first: *const BacklineParam, count: u32, thing: &str) -> Result<Vec<Param>, RackError> {
    // SAFETY: as our caller promises.
    let described = unsafe { list(first, count, || format!("{thing}: params")) }?;
    let param = |(index, described): (usize, &BacklineParam)| {
        let thing = || format!("{thing}: parameter {}", index + 1);
        // SAFETY: copied from the rack, so its pointers are as our caller promises.
        unsafe { param(described, &thing) }
    };
    described.iter().enumerate().map(param).collect()
}

/// # Safety
///
/// Pointers in `described` are as [`read`] says.
unsafe fn param(described: &BacklineParam, thing: &dyn Fn() -> String) -> Result<Param, RackError> {
    // SAFETY: a text or null, as our caller promises.
    let name = unsafe { name(described.name, thing) }?;
    // SAFETY: a text or null, as our caller promises.
    let summary = unsafe { text(described.summary, || format!("the summary of {}", thing())) }?;
    // SAFETY: a text or null, as our caller promises.
    let unit = unsafe { text(described.unit, || format!("the unit of {}", thing())) }?;
    within(&format!("{}: modulation", thing()), described.modulation, 0, 2)?;
    within(&format!("{}: choice_count", thing()), described.choice_count, 0, MAX_CHOICES)?;
    let of_choices = || format!("choices of {}", thing());
    // SAFETY: `choice_count` texts, as our caller promises.
    let choices = unsafe { list(described.choices, described.choice_count, of_choices) }?;
    // SAFETY: each of them is a text or null, as our caller promises.
    let choices = choices.into_iter().map(|choice| unsafe { self::name(choice, of_choices) });
    Ok(Param {
        name,
        summary: summary.unwrap_or_default(),
        unit: unit.unwrap_or_default(),
        min: described.min,
        max: described.max,
        default: described.default_value,
        modulation: match described.modulation {
            1 => Modulation::Octaves,
            2 => Modulation::FullScale,
            _ => Modulation::None,
        },
        choices: choices.collect::<Result<_, _>>()?,
    })
}

fn within(thing: &str, found: u32, least: u32, most: u32) -> Result<(), RackError> {
    let refusal = || RackError::Count { thing: thing.to_owned(), found, least, most };
    if (least..=most).contains(&found) { Ok(()) } else { Err(refusal()) }
}

/// # Safety
///
/// `first` is null or points to `count` of them.
unsafe fn list<T: Copy>(
    first: *const T,
    count: u32,
    thing: impl Fn() -> String,
) -> Result<Vec<T>, RackError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if first.is_null() || !first.is_aligned() {
        return Err(RackError::Null { thing: thing() });
    }
    // SAFETY: not null, aligned, and as many as our caller promises; they are copied before anybody else can run.
    Ok(unsafe { std::slice::from_raw_parts(first, count as usize) }.to_vec())
}

/// # Safety
///
/// `start` is null or points to a text with a NUL behind it.
unsafe fn name(start: *const c_char, thing: impl Fn() -> String) -> Result<String, RackError> {
    let thing = || format!("the name of {}", thing());
    // SAFETY: as our caller promises.
    unsafe { text(start, thing) }?.ok_or_else(|| RackError::Null { thing: thing() })
}

/// # Safety
///
/// `start` is null or points to a text with a NUL behind it.
unsafe fn text(start: *const c_char, thing: impl Fn() -> String) -> Result<Option<String>, RackError> {
    if start.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and there is a NUL, as our caller promises; it is copied before anybody else can run.
    let text = unsafe { CStr::from_ptr(start) };
    let text = text.to_str().map_err(|_| RackError::NotText { thing: thing() })?;
    Ok(Some(text.to_owned()))
}
