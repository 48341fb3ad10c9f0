//! Replay is exact: a block in which a worker died, after whatever sample, is rendered again elsewhere from the
//! state before it and from a line that is partly written already; all bytes come out the same. And once more,
//! if that worker dies in the same block too (architecture, section 4; docs/adr/0010).
//!
//! `BACKLINE_SEED=17 cargo test -p backline-dsp --test replay` tries others.

mod support;

use backline_dsp::catalogue::{CATALOGUE, Entry, find};
use std::cell::Cell;
use support::careless::careless;
use support::scene::{Dice, Memory, Part, Scene};

/// Low, so that the longest delay is a few thousand frames and its ring wraps often.
const LOW_RATE_HZ: f32 = 3_000.0;
/// Blocks in a row in which the worker dies.
const DEADLY_BLOCKS: usize = 3;
/// Frames of the blocks before: long ones, to fill the line soon.
const WARM_UP_FRAMES: usize = 256;

fn seed() -> u64 {
    std::env::var("BACKLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Plays so long that the line is full and its ring stands anywhere, also shortly before its end.
fn warmed_up(scene: &mut Scene<'_>, dice: &mut Dice, cables: &[bool]) -> Memory {
    let mut memory = scene.fresh();
    let line_frames = (2.0 * scene.rate_hz) as usize;
    let block_frames = std::mem::replace(&mut scene.block_frames, WARM_UP_FRAMES);
    for _ in 0..line_frames / WARM_UP_FRAMES + 4 + dice.below(8) {
        let part = scene.part(dice, cables);
        scene.play(&mut memory, &part, part.frames);
    }
    scene.block_frames = block_frames;
    memory
}

/// Whether `part` comes out as it should when `died` is all that is left of who tried before.
fn same_as(
    scene: &Scene<'_>,
    part: &Part,
    died: &Memory,
    heard: &[u32],
    after: &Memory,
) -> Result<(), String> {
    let mut survivor = died.taken_over();
    let replayed = scene.play(&mut survivor, part, part.frames);
    if let Some(sample) = replayed.iter().zip(heard).position(|(one, two)| one != two) {
        return Err(format!("output {} differs in frame {}", sample / part.frames, sample % part.frames));
    }
    survivor.difference(after).map_or(Ok(()), Err)
}

/// Dies after every sample of `part`, in two ways, twice; what the block leaves behind if all is well.
fn dies_after_every_sample(
    scene: &Scene<'_>,
    before: &Memory,
    part: &Part,
    dice: &mut Dice,
) -> Result<Memory, String> {
    let mut after = before.taken_over();
    let heard = scene.play(&mut after, part, part.frames);
    let samples = part.frames * scene.channels;
    for frames in 0..=part.frames {
        let again = dice.below(part.frames + 1);
        let context = |what: String| format!("died after {frames} of {} frames: {what}", part.frames);
        let twice = |what: String| format!("and again after {again}: {what}");

        let mut died = before.taken_over();
        scene.die_after(&mut died, part, frames);
        same_as(scene, part, &died, &heard, &after).map_err(context)?;
        scene.die_after(&mut died, part, again);
        same_as(scene, part, &died, &heard, &after).map_err(twice).map_err(context)?;

        let mut died = before.taken_over();
        scene.die_anywhere(&mut died, part, frames * scene.channels, dice);
        same_as(scene, part, &died, &heard, &after).map_err(context)?;
        scene.die_anywhere(&mut died, part, dice.below(samples + 1), dice);
        same_as(scene, part, &died, &heard, &after).map_err(twice).map_err(context)?;
    }
    Ok(after)
}

fn conforms(entry: &Entry, asked: usize, block_frames: usize, rate_hz: f32, seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed);
    let params = entry.panel.params.iter().map(|param| dice.value(param)).collect();
    let channels = entry.channels(asked);
    let mut scene = Scene { entry, channels, block_frames, rate_hz, params, played: Cell::default() };
    let cables = scene.cables(&mut dice);
    let mut memory = warmed_up(&mut scene, &mut dice, &cables);
    for block in 0..DEADLY_BLOCKS {
        let part = scene.part(&mut dice, &cables);
        memory = dies_after_every_sample(&scene, &memory, &part, &mut dice).map_err(|what| {
            format!(
                "{} of {channels} channels at {rate_hz} Hz, block {block} of at most {block_frames} frames, \
                 seed {seed}: {what}",
                entry.panel.name
            )
        })?;
    }
    Ok(())
}

#[test]
fn every_module_type_replays_a_block_with_the_same_bytes_wherever_its_worker_died_in_it() {
    let mut seed = seed() << 32;
    for entry in CATALOGUE {
        for (channels, block_frames) in [1, 2, 3, 7, 16].iter().flat_map(|c| [16, 64, 256].map(|b| (*c, b))) {
            seed += 1;
            conforms(entry, channels, block_frames, LOW_RATE_HZ, seed)
                .unwrap_or_else(|what| panic!("{what}"));
        }
    }
}

#[test]
fn a_line_of_full_length_replays_with_the_same_bytes_at_every_usual_rate() {
    let (_, delay) = find("delay").expect("the type exists");
    for (seed, rate_hz) in (seed() << 32..).zip([44_100.0, 48_000.0, 96_000.0]) {
        conforms(delay, 1, 64, rate_hz, seed).unwrap_or_else(|what| panic!("{what}"));
    }
}

#[test]
fn a_module_that_is_not_exact_is_found() {
    for (what, entry) in careless() {
        assert!(conforms(&entry, 1, 16, LOW_RATE_HZ, seed()).is_err(), "nobody noticed one that {what}");
    }
}
