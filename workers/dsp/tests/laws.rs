//! What holds for every module type, whatever it sounds like.

mod support;

use backline_dsp::catalogue::CATALOGUE;
use backline_dsp::module::{Happening, MAX_CHANNELS};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Bench, Cables, Event, bits, peak};

/// Long enough for some glides and stretches, short enough to try many.
const FRAMES: usize = 700;

/// One module with everything that is done to it in a run.
#[derive(Debug, Clone)]
struct Run {
    kind: usize,
    channels: usize,
    /// Each parameter, as a share of its range.
    knobs: Vec<f32>,
    cables: Cables,
    events: Vec<Event>,
}

impl Run {
    fn bench(&self) -> Bench {
        let entry = &CATALOGUE[self.kind];
        let params = entry.panel.params.iter().zip(&self.knobs);
        let values: Vec<f32> =
            params.map(|(param, share)| param.min + share * (param.max - param.min)).collect();
        Bench::with_values(entry, self.channels, &values)
    }
}

fn any_event(kind: usize) -> impl Strategy<Value = Event> {
    let params = CATALOGUE[kind].panel.params;
    let turn = (0..params.len(), 0.0_f32..=1.0).prop_map(move |(index, share)| {
        let param = &params[index];
        Happening::Param { index, value: param.min + share * (param.max - param.min) }
    });
    let happening = prop_oneof![
        2 => turn,
        1 => (0.0_f32..=1.0).prop_map(|velocity| Happening::GateOn { velocity }),
        1 => Just(Happening::GateOff),
    ];
    (0..FRAMES, happening)
}

/// A cable with sound, now and then with something broken in it.
fn any_cable(channels: usize) -> impl Strategy<Value = Vec<f32>> {
    let sample = prop_oneof![
        60 => -1.0_f32..1.0,
        1 => Just(0.0_f32),
        1 => -20.0_f32..20.0,
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-42]),
    ];
    vec(sample, 257)
        .prop_map(move |samples| samples.iter().copied().cycle().take(channels * FRAMES).collect())
}

fn any_run() -> impl Strategy<Value = Run> {
    (0..CATALOGUE.len(), prop::sample::select(vec![1, 2, 3, 7, MAX_CHANNELS])).prop_flat_map(
        |(kind, channels)| {
            let panel = &CATALOGUE[kind].panel;
            let cable = prop::option::weighted(0.4, any_cable(channels));
            (
                vec(prop_oneof![3 => 0.0_f32..=1.0, 1 => Just(0.0), 1 => Just(1.0)], panel.params.len()),
                vec(cable, panel.inputs.len() + panel.params.len()),
                vec(any_event(kind), 0..6),
            )
                .prop_map(move |(knobs, cables, events)| Run {
                    kind,
                    channels,
                    knobs,
                    cables,
                    events,
                })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_of_any_size_give_the_same_bits(run in any_run(), splits in vec(1..FRAMES, 0..40)) {
        let whole = run.bench().render_split(&run.cables, FRAMES, &[], &run.events);
        let split = run.bench().render_split(&run.cables, FRAMES, &splits, &run.events);
        prop_assert_eq!(bits(&whole), bits(&split), "{}", CATALOGUE[run.kind].panel.name);
    }

    #[test]
    fn a_copy_goes_on_with_the_same_bits(run in any_run(), at in 1..FRAMES) {
        let whole = run.bench().render_split(&run.cables, FRAMES, &[at], &run.events);
        let mut first = run.bench();
        let mut sound = vec![0.0; first.planes() * FRAMES];
        let before: Vec<Event> = run.events.iter().filter(|event| event.0 < at).copied().collect();
        let half = first.render_split(&run.cables, FRAMES, &[at], &before);
        drop(half);

        let mut original = run.bench();
        render_between(&mut original, &run, 0, at, &mut sound);
        let mut copy = original.copied();
        drop(original);
        render_between(&mut copy, &run, at, FRAMES, &mut sound);
        prop_assert_eq!(bits(&whole), bits(&sound), "{}", CATALOGUE[run.kind].panel.name);
    }

    #[test]
    fn a_block_thrown_away_half_done_is_rendered_again_with_the_same_bits(run in any_run(), at in 1..FRAMES, died_at in 1..FRAMES) {
        let mut sound = vec![0.0; run.bench().planes() * FRAMES];
        let mut undisturbed = sound.clone();
        render_between(&mut run.bench(), &run, 0, FRAMES, &mut undisturbed);

        let mut bench = run.bench();
        render_between(&mut bench, &run, 0, at, &mut sound);
        let committed = bench.state.clone();
        render_between(&mut bench, &run, at, died_at.max(at), &mut sound);
        // The line keeps what the dead worker wrote; only the state goes back.
        bench.state = committed;
        render_between(&mut bench, &run, at, FRAMES, &mut sound);
        prop_assert_eq!(bits(&undisturbed), bits(&sound), "{}", CATALOGUE[run.kind].panel.name);
    }

    #[test]
    fn whatever_comes_in_what_goes_out_is_finite(run in any_run()) {
        let mut bench = run.bench();
        let sound = bench.render_split(&run.cables, FRAMES, &[], &run.events);
        prop_assert!(sound.iter().all(|sample| sample.is_finite()), "{}", CATALOGUE[run.kind].panel.name);
    }

    #[test]
    fn a_scribbled_state_never_panics(run in any_run(), seed in any::<u64>()) {
        let mut bench = run.bench();
        let mut word = seed | 1;
        for scribbled in &mut bench.state {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *scribbled = (word >> 32) as u32;
        }
        bench.render_split(&run.cables, FRAMES, &[], &run.events);
    }
}

/// Renders frames `start..end` of a run, events at `start` included and at `end` not.
fn render_between(bench: &mut Bench, run: &Run, start: usize, end: usize, sound: &mut [f32]) {
    let mut edges: Vec<usize> =
        run.events.iter().map(|event| event.0).filter(|&at| (start..end).contains(&at)).collect();
    edges.extend([start, end]);
    edges.sort_unstable();
    edges.dedup();
    for edge in edges.windows(2) {
        for event in run.events.iter().filter(|event| event.0 == edge[0]) {
            bench.happen(event.1);
        }
        bench.render_part(&run.cables, FRAMES, (edge[0], edge[1]), sound);
    }
}

#[test]
fn nothing_in_and_every_knob_at_its_end_stays_bounded() {
    for (kind, entry) in CATALOGUE.iter().enumerate() {
        for ends in 0..1_u32 << entry.panel.params.len() {
            let knobs = (0..entry.panel.params.len()).map(|param| (ends >> param & 1) as f32).collect();
            let mut run = Run {
                kind,
                channels: 1,
                knobs,
                cables: vec![],
                events: vec![(0, Happening::GateOn { velocity: 1.0 })],
            };
            run.cables = run.bench().no_cables();
            let sound = run.bench().render_split(&run.cables, FRAMES, &[], &run.events);
            assert!(peak(&sound) < 2.0, "{} {:?}: {}", entry.panel.name, run.knobs, peak(&sound));
        }
    }
}
