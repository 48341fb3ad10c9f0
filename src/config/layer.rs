//! One source of settings: the command line, or a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Table, Value};

use super::key::SETTINGS;
use super::{ConfigError, Key, Origin};
use crate::nearest::{hint, shown};

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A whole number.
    Whole(i64),
    /// Yes or no.
    Truth(bool),
    /// A text.
    Text(String),
    /// A path, which need not be UTF-8.
    Path(PathBuf),
    /// Several texts.
    List(Vec<String>),
    /// Something no setting takes.
    Other(String),
}

impl std::fmt::Display for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Truth(is_true) => write!(f, "{is_true}"),
            Self::Text(text) => write!(f, "'{}'", shown(text)),
            Self::Path(path) => write!(f, "'{}'", path.display()),
            Self::List(list) => write!(f, "'{}'", shown(&list.join(" "))),
            Self::Other(text) => f.write_str(&shown(text)),
        }
    }
}

/// A setting that a layer speaks of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    pub(super) key: Key,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// What one source says; silent about the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    pub(super) given: Vec<Given>,
    /// What was passed over, in words for the log.
    pub(super) notices: Vec<String>,
    /// `[kind.NAME]`, which stands instead of parts of a manifest.
    pub(super) kind_changes: BTreeMap<String, toml::Table>,
    /// `[routes]`.
    pub(super) routes: BTreeMap<String, String>,
}

impl Layer {
    /// A setting from the command line, if the option was there.
    pub fn option(mut self, key: Key, raw: Option<Raw>) -> Self {
        let origin = Origin::CommandLine(key.setting().flag);
        self.given.extend(raw.map(|raw| Given { key, raw, origin }));
        self
    }

    /// All of a settings file. `path` is for messages.
    pub fn of_file(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let document = parse(path, text)?;
        let mut layer = Self::default();
        for (name, item) in document.as_table() {
            let path = path.display().to_string();
            let origin = Origin::File { path, line: line_of(text, document.as_table(), name) };
            if let Some(wanted) = layer.take_table(name, item) {
                if !wanted.is_empty() {
                    let (key, value) = (if name == "kind" { "kind" } else { "routes" }, shown(name));
                    let wanted = wanted.to_owned();
                    return Err(ConfigError::BadValue { key, value, origin, wanted });
                }
                continue;
            }
            let Some(key) = Key::of_name(name) else {
                return Err(ConfigError::UnknownKey { name: shown(name), hint: key_hint(name), origin });
            };
            layer.given.push(Given { key, raw: raw(item), origin });
        }
        Ok(layer)
    }

    /// Takes the tables that are no settings of the engine. `None` if it is something else; what is wanted if it is not that.
    fn take_table(&mut self, name: &str, item: &Item) -> Option<&'static str> {
        let table = || item.to_string().parse::<toml::Table>().ok().filter(|_| item.is_table());
        match name {
            "kind" => {
                let wanted = "tables such as [kind.python], with keys of a worker.toml";
                let Some(kinds) = item.as_table() else { return Some(wanted) };
                for (kind, changes) in kinds {
                    let Some(changes) = changes.as_table().and_then(|it| it.to_string().parse().ok()) else {
                        return Some(wanted);
                    };
                    self.kind_changes.insert(kind.to_owned(), changes);
                }
                Some("")
            }
            "routes" => {
                let wanted = "names of module types with names of kinds, such as my_filter = \"python\"";
                for (type_name, kind) in table()? {
                    let toml::Value::String(kind) = kind else { return Some(wanted) };
                    self.routes.insert(type_name, kind);
                }
                Some("")
            }
            _ => None,
        }
    }

    /// The `[settings]` of a patch file. Keys nobody knows are passed over, with a notice.
    pub fn of_patch(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let document = parse(path, text)?;
        let mut layer = Self::default();
        let Some(settings) = document.get("settings").cloned().and_then(|item| item.into_table().ok()) else {
            return Ok(layer);
        };
        for (name, item) in &settings {
            let path = path.display().to_string();
            let origin = Origin::Patch { path, line: line_of(text, &settings, name) };
            let Some(key) = Key::of_name(name) else {
                let hint = key_hint(name);
                layer.notices.push(format!("setting '{}' ({origin}) is passed over{hint}", shown(name)));
                continue;
            };
            let setting = key.setting();
            if !setting.is_for_patches {
                return Err(ConfigError::NotInPatch { key: setting.name, flag: setting.flag, origin });
            }
            layer.given.push(Given { key, raw: raw(item), origin });
        }
        Ok(layer)
    }
}

fn parse<'text>(path: &Path, text: &'text str) -> Result<Document<&'text str>, ConfigError> {
    Document::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.display().to_string(),
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        problem: error.message().to_owned(),
    })
}

fn raw(item: &Item) -> Raw {
    match item {
        Item::Value(Value::Integer(number)) => Raw::Whole(*number.value()),
        Item::Value(Value::Boolean(is_true)) => Raw::Truth(*is_true.value()),
        Item::Value(Value::String(text)) => Raw::Text(text.value().clone()),
        Item::Value(Value::Array(list)) => {
            list_of_texts(list).map_or_else(|| Raw::Other(list.to_string().trim().to_owned()), Raw::List)
        }
        Item::Value(other) => Raw::Other(other.to_string().trim().to_owned()),
        _ => Raw::Other("a table".to_owned()),
    }
}

fn list_of_texts(list: &toml_edit::Array) -> Option<Vec<String>> {
    list.iter().map(|one| one.as_str().map(str::to_owned)).collect()
}

fn key_hint(name: &str) -> String {
    hint(name, SETTINGS.iter().map(|setting| setting.name))
}

fn line_of(text: &str, table: &Table, name: &str) -> usize {
    let span = table.get_key_value(name).and_then(|(key, item)| key.span().or_else(|| item.span()));
    line_at(text, span.map_or(0, |span| span.start))
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}
