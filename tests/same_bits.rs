//! A patch without feedback sounds the same, bit by bit: with any number of workers or in process, at every block
//! size, whatever happens in it and when.

mod support;

use support::file;
use support::render::{Piece, Way};

const WORKERS: [usize; 4] = [0, 1, 2, 4];
const BLOCKS: [usize; 4] = [16, 64, 256, 1024];

fn all_ways() -> Vec<Way> {
    let ways = |block| WORKERS.map(|workers| Way { workers, block });
    BLOCKS.into_iter().flat_map(ways).collect()
}

#[test]
fn the_demo_is_the_same_bits_with_workers_and_in_process_at_every_block_size() {
    let (patch, score) = (file("patches/demo.toml"), file("patches/demo.score"));
    Piece::of_files(&patch, &score, 5.0).assert_same_bits(&all_ways());
}

#[test]
fn every_module_type_with_events_at_odd_times_is_the_same_bits_everywhere() {
    let (patch, score) = (file("patches/every-module.toml"), file("patches/every-module.score"));
    Piece::of_files(&patch, &score, 4.0).assert_same_bits(&all_ways());
}

const VOICE: &str = r#"
version = 1
[[module]]
type = "vco"
id = "vco1"
freq = 110.0
shape = "saw"
[[module]]
type = "out"
id = "out"
[[connect]]
from = "vco1"
to = "out.left"
gain = 0.3
"#;

#[test]
fn edits_of_the_patch_fall_on_their_frame_at_every_block_size() {
    let score = "\
        0.1003 /create noise hiss seed 5\n\
        0.1003 /connect hiss out.right 0.2\n\
        0.2501 /create vcf 1 cutoff 900 res 0.4\n\
        0.2501 /connect hiss vcf1\n\
        0.2777 /connect vcf1 out.left 0.5\n\
        0.3001 /set vcf1 cutoff 3000\n\
        0.4009 /disconnect hiss out.right\n\
        0.5111 /free hiss\n\
        0.6007 /begin\n\
        0.6007 /create lfo wob rate 7\n\
        0.6007 /connect wob vco1.pitch 0.3\n\
        0.6007 /set vco1 freq 165\n\
        0.6013 /commit\n\
        0.7777 /panic\n\
        0.8001 /create vco again\n\
        0.8001 /create out out2\n\
        0.8001 /connect again out2 0.4\n";
    Piece::of_text(VOICE, score, 1.0).assert_same_bits(&all_ways());
}

#[test]
fn cables_of_several_channels_are_the_same_bits_everywhere() {
    let patch = VOICE.replace("id = \"vco1\"", "id = \"vco1\"\nchannels = 4");
    let score = "\
        0.01 /create noise n channels 3\n\
        0.01 /create vcf f channels 2 model svf\n\
        0.02 /connect vco1 f 0.5\n\
        0.02 /connect n f.cutoff 0.4\n\
        0.03 /connect f out.right 0.5\n\
        0.13 /set vco1 freq 300 shape square\n";
    Piece::of_text(&patch, score, 0.6).assert_same_bits(&all_ways());
}

#[test]
fn feedback_is_one_block_late_and_the_same_bits_with_any_number_of_workers() {
    let score = "\
        0.05 /create delay d time 0.05 feedback 0.2 mix 1\n\
        0.05 /create vcf f cutoff 2000\n\
        0.06 /connect vco1 d 0.5\n\
        0.06 /connect d f\n\
        0.06 /connect f d 0.6\n\
        0.06 /connect f out.right 0.4\n\
        0.06 /connect f vco1.fm 0.1\n";
    let ways = WORKERS.map(|workers| Way { workers, block: 64 });
    Piece::of_text(VOICE, score, 0.8).assert_same_bits(&ways);
}
