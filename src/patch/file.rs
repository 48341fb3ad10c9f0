//! A patch as text (TOML, version 1) -> the commands that make it.
//!
//! In: the text of a patch file. Out: `Create`s and `Connect`s, in the order of the file, for the same
//! validators as the network; they were tried on an empty patch already, so that a refusal can name a line.
//! Refused: other versions, unknown types, parameters, ids and ports. Kept in the document and passed over:
//! unknown keys outside modules and, in modules, unknown tables and lists (where another program may keep
//! its notes). `[settings]` is read by `config`.

use toml_edit::{Document, DocumentMut, Item, Table};

use super::{EditError, Limits, Patch};
use crate::catalogue;
use crate::command::{Command, PortName, Value};

/// The version this engine writes and reads.
pub const VERSION: i64 = 1;

/// A patch file that holds together.
#[derive(Debug, Clone)]
pub struct PatchFile {
    /// Every module, then every connection. Each module has its id, also where the file left it out.
    pub commands: Vec<Command>,
    /// The file as it was written, with comments and unknown keys, so that it can be saved with them.
    pub document: DocumentMut,
}

/// A patch file was refused; nothing of it is in force.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FileError {
    /// Not TOML.
    #[error("line {line}: this is not TOML: {problem}")]
    Syntax {
        /// Where.
        line: usize,
        /// In the words of the parser.
        problem: String,
    },
    /// No version.
    #[error("a patch file needs its version; write this on its first line: version = {VERSION}")]
    NoVersion,
    /// A version of another engine.
    #[error("line {line}: this is a patch of version {found}, and this engine reads version {VERSION}")]
    OtherVersion {
        /// Where.
        line: usize,
        /// As written.
        found: String,
    },
    /// A key that is not what it must be.
    #[error("line {line}: {key} must be {wanted}")]
    WrongType {
        /// Where.
        line: usize,
        /// Which key.
        key: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A key that must be there.
    #[error("line {line}: this [[{table}]] has no {key}; add {example}")]
    Missing {
        /// Where its table starts.
        line: usize,
        /// `module` or `connect`.
        table: &'static str,
        /// Which key.
        key: &'static str,
        /// A line that would do.
        example: &'static str,
    },
    /// What a command over the network would be refused for.
    #[error("line {line}: {refusal}")]
    Refused {
        /// Where.
        line: usize,
        /// Why.
        refusal: EditError,
    },
}

/// Reads a patch file.
pub fn load(text: &str) -> Result<PatchFile, FileError> {
    let document = Document::parse(text).map_err(|error| FileError::Syntax {
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        problem: error.message().to_owned(),
    })?;
    let mut reader = Reader { text, trial: Patch::default(), next_instance: 1, commands: Vec::new() };
    reader.check_version(document.as_table())?;
    reader.check_settings(document.as_table())?;
    for module in reader.tables(document.as_table(), "module")? {
        reader.read_module(module)?;
    }
    for connect in reader.tables(document.as_table(), "connect")? {
        reader.read_connect(connect)?;
    }
    Ok(PatchFile { commands: reader.commands, document: document.into_mut() })
}

/// Turns tables into commands, and tries each command at once.
struct Reader<'text> {
    text: &'text str,
    trial: Patch,
    next_instance: u32,
    commands: Vec<Command>,
}

