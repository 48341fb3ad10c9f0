//! The hosts that the formats' own authors wrote are the measure: `applyplugin` for LADSPA, `lv2apply` for LV2.

mod support;

use backline_plugin::description::Description;
use backline_plugin::render::{Sound, play};
use std::path::Path;
use std::process::Command;
use support::{difference, open, settings, sound};

const FRAMES: usize = 24_000;

/// A parameter and its value.
type Setting = (&'static str, f32);

fn ours(name: &str, set: &[Setting], input: &Sound) -> (Description, Sound) {
    let plugin = open(name);
    let settings = settings(plugin.description(), set);
    let mut instance = plugin.start().expect("it starts");
    (plugin.description().clone(), play(&*plugin, &mut *instance, input, &settings))
}

/// Values of all parameters, in order.
fn values(description: &Description, set: &[Setting]) -> Vec<f32> {
    let value = |name: &str| set.iter().find(|(param, _)| *param == name).map(|(_, value)| *value);
    description.params.iter().map(|param| value(&param.name).unwrap_or(param.default)).collect()
}

fn run(command: &mut Command) {
    let output = command.output().expect("ladspa-sdk and lilv-utils are installed");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// `applyplugin` reads and writes 16 bits only.
fn write_16_bits(sound: &Sound, file: &Path) {
    let spec = hound::WavSpec {
        channels: sound.channels.len() as u16,
        sample_rate: sound.rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(file, spec).expect("the folder is ours");
    for frame in 0..sound.frames() {
        for plane in &sound.channels {
            writer.write_sample((plane[frame] * 32768.0) as i16).expect("the file is ours");
        }
    }
    writer.finalize().expect("the file is ours");
}

/// Effects of swh-plugins and ladspa-sdk whose sound does not hang on the block size (`applyplugin` has 2048 frames)
/// and which can render in place (it has one buffer for input and output). Without `mbeq` (0.4.17), which is silent in some
/// processes and sounds in others, with the same calls.
const LADSPA: [(&str, &[Setting]); 11] = [
    ("delay_5s", &[("delay", 0.013), ("dry_wet_balance", 0.6)]),
    ("lpf", &[("cutoff_frequency", 900.0)]),
    ("lowpass_iir", &[("cutoff_frequency", 2500.0), ("stages_2_poles_per_stage", 3.0)]),
    ("highpass_iir", &[("cutoff_frequency", 700.0)]),
    ("triplePara", &[("low_shelving_gain", 6.0), ("band_2_gain", -9.0), ("band_2_frequency", 1200.0)]),
    ("fadDelay", &[("delay", 0.2), ("feedback", -6.0)]),
    ("sc4m", &[("threshold_level", -28.0), ("ratio_1_n", 8.0), ("makeup_gain", 3.0)]),
    ("valve", &[("distortion_level", 0.8), ("distortion_character", 0.4)]),
    ("harmonicGen", &[("fundamental_magnitude", 0.7), ("2nd_harmonic_magnitude", 0.2)]),
    ("foverdrive", &[("drive_level", 2.0)]),
    ("dcRemove", &[]),
];

/// A step of a 16-bit file, and the 1/32768 by which its two ways of counting full scale differ.
const STEP: f32 = 1.0 / 32767.0 + 1.0e-5;

#[test]
fn ladspa_plugins_sound_as_in_applyplugin() {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
    for (label, set) in LADSPA {
        let sound = sound(1, FRAMES);
        write_16_bits(&sound, &input);
        let (description, ours) = ours(&format!("ladspa:{label}"), set, &sound);
        let mut applyplugin = Command::new("applyplugin");
        applyplugin.arg(&input).arg(&output).arg(&description.origin).arg(label);
        // Exact values, not rounded ones: a filter's frequency hears the seventh digit.
        run(applyplugin
            .args(values(&description, set).iter().map(|value| format!("{:.9}", f64::from(*value)))));
        let theirs = Sound::read(&output).expect("it wrote a sound");
        let differs = difference(&ours, &theirs);
        assert!(differs <= STEP, "{label} differs by {differs}");
    }
}

/// Effects of mda-lv2 whose sound does not hang on the block size (`lv2apply` has 1 frame).
const LV2: [(&str, &[Setting]); 10] = [
    ("Ambience", &[("size", 0.3), ("mix", 0.5)]),
    ("Combo", &[("drive", 0.7)]),
    ("Delay", &[("l_delay", 0.02), ("feedback", 0.4), ("fx_mix", 0.5)]),
    ("DubDelay", &[("feedback", 0.5), ("fb_tone", 0.3)]),
    ("Dynamics", &[("thresh", 0.2), ("ratio", 0.8)]),
    ("MultiBand", &[("l_comp", 0.9)]),
    ("Overdrive", &[("drive", 0.6)]),
    ("RezFilter", &[("freq", 0.4), ("res", 0.6)]),
    ("RingMod", &[("feedback", 0.3)]),
    ("Stereo", &[("width", 0.9)]),
];

#[test]
fn lv2_plugins_sound_as_in_lv2apply() {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
    for (effect, set) in LV2 {
        let uri = format!("http://drobilla.net/plugins/mda/{effect}");
        let name = format!("lv2:{uri}");
        let sound = sound(support::panel(&name).inputs.len(), FRAMES);
        // It writes what it reads: 32-bit floats.
        sound.write(&input).expect("the folder is ours");
        let (_, ours) = ours(&name, set, &sound);
        let mut lv2apply = Command::new("lv2apply");
        lv2apply.arg("-i").arg(&input).arg("-o").arg(&output);
        for (symbol, value) in set {
            lv2apply.arg("-c").arg(symbol).arg(format!("{value:.9}"));
        }
        run(lv2apply.arg(&uri));
        let theirs = Sound::read(&output).expect("it wrote a sound");
        let differs = difference(&ours, &theirs);
        assert!(differs <= 1.0e-5, "{effect} differs by {differs}");
    }
}

#[test]
fn a_plugin_never_renders_in_place() {
    // Two inputs mixed to two outputs: in place, the second output would be made from the first.
    let sound = sound(2, 1000);
    let (_, mid_and_side) = ours("ladspa:matrixStMS", &[], &sound);
    let [left, right] = &sound.channels[..] else { panic!("two channels") };
    for (frame, (left, right)) in left.iter().zip(right).enumerate() {
        let found = (mid_and_side.channels[0][frame], mid_and_side.channels[1][frame]);
        assert_eq!(found, ((left + right) / 2.0, (left - right) / 2.0), "frame {frame}");
    }
}
