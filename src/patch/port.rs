//! The end of a cable in words -> a port of the panel, and back.

use backline_dsp::module::Modulation;

use super::{EditError, PatchModule};
use crate::nearest::{hint, shown};

/// Output port called `name`, or the main one.
pub(super) fn output(module: &PatchModule, name: Option<&str>) -> Result<usize, EditError> {
    let panel = module.panel();
    if panel.outputs.is_empty() {
        return Err(EditError::NoOutput { id: module.id.clone(), type_name: panel.name });
    }
    let Some(name) = name else { return Ok(0) };
    panel.outputs.iter().position(|port| port.name == name).ok_or_else(|| EditError::UnknownOutput {
        id: module.id.clone(),
        type_name: panel.name,
        name: shown(name),
        hint: hint(name, panel.outputs.iter().map(|port| port.name)),
    })
}

/// Input called `name`, or the main one: ports are numbered first, then the parameters.
pub(super) fn input(module: &PatchModule, name: Option<&str>) -> Result<usize, EditError> {
    let panel = module.panel();
    let Some(name) = name else {
        return main_input(module);
    };
    if let Some(port) = panel.inputs.iter().position(|port| port.name == name) {
        return Ok(port);
    }
    let Some(index) = panel.params.iter().position(|param| param.name == name) else {
        return Err(EditError::UnknownInput {
            id: module.id.clone(),
            type_name: panel.name,
            name: shown(name),
            hint: hint(name, panel.inputs.iter().map(|port| port.name).chain(patchable(module))),
        });
    };
    let param = &panel.params[index];
    if param.modulation == Modulation::None {
        return Err(EditError::NoCable { id: module.id.clone(), param: param.name });
    }
    Ok(panel.inputs.len() + index)
}

fn main_input(module: &PatchModule) -> Result<usize, EditError> {
    let panel = module.panel();
    if panel.inputs.is_empty() {
        let params: Vec<&str> = patchable(module).collect();
        return Err(EditError::NoInput {
            id: module.id.clone(),
            type_name: panel.name,
            params: params.join(" "),
        });
    }
    Ok(0)
}

fn patchable(module: &PatchModule) -> impl Iterator<Item = &'static str> + use<> {
    let takes_cable = |param: &&backline_dsp::module::Param| param.modulation != Modulation::None;
    module.panel().params.iter().filter(takes_cable).map(|param| param.name)
}

/// The name of an output port.
pub(super) fn output_name(module: &PatchModule, port: usize) -> Option<String> {
    Some(module.panel().outputs.get(port)?.name.to_owned())
}

/// The name of an input port or parameter.
pub(super) fn input_name(module: &PatchModule, input: usize) -> Option<String> {
    let panel = module.panel();
    let ports = panel.inputs.iter().map(|port| port.name);
    ports.chain(panel.params.iter().map(|param| param.name)).nth(input).map(str::to_owned)
}
