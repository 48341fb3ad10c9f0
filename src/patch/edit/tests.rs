use proptest::prelude::*;

use super::super::testing::{Rig, number, word};
use super::*;

type Attempt = fn(&mut Rig) -> Result<(), EditError>;

/// What the edit was refused with, after checking that it changed nothing.
fn refused<T: std::fmt::Debug>(rig: &mut Rig, edit: impl FnOnce(&mut Rig) -> Result<T, EditError>) -> String {
    let before = rig.clone();
    let refusal = edit(rig).expect_err("the edit is refused").to_string();
    assert_eq!(*rig, before, "a refused edit changes nothing");
    refusal
}

fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text:?} does not name {part:?}");
    }
}

#[test]
fn a_module_gets_the_smallest_free_number_of_its_type() {
    let mut rig = Rig::of(&["vco", "vco", "vco"]);
    rig.patch.free("vco2").unwrap();
    let instance = rig.create("vco", None, &[]).unwrap();
    assert_eq!(rig.patch.by_id("vco2").unwrap().instance, instance);
}

#[test]
fn an_instance_is_never_used_again() {
    let mut rig = Rig::of(&["vco", "vco"]);
    rig.patch.free("vco2").unwrap();
    assert_eq!(rig.create("vco", Some("vco2"), &[]), Ok(3));
    rig.patch.clear();
    assert_eq!(rig.create("vco", None, &[]), Ok(4));
}

#[test]
fn the_same_id_has_the_same_identity_in_every_patch() {
    let (mut one, mut two) = (Rig::of(&["vco"]), Rig::of(&["lfo", "lfo"]));
    one.create("vcf", Some("sea"), &[]).unwrap();
    two.create("vcf", Some("sea"), &[]).unwrap();
    let identity = |rig: &Rig, id| rig.patch.by_id(id).unwrap().identity;
    assert_eq!(identity(&one, "sea"), identity(&two, "sea"));
    assert_ne!(identity(&one, "sea"), identity(&one, "vco1"));
}

#[test]
fn parameters_and_channels_are_taken_from_create_and_the_rest_is_as_on_the_panel() {
    let mut rig = Rig::empty();
    rig.create("vco", Some("a"), &[number("channels", 2.0), number("freq", 110.0)]).unwrap();
    let module = rig.patch.by_id("a").unwrap();
    assert_eq!(module.channels, 2);
    for (param, value) in module.panel().params.iter().zip(module.values()) {
        assert_eq!(*value, if param.name == "freq" { 110.0 } else { param.default }, "{}", param.name);
    }
}

#[test]
fn a_choice_is_taken_by_word_and_by_number() {
    let mut rig = Rig::of(&["vco", "vco"]);
    rig.set("vco1", "shape", Value::Word("square".to_owned())).unwrap();
    let by_word = rig.value("vco1", "shape");
    rig.set("vco2", "shape", Value::Number(by_word)).unwrap();
    assert_eq!(rig.value("vco2", "shape"), by_word);
}

