//! A value as the performer wrote it -> a number the panel allows.

use backline_dsp::module::{MAX_CHANNELS, ModuleType, Param};

use super::EditError;
use crate::command::Value;
use crate::nearest::{hint, shown};

/// The word that stands among the parameters of `/create` without being one.
pub(super) const CHANNELS: &str = "channels";

/// Index and value of each of `params`, in their order; a word of a choice becomes its number.
pub(super) fn resolve(
    panel: &ModuleType,
    params: &[(String, Value)],
) -> Result<Vec<(usize, f32)>, EditError> {
    params.iter().map(|(name, value)| resolve_one(panel, name, value)).collect()
}

fn resolve_one(panel: &ModuleType, name: &str, value: &Value) -> Result<(usize, f32), EditError> {
    let Some(index) = panel.params.iter().position(|param| param.name == name) else {
        return Err(match name {
            CHANNELS => EditError::ChannelsFixed { asked: written(value) },
            _ => EditError::UnknownParam {
                type_name: panel.name,
                name: shown(name),
                hint: hint(name, panel.params.iter().map(|param| param.name)),
            },
        });
    };
    let param = &panel.params[index];
    let number = if param.choices.is_empty() { number(param, value)? } else { choice(param, value)? };
    Ok((index, number))
}

fn number(param: &Param, value: &Value) -> Result<f32, EditError> {
    match *value {
        Value::Number(value) => {
            in_range(param.name, value, param.min, param.max, || range(param.min, param.max, param.unit))
        }
        Value::Word(ref word) => Err(EditError::NotANumber {
            param: param.name,
            word: shown(word),
            range: range(param.min, param.max, param.unit),
        }),
    }
}

fn in_range(
    param: &'static str,
    value: f32,
    min: f32,
    max: f32,
    range: impl Fn() -> String,
) -> Result<f32, EditError> {
    if !value.is_finite() {
        Err(EditError::NotFinite { param, value, range: range() })
    } else if !(min..=max).contains(&value) {
        Err(EditError::OutOfRange { param, value, range: range() })
    } else {
        Ok(value)
    }
}

fn choice(param: &Param, value: &Value) -> Result<f32, EditError> {
    let index = match value {
        Value::Word(word) => param.choices.iter().position(|choice| choice == word),
        Value::Number(number) => (0..param.choices.len()).find(|&index| index as f32 == *number),
    };
    index.map(|index| index as f32).ok_or_else(|| EditError::NotAChoice {
        param: param.name,
        value: written(value),
        hint: hint(&written(value), param.choices.iter().copied()),
        last: param.choices.len() - 1,
    })
}

/// Takes `channels` out of the parameters of `/create`; 1 if it is not there, the last one if it is there twice.
pub(super) fn split_channels(params: &[(String, Value)]) -> Result<(usize, Vec<(String, Value)>), EditError> {
    let mut channels = 1;
    let mut rest = Vec::with_capacity(params.len());
    for (name, value) in params {
        if name == CHANNELS {
            channels = channel_count(value)?;
        } else {
            rest.push((name.clone(), value.clone()));
        }
    }
    Ok((channels, rest))
}

fn channel_count(value: &Value) -> Result<usize, EditError> {
    let range = || format!("a whole number 1..={MAX_CHANNELS}");
    match *value {
        Value::Number(number) => {
            in_range(CHANNELS, number, 1.0, MAX_CHANNELS as f32, range)?;
            if number.fract() != 0.0 {
                return Err(EditError::OutOfRange { param: CHANNELS, value: number, range: range() });
            }
            Ok(number as usize)
        }
        Value::Word(ref word) => {
            Err(EditError::NotANumber { param: CHANNELS, word: shown(word), range: range() })
        }
    }
}

/// `0.1..=20000 Hz`
fn range(min: f32, max: f32, unit: &str) -> String {
    let space = if unit.is_empty() { "" } else { " " };
    format!("{min}..={max}{space}{unit}")
}

fn written(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Word(word) => shown(word),
    }
}
