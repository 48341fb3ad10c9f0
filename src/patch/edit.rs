//! Every way a patch changes. All or nothing: an edit checks everything before it touches anything.
//!
//! A target of `/free`, `/set` and `/gate` may be a pattern over ids (`* ? [] {}`). A pattern means those it
//! makes sense for: `/gate * 0` passes over modules without a gate, `/set * cutoff 500` over modules without
//! that parameter; one that fits nobody is refused, and so is a value that any of them refuses.

use std::collections::HashSet;

use backline_dsp::module::MAX_PARAMS;

use super::order::{closes_loop, mark_feedback};
use super::{Connection, EditError, Limits, Patch, PatchModule, port, value};
use crate::catalogue;
use crate::command::{PortName, Value};
use crate::nearest::{hint, shown};
use crate::pattern;

/// What `/connect` did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Connected {
    /// The connection as it is now.
    pub connection: Connection,
    /// It closes a loop and is read one block late.
    pub is_feedback: bool,
    /// False if the cable was there and only its gain changed.
    pub is_new: bool,
}

impl Patch {
    /// Adds a module and returns its instance, taken from `next_instance`, which goes up by one.
    ///
    /// Without an `id` it becomes `{type}{n}`, n the smallest from 1 that is free. `channels` (1..=16,
    /// default 1) may stand among `params`.
    pub fn create(
        &mut self,
        type_name: &str,
        id: Option<&str>,
        params: &[(String, Value)],
        next_instance: &mut u32,
        limits: &Limits,
    ) -> Result<u32, EditError> {
        let row = catalogue::find(type_name).ok_or_else(|| unknown_type(type_name))?;
        let panel = row.panel;
        limits.check_modules(&self.modules)?;
        let id = match id {
            Some(id) => self.check_new_id(id, panel.name)?.to_owned(),
            None => self.free_id(panel.name),
        };
        let (channels, params) = value::split_channels(params)?;
        if channels > row.most_channels {
            return Err(EditError::TooManyChannels {
                type_name: panel.name,
                asked: channels,
                most: row.most_channels,
            });
        }
        let mut values = [0.0; MAX_PARAMS];
        for (value, param) in values.iter_mut().zip(panel.params) {
            *value = param.default;
        }
        for (index, value) in value::resolve(panel, &params)? {
            values[index] = value;
        }
        let instance = self.take_instance(next_instance)?;
        let identity = crc32fast::hash(id.as_bytes());
        self.instances.insert(id.clone(), instance);
        let owner = limits.owner();
        self.modules.push(PatchModule { id, instance, row, channels, params: values, identity, owner });
        Ok(instance)
    }

    /// Removes modules and every cable on them; returns their instances.
    pub fn free(&mut self, target: &str) -> Result<Vec<u32>, EditError> {
        let freed: Vec<u32> = self.targets(target)?.iter().map(|module| module.instance).collect();
        let is_freed: HashSet<u32> = freed.iter().copied().collect();
        self.modules.retain(|module| !is_freed.contains(&module.instance));
        self.instances.retain(|_, instance| !is_freed.contains(instance));
        self.remove_connections(|cable| is_freed.contains(&cable.source) || is_freed.contains(&cable.target));
        Ok(freed)
    }

    /// Removes everything; returns the instances that were there. Instances are still never reused.
    pub fn clear(&mut self) -> Vec<u32> {
        let freed = self.modules.iter().map(|module| module.instance).collect();
        *self = Self::default();
        freed
    }

