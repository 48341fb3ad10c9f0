use super::*;

const PATCH: &str = r#"
version = 1
title = "kept"
[settings]
block = 64
[[module]]
type = "vco"
id = "vco1"
freq = 110.0
shape = "saw"
ui = { x = 10, y = 20 }  # where an editor draws it
[[module]]
type = "vco"
channels = 2
[[module]]
type = "adsr"
id = 7
[[module]]
type = "out"
id = "out"
[[connect]]
from = "vco1"
to = "out.left"
gain = 0.5
colour = "red"
[[connect]]
from = "vco2.out"
to = "vco1.freq"
"#;

/// The words of the refusal, after checking that it names `line`.
fn refused_at(line: usize, text: &str) -> String {
    let refusal = load(text).expect_err("the file is refused").to_string();
    assert!(refusal.starts_with(&format!("line {line}: ")), "{refusal:?} is not about line {line} of {text}");
    refusal
}

fn named(id: &str, port: Option<&str>) -> PortName {
    PortName { id: id.to_owned(), port: port.map(str::to_owned) }
}

#[test]
fn a_patch_becomes_commands_in_the_order_of_the_file() {
    let commands = load(PATCH).unwrap().commands;
    let create = |type_name: &str, id: &str, params: Vec<(String, Value)>| Command::Create {
        type_name: type_name.to_owned(),
        id: Some(id.to_owned()),
        params,
    };
    let params =
        vec![("freq".to_owned(), Value::Number(110.0)), ("shape".to_owned(), Value::Word("saw".to_owned()))];
    assert_eq!(
        commands,
        [
            create("vco", "vco1", params),
            create("vco", "vco2", vec![("channels".to_owned(), Value::Number(2.0))]),
            create("adsr", "adsr7", Vec::new()),
            create("out", "out", Vec::new()),
            Command::Connect { source: named("vco1", None), target: named("out", Some("left")), gain: 0.5 },
            Command::Connect {
                source: named("vco2", Some("out")),
                target: named("vco1", Some("freq")),
                gain: 1.0
            },
        ]
    );
}

#[test]
fn comments_and_unknown_keys_stay_in_the_document() {
    assert_eq!(load(PATCH).unwrap().document.to_string(), PATCH);
}

#[test]
fn a_file_that_is_not_toml_is_refused_at_its_line() {
    assert!(refused_at(2, "version = 1\n[[module]\n").contains("not TOML"));
}

#[test]
fn a_file_without_a_version_or_of_another_is_refused() {
    assert!(load("").unwrap_err().to_string().contains("version = 1"));
    assert!(refused_at(1, "version = 2").contains("version 2"));
    assert!(refused_at(1, "version = \"1\"").contains("\"1\""));
}

#[test]
fn refusals_name_the_line_of_the_key_that_is_wrong() {
    let file = |lines: &str| format!("version = 1\n[[module]]\ntype = \"vco\"\nid = \"a\"\n{lines}");
    let cases = [
        (5, "frequ = 1", "did you mean 'freq'?"),
        (5, "freq = 1e30", "Hz"),
        (5, "freq = nan", "Hz"),
        (5, "freq = \"loud\"", "'loud'"),
        (5, "freq = [1]", "freq must be a number"),
        (5, "channels = 99", "1..=16"),
        (5, "shape = \"sinus\"", "'sine'"),
        (6, "[[module]]\ntype = \"vcoo\"", "did you mean 'vco'?"),
        (7, "[[module]]\ntype = \"vco\"\nid = \"a\"", "already"),
        (7, "[[module]]\ntype = \"vco\"\nid = \"A\"", "a-z"),
        (7, "[[module]]\ntype = \"vco\"\nid = 1.5", "id must be"),
        (5, "[[module]]\nid = \"b\"", "has no type"),
        (6, "[[module]]\ntype = 3", "type must be"),
        (7, "[[connect]]\nfrom = \"a\"\nto = \"b\"", "no module 'b'"),
        (6, "[[connect]]\nfrom = \"b\"\nto = \"a\"", "no module 'b'"),
        (6, "[[connect]]\nfrom = \"a.oot\"\nto = \"a\"", "no output 'oot'"),
        (7, "[[connect]]\nfrom = \"a\"\nto = \"a.inn\"", "no input or parameter 'inn'"),
        (8, "[[connect]]\nfrom = \"a\"\nto = \"a\"\ngain = inf", "gain"),
        (8, "[[connect]]\nfrom = \"a\"\nto = \"a\"\ngain = \"big\"", "gain must be a number"),
        (5, "[[connect]]\nfrom = \"a\"", "has no to"),
    ];
    for (line, lines, words) in cases {
        let refusal = refused_at(line, &file(lines));
        assert!(refusal.contains(words), "{refusal:?} does not say {words:?}");
    }
}

#[test]
fn a_section_of_the_wrong_shape_is_refused() {
    assert!(refused_at(2, "version = 1\nsettings = 3").contains("[settings]"));
    assert!(refused_at(2, "version = 1\nmodule = 3").contains("double brackets"));
    assert!(refused_at(2, "version = 1\n[connect]\n").contains("double brackets"));
}

#[test]
fn a_loop_is_no_error() {
    let text = "version = 1\n[[module]]\ntype = \"vca\"\n[[connect]]\nfrom = \"vca1\"\nto = \"vca1.cv\"\n";
    assert_eq!(load(text).unwrap().commands.len(), 2);
}

#[test]
fn truth_counts_as_one() {
    let text = "version = 1\n[[module]]\ntype = \"vca\"\ngain = true\n";
    let Command::Create { params, .. } = &load(text).unwrap().commands[0] else { panic!("a create") };
    assert_eq!(params[0].1, Value::Number(1.0));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC*", cut in 0..PATCH.len()) {
        let _ = load(&text);
        let _ = load(&PATCH[..cut]);
        let _ = load(&format!("version = 1\n[[module]]\ntype = \"vco\"\n{text}"));
    }
}
