//! Vocabulary: every module type that can be asked for. Those of the native worker always; those of other kinds of worker
//! from when they have described themselves ([`add`]). A row stays for the life of the process.
//!
//! Refused: what would break a worker or confuse a performer, with the reason. Thread: any but audio threads.

use crate::nearest::hint;
use backline_abi::panel::{self, Panel};
use backline_abi::plan::ModuleRecord;
use backline_dsp::catalogue::{CATALOGUE, Entry};
use backline_dsp::module::{MAX_CHANNELS, MAX_PARAMS, MAX_PORTS, Modulation, ModuleType, Param, Port, Setup};
use std::collections::HashSet;
use std::fmt;
use std::sync::{LazyLock, PoisonError, RwLock};

/// The kind of worker that has our own modules.
pub const NATIVE: usize = 0;
/// Output ports that a worker has room for.
const MAX_OUTPUTS: usize = 4;
/// Words of state that a module of another kind may have: 4 MiB.
const MOST_STATE_WORDS: u32 = 1024 * 1024;
/// An id has 32 characters, and room for a number is needed.
const LONGEST_STEM: usize = 24;
/// Characters of a type's name.
const MOST_NAME_CHARS: usize = 128;

/// One type.
pub struct TypeRow {
    /// The panel.
    pub panel: &'static ModuleType,
    /// Which kind of worker plays it: [`NATIVE`] or a later one.
    pub kind: usize,
    /// Its number in the catalogue of that kind.
    pub row: u32,
    /// Channels a module of it may have at most.
    pub most_channels: usize,
    /// Whether another worker goes on with it bit by bit.
    pub is_exact: bool,
    /// File it comes from; empty for our own.
    pub origin: String,
    state_words: usize,
    /// What renders it in process; only our own.
    pub entry: Option<&'static Entry>,
}

/// A type that cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("module type '{name}' cannot be offered: {reason}")]
pub struct Unfit {
    /// The name.
    pub name: String,
    /// Why, and what would do.
    pub reason: String,
}

impl fmt::Debug for TypeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.panel.name)
    }
}

impl PartialEq for TypeRow {
    /// There is one row of each type.
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

static ROWS: LazyLock<RwLock<Vec<&'static TypeRow>>> = LazyLock::new(|| RwLock::new(native_rows()));

/// See [`set_note`].
static NOTE: RwLock<Option<String>> = RwLock::new(None);

fn native_rows() -> Vec<&'static TypeRow> {
    let native = |(row, entry): (usize, &'static Entry)| -> &'static TypeRow {
        Box::leak(Box::new(TypeRow {
            panel: &entry.panel,
            kind: NATIVE,
            row: row as u32,
            most_channels: MAX_CHANNELS,
            is_exact: true,
            origin: String::new(),
            state_words: entry.state_words,
            entry: Some(entry),
        }))
    };
    CATALOGUE.iter().enumerate().map(native).collect()
}

/// Every type, in the order in which they are listed to people.
pub fn all() -> Vec<&'static TypeRow> {
    ROWS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The type of this name.
pub fn find(name: &str) -> Option<&'static TypeRow> {
    let rows = ROWS.read().unwrap_or_else(PoisonError::into_inner);
    rows.iter().copied().find(|row| row.panel.name == name)
}

/// Nearest and known names, and who is not warm yet, to end a sentence with.
pub fn hint_for(name: &str) -> String {
    let note = NOTE.read().unwrap_or_else(PoisonError::into_inner);
    let note = note.as_ref().map_or(String::new(), |note| format!("; {note}"));
    hint(name, all().iter().map(|row| row.panel.name)) + &note
}

/// What ids of modules of a type begin with: its name, or of the name of a plug-in, the end that can be one.
pub fn stem(type_name: &str) -> String {
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if type_name.chars().all(is_id) {
        return type_name.to_owned();
    }
    let mut pieces = type_name.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let last = pieces.find(|piece| !piece.is_empty()).unwrap_or("module").to_ascii_lowercase();
    last.chars().take(LONGEST_STEM).collect()
}

