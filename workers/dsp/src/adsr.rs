//! `adsr`: the envelope, 0..1 times the velocity of `/gate`.
//!
//! It opens with `/gate id 1 velocity` or with a cable above 0.5 in `gate`, and closes when both are closed.
//! Every segment is the curve of a capacitor, aimed beyond its goal so that it arrives: `attack` is the time
//! from 0 to 1, `decay` and `release` are the time from 1 to true 0 (from lower levels they take less). A gate
//! that is struck again attacks from the level where the envelope is, so it never clicks.

use crate::math::{one_minus_exp, sane};
use crate::module::{Happening, Io, MAX_CHANNELS, Modulation, Module, ModuleType, Param, Port, Setup};
use crate::param::{Course, GLIDE_S, Smoothed, in_range, initial, stretches};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

const GATE_IN: usize = 0;
const ATTACK: usize = 0;
const DECAY: usize = 1;
const SUSTAIN: usize = 2;
const RELEASE: usize = 3;

const IDLE: u32 = 0;
const ATTACKING: u32 = 1;
const DECAYING: u32 = 2;
const SUSTAINING: u32 = 3;
const RELEASING: u32 = 4;

/// A cable above this opens the gate.
const GATE_LEVEL: f32 = 0.5;

/// The attack aims this far above 1.0: bent like an analogue envelope, not quite straight.
const ATTACK_BEYOND: f32 = 0.3;
/// Time constants from 0 to 1: ln((1 + 0.3) / 0.3).
const ATTACK_CONSTANTS: f32 = 1.466_337_1;
/// Decay and release aim this far (-60 dB) below their goal.
const FALL_BEYOND: f32 = 0.001;
/// Time constants from 1 to 0: ln((1 + 0.001) / 0.001).
const FALL_CONSTANTS: f32 = 6.908_755;

/// The envelope's memory.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Adsr {
    attack_s: Smoothed,
    decay_s: Smoothed,
    sustain: Smoothed,
    release_s: Smoothed,
    velocity: Smoothed,
    rate_hz: f32,
    is_struck: u32,
    is_gate_open: u32,
    is_cable_high: [u32; MAX_CHANNELS],
    segment: [u32; MAX_CHANNELS],
    level: [f32; MAX_CHANNELS],
}

/// What the segments of one stretch go by.
struct Slopes {
    /// Share of the way to its aim that a segment goes in each frame.
    attack: Course,
    decay: Course,
    release: Course,
    sustain: Course,
}

const fn time(name: &'static str, summary: &'static str, default: f32) -> Param {
    Param {
        name,
        summary,
        unit: "s",
        min: 0.0,
        max: 20.0,
        default,
        modulation: Modulation::Octaves,
        choices: &[],
    }
}

impl Module for Adsr {
    const TYPE: ModuleType = ModuleType {
        name: "adsr",
        summary: "Envelope: attack, decay, sustain, release",
        inputs: &[Port { name: "gate", summary: "control; above 0.5 opens the gate" }],
        outputs: &[Port { name: "out", summary: "control, 0..1 times the velocity" }],
        params: &[
            time("attack", "time from 0 to 1", 0.005),
            time("decay", "time for falling from 1 to 0, were there no sustain", 0.2),
            Param {
                name: "sustain",
                summary: "level while the gate is open",
                unit: "",
                min: 0.0,
                max: 1.0,
                default: 0.7,
                modulation: Modulation::FullScale,
                choices: &[],
            },
            time("release", "time for falling from 1 to 0 when the gate closes", 0.3),
        ],
        is_gated: true,
        is_sink: false,
    };

    fn new(setup: &Setup<'_>) -> Self {
        let held = |index| Smoothed::new(initial(&Self::TYPE, setup, index), 0.0, setup.rate_hz);
        Self {
            attack_s: held(ATTACK),
            decay_s: held(DECAY),
            sustain: Smoothed::new(initial(&Self::TYPE, setup, SUSTAIN), GLIDE_S, setup.rate_hz),
            release_s: held(RELEASE),
            velocity: Smoothed::new(1.0, GLIDE_S, setup.rate_hz),
            rate_hz: setup.rate_hz,
            ..Self::zeroed()
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::GateOn { velocity } => self.strike(velocity),
            Happening::GateOff => self.is_gate_open = 0,
            Happening::Param { index, value } => {
                let Some(param) = Self::TYPE.params.get(index) else {
                    return;
                };
                let value = in_range(param, value);
                match index {
                    ATTACK => self.attack_s.set(value),
                    DECAY => self.decay_s.set(value),
                    SUSTAIN => self.sustain.set(value),
                    RELEASE => self.release_s.set(value),
                    _ => {}
                }
            }
        }
    }

