//! The kill matrix: workers of a whole engine die at every point of a block, in every way, one, one and whoever takes
//! over from it, three in a row, at several block sizes; and not one sample differs.
//!
//! Whoever dies by its own doing twice in one block is poisoned, and silent, which is another test (`tests/blame.rs`);
//! so such deaths are some blocks apart here. Signals from outside blame nobody: those follow each other at once.
//!
//! Each combination of point, way and number is rendered at one block size; `BACKLINE_MATRIX=full` renders each at all.
//! `workers/sdk/tests/take_over.rs` is the same for every module type by itself, `tests/engine_death.rs` for the engine.

mod support;

use std::path::Path;
use support::fakes::mortal_worker;
use support::file;
use support::render::{Piece, Way};

/// In the order of `fate.rs` of the worker.
const POINTS: [&str; 5] =
    ["before it reads", "in mid-render", "while it stores", "before it commits", "before it wakes"];
const ENDS: [&str; 6] = ["SIGKILL", "SEGV", "abort", "exit(0)", "panic", "SIGSTOP"];
/// Of these, what others do to a worker.
const BY_OTHERS: [usize; 2] = [0, 5];
/// A module that breaks three workers in five seconds is poisoned, whatever the block.
const MOST_DEATHS: usize = 3;
const MOST_OWN_DOINGS: usize = 2;
const BLOCKS: [usize; 4] = [32, 64, 128, 512];
const SECONDS: f64 = 1.0;
const WORKERS: usize = 4;

struct Case {
    point: usize,
    end: usize,
    deaths: usize,
    block: usize,
    seed: usize,
}

fn cases() -> Vec<Case> {
    let is_full = std::env::var("BACKLINE_MATRIX").is_ok_and(|size| size == "full");
    let seed: usize = std::env::var("BACKLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut all = Vec::new();
    for point in 0..POINTS.len() {
        for end in 0..ENDS.len() {
            let most = if BY_OTHERS.contains(&end) { MOST_DEATHS } else { MOST_OWN_DOINGS };
            for deaths in 1..=most {
                let turn = seed + point + end + deaths;
                let blocks = if is_full { &BLOCKS[..] } else { &BLOCKS[turn % 4..][..1] };
                all.extend(blocks.iter().map(|block| Case { point, end, deaths, block: *block, seed: turn }));
            }
        }
    }
    all
}

/// Puts a token for each death into a folder of its own.
fn tokens(folder: &Path, deaths: usize) {
    for token in 1..=deaths {
        std::fs::write(folder.join(token.to_string()), "").expect("our folder is writable");
    }
}

fn tokens_left(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("our folder is there").count()
}

/// Every module type, with a new plan every few blocks: whoever shall die before it reads one gets its chance.
fn piece() -> Piece {
    let text = |name: &str| std::fs::read_to_string(file(name)).expect("it lies in the project");
    let edits = (1..(SECONDS * 50.0) as usize).map(|edit| {
        let (at, id) = (edit as f64 * 0.02, edit / 2);
        if edit % 2 == 0 {
            format!("{at} /create noise still{id}\n")
        } else {
            format!("{at} /free still{id}\n")
        }
    });
    // The first edit would free what is not there.
    let edits: String = edits.skip(1).collect();
    Piece::of_text(
        &text("patches/every-module.toml"),
        &(text("patches/every-module.score") + &edits),
        SECONDS,
    )
}

#[test]
fn no_death_at_any_point_of_a_block_changes_a_sample() {
    let piece = piece();
    let clean = piece.render(Way { workers: 0, block: 64 });
    for Case { point, end, deaths, block, seed } in cases() {
        let story = format!("{deaths} deaths by {} {}, block {block}, seed {seed}", ENDS[end], POINTS[point]);
        let folder = tempfile::tempdir().expect("a folder of our own");
        tokens(folder.path(), deaths);
        let (mut command, wav) = piece.command(Way { workers: WORKERS, block });
        // Some blocks into the piece, some samples into the block; both other ones in each case.
        let (after, at) = (200 + seed * 7_919 % 1_000, seed * 104_729 % block);
        let apart = if BY_OTHERS.contains(&end) { 0 } else { 53 };
        let fate = format!("{point} {end} {after} {apart} {at} {}", folder.path().display());
        command.env("BACKLINE_WORKER", mortal_worker()).env("BACKLINE_FATE", fate).arg("--no-realtime");
        let rendered = piece.finish(command.spawn().expect("backline starts"), wav);
        assert_eq!(tokens_left(folder.path()), 0, "not everybody died: {story}");
        assert_eq!(rendered.told["concealed"], 0, "{story}: {}", rendered.told);
        assert_eq!(rendered.sha256, clean.sha256, "{story}: {}", rendered.told);
    }
}