/// Says why types may be missing that a performer expects; `None` if all are there.
pub fn set_note(note: Option<String>) {
    *NOTE.write().unwrap_or_else(PoisonError::into_inner) = note;
}

/// The name of the type of this key.
pub fn name_of(key: u32) -> &'static str {
    let rows = ROWS.read().unwrap_or_else(PoisonError::into_inner);
    rows.iter().find(|row| row.key() == key).map_or("?", |row| row.panel.name)
}

/// Offers the types that workers of `kind` have described, in the order of their numbers there. `is_routed` says which
/// names this kind answers for. Returns what is not offered; a worker has it all the same.
pub fn add(kind: usize, panels: &[Panel], is_routed: impl Fn(&str) -> bool) -> Vec<Unfit> {
    let mut unfit = Vec::new();
    for (row, panel) in panels.iter().enumerate().filter(|(_, panel)| is_routed(&panel.name)) {
        let refused = |reason| Unfit { name: panel.name.clone(), reason };
        match check(panel) {
            Err(reason) => unfit.push(refused(reason)),
            Ok(()) => {
                let mut rows = ROWS.write().unwrap_or_else(PoisonError::into_inner);
                let taken = rows.iter().position(|other| other.panel.name == panel.name);
                match taken {
                    Some(index) if rows[index].kind == kind && rows[index].row == row as u32 => {}
                    Some(_) => unfit.push(refused(
                        "another one has that name; rename it, or say in backline.toml who is meant: \
                         [routes]"
                            .to_owned(),
                    )),
                    None => rows.push(leaked(kind, row as u32, panel)),
                }
            }
        }
    }
    unfit
}

/// Takes the names away that are meant to be another kind's; before any of them is used.
pub fn withdraw(kind: usize, is_routed: impl Fn(&str) -> bool) {
    // Asked before the lock is taken: whoever answers may look here.
    let kept: Vec<_> =
        all().into_iter().filter(|row| row.kind != kind || is_routed(row.panel.name)).collect();
    *ROWS.write().unwrap_or_else(PoisonError::into_inner) = kept;
}

fn check(panel: &Panel) -> Result<(), String> {
    let is_name = |name: &str, most: usize, is_allowed: fn(char) -> bool| {
        (1..=most).contains(&name.chars().count()) && name.chars().all(is_allowed)
    };
    let at_most = |count: usize, most: usize, what: &str| {
        if count <= most { Ok(()) } else { Err(format!("it has {count} {what}, {most} at most")) }
    };
    if !is_name(&panel.name, MOST_NAME_CHARS, |c| c.is_ascii_graphic() && c != '"') {
        return Err(format!("a name is 1..={MOST_NAME_CHARS} printable characters without a space"));
    }
    at_most(panel.inputs.len(), MAX_PORTS, "inputs")?;
    at_most(panel.outputs.len(), MAX_OUTPUTS, "outputs")?;
    at_most(panel.params.len(), MAX_PARAMS, "parameters")?;
    at_most(panel.state_words as usize, MOST_STATE_WORDS as usize, "words of state")?;
    at_most(panel.most_channels as usize, MAX_CHANNELS, "channels")?;
    if panel.most_channels == 0 || panel.outputs.is_empty() {
        return Err("it has no output".to_owned());
    }
    let ports = panel.inputs.iter().map(|port| &port.name);
    let into = ports.chain(panel.params.iter().map(|param| &param.name));
    let mut seen = HashSet::new();
    for name in into.chain(panel.outputs.iter().map(|port| &port.name)) {
        if !is_name(name, 32, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            return Err(format!("'{name}' is no name of a port or parameter: those are [a-z0-9_]{{1,32}}"));
        }
    }
    let ports = panel.inputs.iter().map(|port| port.name.as_str());
    for name in ports.chain(panel.params.iter().map(|param| param.name.as_str())) {
        if !seen.insert(name) {
            return Err(format!("two inputs or parameters are called '{name}'"));
        }
    }
    panel.params.iter().try_for_each(check_param)
}

