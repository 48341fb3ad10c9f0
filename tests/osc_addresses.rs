//! Every address of the interface, and the command it means.

use backline::command::{Command, Due, PortName, Value};
use backline::osc::{Decoded, request};
use rosc::{OscMessage, OscType};

fn ask(address: &str, args: Vec<OscType>) -> Decoded {
    request(OscMessage { addr: address.to_owned(), args })
}

fn command(address: &str, args: Vec<OscType>) -> Command {
    let request = ask(address, args).unwrap();
    assert_eq!((request.due, request.late_s), (Due::Now, None));
    assert_eq!(request.address, address);
    request.command
}

fn refusal(address: &str, args: Vec<OscType>) -> String {
    let refusal = ask(address, args).expect_err(address);
    assert_eq!(refusal.address, address);
    refusal.to_string()
}

fn text(text: &str) -> OscType {
    text.into()
}

fn create(id: Option<&str>, params: &[(&str, f32)]) -> Command {
    let params = params.iter().map(|&(name, value)| (name.to_owned(), Value::Number(value))).collect();
    Command::Create { type_name: "vco".to_owned(), id: id.map(str::to_owned), params }
}

fn port(id: &str, port: Option<&str>) -> PortName {
    PortName { id: id.to_owned(), port: port.map(str::to_owned) }
}

#[test]
fn create_takes_an_id_as_number_digits_or_name_or_none_at_all() {
    use OscType::*;
    assert_eq!(command("/create", vec![text("vco")]), create(None, &[]));
    for one in [Int(1), Long(1), Float(1.0), Double(1.0), text("1"), text("001"), Bool(true)] {
        assert_eq!(command("/create", vec![text("vco"), one]), create(Some("vco1"), &[]));
    }
    assert_eq!(command("/create", vec![text("vco"), text("lead_2")]), create(Some("lead_2"), &[]));
    let pair = [text("freq"), Float(220.0)];
    let with_id = [vec![text("vco"), text("a")], pair.to_vec()].concat();
    assert_eq!(command("/create", with_id), create(Some("a"), &[("freq", 220.0)]));
    let without_id = [vec![text("vco")], pair.to_vec()].concat();
    assert_eq!(command("/create", without_id), create(None, &[("freq", 220.0)]));
    let in_seed_order = ask("/patch/create", vec![Int(7), text("vco")]).unwrap();
    assert_eq!(in_seed_order.command, create(Some("vco7"), &[]));
}

#[test]
fn numbers_come_in_every_type_and_choices_as_words() {
    use OscType::*;
    let args = vec![
        text("vco*"),
        text("a"),
        Int(-3),
        text("b"),
        Long(4),
        text("c"),
        Float(0.5),
        text("d"),
        Double(0.25),
        text("e"),
        Bool(true),
        text("f"),
        Bool(false),
        text("shape"),
        text("saw"),
    ];
    let numbers = [("a", -3.0), ("b", 4.0), ("c", 0.5), ("d", 0.25), ("e", 1.0), ("f", 0.0)];
    let mut params: Vec<_> =
        numbers.iter().map(|&(name, value)| (name.to_owned(), Value::Number(value))).collect();
    params.push(("shape".to_owned(), Value::Word("saw".to_owned())));
    assert_eq!(command("/set", args), Command::Set { target: "vco*".to_owned(), params });
}

#[test]
fn gates_free_and_aliases_take_ids_and_patterns() {
    let gate = |target: &str, is_on, velocity| Command::Gate { target: target.to_owned(), is_on, velocity };
    let on = || OscType::Int(1);
    assert_eq!(command("/gate", vec![text("adsr1"), on()]), gate("adsr1", true, 1.0));
    assert_eq!(command("/gate", vec![text("adsr1"), on(), OscType::Float(0.5)]), gate("adsr1", true, 0.5));
    assert_eq!(command("/gate", vec![text("{a,b}?"), OscType::Bool(false)]), gate("{a,b}?", false, 1.0));
    assert_eq!(command("/gate/adsr1", vec![on()]), gate("adsr1", true, 1.0));
    assert_eq!(command("/gate/*", vec![OscType::Int(0), OscType::Int(0)]), gate("*", false, 0.0));
    assert_eq!(command("/free", vec![text("vco[1-4]")]), Command::Free { target: "vco[1-4]".to_owned() });
    let params = vec![("freq".to_owned(), Value::Number(440.0))];
    let set = Command::Set { target: "v{co,cf}1".to_owned(), params };
    assert_eq!(command("/mod/v{co,cf}1/freq", vec![OscType::Int(440)]), set);
}

