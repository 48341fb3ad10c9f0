//! A patch as text again (TOML, version 1), for a person to read and edit.
//!
//! In: a patch, and the file that it was loaded from if there is one. Out: the text of a file that loads as this
//! patch. What the old file said beside the patch (comments, unknown keys and tables, `[settings]`) is kept, and
//! its modules keep their tables; the rest is written as short as can be: parameters at their default are left out.

use toml_edit::{ArrayOfTables, Item, Table, Value as TomlValue};

use super::file::{PatchFile, VERSION, port_name, value_of};
use super::{Connection, Patch, PatchModule, port, value};
use crate::command::{Command, PortName};

/// The text of a file for `patch`, which was loaded from `origin`, or grew out of nothing.
pub fn text_of(patch: &Patch, origin: Option<&PatchFile>) -> String {
    let mut document = origin.map(|file| file.document.clone()).unwrap_or_default();
    let root = document.as_table_mut();
    if root.get("version").is_none() {
        root.insert("version", toml_edit::value(VERSION));
    }
    let ids = origin.map(ids_of).unwrap_or_default();
    let modules = ids.into_iter().zip(taken_out(root, "module")).collect();
    let cables = taken_out(root, "connect");
    put_back(root, "module", module_tables(patch, modules));
    put_back(root, "connect", connect_tables(patch, cables));
    let mut position = 0;
    number(document.as_table_mut(), &mut position);
    document.to_string()
}

/// The id of each module of a file, also of those that left it to the engine.
fn ids_of(file: &PatchFile) -> Vec<String> {
    let id = |command: &Command| match command {
        Command::Create { id, .. } => id.clone(),
        _ => None,
    };
    file.commands.iter().filter_map(id).collect()
}

fn taken_out(root: &mut Table, key: &str) -> Vec<Table> {
    match root.get_mut(key) {
        // The key stays, so that what stands before and after it does.
        Some(Item::ArrayOfTables(tables)) => std::mem::take(tables).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn put_back(root: &mut Table, key: &str, tables: ArrayOfTables) {
    if tables.is_empty() {
        root.remove(key);
    } else {
        root[key] = Item::ArrayOfTables(tables);
    }
}

fn module_tables(patch: &Patch, mut old: Vec<(String, Table)>) -> ArrayOfTables {
    let mut tables = ArrayOfTables::new();
    for module in patch.modules() {
        let is_same = |(id, table): &(String, Table)| {
            *id == module.id && table.get("type").and_then(Item::as_str) == Some(module.panel().name)
        };
        let table = old.iter().position(is_same).map(|index| old.swap_remove(index).1);
        tables.push(module_table(module, table));
    }
    tables
}

fn module_table(module: &PatchModule, old: Option<Table>) -> Table {
    let mut table = old.unwrap_or_else(|| {
        let mut table = Table::new();
        table.insert("type", toml_edit::value(module.panel().name));
        table
    });
    let is_numbered = table.get("id").is_some_and(Item::is_integer);
    if !is_numbered && table.get("id").and_then(Item::as_str) != Some(module.id.as_str()) {
        put(&mut table, "id", module.id.clone().into());
    }
    if table.contains_key(value::CHANNELS) || module.channels != 1 {
        put_if_changed(&mut table, value::CHANNELS, (module.channels as i64).into(), |old| {
            old.as_integer() == Some(module.channels as i64)
        });
    }
    for (param, &now) in module.panel().params.iter().zip(module.values()) {
        if !table.contains_key(param.name) && now.to_bits() == param.default.to_bits() {
            continue;
        }
        let means_the_same = |old: &Item| {
            let read =
                value_of(old).map(|old| value::resolve(module.panel(), &[(param.name.to_owned(), old)]));
            read.is_some_and(|read| read.is_ok_and(|read| read[0].1.to_bits() == now.to_bits()))
        };
        let written = match param.choices.get(now as usize) {
            Some(word) => TomlValue::from(*word),
            None => as_written(now).into(),
        };
        put_if_changed(&mut table, param.name, written, means_the_same);
    }
    table
}

fn connect_tables(patch: &Patch, mut old: Vec<Table>) -> ArrayOfTables {
    let mut tables = ArrayOfTables::new();
    for cable in patch.connections() {
        let is_same = |table: &Table| runs_as(patch, table, cable);
        let table = old.iter().position(is_same).map(|index| old.remove(index));
        tables.push(connect_table(patch, cable, table));
    }
    tables
}

/// Whether a table of the old file means this cable.
fn runs_as(patch: &Patch, table: &Table, cable: &Connection) -> bool {
    let end = |key: &str| table.get(key).and_then(Item::as_str).map(port_name);
    let is_output = |end: PortName| {
        let module = patch.by_id(&end.id).filter(|module| module.instance == cable.source)?;
        Some(port::output(module, end.port.as_deref()) == Ok(cable.source_port))
    };
    let is_input = |end: PortName| {
        let module = patch.by_id(&end.id).filter(|module| module.instance == cable.target)?;
        Some(port::input(module, end.port.as_deref()) == Ok(cable.target_input))
    };
    end("from").and_then(is_output) == Some(true) && end("to").and_then(is_input) == Some(true)
}

fn connect_table(patch: &Patch, cable: &Connection, old: Option<Table>) -> Table {
    let mut table = old.unwrap_or_else(|| {
        let mut table = Table::new();
        // Both ends of a cable of a patch are in it.
        if let Some((from, to)) = patch.ends(cable) {
            table.insert("from", toml_edit::value(from.to_string()));
            table.insert("to", toml_edit::value(to.to_string()));
        }
        table
    });
    if table.contains_key("gain") || cable.gain.to_bits() != 1.0_f32.to_bits() {
        put_if_changed(&mut table, "gain", as_written(cable.gain).into(), |old| {
            let number = old.as_float().or(old.as_integer().map(|number| number as f64));
            number.is_some_and(|number| (number as f32).to_bits() == cable.gain.to_bits())
        });
    }
    table
}

fn put_if_changed(table: &mut Table, key: &str, new: TomlValue, is_same: impl Fn(&Item) -> bool) {
    if !table.get(key).is_some_and(is_same) {
        put(table, key, new);
    }
}

/// A new value in the place of the old one: what stands around it, such as a comment, stays.
fn put(table: &mut Table, key: &str, mut new: TomlValue) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(new));
}

/// The shortest number that is read as the same `f32`: 0.1, not 0.10000000149011612.
fn as_written(number: f32) -> f64 {
    let short: f64 = number.to_string().parse().unwrap_or(f64::from(number));
    if (short as f32).to_bits() == number.to_bits() { short } else { f64::from(number) }
}

/// Gives every table its place in the text: in the order in which the document holds them.
fn number(table: &mut Table, position: &mut isize) {
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => place(inner, position),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|inner| place(inner, position)),
            _ => {}
        }
    }
}

fn place(table: &mut Table, position: &mut isize) {
    table.set_position(Some(*position));
    *position += 1;
    number(table, position);
}

#[cfg(test)]
#[path = "save_tests.rs"]
mod tests;
