//! Modules of types that a worker of another kind has described.

use super::{Module, Stage};
use backline_abi::layout::{Assignment, ModuleMemory, assignment, status};
use backline_abi::panel::{Panel, fingerprint};
use backline_abi::plan::{Location, MAX_PARAMS, ModuleRecord};
use bytemuck::Zeroable;
use std::sync::atomic::Ordering::Relaxed;

impl Stage {
    /// From now on the workers shall have these types.
    pub fn mean_panels(&self, panels: &[Panel]) {
        self.mean_catalogue(fingerprint(panels));
    }

    /// From now on the worker in `slot` shall.
    pub fn mean_panels_in(&self, slot: usize, panels: &[Panel]) {
        self.control().catalogues[slot].store(fingerprint(panels), Relaxed);
    }

    /// Enters a module of type `name` with one channel, and has the worker in `slot` set it up.
    pub fn add_described(&mut self, panels: &[Panel], name: &str, identity: u32, slot: usize) -> Module {
        self.add_record(ModuleRecord { identity, ..record_of(panels, name, 1) }, slot)
    }

    /// Enters a module that is `record`, but for its number, and has the worker in `slot` set it up.
    pub fn add_record(&mut self, record: ModuleRecord, slot: usize) -> Module {
        let instance = 100 + self.next_cell;
        let module = self.enter_record(ModuleRecord { instance, ..record }, slot);
        assert_eq!(self.prepare(&module), status::DONE, "it is set up");
        module
    }

    /// Enters a module that is `record`, wherever there is room.
    pub fn enter_record(&mut self, record: ModuleRecord, slot: usize) -> Module {
        let record = ModuleRecord { memory_start: self.next_start as u32, ..record };
        let arena_words = self.arenas[0].words().len();
        let memory =
            ModuleMemory::of(&record, self.shape.block_frames, arena_words).expect("the arena has room");
        let location = Location { slot: slot as u32, lease: self.draw_lease() };
        let module = Module { cell: self.next_cell, record, memory, location };
        self.next_cell += 1;
        self.next_start = memory.end;
        self.tell(&module);
        module
    }

    /// Has the worker of `module` set it up, and gives what it answers.
    pub fn prepare(&mut self, module: &Module) -> u32 {
        let prepare = Assignment {
            kind: assignment::PREPARE,
            cell: module.cell,
            instance: module.record.instance,
            lease: module.location.lease,
            ..Assignment::zeroed()
        };
        self.ask(module.location.slot as usize, prepare).status
    }
}

/// What a module of type `name` is, but for its place.
pub fn record_of(panels: &[Panel], name: &str, channels: u32) -> ModuleRecord {
    let type_index = panels.iter().position(|panel| panel.name == name).expect("the type exists");
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
