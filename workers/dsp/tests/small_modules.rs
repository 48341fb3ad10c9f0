//! `lfo`, `noise`, `vca`, `mix` and `out`.

mod support;

use backline_dsp::catalogue::CATALOGUE;
use backline_dsp::module::{Happening, Setup};
use support::{Bench, amplitude_at, bits, peak};

const FRAMES: usize = 48_000;

fn rms(sound: &[f32]) -> f64 {
    (sound.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / sound.len() as f64).sqrt()
}

fn largest_step(sound: &[f32]) -> f32 {
    sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn the_catalogue_lists_every_type_once_and_every_panel_makes_sense() {
    let names: Vec<&str> = CATALOGUE.iter().map(|entry| entry.panel.name).collect();
    assert_eq!(names, ["vco", "lfo", "noise", "vcf", "vca", "adsr", "mix", "delay", "out"]);
    for entry in CATALOGUE {
        for param in entry.panel.params {
            assert!(param.min <= param.default && param.default <= param.max, "{}", param.name);
            assert!(
                param.choices.is_empty() || param.max as usize + 1 == param.choices.len(),
                "{}",
                param.name
            );
        }
    }
}

#[test]
fn an_lfo_swings_by_its_depth_at_its_rate_and_starts_at_zero() {
    for shape in 0..4_u8 {
        let mut lfo = Bench::new("lfo", &[("rate", 5.0), ("shape", shape.into()), ("depth", 0.5)]);
        let sound = lfo.render(&lfo.no_cables(), FRAMES);
        assert!((peak(&sound) - 0.5).abs() < 1e-3, "shape {shape}");
        assert!(amplitude_at(&sound, 5.0) > 0.3, "shape {shape}");
        let rises = sound.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        assert!((4..=5).contains(&rises), "shape {shape} rose {rises} times");
        assert!(shape == 3 || sound[0] == 0.0, "shape {shape} starts at {}", sound[0]);
    }
}

#[test]
fn the_same_seed_is_the_same_noise_and_another_is_not() {
    let play = |seed, identity| {
        let values = [0.0, seed];
        let (_, entry) = backline_dsp::catalogue::find("noise").expect("it exists");
        let mut noise = Bench::with_values(entry, 1, &values);
        (entry.init)(&Setup { rate_hz: 48_000.0, channels: 1, identity, params: &values }, &mut noise.state);
        noise.render(&noise.no_cables(), 1000)
    };
    assert_eq!(bits(&play(3.0, 1)), bits(&play(3.0, 2)), "a seed does not ask for the id");
    assert_ne!(bits(&play(3.0, 1)), bits(&play(4.0, 1)));
    assert_eq!(bits(&play(0.0, 1)), bits(&play(0.0, 1)));
    assert_ne!(bits(&play(0.0, 1)), bits(&play(0.0, 2)), "without a seed the id decides");
}

#[test]
fn channels_of_noise_have_nothing_in_common() {
    for color in 0..2_u8 {
        let mut noise = Bench::with_channels("noise", 16, &[("color", color.into())]);
        let sound = noise.render(&noise.no_cables(), FRAMES);
        let planes: Vec<&[f32]> = sound.chunks(FRAMES).collect();
        for (first, one) in planes.iter().enumerate() {
            for two in &planes[first + 1..] {
                let product: f64 = one.iter().zip(*two).map(|(a, b)| f64::from(a * b)).sum();
                let correlation = product / FRAMES as f64 / (rms(one) * rms(two));
                assert!(correlation.abs() < 0.15, "color {color}: {correlation}");
            }
        }
    }
}

/// Mean power of `bands` narrow bands about `frequency_hz`, in dB.
fn density_db(sound: &[f32], frequency_hz: f64) -> f64 {
    let bands = 60;
    let power: f64 = (0..bands)
        .map(|band| {
            amplitude_at(sound, frequency_hz * (0.9 + 0.2 * f64::from(band) / f64::from(bands))).powi(2)
        })
        .sum();
    10.0 * (power / f64::from(bands)).log10()
}

#[test]
fn noise_falls_by_0_3_and_6_db_an_octave() {
    for (color, ideal_db) in [(0_u8, 0.0), (1, 3.01), (2, 6.02)] {
        let mut noise = Bench::new("noise", &[("color", color.into()), ("seed", 5.0)]);
        let sound = noise.render(&noise.no_cables(), 8 * FRAMES);
        let fall = (density_db(&sound, 200.0) - density_db(&sound, 3200.0)) / 4.0;
        println!("color {color}: {fall:.2} dB an octave, RMS {:.3}, peak {:.2}", rms(&sound), peak(&sound));
        assert!((fall - ideal_db).abs() < 0.6, "color {color} falls by {fall} dB an octave");
        assert!((0.1..0.6).contains(&rms(&sound)) && peak(&sound) < 1.5);
    }
}

#[test]
fn a_vca_multiplies_and_a_negative_control_is_silence() {
    let mut vca = Bench::new("vca", &[("gain", 0.5)]);
    let mut cables = vca.cable("in", &[0.8; 4]);
    assert_eq!(vca.render(&cables, 4), [0.4; 4]);
    cables[1] = Some(vec![1.0, 0.25, 0.0, -1.0]);
    assert_eq!(vca.render(&cables, 4), [0.4, 0.1, 0.0, 0.0]);
}

#[test]
fn no_level_jumps_when_it_is_set() {
    for (name, input, param) in [("vca", "in", 0), ("mix", "in", 0), ("mix", "in", 8), ("out", "left", 0)] {
        let mut module = Bench::with_channels(name, 1, &[]);
        let event = (100, Happening::Param { index: param, value: 0.0 });
        let sound = module.render_split(&module.cable(input, &[1.0; 1000]), 1000, &[], &[event]);
        let sound = &sound[..1000];
        assert_eq!((sound[99], sound[999]), (1.0, 0.0), "{name}");
        assert!(largest_step(sound) < 0.005, "{name} steps by {}", largest_step(sound));
    }
}

#[test]
fn a_mixer_adds_its_inputs_at_their_levels() {
    let mut mix = Bench::new("mix", &[("level1", 0.5), ("level3", 0.25), ("gain", 0.5)]);
    let mut cables = mix.no_cables();
    (cables[0], cables[2], cables[7]) = (Some(vec![1.0; 3]), Some(vec![1.0; 3]), Some(vec![0.25; 3]));
    assert_eq!(mix.render(&cables, 3), [0.5; 3]);
}

#[test]
fn a_mono_cable_in_left_is_heard_on_both_sides() {
    for channels in [1, 2] {
        let mut out = Bench::with_channels("out", channels, &[]);
        assert_eq!(out.render(&out.cable("left", &[0.5; 4]), 4), [0.5; 8]);
    }
}

#[test]
fn a_stereo_cable_in_left_alone_stays_stereo() {
    let mut out = Bench::with_channels("out", 2, &[]);
    let mut cables = out.no_cables();
    cables[0] = Some(vec![0.25, 0.25, -0.5, -0.5]);
    assert_eq!(out.render(&cables, 2), [0.25, 0.25, -0.5, -0.5]);
}

#[test]
fn left_and_right_patched_each_keep_their_level() {
    let mut out = Bench::with_channels("out", 2, &[("level", 0.5)]);
    let mut cables = out.cable("left", &[0.5; 2]);
    cables[1] = Some(vec![-1.0; 4]);
    assert_eq!(out.render(&cables, 2), [0.25, 0.25, -0.5, -0.5]);
}
