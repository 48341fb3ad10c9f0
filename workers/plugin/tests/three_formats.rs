//! zam-plugins build one DSP as LADSPA, LV2 and CLAP: whatever the host makes of them must be one sound.

mod support;

use backline_plugin::description::Param;
use backline_plugin::render::{Sound, play};
use support::{difference, open, panel, sound};

/// What is left between builds of one source with one compiler; on Debian 12 it is nothing at all.
const TOLERANCE: f32 = 1.0e-5;

/// All that come in three formats.
const EFFECTS: [&str; 13] = [
    "ZaMaximX2",
    "ZaMultiCompX2",
    "ZamAutoSat",
    "ZamComp",
    "ZamCompX2",
    "ZamDelay",
    "ZamDynamicEQ",
    "ZamEQ2",
    "ZamGEQ31",
    "ZamGate",
    "ZamGateX2",
    "ZamGrains",
    "ZamTube",
];

/// Renders with values that are no defaults. Names differ between formats, the order of parameters does not; the
/// ranges are those of LV2, as LADSPA rounds some.
fn rendered(name: &str, values: &[f32]) -> Sound {
    let plugin = open(name);
    let count = plugin.description().params.len();
    assert_eq!(count, values.len(), "{name} has the parameters it has in LV2");
    let mut input = sound(plugin.description().inputs.len(), 24_000);
    // Loud enough that compressors and gates have something to do.
    input.channels.iter_mut().flatten().for_each(|sample| *sample *= 8.0);
    let settings: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
    let mut instance = plugin.start().expect("it starts");
    play(&*plugin, &mut *instance, &input, &settings)
}

/// A switch on (but for ZamGrains' `freeze`, which freezes silence here), anything else a tenth of its range away
/// from its default.
fn off_default(param: &Param) -> f32 {
    let room = param.max - param.default;
    let step = 0.1 * (param.max - param.min);
    match (param.choices.is_empty(), room >= step) {
        (false, _) if param.name == "freeze" => 0.0,
        (false, _) => 1.0,
        (true, true) => param.default + step,
        (true, false) => param.default - step,
    }
}

#[test]
fn one_effect_in_three_formats_is_one_sound() {
    for effect in EFFECTS {
        let lv2 = format!("lv2:urn:zamaudio:{effect}");
        let values: Vec<f32> = panel(&lv2).params.iter().map(off_default).collect();
        let reference = rendered(&lv2, &values);
        for other in [format!("ladspa:{effect}"), format!("clap:com.zamaudio.{effect}")] {
            let differs = difference(&reference, &rendered(&other, &values));
            assert!(differs <= TOLERANCE, "{other} differs from {lv2} by {differs}");
        }
    }
}