#[test]
fn a_pattern_sets_all_that_have_the_parameter_and_passes_over_the_rest() {
    let mut rig = Rig::of(&["vco", "out", "vco"]);
    let changes = rig.patch.set("*", &[number("freq", 55.0)]).unwrap();
    assert_eq!(changes.iter().map(|change| change.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((rig.value("vco1", "freq"), rig.value("vco2", "freq")), (55.0, 55.0));
}

#[test]
fn a_gate_by_pattern_goes_to_modules_with_a_gate_only() {
    let rig = Rig::of(&["vco", "adsr", "adsr", "out"]);
    assert_eq!(rig.patch.gate("*"), Ok(vec![2, 3]));
    assert_eq!(rig.patch.gate("adsr2"), Ok(vec![3]));
}

#[test]
fn freeing_a_module_takes_its_cables_along() {
    let mut rig = Rig::of(&["vco", "vca", "out"]);
    rig.connect("vco1 vca1").unwrap();
    rig.connect("vca1 out1.left").unwrap();
    rig.connect("vco1 out1.right").unwrap();
    assert_eq!(rig.patch.free("vca*"), Ok(vec![2]));
    assert_eq!(rig.patch.connections().len(), 1);
    assert!(rig.patch.by_id("vca1").is_none());
}

#[test]
fn a_cable_finds_main_ports_named_ports_and_parameters() {
    let mut rig = Rig::of(&["vco", "vca", "out"]);
    let inputs = rig.patch.by_id("vca1").unwrap().panel().inputs.len();
    assert_eq!(rig.connect("vco1 vca1").unwrap().connection.target_input, 0);
    assert!(rig.connect("vco1.out vca1.cv").unwrap().connection.target_input < inputs);
    assert_eq!(rig.connect("vco1 vca1.gain").unwrap().connection.target_input, inputs);
    let right = rig.connect("vca1 out1.right").unwrap().connection;
    let (from, to) = rig.patch.ends(&right).unwrap();
    assert_eq!((from.to_string(), to.to_string()), ("vca1.out".to_owned(), "out1.right".to_owned()));
}

#[test]
fn connecting_again_changes_the_gain_of_the_cable_that_is_there() {
    let mut rig = Rig::of(&["vco", "out"]);
    assert!(rig.connect("vco1 out1").unwrap().is_new);
    let again = rig.connect_with_gain("vco1.out out1.left", -0.5).unwrap();
    assert!(!again.is_new);
    assert_eq!(rig.patch.connections(), [again.connection]);
    assert_eq!(again.connection.gain, -0.5);
}

#[test]
fn the_cable_that_closes_a_loop_says_so() {
    let mut rig = Rig::of(&["vca", "delay"]);
    assert!(!rig.connect("vca1 delay1").unwrap().is_feedback);
    assert!(rig.connect("delay1 vca1").unwrap().is_feedback);
    assert!(rig.connect("vca1 vca1.cv").unwrap().is_feedback, "a cable from a module to itself");
}

#[test]
fn a_loop_that_is_cut_leaves_no_cable_late() {
    let mut rig = Rig::of(&["vca", "delay"]);
    rig.connect("vca1 delay1").unwrap();
    rig.connect("delay1 vca1").unwrap();
    rig.disconnect("vca1 delay1").unwrap();
    assert!(rig.patch.connections().iter().all(|cable| !cable.is_feedback));
}

#[test]
fn an_unknown_type_is_answered_with_the_nearest_and_the_list() {
    let text = refused(&mut Rig::empty(), |rig| rig.create("vcoo", None, &[]));
    assert_names(&text, &["'vcoo'", "did you mean 'vco'?", "adsr", "out"]);
}

#[test]
fn an_unknown_id_is_answered_with_the_nearest() {
    let mut rig = Rig::of(&["vco", "out"]);
    let edits: [Attempt; 4] = [
        |rig| rig.patch.free("vco9").map(drop),
        |rig| rig.set("vco9", "freq", Value::Number(1.0)),
        |rig| rig.patch.gate("vco9").map(drop),
        |rig| rig.connect("vco9 out1").map(drop),
    ];
    for edit in edits {
        assert_names(&refused(&mut rig, edit), &["'vco9'", "did you mean 'vco1'?"]);
    }
}

#[test]
fn an_unknown_parameter_is_answered_with_the_nearest_and_the_list() {
    let mut rig = Rig::of(&["vcf"]);
    for target in ["vcf1", "vcf*"] {
        let text = refused(&mut rig, |rig| rig.set(target, "cuttoff", Value::Number(1.0)));
        assert_names(&text, &["vcf", "'cuttoff'", "did you mean 'cutoff'?", "res", "mode"]);
    }
}

#[test]
fn an_unknown_port_is_answered_with_the_ports_there_are() {
    let mut rig = Rig::of(&["vco", "out"]);
    assert_names(
        &refused(&mut rig, |rig| rig.connect("vco1 out1.lefft")),
        &["out1", "'lefft'", "'left'", "right"],
    );
    assert_names(&refused(&mut rig, |rig| rig.connect("vco1.oot out1")), &["vco1", "'oot'", "out"]);
    assert_names(&refused(&mut rig, |rig| rig.connect("out1 vco1")), &["out1", "no output"]);
}

#[test]
fn a_module_without_inputs_names_the_parameters_that_take_cables() {
    let mut rig = Rig::of(&["vco", "lfo"]);
    let text = refused(&mut rig, |rig| rig.connect("vco1 lfo1"));
    assert_names(&text, &["'lfo1'", "no input port", "rate depth"]);
}

#[test]
fn a_value_out_of_range_is_answered_with_the_range_and_its_unit() {
    let mut rig = Rig::of(&["vco"]);
    let param = &rig.patch.by_id("vco1").unwrap().panel().params[0];
    let (min, max) = (param.min.to_string(), param.max.to_string());
    for value in [-1.0e9, 1.0e9] {
        let text = refused(&mut rig, |rig| rig.set("vco1", "freq", Value::Number(value)));
        assert_names(&text, &["freq", &min, &max, "Hz"]);
    }
}

#[test]
fn what_is_not_a_number_is_refused_by_name() {
    let mut rig = Rig::of(&["vco", "out"]);
    for value in [f32::NAN, f32::INFINITY] {
        let text = refused(&mut rig, |rig| rig.set("vco1", "freq", Value::Number(value)));
        assert_names(&text, &["freq", "Hz"]);
        let text = refused(&mut rig, |rig| rig.connect_with_gain("vco1 out1", value));
        assert_names(&text, &["gain", "finite"]);
    }
    let text = refused(&mut rig, |rig| rig.create("vco", None, &[word("freq", "loud")]));
    assert_names(&text, &["freq", "'loud'", "Hz"]);
}

#[test]
fn a_wrong_choice_is_answered_with_the_words() {
    let mut rig = Rig::of(&["vco"]);
    let text = refused(&mut rig, |rig| rig.set("vco1", "shape", Value::Word("sinus".to_owned())));
    assert_names(&text, &["shape", "'sinus'", "did you mean 'sine'?", "sine tri saw square", "0..=3"]);
    for number in [-1.0, 0.5, 4.0, f32::NAN] {
        let text = refused(&mut rig, |rig| rig.set("vco1", "shape", Value::Number(number)));
        assert_names(&text, &["shape", "sine tri saw square"]);
    }
}

#[test]
fn an_id_that_is_taken_or_misspelt_is_refused_with_one_that_is_free() {
    let mut rig = Rig::of(&["vco"]);
    let text = refused(&mut rig, |rig| rig.create("vco", Some("vco1"), &[]));
    assert_names(&text, &["'vco1'", "already", "'vco2'"]);
    for id in ["", "Big", "a-b", "é", "../x", &"x".repeat(33)] {
        assert_names(&refused(&mut rig, |rig| rig.create("vco", Some(id), &[])), &["id", "a-z"]);
    }
}

#[test]
fn channels_are_a_whole_number_to_16_and_fixed_for_life() {
    let mut rig = Rig::of(&["vco"]);
    for channels in [0.0, 1.5, 17.0, f32::NAN] {
        let text = refused(&mut rig, |rig| rig.create("vco", None, &[number("channels", channels)]));
        assert_names(&text, &["channels", "1..=16"]);
    }
    let text = refused(&mut rig, |rig| rig.set("vco1", "channels", Value::Number(2.0)));
    assert_names(&text, &["fixed", "/create", "channels 2"]);
}

#[test]
fn a_choice_takes_no_cable_and_a_module_without_a_gate_no_gate() {
    let mut rig = Rig::of(&["vco", "lfo", "out"]);
    assert_names(
        &refused(&mut rig, |rig| rig.connect("lfo1 vco1.shape")),
        &["vco1.shape", "/set vco1 shape"],
    );
    assert_names(&refused(&mut rig, |rig| rig.patch.gate("out1")), &["'out1'", "no gate", "adsr"]);
}

#[test]
fn a_pattern_for_nobody_and_a_pattern_in_a_cable_are_refused() {
    let mut rig = Rig::of(&["vco", "out"]);
    assert_names(&refused(&mut rig, |rig| rig.patch.free("x*")), &["'x*'", "/list"]);
    assert_names(&refused(&mut rig, |rig| rig.connect("vco* out1")), &["'vco*'", "pattern"]);
}

#[test]
fn pulling_a_cable_that_is_not_there_names_those_that_are() {
    let mut rig = Rig::of(&["vco", "out"]);
    rig.connect("vco1 out1.left").unwrap();
    assert_names(&refused(&mut rig, |rig| rig.disconnect("vco1 out1.right")), &["out1.right", "out1.left"]);
}

#[test]
fn limits_are_kept_and_named() {
    let mut rig = Rig::of(&["vco", "out"]);
    rig.limits = Limits { max_modules: 2, max_connections: 1, client: None };
    rig.connect("vco1 out1.left").unwrap();
    assert_names(&refused(&mut rig, |rig| rig.create("vco", None, &[])), &["2 modules", "max_modules"]);
    assert_names(
        &refused(&mut rig, |rig| rig.connect("vco1 out1.right")),
        &["1 connections", "max_connections"],
    );
    assert!(!rig.connect_with_gain("vco1 out1.left", 0.5).unwrap().is_new, "a new gain needs no room");
}

#[test]
fn when_instances_run_out_nothing_is_created() {
    let mut rig = Rig::empty();
    rig.next_instance = u32::MAX;
    assert_names(&refused(&mut rig, |rig| rig.create("vco", None, &[])), &["module numbers"]);
}

proptest! {
    #[test]
    fn words_from_anywhere_never_panic_and_a_refusal_changes_nothing(
        target in "[a-z*?\\[{]{0,3}1?|\\PC{0,80}", name in "freq|shape|\\PC{0,80}", value: f32, text in "\\PC{0,80}",
    ) {
        let mut rig = Rig::of(&["vco", "adsr", "out"]);
        let values = [(name.clone(), Value::Number(value)), (name.clone(), Value::Word(text.clone()))];
        for edit in 0..6 {
            let before = rig.clone();
            let outcome = match edit {
                0 => rig.create(&name, Some(&target), &values).map(drop),
                1 => rig.create("vco", None, &values[..1]).map(drop),
                2 => rig.patch.set(&target, &values).map(drop),
                3 => rig.patch.gate(&target).map(drop),
                4 => rig.connect_with_gain(&format!("vco1 {target}"), value).map(drop),
                _ => rig.patch.free(&target).map(drop),
            };
            if let Err(refusal) = outcome {
                prop_assert_eq!(&rig, &before);
                prop_assert!(refusal.to_string().len() < 1_500, "{}", refusal);
            }
        }
    }
}