#[test]
fn connections_name_ports_and_a_gain() {
    let gained =
        |gain| Command::Connect { source: port("vco1", None), target: port("out", Some("left")), gain };
    let ends = || vec![text("vco1"), text("out.left")];
    assert_eq!(command("/connect", ends()), gained(1.0));
    assert_eq!(command("/connect", [ends(), vec![OscType::Float(-0.5)]].concat()), gained(-0.5));
    assert_eq!(command("/patch/connect", ends()), gained(1.0));
    let cut = Command::Disconnect { source: port("vco1", None), target: port("out", Some("left")) };
    assert_eq!(command("/disconnect", ends()), cut);
}

#[test]
fn plain_questions_and_edits_take_no_arguments() {
    let table = [
        ("/begin", Command::Begin),
        ("/commit", Command::Commit),
        ("/abort", Command::Abort),
        ("/status", Command::Status),
        ("/status/json", Command::StatusJson),
        ("/list", Command::List),
        ("/schema", Command::Schema(None)),
        ("/version", Command::Version),
        ("/panic", Command::Panic),
        ("/quit", Command::Quit),
        ("/patch/clear", Command::PatchClear),
        ("/record/stop", Command::RecordStop),
    ];
    for (address, expected) in table {
        assert_eq!(command(address, vec![]), expected);
        if !["/schema", "/panic"].contains(&address) {
            let refusal = refusal(address, vec![OscType::Int(1)]);
            assert_eq!(refusal, format!("1 argument too many; write {address}"));
        }
    }
    assert_eq!(command("/schema", vec![text("vco")]), Command::Schema(Some("vco".to_owned())));
    assert_eq!(command("/sync", vec![OscType::Float(7.0)]), Command::Sync(7));
}

#[test]
fn files_have_names_that_may_be_digits() {
    let names = ["a", "7", "set-1_b", "-x-", &"z".repeat(64)];
    for name in names {
        assert_eq!(command("/patch/save", vec![text(name)]), Command::PatchSave(name.to_owned()));
        assert_eq!(command("/patch/load", vec![text(name)]), Command::PatchLoad(name.to_owned()));
        assert_eq!(command("/record/start", vec![text(name)]), Command::RecordStart(name.to_owned()));
    }
    assert_eq!(command("/patch/save", vec![OscType::Int(7)]), Command::PatchSave("7".to_owned()));
    let by_text = ask("/cmd", vec![text("patch/save 007")]).unwrap();
    assert_eq!(by_text.command, Command::PatchSave("007".to_owned()));
    assert_eq!(command("/notify", vec![OscType::Int(1)]), Command::Notify(true));
    assert_eq!(command("/notify", vec![OscType::Bool(false)]), Command::Notify(false));
}

#[test]
fn a_panic_button_works_whatever_it_sends() {
    assert_eq!(command("/panic", vec![OscType::Float(f32::NAN), OscType::Nil]), Command::Panic);
}

#[test]
fn cmd_is_answered_as_the_command_it_holds() {
    let request = ask("/cmd", vec![text("create vco --id 1 --freq 220")]).unwrap();
    assert_eq!(request.address, "/create");
    assert_eq!(request.command, create(Some("vco1"), &[("freq", 220.0)]));
    let inner = ask("/cmd", vec![text("gate ADSR 1")]).unwrap_err();
    assert_eq!(inner.address, "/gate");
    for (line, expected) in [("", "no command"), ("'open", "quote"), ("/cmd 'cmd list'", "another /cmd")] {
        let refusal = refusal("/cmd", vec![text(line)]);
        assert!(refusal.contains(expected), "{line}: {refusal}");
    }
    assert!(refusal("/cmd", vec![OscType::Int(1)]).contains("must be text"));
    assert!(refusal("/cmd", vec![]).contains("is missing"));
}