fn check_param(param: &panel::Param) -> Result<(), String> {
    let panel::Param { name, min, max, default, choices, .. } = param;
    let is_sane = min.is_finite() && max.is_finite() && min <= max && (min..=max).contains(&default);
    if !is_sane {
        return Err(format!("parameter '{name}' has the range {min}..={max} and the default {default}"));
    }
    if name == "channels" {
        return Err(
            "'channels' is what /create calls the width of any module; rename the parameter".to_owned()
        );
    }
    let is_choice = choices.is_empty() || (*min == 0.0 && *max == (choices.len() - 1) as f32);
    if is_choice { Ok(()) } else { Err(format!("parameter '{name}' has words that do not fit its range")) }
}

/// A description becomes a row for the life of the process: there are few, and everybody may refer to it.
fn leaked(kind: usize, row: u32, panel: &Panel) -> &'static TypeRow {
    let text = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let ports = |ports: &[panel::Port]| -> &'static [Port] {
        let ported = ports.iter().map(|port| Port { name: text(&port.name), summary: text(&port.summary) });
        Vec::leak(ported.collect())
    };
    let param = |param: &panel::Param| Param {
        name: text(&param.name),
        summary: text(&param.summary),
        unit: text(&param.unit),
        min: param.min,
        max: param.max,
        default: param.default,
        modulation: match param.modulation {
            panel::Modulation::None => Modulation::None,
            panel::Modulation::Octaves => Modulation::Octaves,
            panel::Modulation::FullScale => Modulation::FullScale,
        },
        choices: Vec::leak(param.choices.iter().map(|choice| text(choice)).collect()),
    };
    let panel_of_ours = ModuleType {
        name: text(&panel.name),
        summary: text(&panel.summary),
        inputs: ports(&panel.inputs),
        outputs: ports(&panel.outputs),
        params: Vec::leak(panel.params.iter().map(param).collect()),
        is_gated: panel.is_gated,
        is_sink: false,
    };
    Box::leak(Box::new(TypeRow {
        panel: Box::leak(Box::new(panel_of_ours)),
        kind,
        row,
        most_channels: panel.most_channels as usize,
        is_exact: panel.is_exact,
        origin: panel.origin.clone(),
        state_words: panel.state_words as usize,
        entry: None,
    }))
}

/// The number that tells the type of a module from every other: its kind and its row there.
pub const fn key_of(record: &ModuleRecord) -> u32 {
    record.kind << 16 | record.type_index
}

impl TypeRow {
    /// See [`key_of`].
    pub const fn key(&self) -> u32 {
        (self.kind as u32) << 16 | self.row
    }

    /// What a worker needs to know of a module of this type; its memory begins nowhere yet.
    pub fn record(
        &self,
        instance: u32,
        channels: usize,
        identity: u32,
        params: [f32; MAX_PARAMS],
        rate_hz: f32,
    ) -> ModuleRecord {
        let channels = self.entry.map_or(channels, |entry| entry.channels(channels));
        let used = &params[..self.panel.params.len()];
        let setup = Setup { rate_hz, channels, identity, params: used };
        let planes =
            self.entry.map_or(self.panel.outputs.len() * channels, |entry| entry.output_planes(channels));
        ModuleRecord {
            instance,
            type_index: self.row,
            channels: channels as u32,
            identity,
            memory_start: 0,
            state_words: self.state_words as u32,
            line_words: self.entry.map_or(0, |entry| (entry.line_samples)(&setup)) as u32,
            output_planes: planes as u32,
            params,
            input_ports: self.panel.inputs.len() as u32,
            kind: self.kind as u32,
            reserved: [0; 6],
        }
    }
}
