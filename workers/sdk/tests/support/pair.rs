//! One patch twice: every module type, patched with cables of several channels, with modulation and with
//! feedback. One half, the twins, is never disturbed; the other half, the subjects, is what workers die of. Both
//! hear the same sources and the same events, so both play the same, bit by bit.

use super::cabling::{connection, push};
use super::storm::Dice;
use super::{Module, Stage, Wish};
use backline_abi::block::{Event, kind};
use backline_abi::commit::parity;
use backline_abi::layout::PAGE;
use backline_abi::plan::{Plan, PlanConnection};
use backline_dsp::catalogue::{CATALOGUE, find};
use std::sync::atomic::Ordering::Relaxed;

/// What both halves hear: id, type and channels.
const SOURCES: [(&str, &str, usize); 2] = [("hiss", "noise", 2), ("wobble", "lfo", 3)];
/// The modules of each half.
const HALF: [(&str, &str, usize); 11] = [
    ("vco", "vco", 3),
    ("lfo", "lfo", 1),
    ("noise", "noise", 5),
    ("adsr", "adsr", 2),
    ("vcf", "vcf", 2),
    ("vca", "vca", 4),
    ("mix", "mix", 2),
    ("delay", "delay", 2),
    ("echo", "delay", 3),
    ("out", "out", 2),
    (EAR, "vcf", 2),
];
/// The module of each half that lives where the twins do.
const EAR: &str = "ear";
/// Cables of each half: from, to, gain, and whether it closes a loop.
///
/// The ear waits for the last of the others and only then hears the echo of the block before.
const CABLES: [(&str, &str, f32, bool); 22] = [
    ("wobble", "vco.pitch", 0.5, false),
    ("hiss", "vco.fm", 0.1, false),
    ("ear", "vco.width", 0.2, true),
    ("wobble", "lfo.rate", 1.0, false),
    ("lfo", "adsr.gate", 1.0, false),
    ("noise", "vcf.in", 0.5, false),
    ("hiss", "vcf.in", 0.5, false),
    ("adsr", "vcf.cv", 2.0, false),
    ("wobble", "vcf.res", 0.3, false),
    ("vco", "vca.in", 1.0, false),
    ("adsr", "vca.cv", 1.0, false),
    ("vcf", "mix.in", 0.5, false),
    ("vca", "mix.in2", 0.5, false),
    ("echo", "mix.in3", 0.4, true),
    ("mix", "delay.in", 0.5, false),
    ("mix", "echo.in", 0.5, false),
    ("wobble", "echo.time", 0.2, false),
    ("echo", "echo.feedback", 0.1, true),
    ("echo", "out.left", 0.5, false),
    ("delay", "ear.in", 0.5, false),
    ("out", "ear.cv", 0.5, false),
    ("echo", "ear.cutoff", 0.5, true),
];

/// Both halves, on a stage.
pub struct Pair {
    sources: Vec<Module>,
    /// Those that stay.
    pub twins: Vec<Module>,
    /// Those that move; the last one, the ear, does not.
    pub subjects: Vec<Module>,
}

impl Pair {
    /// Both halves with parameters of the dice's choice: sources and twins in slot 0, subjects in `home`. If
    /// `is_alone`, each subject's commit word has a page of its own.
    pub fn enter(on: &mut Stage, dice: &mut Dice, home: usize, is_alone: bool) -> Self {
        let mut wish = |(_, name, channels): &(&str, &'static str, usize)| {
            let params = find(name).expect("the type exists").1.panel.params;
            let params = params.iter().map(|param| value(dice, param.min, param.max)).collect();
            Wish { name, channels: *channels, identity: 77, params }
        };
        let sources = SOURCES.iter().map(&mut wish).map(|wish| on.add_wished(&wish, 0)).collect();
        let wishes: Vec<Wish> = HALF.iter().map(&mut wish).collect();
        let twins = wishes.iter().map(|wish| on.add_wished(wish, 0)).collect();
        let subjects = wishes.iter().zip(HALF).map(|(wish, (id, ..))| {
            on.place_next(dice.below(64), is_alone);
            on.add_wished(wish, if id == EAR { 0 } else { home })
        });
        Self { sources, twins, subjects: subjects.collect() }
    }

