//! What a module type must be like: names that can be typed and mean one thing, ranges that hold their defaults.
//! In: panels as they were copied from the author's memory. Out: the first thing that is wrong. No pointers here.

use super::refusal::RackError;
use backline_abi::panel::{Panel, Param};
use std::collections::HashSet;

/// What port and parameter names are like.
const SHORT: &str = "1 to 32 of a-z, 0-9 and _";
/// What module type names and choices are like.
const LONG: &str = "1 to 128 printable characters without spaces";

/// Checks all types, and each of them.
pub fn check(panels: &[Panel]) -> Result<(), RackError> {
    let mut taken = HashSet::new();
    for (index, panel) in panels.iter().enumerate() {
        let thing = type_called(index, &panel.name);
        long(&thing, &panel.name)?;
        once(&mut taken, &thing, &panel.name)?;
        check_names(&thing, panel)?;
        panel.params.iter().try_for_each(|param| check_range(&thing, param))?;
    }
    Ok(())
}

/// How an error calls a module type.
pub fn type_called(index: usize, name: &str) -> String {
    format!("module type {} ({name:?})", index + 1)
}

/// Inputs and parameters are both what a cable enters, so no two of them share a name.
fn check_names(thing: &str, panel: &Panel) -> Result<(), RackError> {
    let inputs = panel.inputs.iter().map(|port| ("input", &port.name));
    let params = panel.params.iter().map(|param| ("parameter", &param.name));
    let outputs = panel.outputs.iter().map(|port| ("output", &port.name));
    all_differ(thing, inputs.chain(params))?;
    all_differ(thing, outputs)
}

fn all_differ<'n>(
    thing: &str,
    names: impl Iterator<Item = (&'static str, &'n String)>,
) -> Result<(), RackError> {
    let mut taken = HashSet::new();
    for (index, (kind, name)) in names.enumerate() {
        let thing = format!("{thing}: {kind} {}", index + 1);
        short(&thing, name)?;
        once(&mut taken, &thing, name)?;
    }
    Ok(())
}

fn check_range(thing: &str, param: &Param) -> Result<(), RackError> {
    let Param { min, max, default, .. } = *param;
    let thing = format!("{thing}: parameter {:?}", param.name);
    let is_finite = [min, default, max].iter().all(|value| value.is_finite());
    if !is_finite || !(min..=max).contains(&default) {
        return Err(RackError::Range { thing, min, default, max });
    }
    let choices = param.choices.len();
    if choices > 0 && (min != 0.0 || max != (choices - 1) as f32) {
        return Err(RackError::Choices { thing, choices });
    }
    let mut taken = HashSet::new();
    for choice in &param.choices {
        long(&format!("{thing}: a choice"), choice)?;
        once(&mut taken, &thing, choice)?;
    }
    Ok(())
}

fn short(thing: &str, name: &str) -> Result<(), RackError> {
    let is_good = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
    named(thing, name, (1..=32).contains(&name.len()) && name.bytes().all(is_good), SHORT)
}

fn long(thing: &str, name: &str) -> Result<(), RackError> {
    let is_good = |letter: char| !letter.is_whitespace() && !letter.is_control();
    named(thing, name, (1..=128).contains(&name.chars().count()) && name.chars().all(is_good), LONG)
}

fn named(thing: &str, name: &str, is_good: bool, rule: &'static str) -> Result<(), RackError> {
    let refusal = || RackError::Name { thing: thing.to_owned(), found: name.to_owned(), rule };
    if is_good { Ok(()) } else { Err(refusal()) }
}

fn once<'n>(taken: &mut HashSet<&'n str>, thing: &str, name: &'n str) -> Result<(), RackError> {
    let refusal = || RackError::Twice { thing: thing.to_owned(), name: name.to_owned() };
    if taken.insert(name) { Ok(()) } else { Err(refusal()) }
}
