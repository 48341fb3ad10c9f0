//! Words and packets mean the same.

use backline::command::{Command, Due};
use backline::osc::{Decoded, request, score, text};
use proptest::prelude::*;
use rosc::OscType::{Float, Int};
use rosc::{OscMessage, OscType};

fn packet(address: &str, args: Vec<OscType>) -> Decoded {
    request(OscMessage { addr: address.to_owned(), args })
}

fn s(text: &str) -> OscType {
    text.into()
}

fn shell(words: &[&str]) -> Decoded {
    let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
    text::message(&words).and_then(request)
}

/// A line, and the address and arguments of the packet it stands for.
type Row<'a> = (&'a str, &'a str, Vec<OscType>);

fn each_means_its_packet<const N: usize>(table: [Row<'_>; N]) {
    for (line, address, args) in table {
        let expected = packet(address, args);
        assert!(expected.is_ok(), "{expected:?}");
        assert_eq!(text::parse_line(line), expected, "{line}");
    }
}

#[test]
fn a_line_that_creates_or_sets_means_what_its_packet_means() {
    let lead = || vec![s("vco"), s("lead"), s("freq"), Float(220.5)];
    let width = vec![s("vco1"), s("freq"), Int(220), s("width"), Float(0.3)];
    each_means_its_packet([
        ("create vco", "/create", vec![s("vco")]),
        ("create vco --id 1 --freq 220", "/create", vec![s("vco"), Int(1), s("freq"), Int(220)]),
        ("create vco --freq 220", "/create", vec![s("vco"), s("freq"), Int(220)]),
        ("create vco lead freq 220.5", "/create", lead()),
        ("create vco --freq=220.5 --id=lead", "/create", lead()),
        ("/create --id 1 vco", "/create", vec![s("vco"), Int(1)]),
        ("set vco1 freq 220 width 0.3", "/set", width),
        ("set vco1 --detune -5", "/set", vec![s("vco1"), s("detune"), Int(-5)]),
        ("/mod/vco1/freq 440", "/mod/vco1/freq", vec![Int(440)]),
    ]);
}

#[test]
fn any_other_line_means_what_its_packet_means() {
    let half = || vec![s("vco1"), s("out.left"), Float(0.5)];
    each_means_its_packet([
        ("gate adsr1 1 0.8", "/gate", vec![s("adsr1"), Int(1), Float(0.8)]),
        ("gate adsr1 1 --velocity .8", "/gate", vec![s("adsr1"), Int(1), Float(0.8)]),
        ("  /gate\tadsr1  1  # strike", "/gate", vec![s("adsr1"), Int(1)]),
        ("connect vco1 out.left --gain 0.5", "/connect", half()),
        ("connect vco1 out.left 5e-1", "/connect", half()),
        ("disconnect vco1 out.left", "/disconnect", vec![s("vco1"), s("out.left")]),
        ("free 'vco*'", "/free", vec![s("vco*")]),
        ("status/json", "/status/json", vec![]),
        ("sync +7", "/sync", vec![Int(7)]),
        ("schema \"vco\"", "/schema", vec![s("vco")]),
        ("panic", "/panic", vec![]),
    ]);
}

#[test]
fn words_from_a_shell_mean_what_their_line_means() {
    let line = "create vco --id 1 --freq 220";
    assert_eq!(shell(&["create", "vco", "--id", "1", "--freq", "220"]), text::parse_line(line));
    assert_eq!(shell(&["/cmd", line]), text::parse_line(line));
}

#[test]
fn a_quoted_word_is_text_whatever_it_looks_like() {
    let words = text::split(r#"a 'b c' "d \" \\ 'e'" f"g"h '' 12 "12""#).unwrap();
    let shown: Vec<_> = words.iter().map(|word| (word.text.as_str(), word.is_quoted)).collect();
    let expected = [
        ("a", false),
        ("b c", true),
        ("d \" \\ 'e'", true),
        ("fgh", true),
        ("", true),
        ("12", false),
        ("12", true),
    ];
    assert_eq!(shown, expected);
    assert_eq!(
        text::line_message("x 12 \"12\" '--no'").unwrap().args,
        [OscType::Int(12), s("12"), s("--no")]
    );
}

#[test]
fn faulty_lines_are_refused_in_words() {
    let table = [
        ("", "/", "no command"),
        ("# only a comment", "/", "no command"),
        ("create 'vco", "/", "a quote is not closed"),
        ("create \"vco\\", "/", "a quote is not closed"),
        ("/", "/", "the address"),
        ("b\u{e4}d 1", "/", "the address"),
        ("crate vco", "/crate", "the nearest is /create"),
        ("create --id 1", "/create", "the type is missing"),
        ("create vco 1 --id 2", "/create", "two ids"),
        ("create vco --id", "/create", "needs a value"),
        ("create vco --id --freq 2", "/create", "needs a value"),
        ("create vco --freq 1e99", "/create", "freq is not a finite number"),
        ("gate adsr1 --velocity 1", "/gate", "is not known here; write /gate id on [velocity]"),
        ("gate adsr1 1 1 --velocity 1", "/gate", "is not known here"),
        ("connect a b --loud 1", "/connect", "--\"loud\" is not known here"),
        ("free a --now 1", "/free", "is not known here; write /free id"),
        ("free 1", "/free", "the id must be text"),
        ("/x --a 1", "/x", "is not known here"),
    ];
    for (line, address, expected) in table {
        let refusal = text::parse_line(line).expect_err(line);
        assert_eq!(refusal.address, address, "{line}");
        assert!(refusal.to_string().contains(expected), "{line}: {refusal}");
    }
    let crowd = format!("set vco1{}", " a 1".repeat(200));
    assert!(text::parse_line(&crowd).unwrap_err().to_string().contains("401 arguments, the limit is 256"));
}

#[test]
fn a_score_is_sorted_by_time_and_keeps_the_order_of_its_lines() {
    let events = score::parse(
        "# a chord\n1.5 /gate adsr1 0\n\n0.500 /gate adsr1 1   # on\n  0.5 gate adsr2 1\r\n0 create adsr --id 1\n-0 list",
    )
    .unwrap();
    let shown: Vec<_> = events.iter().map(|(time_s, request)| (*time_s, request.address.as_str())).collect();
    let expected = [(0.0, "/create"), (0.0, "/list"), (0.5, "/gate"), (0.5, "/gate"), (1.5, "/gate")];
    assert_eq!(shown, expected);
    assert!(matches!(&events[3].1.command, Command::Gate { target, .. } if target == "adsr2"));
    assert!(events.iter().all(|(_, request)| request.due == Due::Now));
    assert!(score::parse("").unwrap().is_empty());
}

#[test]
fn a_faulty_score_names_its_line() {
    let table = [
        ("0 list\n1 /crate vco", "line 2 of the score was refused", "the nearest is /create"),
        ("soon /list", "line 1 of the score: \"soon\" is not a time", ""),
        ("0 list\n\n-1 /list", "line 3 of the score: \"-1\" is not a time", ""),
        ("nan /list", "line 1", ""),
        ("inf /list", "line 1", ""),
        ("1e9 /list", "line 1", ""),
        ("1.0", "line 1 of the score was refused", "no command"),
        ("0 list\n1 free 'a", "line 2 of the score cannot be read", "quote"),
    ];
    for (text, expected, expected_cause) in table {
        let fault = score::parse(text).expect_err(text);
        assert!(fault.to_string().contains(expected), "{text}: {fault}");
        let cause = std::error::Error::source(&fault).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains(expected_cause), "{text}: {cause}");
    }
}

proptest! {
    #[test]
    fn no_line_panics(line in "\\PC{0,80}") {
        let _ = text::parse_line(&line);
        let _ = score::parse(&line);
    }

    #[test]
    fn command_like_lines_never_panic(
        line in "(create|set|gate|free|connect|/cmd|/mod/a/b|list)( (--)?[a-z0-9.*'\"#=-]{0,6}){0,6}",
    ) {
        let _ = text::parse_line(&line);
        let _ = score::parse(&format!("0.25 {line}"));
    }
}
