//! A patch under test: edits in few words.

use super::{Connected, Connection, EditError, Limits, Patch};
use crate::command::{PortName, Value};

/// A patch, and the counter that its engine would keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Rig {
    pub patch: Patch,
    pub next_instance: u32,
    pub limits: Limits,
}

impl Rig {
    pub fn empty() -> Self {
        Self { patch: Patch::default(), next_instance: 1, limits: Limits::default() }
    }

    /// Modules of these types with ids of the engine's choice.
    pub fn of(types: &[&str]) -> Self {
        let mut rig = Self::empty();
        for type_name in types {
            rig.create(type_name, None, &[]).expect("a known type");
        }
        rig
    }

    pub fn create(
        &mut self,
        type_name: &str,
        id: Option<&str>,
        params: &[(String, Value)],
    ) -> Result<u32, EditError> {
        self.patch.create(type_name, id, params, &mut self.next_instance, &self.limits)
    }

    /// `connect("vco1 out.left")`
    pub fn connect(&mut self, ends: &str) -> Result<Connected, EditError> {
        self.connect_with_gain(ends, 1.0)
    }

    pub fn connect_with_gain(&mut self, ends: &str, gain: f32) -> Result<Connected, EditError> {
        let (source, target) = split(ends);
        self.patch.connect(&source, &target, gain, &self.limits)
    }

    pub fn disconnect(&mut self, ends: &str) -> Result<Connection, EditError> {
        let (source, target) = split(ends);
        self.patch.disconnect(&source, &target)
    }

    pub fn set(&mut self, target: &str, param: &str, value: Value) -> Result<(), EditError> {
        self.patch.set(target, &[(param.to_owned(), value)]).map(drop)
    }

    /// The value a module has for a parameter.
    pub fn value(&self, id: &str, param: &str) -> f32 {
        let module = self.patch.by_id(id).expect("a module of this id");
        let index = module.panel().params.iter().position(|known| known.name == param);
        module.params[index.expect("a parameter of this name")]
    }

    /// Ids in render order.
    pub fn order(&self) -> Vec<&str> {
        let id = |instance| self.patch.by_instance(instance).expect("a module of the patch").id.as_str();
        super::order::order(&self.patch).modules.into_iter().map(id).collect()
    }
}

pub fn number(param: &str, value: f32) -> (String, Value) {
    (param.to_owned(), Value::Number(value))
}

pub fn word(param: &str, value: &str) -> (String, Value) {
    (param.to_owned(), Value::Word(value.to_owned()))
}

fn split(ends: &str) -> (PortName, PortName) {
    let (source, target) = ends.split_once(' ').expect("two ends");
    (end(source), end(target))
}

fn end(written: &str) -> PortName {
    let (id, port) = written.split_once('.').map_or((written, None), |(id, port)| (id, Some(port)));
    PortName { id: id.to_owned(), port: port.map(str::to_owned) }
}