    /// How a subject is called.
    pub fn name(subject: usize) -> &'static str {
        HALF[subject].0
    }

    /// The subject that is called so.
    pub fn position(name: &str) -> usize {
        HALF.iter().position(|(id, ..)| *id == name).expect("there is one")
    }

    /// A page of a subject's memory, counted from its first, that is stored into in every other block at least.
    pub fn page_stored_into(&self, subject: usize, dice: &mut Dice) -> usize {
        let memory = &self.subjects[subject].memory;
        let [commit, first, last] =
            [memory.commit, memory.outputs[0], memory.line - 1].map(|word| word * 4 / PAGE);
        first - commit + dice.below(last - first + 1)
    }

    /// Subjects that move.
    pub fn movers() -> usize {
        HALF.len() - 1
    }

    /// Whether every type of the catalogue is among the subjects that move.
    pub fn is_complete() -> bool {
        CATALOGUE
            .iter()
            .all(|entry| HALF[..Self::movers()].iter().any(|(_, name, _)| *name == entry.panel.name))
    }

    /// Puts the patch in force from the next block on.
    pub fn put_in_force(&self, on: &mut Stage) {
        let mut plan = Plan::default();
        self.sources.iter().for_each(|source| push(&mut plan, source, []));
        for half in [&self.twins, &self.subjects] {
            for (module, (id, name, _)) in half.iter().zip(HALF) {
                let cables = CABLES.iter().filter_map(|(from, to, gain, is_feedback)| {
                    let (target, input) = to.split_once('.')?;
                    let source = self.called(half, from);
                    let is_feedback = u32::from(*is_feedback);
                    let connect = || connection(&(source, 0, input_of(name, input)));
                    (target == id).then(|| PlanConnection { gain: *gain, is_feedback, ..connect() })
                });
                push(&mut plan, module, cables);
            }
        }
        on.put_in_force(&plan);
    }

    fn called<'m>(&'m self, half: &'m [Module], id: &str) -> &'m Module {
        let of_half = HALF.iter().position(|(name, ..)| *name == id).map(|index| &half[index]);
        let source = || SOURCES.iter().position(|(name, ..)| *name == id).map(|index| &self.sources[index]);
        of_half.or_else(source).expect("cables run between modules")
    }

    /// Events of one block: the same for both halves, at odd frames.
    pub fn events(&self, dice: &mut Dice, block_frames: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..dice.below(4) {
            let index = dice.below(HALF.len());
            let params = find(HALF[index].1).expect("the type exists").1.panel.params;
            let (kind, value) = match dice.below(4) {
                0 => (kind::GATE_ON, share(dice)),
                1 => (kind::GATE_OFF, 0.0),
                _ => {
                    let param = dice.below(params.len());
                    (param as u32, value(dice, params[param].min, params[param].max))
                }
            };
            let offset_frames = (dice.below(block_frames) | 1) as u32;
            for half in [&self.twins, &self.subjects] {
                events.push(Event { instance: half[index].record.instance, offset_frames, kind, value });
            }
        }
        events.sort_by_key(|event| (event.instance, event.offset_frames));
        events
    }

    /// Whether all have committed the block announced last.
    pub fn has_committed(&self, on: &Stage) -> bool {
        let all = self.sources.iter().chain(&self.twins).chain(&self.subjects);
        all.fold(true, |is_so, module| is_so & on.has_committed(module))
    }

    /// Where the subjects play something else than their twins in the block announced last.
    pub fn first_difference(&self, on: &Stage) -> Option<String> {
        let frames = on.shape().block_frames;
        let pairs = self.twins.iter().zip(&self.subjects).zip(HALF);
        pairs.into_iter().find_map(|((twin, subject), (id, ..))| {
            let (expected, heard) = (on.heard(twin), on.heard(subject));
            let at = expected.iter().zip(&heard).position(|(one, two)| one != two)?;
            Some(format!("{id} differs in channel {}, frame {}", at / frames, at % frames))
        })
    }

    /// Where states or lines differ after the block announced last.
    pub fn first_difference_in_memory(&self, on: &Stage) -> Option<String> {
        let copy = parity(on.block);
        let pairs = self.twins.iter().zip(&self.subjects).zip(HALF);
        pairs.into_iter().find_map(|((twin, subject), (id, ..))| {
            let [twins, subjects] = [twin, subject].map(|module| {
                let words = on.arena(module.location.slot as usize).words();
                let state = &words[module.memory.states[copy]..][..module.memory.state_words];
                (state, &words[module.memory.line..][..module.memory.line_words])
            });
            let differs = |one: &[_], two: &[_]| {
                let load = |word: &std::sync::atomic::AtomicU32| word.load(Relaxed);
                !one.iter().map(load).eq(two.iter().map(load))
            };
            (differs(twins.0, subjects.0) || differs(twins.1, subjects.1))
                .then(|| format!("{id} has another state or line"))
        })
    }
}

fn input_of(name: &str, input: &str) -> u32 {
    let panel = &find(name).expect("the type exists").1.panel;
    let port = panel.inputs.iter().position(|port| port.name == input);
    let param = || panel.params.iter().position(|param| param.name == input);
    port.or_else(|| Some(panel.inputs.len() + param()?)).expect("the input exists") as u32
}

/// A number in 0.0..1.0.
fn share(dice: &mut Dice) -> f32 {
    dice.below(1 << 24) as f32 / (1 << 24) as f32
}

/// A value of a parameter, now and then an end of its range.
fn value(dice: &mut Dice, min: f32, max: f32) -> f32 {
    let share = match dice.below(8) {
        0 => 0.0,
        1 => 1.0,
        _ => share(dice),
    };
    min + share * (max - min)
}
