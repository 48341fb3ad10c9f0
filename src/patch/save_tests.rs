//! What is saved is what is loaded again, and what a person wrote beside it stays.

use super::*;
use crate::command::Value;
use crate::patch::file;
use crate::patch::testing::{Rig, number, word};
use proptest::prelude::*;

const BY_HAND: &str = "\
# Our song.
version = 1
title = \"Night\" # not ours, kept

[settings]
block = 64 # small

[[module]] # the voice
type = \"vco\"
id = 1
freq = 110 # low A
shape = \"saw\"
colour = [1, 2]
notes.by = \"somebody\"

[[module]]
type = \"vca\"
gain = 0.5

[module.notes]
why = \"soft\"

[[connect]] # to the vca
from = \"vco1\"
to = \"vca1.in\"
gain = 1
bend = [3]

[other]
key = 1
";

fn loaded(text: &str) -> (Rig, PatchFile) {
    let file = file::load(text).unwrap_or_else(|refusal| panic!("{refusal} in:\n{text}"));
    let mut rig = Rig::empty();
    let replaced = rig.patch.replaced_by(&file.commands, &mut rig.next_instance, &rig.limits);
    rig.patch = replaced.expect("it fits").patch;
    (rig, file)
}

/// Everything about a patch but the numbers of its modules.
fn content(patch: &Patch) -> (Vec<PatchModule>, Vec<(String, u32, bool)>) {
    let modules = patch.modules().iter().map(|module| PatchModule { instance: 0, ..module.clone() });
    let ends = |cable: &Connection| {
        let (from, to) = patch.ends(cable).expect("both are there");
        (format!("{from} {to}"), cable.gain.to_bits(), cable.is_feedback)
    };
    (modules.collect(), patch.connections().iter().map(ends).collect())
}

#[test]
fn a_patch_that_was_not_touched_is_saved_as_it_was_written() {
    let (rig, file) = loaded(BY_HAND);
    let saved = text_of(&rig.patch, Some(&file));
    assert_eq!(saved.replace("id = \"vca1\"\n", ""), BY_HAND);
    // The id that the engine chose is written down: in another company it would choose another.
    assert!(saved.contains("type = \"vca\"\ngain = 0.5\nid = \"vca1\"\n"), "{saved}");
}

#[test]
fn an_edit_changes_its_own_line_and_no_other() {
    let (mut rig, file) = loaded(BY_HAND);
    rig.set("vco1", "freq", Value::Number(220.5)).expect("in range");
    rig.set("vco1", "shape", Value::Word("sine".to_owned())).expect("a choice");
    rig.connect_with_gain("vco1 vca1", 0.1).expect("it is there");
    let expected = BY_HAND
        .replace("freq = 110 ", "freq = 220.5 ")
        .replace("\"saw\"", "\"sine\"")
        .replace("gain = 1\n", "gain = 0.1\n");
    let saved = text_of(&rig.patch, Some(&file));
    assert_eq!(saved.replace("id = \"vca1\"\n", ""), expected);
    assert_eq!(content(&loaded(&saved).0.patch), content(&rig.patch));
}

#[test]
fn modules_come_and_go_and_unknown_keys_stay() {
    let (mut rig, file) = loaded(BY_HAND);
    rig.patch.free("vca1").expect("it is there");
    rig.create("out", Some("out"), &[]).expect("free");
    rig.connect_with_gain("vco1 out.right", -0.25).expect("two ports");
    let saved = text_of(&rig.patch, Some(&file));
    for kept in ["# Our song.", "title = \"Night\" # not ours, kept", "colour = [1, 2]", "[other]\nkey = 1"] {
        assert!(saved.contains(kept), "{kept} is gone from:\n{saved}");
    }
    assert!(!saved.contains("vca") && !saved.contains("bend"), "what is gone is gone:\n{saved}");
    assert_eq!(content(&loaded(&saved).0.patch), content(&rig.patch));
}

#[test]
fn a_patch_that_grew_out_of_nothing_is_short_and_plain() {
    let mut rig = Rig::empty();
    rig.create("vco", Some("vco1"), &[number("freq", 110.0), word("shape", "square")]).expect("free");
    rig.create("out", Some("out"), &[]).expect("free");
    rig.connect_with_gain("vco1 out.left", 0.5).expect("two ports");
    let expected = "\
version = 1

[[module]]
type = \"vco\"
id = \"vco1\"
freq = 110.0
shape = \"square\"

[[module]]
type = \"out\"
id = \"out\"

[[connect]]
from = \"vco1.out\"
to = \"out.left\"
gain = 0.5
";
    assert_eq!(text_of(&rig.patch, None), expected);
}

#[test]
fn an_empty_patch_is_a_file_that_loads() {
    assert_eq!(content(&loaded(&text_of(&Patch::default(), None)).0.patch), content(&Patch::default()));
}

#[test]
fn a_file_cut_at_every_byte_is_refused_or_loaded_whole() {
    let whole = BY_HAND.as_bytes();
    for cut in 0..=whole.len() {
        let Ok(text) = std::str::from_utf8(&whole[..cut]) else { continue };
        if let Ok(file) = file::load(text) {
            // What is left makes sense on its own: it is the beginning of the file, in whole lines or values.
            let (rig, _) = loaded(text);
            assert_eq!(
                rig.patch.modules().len(),
                ids_of(&file).len(),
                "half of it was read after {cut} bytes"
            );
        }
    }
}

#[test]
fn flipped_bits_are_refused_or_read_as_what_they_say() {
    let whole = BY_HAND.as_bytes();
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.to_vec();
            bytes[place] ^= 1 << bit;
            let Ok(text) = std::str::from_utf8(&bytes) else { continue };
            if file::load(text).is_ok() {
                let (rig, file) = loaded(text);
                let saved = text_of(&rig.patch, Some(&file));
                let again = loaded(&saved).0.patch;
                assert_eq!(content(&again), content(&rig.patch), "byte {place}, bit {bit}:\n{saved}");
            }
        }
    }
}

proptest! {
    #[test]
    fn every_number_is_saved_to_its_last_bit(bits: u32) {
        let number = f32::from_bits(bits);
        if number.is_finite() {
            prop_assert_eq!((as_written(number) as f32).to_bits(), bits);
        }
    }
}
