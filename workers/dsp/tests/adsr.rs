//! The envelope's times and levels.

mod support;

use backline_dsp::module::Happening;
use support::{Bench, RATE_HZ, peak};

const ON: Happening = Happening::GateOn { velocity: 1.0 };

fn frames(seconds: f32) -> usize {
    (seconds * RATE_HZ).round() as usize
}

#[test]
fn attack_takes_the_time_it_says() {
    for attack_s in [0.001, 0.01, 0.5, 5.0] {
        let mut adsr = Bench::new("adsr", &[("attack", attack_s), ("sustain", 1.0)]);
        let length = frames(1.5 * attack_s) + 10;
        let envelope = adsr.render_split(&adsr.no_cables(), length, &[], &[(0, ON)]);
        let arrived = envelope.iter().position(|&level| level >= 1.0).expect("it arrives");
        let off = arrived as f32 / frames(attack_s) as f32 - 1.0;
        println!("attack of {attack_s} s: {:+.2} %", 100.0 * off);
        assert!((arrived as f32 - frames(attack_s) as f32).abs() <= 2.0 + 0.01 * frames(attack_s) as f32);
    }
}

#[test]
fn release_from_full_level_takes_the_time_it_says_and_ends_in_true_zero() {
    for release_s in [0.001, 0.3, 2.0] {
        let mut adsr = Bench::new("adsr", &[("attack", 0.0), ("sustain", 1.0), ("release", release_s)]);
        let length = frames(1.2 * release_s) + 200;
        let envelope =
            adsr.render_split(&adsr.no_cables(), length, &[], &[(0, ON), (100, Happening::GateOff)]);
        let silent = envelope.iter().rposition(|&level| level != 0.0).expect("it sounded") - 99;
        assert!(
            (silent as f32 - frames(release_s) as f32).abs() <= 2.0 + 0.01 * frames(release_s) as f32,
            "{silent}"
        );
        assert!(envelope.windows(2).skip(100).all(|pair| pair[1] <= pair[0]), "it only falls");
    }
}

#[test]
fn decay_arrives_at_sustain_and_stays_there() {
    let mut adsr = Bench::new("adsr", &[("attack", 0.001), ("decay", 0.1), ("sustain", 0.4)]);
    let envelope = adsr.render_split(&adsr.no_cables(), frames(0.3), &[], &[(0, ON)]);
    assert_eq!(peak(&envelope), 1.0);
    assert!(envelope[frames(0.11)..].iter().all(|&level| level == 0.4));
}

#[test]
fn velocity_scales_the_envelope() {
    let play = |velocity| {
        let mut adsr = Bench::new("adsr", &[]);
        adsr.render_split(&adsr.no_cables(), 5000, &[], &[(0, Happening::GateOn { velocity })])
    };
    let (full, half) = (play(1.0), play(0.5));
    assert!(full.iter().zip(&half).all(|(full, half)| 0.5 * full == *half));
}

#[test]
fn a_gate_is_answered_at_its_very_frame_and_not_before() {
    let mut adsr = Bench::new("adsr", &[]);
    let envelope = adsr.render_split(&adsr.no_cables(), 500, &[], &[(137, ON)]);
    assert_eq!(peak(&envelope[..137]), 0.0);
    assert!(envelope[137] > 0.0);
}

#[test]
fn a_cable_in_gate_opens_and_closes_it_like_events_do() {
    let (open, close) = (50, 700);
    let cable: Vec<f32> =
        (0..2000).map(|frame| if (open..close).contains(&frame) { 1.0 } else { 0.0 }).collect();
    let mut by_cable = Bench::new("adsr", &[("attack", 0.004), ("decay", 0.005)]);
    let mut by_event = by_cable.copied();
    let cabled = by_cable.render(&by_cable.cable("gate", &cable), 2000);
    let struck =
        by_event.render_split(&by_event.no_cables(), 2000, &[], &[(open, ON), (close, Happening::GateOff)]);
    assert_eq!(support::bits(&cabled), support::bits(&struck));
}

#[test]
fn struck_again_it_attacks_from_where_it_is() {
    let mut adsr = Bench::new("adsr", &[("attack", 0.02), ("release", 0.2)]);
    let events = [(0, ON), (3000, Happening::GateOff), (4000, Happening::GateOn { velocity: 0.6 })];
    let envelope = adsr.render_split(&adsr.no_cables(), 8000, &[], &events);
    let step = envelope.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.01, "a step of {step}");
    assert!(envelope[4000] > 0.05);
}
