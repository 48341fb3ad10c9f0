//! Plans, made of modules and cables.

use super::Module;
use backline_abi::plan::{Plan, PlanConnection, PlanEntry};

/// A cable: source, output port, and input of the module that has it.
pub type Cable<'m> = (&'m Module, u32, u32);

/// A cable as a plan has it, whole and forward.
pub fn connection((source, source_port, target_input): &Cable<'_>) -> PlanConnection {
    PlanConnection {
        source_cell: source.cell,
        source_instance: source.record.instance,
        source_port: *source_port,
        target_input: *target_input,
        gain: 1.0,
        is_feedback: 0,
    }
}

/// Puts `module` and the cables to it behind those that `plan` has.
pub fn push(plan: &mut Plan, module: &Module, cables: impl IntoIterator<Item = PlanConnection>) {
    let first = plan.connections.len();
    plan.connections.extend(cables);
    plan.entries.push(PlanEntry {
        cell: module.cell,
        instance: module.record.instance,
        first_connection: first as u32,
        connections: (plan.connections.len() - first) as u32,
        is_sink: 1,
        reserved: [0; 3],
    });
}
