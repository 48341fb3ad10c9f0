//! Racks in other languages that are refused, and what is said of them: the thing, and what to do.

mod support;

use backline_abi::panel::{Modulation, Panel, Param, Port};
use backline_sdk::c_api::exports::{backline_describe, backline_worker_run};
use backline_sdk::c_api::reading;
use backline_sdk::c_api::types::{BACKLINE_ABI_VERSION, BacklineModuleType, BacklineParam, BacklineRack};
use backline_sdk::foreign::words::OwnWords;
use proptest::prelude::*;
use std::ffi::CStr;
use std::ptr::null;
use support::racks::{described, kept, module_type, param, port, rack, read};

fn refusal(rack: &BacklineRack) -> String {
    read(rack).expect_err("it is refused").to_string()
}

/// What is said of a rack with one type, which `spoil` has spoilt.
fn spoilt_type(spoil: impl Fn(&mut BacklineModuleType)) -> String {
    let mut module_type = module_type(c"ring");
    spoil(&mut module_type);
    refusal(&rack(vec![module_type]))
}

/// What is said of a rack whose parameter `spoil` has spoilt.
fn spoilt_param(spoil: impl Fn(&mut BacklineParam)) -> String {
    let mut param = param(c"level");
    spoil(&mut param);
    spoilt_type(|module_type| module_type.params = kept(vec![param]))
}

#[test]
fn a_good_rack_is_taken() {
    let offer = read(&rack(vec![module_type(c"ring"), module_type(c"ring@2/b.dll:0")])).expect("it is good");
    let names: Vec<&str> = offer.panels.iter().map(|panel| panel.name.as_str()).collect();
    assert_eq!(names, ["ring", "ring@2/b.dll:0"]);
    assert!(read(&rack(vec![])).is_ok(), "whoever found nothing has nothing");
}

#[test]
fn what_leads_nowhere_is_named() {
    let none = |thing: &str| format!("{thing} is NULL or not aligned; set it");
    // SAFETY: null is refused.
    let no_rack = unsafe { reading::read(null()) };
    assert_eq!(no_rack.expect_err("it is refused").to_string(), none("the rack"));
    let mut of = rack(vec![module_type(c"ring")]);
    of.render = None;
    assert_eq!(refusal(&of), none("the rack's render"));
    of.types = null();
    assert_eq!(refusal(&of), none("the rack's types"));
    of.types = kept(vec![module_type(c"ring")]).wrapping_byte_add(1);
    assert_eq!(refusal(&of), none("the rack's types"));
    assert_eq!(spoilt_type(|ring| ring.name = null()), none("the name of module type 1"));
    let ring = "module type 1 (\"ring\")";
    assert_eq!(spoilt_type(|ring| ring.inputs = null()), none(&format!("{ring}: inputs")));
    assert_eq!(spoilt_type(|ring| ring.outputs = null()), none(&format!("{ring}: outputs")));
    assert_eq!(spoilt_type(|ring| ring.params = null()), none(&format!("{ring}: params")));
    assert_eq!(spoilt_param(|level| level.name = null()), none(&format!("the name of {ring}: parameter 1")));
    let choices = spoilt_param(|level| level.choice_count = 2);
    assert_eq!(choices, none(&format!("choices of {ring}: parameter 1")));
}

#[test]
fn too_many_and_too_few_are_counted() {
    let ring = "module type 1 (\"ring\")";
    let said = |what: &str, found: u32, least: u32, most: u32| {
        format!("{ring}: {what} is {found}; it must be {least} to {most}")
    };
    assert_eq!(spoilt_type(|ring| ring.input_count = 9), said("input_count", 9, 0, 8));
    assert_eq!(spoilt_type(|ring| ring.output_count = 0), said("output_count", 0, 1, 4));
    assert_eq!(spoilt_type(|ring| ring.output_count = 5), said("output_count", 5, 1, 4));
    assert_eq!(spoilt_type(|ring| ring.param_count = u32::MAX), said("param_count", u32::MAX, 0, 32));
    assert_eq!(spoilt_type(|ring| ring.most_channels = 0), said("most_channels", 0, 1, 16));
    assert_eq!(spoilt_type(|ring| ring.most_channels = 17), said("most_channels", 17, 1, 16));
    let words = u32::MAX;
    assert_eq!(spoilt_type(|ring| ring.state_words = words), said("state_words", words, 0, 1 << 24));
    let ahead = spoilt_type(|ring| ring.render_ahead_blocks = 65);
    assert_eq!(ahead, said("render_ahead_blocks", 65, 0, 64));
    let modulation = spoilt_param(|level| level.modulation = 3);
    assert_eq!(modulation, said("parameter 1: modulation", 3, 0, 2));
    let mut of = rack(vec![]);
    of.type_count = 257;
    assert_eq!(refusal(&of), "the rack's type_count is 257; it must be 0 to 256");
    of.process = c"sixteen bytes ab".as_ptr();
    assert_eq!(refusal(&of), "the length of the rack's process in bytes is 16; it must be 1 to 15");
}