impl Reader<'_> {
    fn check_version(&self, root: &Table) -> Result<(), FileError> {
        let version = root.get("version").ok_or(FileError::NoVersion)?;
        if version.as_integer() == Some(VERSION) {
            return Ok(());
        }
        let found = version.to_string().trim().to_owned();
        Err(FileError::OtherVersion { line: self.line_of(root, "version"), found })
    }

    fn check_settings(&self, root: &Table) -> Result<(), FileError> {
        match root.get("settings") {
            Some(item) if !item.is_table_like() => {
                Err(self.wrong_type(root, "settings", "a table: [settings]"))
            }
            _ => Ok(()),
        }
    }

    fn tables<'a>(&self, root: &'a Table, key: &'static str) -> Result<Vec<&'a Table>, FileError> {
        match root.get(key) {
            None => Ok(Vec::new()),
            Some(Item::ArrayOfTables(tables)) => Ok(tables.iter().collect()),
            Some(_) => Err(self.wrong_type(root, key, "a table in double brackets, one for each")),
        }
    }

    fn read_module(&mut self, table: &Table) -> Result<(), FileError> {
        let type_name = self.text_of(table, "module", "type", "type = \"vco\"")?;
        let id = match table.get("id") {
            None => None,
            Some(item) => match (item.as_str(), item.as_integer()) {
                (Some(id), _) => Some(id.to_owned()),
                (_, Some(number)) => Some(format!("{}{number}", catalogue::stem(&type_name))),
                _ => return Err(self.wrong_type(table, "id", "a text such as \"vco1\", or a number")),
            },
        };
        let params = self.params_of(table, &type_name)?;
        let limits = Limits::default();
        let created = self.trial.create(&type_name, id.as_deref(), &params, &mut self.next_instance, &limits);
        let instance = created.map_err(|refusal| FileError::Refused {
            line: self.line_of(table, key_at_fault(&refusal)),
            refusal,
        })?;
        let id = self.trial.by_instance(instance).map(|module| module.id.clone());
        self.commands.push(Command::Create { type_name, id, params });
        Ok(())
    }

    /// Every key of a module that is a parameter, or is written like one.
    fn params_of(&self, table: &Table, type_name: &str) -> Result<Vec<(String, Value)>, FileError> {
        let known = catalogue::find(type_name).map_or(&[][..], |row| row.panel.params);
        let mut params = Vec::new();
        for (key, item) in table.iter().filter(|(key, _)| !matches!(*key, "type" | "id")) {
            match value_of(item) {
                Some(value) => params.push((key.to_owned(), value)),
                None if key == "channels" || known.iter().any(|param| param.name == key) => {
                    return Err(self.wrong_type(table, key, "a number or a word"));
                }
                None => {}
            }
        }
        Ok(params)
    }

    fn read_connect(&mut self, table: &Table) -> Result<(), FileError> {
        let source = port_name(&self.text_of(table, "connect", "from", "from = \"vco1\"")?);
        let target = port_name(&self.text_of(table, "connect", "to", "to = \"out.left\"")?);
        let gain = match table.get("gain").map(value_of) {
            None => 1.0,
            Some(Some(Value::Number(gain))) => gain,
            Some(_) => return Err(self.wrong_type(table, "gain", "a number")),
        };
        if let Err(refusal) = self.trial.connect(&source, &target, gain, &Limits::default()) {
            let key = end_at_fault(&refusal, &source);
            return Err(FileError::Refused { line: self.line_of(table, key), refusal });
        }
        self.commands.push(Command::Connect { source, target, gain });
        Ok(())
    }

    fn text_of(
        &self,
        table: &Table,
        name: &'static str,
        key: &'static str,
        example: &'static str,
    ) -> Result<String, FileError> {
        match table.get(key) {
            None => Err(FileError::Missing { line: self.start_of(table), table: name, key, example }),
            Some(item) => match item.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(self.wrong_type(table, key, "a text in quotes")),
            },
        }
    }

    fn wrong_type(&self, table: &Table, key: &str, wanted: &'static str) -> FileError {
        FileError::WrongType { line: self.line_of(table, key), key: key.to_owned(), wanted }
    }

    /// The line of a key, or of its table if it is not there.
    fn line_of(&self, table: &Table, key: &str) -> usize {
        let span = table.get_key_value(key).and_then(|(key, item)| key.span().or_else(|| item.span()));
        span.map_or_else(|| self.start_of(table), |span| line_at(self.text, span.start))
    }

    fn start_of(&self, table: &Table) -> usize {
        line_at(self.text, table.span().map_or(0, |span| span.start))
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// A number, word, or truth (1 or 0); nothing else can be a parameter.
pub(super) fn value_of(item: &Item) -> Option<Value> {
    match item.as_value()? {
        toml_edit::Value::Integer(number) => Some(Value::Number(*number.value() as f32)),
        toml_edit::Value::Float(number) => Some(Value::Number(*number.value() as f32)),
        toml_edit::Value::Boolean(is_true) => Some(Value::Number(f32::from(u8::from(*is_true.value())))),
        toml_edit::Value::String(word) => Some(Value::Word(word.value().clone())),
        _ => None,
    }
}

/// `id.port`, or `id`.
pub(super) fn port_name(written: &str) -> PortName {
    match written.split_once('.') {
        Some((id, port)) => PortName { id: id.to_owned(), port: Some(port.to_owned()) },
        None => PortName { id: written.to_owned(), port: None },
    }
}

/// The key of a `[[module]]` that a refusal is about.
fn key_at_fault(refusal: &EditError) -> &str {
    match refusal {
        EditError::UnknownType { .. } => "type",
        EditError::InvalidId { .. } | EditError::DuplicateId { .. } => "id",
        EditError::UnknownParam { name, .. } => name,
        EditError::OutOfRange { param, .. }
        | EditError::NotFinite { param, .. }
        | EditError::NotANumber { param, .. }
        | EditError::NotAChoice { param, .. } => param,
        _ => "type",
    }
}

/// The key of a `[[connect]]` that a refusal is about.
fn end_at_fault(refusal: &EditError, source: &PortName) -> &'static str {
    match refusal {
        EditError::UnknownOutput { .. } | EditError::NoOutput { .. } => "from",
        EditError::UnknownId { id, .. } | EditError::PatternInCable { id } if *id == source.id => "from",
        EditError::GainNotFinite { .. } => "gain",
        _ => "to",
    }
}

#[cfg(test)]
mod tests;
