//! What the OSC stage refuses, and the words it finds for it.

use backline::osc::{Decoded, request};
use rosc::OscType::{Blob, Double, Float, Inf, Int, Long, Nil};
use rosc::{OscMessage, OscType};

fn ask(address: &str, args: Vec<OscType>) -> Decoded {
    request(OscMessage { addr: address.to_owned(), args })
}

fn refusal(address: &str, args: Vec<OscType>) -> String {
    let refusal = ask(address, args).expect_err(address);
    assert_eq!(refusal.address, address);
    refusal.to_string()
}

fn text(text: &str) -> OscType {
    text.into()
}

/// An address, arguments, and words of the refusal.
type Row<'a> = (&'a str, Vec<OscType>, &'a str);

fn each_is_refused<const N: usize>(table: [Row<'_>; N]) {
    for (address, args, expected) in table {
        let refusal = refusal(address, args.clone());
        assert!(refusal.contains(expected), "{address} {args:?}: {refusal}");
    }
}

fn vco() -> OscType {
    text("vco1")
}

/// What `/create vco` says to these further arguments.
fn create_vco<const N: usize>(further: [OscType; N]) -> String {
    refusal("/create", std::iter::once(text("vco")).chain(further).collect())
}

/// What `/set vco1` says to these further arguments.
fn set_vco1<const N: usize>(further: [OscType; N]) -> String {
    refusal("/set", std::iter::once(vco()).chain(further).collect())
}

#[test]
fn create_refuses_names_that_are_no_ids() {
    let rule = "\"Lead\" is not an id; an id is 1 to 32 of a-z 0-9 _";
    assert_eq!(create_vco([text("Lead")]), rule);
    for id in ["vco*", "a.b", "", &"9".repeat(99), &"a".repeat(33)] {
        assert!(create_vco([text(id)]).contains("is not an id"), "{id}");
    }
    assert_eq!(create_vco([Int(-1)]), "a number as id must be 0..=2147483647, not -1");
    assert_eq!(create_vco([Float(1.5)]), "the id must be a whole number, not the number 1.5");
    assert!(refusal("/patch/create", vec![text("A"), text("vco")]).contains("is not an id"));
}

#[test]
fn create_refuses_bad_types_and_parameters() {
    let unprintable = "the type \"a\\u{7}b\" is empty, over 64 bytes or unprintable";
    let number = "the type must be text, not the number 1";
    each_is_refused([
        ("/create", vec![], "the type is missing; write /create type"),
        ("/create", vec![Int(1)], number),
        ("/create", vec![text(""), Int(1)], "the type \"\" is empty"),
        ("/create", vec![text("a\u{7}b")], unprintable),
        ("/patch/create", vec![text("a")], "the type is missing"),
    ]);
    assert!(create_vco([Int(1), text("freq")]).contains("a parameter's name must be text"));
    assert!(create_vco([text("freq"), Float(f32::NAN)]).contains("freq is not a finite number"));
}

#[test]
fn set_refuses_what_is_no_finite_number_or_word() {
    for number in [Float(f32::NAN), Float(f32::INFINITY), Double(1e300), Inf] {
        assert_eq!(set_vco1([text("freq"), number]), "freq is not a finite number; send a number");
    }
    assert_eq!(set_vco1([text("freq"), Nil]), "freq must be a number or a word, not nil");
    assert!(set_vco1([text("freq"), Blob(vec![1])]).contains("not a blob"));
    assert!(set_vco1([text("shape"), text("a\nb")]).contains("the choice \"a\\nb\" is empty"));
}

#[test]
fn set_refuses_parameters_without_name_or_value_and_bad_patterns() {
    assert!(set_vco1([]).contains("a parameter's name is missing; write /set id"));
    assert!(set_vco1([text("freq")]).contains("a value for freq is missing"));
    assert!(set_vco1([text("fr*"), Int(1)]).contains("\"fr*\" is a pattern; name one parameter"));
    let backwards = refusal("/set", vec![text("vco[9-1]"), text("freq"), Int(1)]);
    assert!(backwards.contains("a range runs backwards"), "{backwards}");
}

#[test]
fn the_mod_alias_wants_one_value_for_one_parameter() {
    each_is_refused([
        ("/mod/vco1/freq", vec![], "a value for freq is missing; write /mod/ID/PARAM value"),
        ("/mod/vco1/freq", vec![Int(1), Int(2)], "2 values instead of one"),
        ("/mod/vco1/f*", vec![Int(1)], "is a pattern"),
        ("/mod/vco1/", vec![Int(1)], "the parameter \"\" is empty"),
    ]);
}

#[test]
fn gate_wants_a_number_and_a_velocity_in_range() {
    each_is_refused([
        ("/gate", vec![vco()], "on (1 or 0) is missing"),
        ("/gate", vec![vco(), text("on")], "on (1 or 0) must be a number"),
        ("/gate", vec![vco(), Int(1), Float(1.5)], "the velocity must be 0..=1, not 1.5"),
        ("/gate", vec![vco(), Int(1), Float(f32::NAN)], "the velocity is not a finite number"),
        ("/gate", vec![vco(), Int(1), Int(1), Int(1), Int(1)], "2 arguments too many"),
        ("/gate/A", vec![Int(1)], "is not an id"),
        ("/gate/a", vec![], "write /gate/ID on [velocity]"),
    ]);
}

#[test]
fn connections_want_ports_and_a_finite_gain() {
    each_is_refused([
        ("/connect", vec![vco()], "the destination is missing"),
        ("/connect", vec![vco(), text("out.")], "\"out.\" is not a port; write id.port"),
        ("/connect", vec![vco(), text("out.a.b")], "is not a port"),
        ("/connect", vec![text("*"), vco()], "is not a port"),
        ("/connect", vec![vco(), vco(), Double(f64::NAN)], "the gain is not a finite number"),
        ("/connect", vec![vco(), vco(), text("loud")], "the gain must be a number, not the text \"loud\""),
        ("/disconnect", vec![vco(), vco(), Int(1)], "1 argument too many"),
    ]);
}

#[test]
fn free_wants_one_id() {
    each_is_refused([
        ("/free", vec![], "the id is missing"),
        ("/free", vec![Int(1)], "the id must be text"),
        ("/free", vec![text("VCO1")], "is not an id"),
        ("/free", vec![vco(), vco()], "1 argument too many; write /free id"),
    ]);
}

#[test]
fn sync_and_schema_judge_their_argument() {
    each_is_refused([
        ("/sync", vec![], "n is missing"),
        ("/sync", vec![Long(1 << 40)], "n must be -2147483648..=2147483647"),
        ("/sync", vec![Float(f32::NAN)], "n is not a finite number"),
        ("/schema", vec![text("vco"), text("lfo")], "1 argument too many"),
    ]);
}

#[test]
fn unknown_addresses_name_the_nearest_known_one() {
    let table = [
        ("/crate", "/create"),
        ("/Gate", "/gate"),
        ("/stauts", "/status"),
        ("/status/jsn", "/status/json"),
        ("/patch/conect", "/patch/connect"),
        ("/cdm", "/cmd"),
    ];
    for (wrong, nearest) in table {
        assert_eq!(refusal(wrong, vec![]), format!("unknown address; the nearest is {nearest}"));
    }
    refusal(&format!("/{}", "x".repeat(254)), vec![]);
}

#[test]
fn names_of_files_are_no_paths() {
    let too_long = "x".repeat(65);
    let names = ["../x", "/etc/passwd", "a/b", "..", ".", ".hidden", "a.toml", "", "A", "a b", "a\0b", "é"];
    for name in names.into_iter().chain([too_long.as_str()]) {
        for address in ["/patch/save", "/patch/load", "/record/start"] {
            let refusal = refusal(address, vec![text(name)]);
            assert!(refusal.contains("is not a name of a patch or recording"), "{name:?}: {refusal}");
        }
    }
    each_is_refused([
        ("/patch/save", vec![], "the name is missing; write /patch/save name"),
        ("/patch/load", vec![text("a"), text("b")], "1 argument too many"),
        ("/patch/load", vec![Blob(vec![1])], "not a blob"),
        ("/record/stop", vec![text("a")], "1 argument too many"),
        ("/notify", vec![], "1 or 0 is missing"),
        ("/notify", vec![text("yes")], "must be a number"),
    ]);
}

#[test]
fn a_refusal_names_the_module_when_it_was_read_before_the_fault() {
    let refusal = ask("/set", vec![text("vco1"), text("freq"), OscType::Nil]).unwrap_err();
    assert_eq!(refusal.id.as_deref(), Some("vco1"));
    let reply = refusal.reply();
    assert!(reply.is_failure());
    assert_eq!(reply.args.len(), 3);
    assert_eq!(ask("/set", vec![text("VCO")]).unwrap_err().reply().args.len(), 2);
}
