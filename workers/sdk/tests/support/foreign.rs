//! Modules of types that a worker of another kind has described.

use super::{Module, Stage};
use backline_abi::layout::{Assignment, ModuleMemory, assignment, status};
use backline_abi::panel::{Panel, fingerprint};
use backline_abi::plan::{Location, MAX_PARAMS, ModuleRecord};
use bytemuck::Zeroable;

impl Stage {
    /// From now on the workers shall have these types.
    pub fn mean_panels(&self, panels: &[Panel]) {
        self.mean_catalogue(fingerprint(panels));
    }

    /// Enters a module of type `name` with one channel, and has the worker in `slot` set it up.
    pub fn add_described(&mut self, panels: &[Panel], name: &str, identity: u32, slot: usize) -> Module {
        let type_index = panels.iter().position(|panel| panel.name == name).expect("the type exists");
        let panel = &panels[type_index];
        let mut params = [0.0; MAX_PARAMS];
        params.iter_mut().zip(&panel.params).for_each(|(value, param)| *value = param.default);
        let record = ModuleRecord {
            instance: 100 + self.next_cell,
            type_index: type_index as u32,
            channels: 1,
            identity,
            memory_start: self.next_start as u32,
            state_words: panel.state_words,
            output_planes: panel.outputs.len() as u32,
            params,
            input_ports: panel.inputs.len() as u32,
            ..ModuleRecord::zeroed()
        };
        let arena_words = self.arenas[0].words().len();
        let memory =
            ModuleMemory::of(&record, self.shape.block_frames, arena_words).expect("the arena has room");
        let location = Location { slot: slot as u32, lease: self.draw_lease() };
        let module = Module { cell: self.next_cell, record, memory, location };
        self.next_cell += 1;
        self.next_start = memory.end;
        self.tell(&module);
        let prepare = Assignment {
            kind: assignment::PREPARE,
            cell: module.cell,
            instance: module.record.instance,
            lease: module.location.lease,
            ..Assignment::zeroed()
        };
        assert_eq!(self.ask(slot, prepare).status, status::DONE, "{name} is set up");
        module
    }
}