#[test]
fn names_that_nobody_could_type_or_that_mean_two_things_are_refused() {
    for name in [c"", c"two words", c"tab\t", c"bell\x07", c"\xc2\xa0"] {
        let said = spoilt_type(|ring| ring.name = name.as_ptr());
        assert!(said.ends_with("a name is 1 to 128 printable characters without spaces"), "{said}");
    }
    for name in [c"", c"Level", c"le-vel", c"\xc3\xbc", c"abcdefghijklmnopqrstuvwxyz_0123456"] {
        let said = spoilt_param(|level| level.name = name.as_ptr());
        assert!(said.starts_with("module type 1 (\"ring\"): parameter 2 cannot be called"), "{said}");
        assert!(said.ends_with("a name is 1 to 32 of a-z, 0-9 and _"), "{said}");
    }
    let latin: &CStr = c"caf\xe9";
    assert_eq!(
        spoilt_type(|ring| ring.name = latin.as_ptr()),
        "the name of module type 1 is not UTF-8; spell it in UTF-8"
    );
    let twice = "the name \"in\" is taken; call one of the two something else";
    let said = spoilt_param(|level| level.name = c"in".as_ptr());
    assert_eq!(said, format!("module type 1 (\"ring\"): parameter 2: {twice}"));
    let said = spoilt_type(|ring| {
        (ring.outputs, ring.output_count) = (kept(vec![port(c"in"), port(c"in")]), 2);
    });
    assert_eq!(said, format!("module type 1 (\"ring\"): output 2: {twice}"));
    let said = refusal(&rack(vec![module_type(c"in"), module_type(c"in")]));
    assert_eq!(said, format!("module type 2 (\"in\"): {twice}"));
}

#[test]
fn ranges_that_are_none_are_refused() {
    let level = "module type 1 (\"ring\"): parameter \"level\"";
    let ranges = [(1.0, 0.0, 0.5), (0.0, 1.0, 1.5), (0.0, 1.0, -0.1), (f32::NAN, 1.0, 0.5)];
    let infinite = [(0.0, f32::INFINITY, 0.5), (0.0, 1.0, f32::NAN), (f32::NEG_INFINITY, 1.0, 0.5)];
    for (min, max, default_value) in ranges.into_iter().chain(infinite) {
        let said = spoilt_param(|level| {
            (level.min, level.max, level.default_value) = (min, max, default_value);
        });
        let expected = format!(
            "{level}: min {min}, default {default_value}, max {max} must be finite numbers in this order"
        );
        assert_eq!(said, expected);
    }
    let choose = |max: f32, choices: &'static [&'static CStr]| {
        spoilt_param(|level| {
            (level.max, level.choice_count) = (max, choices.len() as u32);
            level.choices = kept(choices.iter().map(|choice| choice.as_ptr()).collect());
        })
    };
    let said = choose(1.0, &[c"saw", c"sine", c"noise"]);
    assert_eq!(said, format!("{level} chooses among 3 words, so its min must be 0 and its max 2"));
    assert!(choose(1.0, &[c"saw", c"saw"]).contains("the name \"saw\" is taken"));
    assert!(choose(1.0, &[c"saw", c"a b"]).contains("a choice cannot be called \"a b\""));
}

#[test]
fn what_is_rendered_ahead_cannot_be_exact() {
    let said = spoilt_type(|ring| (ring.render_ahead_blocks, ring.is_exact) = (1, 1));
    let expected = "is rendered ahead and says it is exact; set is_exact or render_ahead_blocks to 0";
    assert_eq!(said, format!("module type 1 (\"ring\") {expected}"));
}