    fn render(&mut self, io: &mut Io<'_>) {
        for range in stretches(io.frames()) {
            let attack_s = self.attack_s.course(range.len());
            let decay_s = self.decay_s.course(range.len());
            let release_s = self.release_s.course(range.len());
            let sustain = self.sustain.course(range.len());
            let velocity = self.velocity.course(range.len());
            for channel in 0..io.channels().min(MAX_CHANNELS) {
                let cable = |param| io.param_cable::<Self>(param, channel, &range);
                let slopes = Slopes {
                    attack: self.shares(&attack_s, ATTACK, cable(ATTACK), ATTACK_CONSTANTS),
                    decay: self.shares(&decay_s, DECAY, cable(DECAY), FALL_CONSTANTS),
                    release: self.shares(&release_s, RELEASE, cable(RELEASE), FALL_CONSTANTS),
                    sustain: sustain.modulated(&Self::TYPE.params[SUSTAIN], cable(SUSTAIN)),
                };
                let gate = io.input_part(GATE_IN, channel, &range);
                let Some(out) = io.output(0, channel).get_mut(range.clone()) else {
                    continue;
                };
                self.follow(channel, &slopes, gate, out);
                velocity.scale(out);
            }
            self.is_struck = 0;
        }
    }
}

impl Adsr {
    fn strike(&mut self, velocity: f32) {
        let velocity = sane(velocity).clamp(0.0, 1.0);
        // From silence a new velocity cannot click, and the first stroke must have its own from the start.
        if self.level == [0.0; MAX_CHANNELS] {
            self.velocity.jump(velocity);
        } else {
            self.velocity.set(velocity);
        }
        self.is_gate_open = 1;
        self.is_struck = 1;
    }

    /// How much of the way to its aim a segment goes in each frame, for it to take `time_s`.
    fn shares(&self, time_s: &Course, param: usize, cable: Option<&[f32]>, constants: f32) -> Course {
        let time_s = time_s.modulated(&Self::TYPE.params[param], cable);
        // No time at all still takes one frame.
        time_s.map(|time_s| one_minus_exp(constants / (time_s * self.rate_hz).max(1.0)))
    }

    /// One channel through one stretch.
    fn follow(&mut self, channel: usize, slopes: &Slopes, gate: Option<&[f32]>, levels: &mut [f32]) {
        let state =
            (self.segment.get_mut(channel), self.level.get_mut(channel), self.is_cable_high.get_mut(channel));
        let (Some(segment), Some(level), Some(is_cable_high)) = state else {
            return;
        };
        let mut is_struck = self.is_struck != 0;
        let mut frame = 0;
        while frame < levels.len() {
            let gate_cv = gate.and_then(|gate| gate.get(frame)).copied().unwrap_or(0.0);
            let is_high = u32::from(gate_cv > GATE_LEVEL);
            is_struck |= is_high > *is_cable_high;
            *is_cable_high = is_high;

            let is_open = self.is_gate_open | is_high != 0;
            *segment = next_segment(*segment, *level, slopes.sustain.at(frame), is_open, is_struck);
            is_struck = false;
            // Without a cable in `gate`, a segment runs until it ends by itself.
            let end = if gate.is_some() { frame + 1 } else { levels.len() };
            let run = match *segment {
                ATTACKING => run::<ATTACKING>,
                DECAYING => run::<DECAYING>,
                SUSTAINING => run::<SUSTAINING>,
                RELEASING => run::<RELEASING>,
                _idle => run::<IDLE>,
            };
            frame = run(level, slopes, is_open, frame..end, levels);
        }
    }
}

/// Stays in a segment through `range`, or as long as it lasts; gives the frame after that.
fn run<const SEGMENT: u32>(
    level: &mut f32,
    slopes: &Slopes,
    is_open: bool,
    range: Range<usize>,
    levels: &mut [f32],
) -> usize {
    for frame in range.clone() {
        let is_over = next_segment(SEGMENT, *level, slopes.sustain.at(frame), is_open, false) != SEGMENT;
        if is_over && frame > range.start {
            return frame;
        }
        *level = next_level(SEGMENT, *level, slopes, frame);
        levels[frame] = heard(SEGMENT, *level, slopes.sustain.at(frame));
    }
    range.end
}

/// The whole life of an envelope: idle, attack, decay, sustain, release, idle.
#[inline(always)]
fn next_segment(segment: u32, level: f32, sustain: f32, is_open: bool, is_struck: bool) -> u32 {
    match segment {
        _ if is_struck => ATTACKING,
        ATTACKING if is_open && level >= 1.0 => DECAYING,
        DECAYING if is_open && level <= sustain => SUSTAINING,
        ATTACKING | DECAYING | SUSTAINING if !is_open => RELEASING,
        RELEASING if level <= 0.0 => IDLE,
        ATTACKING..=RELEASING => segment,
        _idle_or_garbage => IDLE,
    }
}

/// A falling level may pass its goal by [`FALL_BEYOND`] in its last frame: waiting there for a comparison
/// would cost more than the rest of the segment, and nobody hears it.
#[inline(always)]
fn next_level(segment: u32, level: f32, slopes: &Slopes, frame: usize) -> f32 {
    let sustain = slopes.sustain.at(frame);
    match segment {
        ATTACKING => (level + slopes.attack.at(frame) * (1.0 + ATTACK_BEYOND - level)).min(1.0),
        DECAYING => level + slopes.decay.at(frame) * (sustain - FALL_BEYOND - level),
        SUSTAINING => sustain,
        RELEASING => level - slopes.release.at(frame) * (level + FALL_BEYOND),
        _idle => 0.0,
    }
}

/// The level without what a fall went too far.
#[inline(always)]
fn heard(segment: u32, level: f32, sustain: f32) -> f32 {
    if segment == DECAYING { level.max(sustain) } else { level.max(0.0) }
}
