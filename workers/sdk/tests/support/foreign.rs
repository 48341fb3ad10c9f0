//! Workers in other languages on a stage.

use super::c::Program;
use super::worker::Worker;
use super::{Module, Stage};
use backline_abi::layout::status;
use backline_abi::panel::{Line, Panel, fingerprint};
use backline_abi::plan::{MAX_PARAMS, ModuleRecord};
use bytemuck::Zeroable;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;

/// The types in a description.
pub fn panels(described: &str) -> Vec<Panel> {
    let line = |line: &str| match serde_json::from_str(line).expect("a line is what the engine reads") {
        Line::Type(panel) => panel,
        other => panic!("not a type: {other:?}"),
    };
    described.lines().map(line).collect()
}

/// The command line of `program` as the worker in `slot`.
pub fn command(on: &Stage, program: &Program, slot: usize) -> Command {
    let core = slot % std::thread::available_parallelism().map_or(1, usize::from);
    let numbers = [slot.to_string(), core.to_string(), std::process::id().to_string()];
    program.command(&[on.name(), &numbers[0], &numbers[1], &numbers[2]])
}

impl Stage {
    /// Means the workers of these slots to have these types.
    pub fn mean_panels(&self, slots: &[usize], panels: &[Panel]) {
        for slot in slots {
            self.control().catalogues[*slot].store(fingerprint(panels), Relaxed);
        }
    }

    /// A worker of `program` in `slot`, ready, with the types that it has.
    pub fn foreign(&self, program: &Program, slot: usize) -> Worker {
        self.mean_panels(&[slot], &panels(&program.describe()));
        let mut worker = Worker::started(self, slot, command(self, program, slot));
        worker.await_ready(self, slot);
        worker
    }

    /// Enters a module of row `type_index` in `panels`, and has the worker in `slot` set it up.
    pub fn add_foreign(&mut self, panels: &[Panel], type_index: usize, channels: u32, slot: usize) -> Module {
        let record = record_of(panels, type_index, channels);
        let record = ModuleRecord { instance: 100 + self.next_cell, ..record };
        let module = self.enter_record(record, slot);
        assert_eq!(self.prepare(&module), status::DONE, "{} is set up", panels[type_index].name);
        module
    }
}

/// What a module of a type is, but for its number and place.
pub fn record_of(panels: &[Panel], type_index: usize, channels: u32) -> ModuleRecord {
    let panel = &panels[type_index];
    let mut params = [0.0; MAX_PARAMS];
    params.iter_mut().zip(&panel.params).for_each(|(value, param)| *value = param.default);
    ModuleRecord {
        instance: 1,
        type_index: type_index as u32,
        channels,
        identity: 5,
        state_words: panel.state_words,
        output_planes: panel.outputs.len() as u32 * channels,
        params,
        input_ports: panel.inputs.len() as u32,
        ..ModuleRecord::zeroed()
    }
}