#[test]
fn what_cannot_be_written_is_no_success_and_what_is_refused_neither() {
    let good = rack(vec![module_type(c"ring")]);
    let mut bad = good;
    bad.render = None;
    for fd in [-1, 1 << 20] {
        // SAFETY: the rack is as its numbers say; nobody has such a descriptor.
        assert_eq!(unsafe { backline_describe(&good, fd) }, 74);
    }
    // SAFETY: as above; nothing is written.
    assert_eq!(unsafe { backline_describe(&bad, 1) }, 78);
    // SAFETY: as above; there are no words.
    assert_eq!(unsafe { backline_worker_run(0, null(), &good) }, 64);
    // SAFETY: as above; there are no words.
    assert_eq!(unsafe { backline_worker_run(-5, null(), &good) }, 64);
    let words = [null(), null(), null(), null()];
    // SAFETY: as above; there are four words, all null.
    assert_eq!(unsafe { backline_worker_run(4, words.as_ptr(), &good) }, 64);
}

fn word() -> impl Strategy<Value = String> {
    "[a-z0-9_]{1,32}"
}

fn summary() -> impl Strategy<Value = String> {
    "[ -~ü€]{0,40}"
}

fn any_param() -> impl Strategy<Value = Param> {
    let choices = proptest::collection::btree_set("[!-~]{1,12}", 0..4);
    (word(), summary(), summary(), proptest::array::uniform3(-1e6_f32..1e6), 0..3, choices).prop_map(
        |(name, summary, unit, mut range, modulation, choices)| {
            range.sort_by(f32::total_cmp);
            let choices: Vec<String> = choices.into_iter().collect();
            let [min, default, max] =
                if choices.is_empty() { range } else { [0.0, 0.0, (choices.len() - 1) as f32] };
            let modulation =
                [Modulation::None, Modulation::Octaves, Modulation::FullScale][modulation as usize];
            Param { name, summary, unit, min, max, default, modulation, choices }
        },
    )
}

fn any_panel() -> impl Strategy<Value = Panel> {
    let ports = |range| {
        proptest::collection::vec((word(), summary()), range).prop_map(|ports| {
            let port = |(name, summary)| Port { name, summary };
            ports.into_iter().map(port).collect::<Vec<_>>()
        })
    };
    let params = proptest::collection::vec(any_param(), 0..5);
    let flags = (any::<bool>(), any::<bool>(), 1_u32..=16, 0_u32..5_000);
    ("[!-~]{1,128}", summary(), ports(0..9), ports(1..5), params, flags).prop_map(
        |(name, summary, inputs, outputs, params, (is_gated, is_exact, most_channels, words))| Panel {
            name,
            summary,
            inputs,
            outputs,
            state_words: OwnWords::count(params.len()) as u32 + words,
            params,
            is_gated,
            most_channels,
            is_exact,
            origin: "here".to_owned(),
        },
    )
}

/// Whether no two things that share a space share a name.
fn is_clear(panel: &Panel) -> bool {
    let entered = panel.inputs.iter().map(|port| &port.name);
    let mut entered: Vec<&String> = entered.chain(panel.params.iter().map(|param| &param.name)).collect();
    let mut left: Vec<&String> = panel.outputs.iter().map(|port| &port.name).collect();
    let counts = (entered.len(), left.len());
    entered.sort();
    entered.dedup();
    left.sort();
    left.dedup();
    (entered.len(), left.len()) == counts
}

proptest! {
    #[test]
    fn what_c_says_is_what_is_offered(panel in any_panel().prop_filter("names differ", is_clear)) {
        let own_words = OwnWords::count(panel.params.len()) as u32;
        let offer = read(&rack(vec![described(&panel, own_words)])).map_err(|refusal| {
            TestCaseError::fail(refusal.to_string())
        })?;
        prop_assert_eq!(&offer.panels[..], &[panel]);
    }

    #[test]
    fn another_build_is_refused_with_both_numbers(which in 0_usize..5, other: u32) {
        let mut of = rack(vec![module_type(c"ring")]);
        let (field, library) = match which {
            0 => (&mut of.abi_version, BACKLINE_ABI_VERSION),
            1 => (&mut of.rack_bytes, 88),
            2 => (&mut of.type_bytes, 88),
            3 => (&mut of.param_bytes, 56),
            _ => (&mut of.job_bytes, 88),
        };
        prop_assume!(*field == library && other != library);
        *field = other;
        let said = refusal(&of);
        prop_assert!(said.contains(&other.to_string()) && said.contains(&library.to_string()), "{}", said);
        prop_assert!(said.contains("backline.h of this library"), "{}", said);
    }
}
