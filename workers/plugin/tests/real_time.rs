//! What happens to an instance while it plays allocates nothing on our side, and what it played once leaves no trace
//! after a reset. (What plug-ins allocate in C is theirs: the guard does not see it.)

mod support;

use assert_no_alloc::{AllocDisabler, assert_no_alloc};
use backline_plugin::host::Instance;
use backline_plugin::render::{BLOCK_FRAMES, play};
use support::{open, sound};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// Effects and instruments of all formats, with one and two inputs and with none.
const PLUGINS: [&str; 9] = [
    "ladspa:delay_5s",
    "ladspa:ZamCompX2",
    "ladspa:gverb",
    "lv2:urn:zamaudio:ZamComp",
    "lv2:http://drobilla.net/plugins/mda/Delay",
    "lv2:http://drobilla.net/plugins/mda/EPiano",
    "lv2:http://drobilla.net/plugins/mda/JX10",
    "clap:com.zamaudio.ZamComp",
    "clap:com.zamaudio.ZamCompX2",
];

#[test]
fn setting_gating_and_running_allocate_nothing() {
    for name in PLUGINS {
        let plugin = open(name);
        let params = plugin.description().params.clone();
        let mut instance = plugin.start().expect("it starts");
        let input = sound(2, BLOCK_FRAMES);
        let patched = [Some(&input.channels[0][..]), None];
        let mut output = vec![[0.0; BLOCK_FRAMES]; 6];
        let mut outputs: Vec<&mut [f32]> = output.iter_mut().map(|plane| &mut plane[..]).collect();
        assert_no_alloc(|| {
            for block in 0..100 {
                for (index, param) in params.iter().enumerate() {
                    instance.set(index, if block % 2 == 0 { param.max } else { param.default });
                }
                // More gates than a block has room for, also.
                (0..block).for_each(|gate| instance.gate(gate % 3 != 0, 0.5));
                instance.set(usize::MAX, 1.0);
                instance.set(0, f32::NAN);
                instance.run(&patched, &mut outputs, 1 + block % BLOCK_FRAMES);
                instance.run(&[], &mut [], BLOCK_FRAMES);
            }
        });
    }
}

#[test]
fn outputs_it_does_not_have_are_silent_and_inputs_that_are_missing_are_silence() {
    let plugin = open("ladspa:matrixStMS");
    let mut instance = plugin.start().expect("it starts");
    let (left, mut planes) = ([0.5; BLOCK_FRAMES], [[9.0; BLOCK_FRAMES]; 3]);
    let [mid, side, third] = &mut planes;
    instance.run(&[Some(&left[..])], &mut [mid, side, third], BLOCK_FRAMES);
    assert_eq!((planes[0][0], planes[1][0], planes[2][0]), (0.25, 0.25, 0.0));
}

/// Plug-ins that clear themselves when they are activated, as their formats demand.
const CLEAN: [&str; 8] = [
    "ladspa:delay_5s",
    "ladspa:lowpass_iir",
    "ladspa:ZamComp",
    "lv2:urn:zamaudio:ZamVerb",
    "lv2:http://drobilla.net/plugins/mda/Detune",
    "lv2:http://drobilla.net/plugins/mda/Combo",
    "clap:com.zamaudio.ZamComp",
    "clap:com.zamaudio.ZamVerb",
];

#[test]
fn an_instance_that_was_reset_plays_as_a_new_one() {
    for name in CLEAN {
        let plugin = open(name);
        let input = sound(plugin.description().inputs.len(), 12_000);
        let far: Vec<(usize, f32)> =
            plugin.description().params.iter().enumerate().map(|(index, param)| (index, param.max)).collect();
        let new = play(&*plugin, &mut *plugin.start().expect("it starts"), &sound_of(&input), &[]);
        let mut used = plugin.start().expect("it starts");
        play(&*plugin, &mut *used, &sound_of(&input), &far);
        used.gate(true, 1.0);
        used.reset();
        let again = play(&*plugin, &mut *used, &sound_of(&input), &[]);
        assert_eq!(support::difference(&new, &again), 0.0, "{name}");
    }
}

/// An instrument has no inputs, and yet must know for how long to play.
fn sound_of(input: &backline_plugin::render::Sound) -> backline_plugin::render::Sound {
    if input.channels.is_empty() { sound(1, 12_000) } else { input.clone() }
}

#[test]
fn instances_of_one_plugin_do_not_hear_each_other() {
    let plugin = open("lv2:http://drobilla.net/plugins/mda/DubDelay");
    let alone = play(&*plugin, &mut *plugin.start().expect("it starts"), &sound(2, 6000), &[]);
    let mut many: Vec<Box<dyn Instance>> = (0..4).map(|_| plugin.start().expect("it starts")).collect();
    play(&*plugin, &mut *many[0], &sound(2, 6000), &[(0, 1.0)]);
    let among_others = play(&*plugin, &mut *many[1], &sound(2, 6000), &[]);
    assert_eq!(support::difference(&alone, &among_others), 0.0);
}

#[test]
fn an_instrument_plays_the_note_it_is_told_and_lets_it_go() {
    let plugin = open("lv2:http://drobilla.net/plugins/mda/EPiano");
    let mut instance = plugin.start().expect("it starts");
    let render = |instance: &mut dyn Instance, blocks: usize| -> Vec<f32> {
        let (mut left, mut right) = ([0.0; BLOCK_FRAMES], [0.0; BLOCK_FRAMES]);
        let mut heard = Vec::new();
        for _ in 0..blocks {
            instance.run(&[], &mut [&mut left, &mut right], BLOCK_FRAMES);
            heard.extend_from_slice(&left);
        }
        heard
    };
    let peak = |sound: &[f32]| sound.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));

    assert_eq!(peak(&render(&mut *instance, 10)), 0.0, "no gate, no sound");
    instance.set(0, 57.0);
    instance.gate(true, 0.8);
    let low = render(&mut *instance, 300);
    assert!(strength(&low, 220.0) > 0.01, "A below middle C: {}", strength(&low, 220.0));
    instance.gate(false, 0.0);
    render(&mut *instance, 3000);
    assert!(peak(&render(&mut *instance, 10)) < 0.001, "it was let go");
    instance.set(0, 69.0);
    instance.gate(true, 0.8);
    let high = render(&mut *instance, 300);
    assert!(strength(&high, 440.0) > 0.01, "A above middle C: {}", strength(&high, 440.0));
    assert!(strength(&high, 220.0) < 0.001, "and nothing else: {}", strength(&high, 220.0));
}

/// How much of one frequency is in a sound.
fn strength(sound: &[f32], frequency_hz: f64) -> f64 {
    let turn = std::f64::consts::TAU * frequency_hz / f64::from(support::RATE_HZ);
    let sum = |wave: fn(f64) -> f64| -> f64 {
        sound.iter().enumerate().map(|(frame, &sample)| f64::from(sample) * wave(turn * frame as f64)).sum()
    };
    sum(f64::sin).hypot(sum(f64::cos)) / sound.len() as f64
}
