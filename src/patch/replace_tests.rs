//! What goes on when a file takes the place of a patch, and what does not.

use super::*;
use crate::patch::file;
use crate::patch::order::order;
use crate::patch::testing::{Rig, number};

fn commands(text: &str) -> Vec<Command> {
    file::load(&format!("version = 1\n{text}")).expect("a sound file").commands
}

fn module(type_name: &str, id: &str, rest: &str) -> String {
    format!("[[module]]\ntype = \"{type_name}\"\nid = \"{id}\"\n{rest}\n")
}

fn cable(from: &str, to: &str) -> String {
    format!("[[connect]]\nfrom = \"{from}\"\nto = \"{to}\"\n")
}

fn replaced(rig: &mut Rig, text: &str) -> Result<Replacement, EditError> {
    rig.patch.replaced_by(&commands(text), &mut rig.next_instance, &rig.limits)
}

#[test]
fn a_module_of_the_same_id_and_type_goes_on_and_all_others_are_new_or_gone() {
    let mut rig = Rig::empty();
    let a = rig.create("vco", Some("a"), &[number("freq", 110.0)]).expect("free");
    rig.create("vco", Some("b"), &[]).expect("free");
    rig.create("vco", Some("c"), &[]).expect("free");
    let text = [module("vca", "b", ""), module("vco", "a", "freq = 220"), module("out", "out", "")].concat();
    let after = replaced(&mut rig, &text).expect("it fits");
    let instance = |id: &str| after.patch.by_id(id).expect("it is in the file").instance;
    assert_eq!(instance("a"), a);
    assert!(instance("b") > 3 && instance("out") > 3, "new modules have new numbers");
    assert!(after.patch.by_id("c").is_none());
    assert_eq!(after.kept, 1);
    assert_eq!(after.changes, [(a, 0, 220.0)]);
    assert_eq!(after.patch.by_id("a").expect("kept").params[0], 220.0);
}

#[test]
fn more_channels_are_another_module() {
    let mut rig = Rig::empty();
    let a = rig.create("vco", Some("a"), &[]).expect("free");
    let after = replaced(&mut rig, &module("vco", "a", "channels = 2")).expect("it fits");
    assert_ne!(after.patch.by_id("a").expect("there").instance, a);
    assert_eq!(after.kept, 0);
}

#[test]
fn the_same_file_again_changes_nothing() {
    let text = [
        module("vco", "a", "freq = 110"),
        module("vcf", "f", ""),
        module("out", "out", ""),
        cable("a", "f"),
        cable("f", "out.left"),
        cable("f", "a.pitch"),
    ]
    .concat();
    let mut rig = Rig::empty();
    rig.patch = replaced(&mut rig, &text).expect("it fits").patch;
    let again = replaced(&mut rig, &text).expect("it fits");
    assert_eq!(again.patch, rig.patch);
    assert_eq!((again.changes, again.kept), (Vec::new(), 3));
}

#[test]
fn a_loop_is_late_where_the_file_says_whatever_played_before() {
    let text = [module("vca", "a", ""), module("vca", "b", ""), cable("a", "b"), cable("b", "a")].concat();
    let mut fresh = Rig::empty();
    fresh.patch = replaced(&mut fresh, &text).expect("it fits").patch;
    let mut played = Rig::empty();
    played.create("vca", Some("b"), &[]).expect("free");
    played.patch = replaced(&mut played, &text).expect("it fits").patch;
    for rig in [&fresh, &played] {
        let late: Vec<bool> = rig.patch.connections().iter().map(|cable| cable.is_feedback).collect();
        assert_eq!(late, [false, true]);
        assert_eq!(rig.order(), ["a", "b"]);
        assert_eq!(order(&rig.patch).modules.len(), 2);
    }
}

#[test]
fn a_file_that_is_too_large_for_this_engine_is_refused() {
    let mut rig = Rig::empty();
    rig.limits.max_modules = 1;
    let text = [module("vca", "a", ""), module("vca", "b", "")].concat();
    assert_eq!(replaced(&mut rig, &text), Err(EditError::TooManyModules { max: 1 }));
}