    /// Gives parameters new targets; returns what changes as (instance, parameter, value), in order.
    pub fn set(
        &mut self,
        target: &str,
        params: &[(String, Value)],
    ) -> Result<Vec<(u32, usize, f32)>, EditError> {
        let mut changes = Vec::new();
        let mut lacking = None;
        for module in self.targets(target)? {
            match value::resolve(module.panel(), params) {
                Ok(values) => {
                    changes.extend(values.into_iter().map(|(index, value)| (module.instance, index, value)));
                }
                Err(refusal @ EditError::UnknownParam { .. }) if pattern::is_pattern(target) => {
                    lacking = lacking.or(Some(refusal));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        if let (true, Some(refusal)) = (changes.is_empty(), lacking) {
            return Err(refusal);
        }
        for &(instance, index, value) in &changes {
            if let Some(position) = self.position(instance) {
                self.modules[position].params[index] = value;
            }
        }
        Ok(changes)
    }

    /// The modules a gate goes to, as instances. The patch itself does not remember gates.
    pub fn gate(&self, target: &str) -> Result<Vec<u32>, EditError> {
        let mut gated = Vec::new();
        let mut lacking = None;
        for module in self.targets(target)? {
            if module.panel().is_gated {
                gated.push(module.instance);
            } else {
                lacking = lacking.or_else(|| Some(not_gated(module)));
            }
        }
        match lacking {
            Some(refusal) if gated.is_empty() => Err(refusal),
            _ => Ok(gated),
        }
    }

    /// Runs a cable. Between two ports there is one cable at most: connecting them again changes its gain.
    pub fn connect(
        &mut self,
        source: &PortName,
        target: &PortName,
        gain: f32,
        limits: &Limits,
    ) -> Result<Connected, EditError> {
        let mut asked = self.cable(source, target)?;
        if !gain.is_finite() {
            return Err(EditError::GainNotFinite { gain });
        }
        asked.gain = gain;
        if let Some(present) = self.connections.iter_mut().find(|cable| cable.is_same_cable(&asked)) {
            present.gain = gain;
            let connection = *present;
            return Ok(Connected { connection, is_feedback: connection.is_feedback, is_new: false });
        }
        limits.check_connections(&self.connections)?;
        asked.owner = limits.owner();
        asked.is_feedback = closes_loop(self, asked.source, asked.target);
        self.connections.push(asked);
        Ok(Connected { connection: asked, is_feedback: asked.is_feedback, is_new: true })
    }

    /// Pulls a cable. A loop that it was part of is a loop no more, so another cable may stop being late.
    pub fn disconnect(&mut self, source: &PortName, target: &PortName) -> Result<Connection, EditError> {
        let asked = self.cable(source, target)?;
        let Some(&present) = self.connections.iter().find(|cable| cable.is_same_cable(&asked)) else {
            return Err(self.not_connected(source, target));
        };
        self.remove_connections(|cable| cable.is_same_cable(&present));
        Ok(present)
    }

    fn remove_connections(&mut self, is_removed: impl Fn(&Connection) -> bool) {
        let Some(first) = self.connections.iter().position(&is_removed) else {
            return;
        };
        self.connections.retain(|cable| !is_removed(cable));
        mark_feedback(self, first);
    }

    /// The modules that `target`, an id or a pattern, means; never none.
    fn targets(&self, target: &str) -> Result<Vec<&PatchModule>, EditError> {
        if !pattern::is_pattern(target) {
            return Ok(vec![self.by_id(target).ok_or_else(|| self.unknown_id(target))?]);
        }
        let matching: Vec<_> =
            self.modules.iter().filter(|module| pattern::matches(target, &module.id)).collect();
        if matching.is_empty() {
            return Err(EditError::NoMatch { pattern: shown(target) });
        }
        Ok(matching)
    }

    /// The cable between two named ports, whether it is there or not.
    fn cable(&self, source: &PortName, target: &PortName) -> Result<Connection, EditError> {
        let (from, to) = (self.cable_end(&source.id)?, self.cable_end(&target.id)?);
        Ok(Connection {
            source: from.instance,
            source_port: port::output(from, source.port.as_deref())?,
            target: to.instance,
            target_input: port::input(to, target.port.as_deref())?,
            gain: 1.0,
            is_feedback: false,
            owner: None,
        })
    }

    fn cable_end(&self, id: &str) -> Result<&PatchModule, EditError> {
        self.by_id(id).ok_or_else(|| {
            if pattern::is_pattern(id) {
                EditError::PatternInCable { id: shown(id) }
            } else {
                self.unknown_id(id)
            }
        })
    }

    fn check_new_id<'a>(&self, id: &'a str, type_name: &str) -> Result<&'a str, EditError> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if !(1..=32).contains(&id.len()) || !id.bytes().all(is_allowed) {
            return Err(EditError::InvalidId { id: shown(id) });
        }
        if self.instances.contains_key(id) {
            return Err(EditError::DuplicateId { id: id.to_owned(), free: self.free_id(type_name) });
        }
        Ok(id)
    }

    /// `{type}{n}` with the smallest n from 1 that nobody has.
    fn free_id(&self, type_name: &str) -> String {
        let stem = catalogue::stem(type_name);
        let mut n = 1;
        loop {
            let id = format!("{stem}{n}");
            if !self.instances.contains_key(&id) {
                return id;
            }
            n += 1;
        }
    }

    /// The next instance, and always one above all that are here, because the order of modules rests on it.
    fn take_instance(&self, next_instance: &mut u32) -> Result<u32, EditError> {
        let above = self.modules.last().map_or(1, |newest| newest.instance.saturating_add(1));
        let instance = above.max(*next_instance);
        *next_instance = instance.checked_add(1).ok_or(EditError::OutOfInstances)?;
        Ok(instance)
    }

    fn unknown_id(&self, id: &str) -> EditError {
        EditError::UnknownId {
            id: shown(id),
            hint: hint(id, self.modules.iter().map(|module| module.id.as_str())),
        }
    }

    fn not_connected(&self, source: &PortName, target: &PortName) -> EditError {
        let leaving = self.connections.iter().filter_map(|cable| self.ends(cable));
        let targets: Vec<String> =
            leaving.filter(|(from, _)| from.id == source.id).map(|(_, to)| to.to_string()).take(8).collect();
        let remedy = if targets.is_empty() {
            "it has no cable".to_owned()
        } else {
            format!("its cables go to: {}", targets.join(" "))
        };
        EditError::NotConnected { from: source.to_string(), to: target.to_string(), remedy }
    }
}

fn unknown_type(name: &str) -> EditError {
    EditError::UnknownType { name: shown(name), hint: catalogue::hint_for(name) }
}

fn not_gated(module: &PatchModule) -> EditError {
    let types = catalogue::all();
    let gated = types.iter().filter(|row| row.panel.is_gated).map(|row| row.panel.name);
    EditError::NotGated {
        id: module.id.clone(),
        type_name: module.panel().name,
        gated: gated.collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests;
