//! The journal: what goes in comes out, whatever is cut off, flipped, missing or put in its place.

mod support;

use backline::command::{Command, PortName, Value};
use backline::session::continuity::Journal;
use backline::session::folder::{Folder, FolderError, name_of_unnamed};
use backline::session::journal::{self, Header, Past};
use backline::session::record::{self, Record};
use backline::session::scene::Scene;
use backline::session::writer::Bounds;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use support::until;

fn header() -> Header {
    Header {
        engine: "0.1.0".to_owned(),
        listen: Some("127.0.0.1:57190".parse().expect("an address")),
        rate_hz: Some(48_000),
        block_frames: Some(128),
    }
}

fn said(line: &str) -> Command {
    backline::osc::text::parse_line(line).unwrap_or_else(|refusal| panic!("{line}: {refusal}")).command
}

/// A journal of these records, each a list of commands that were performed together.
fn written(records: &[&[&str]]) -> Vec<u8> {
    let mut text = journal::encode(&header(), &Scene::default()).0;
    for (number, commands) in (1..).zip(records) {
        let commands = commands.iter().map(|line| said(line)).collect();
        text.push_str(&record::line(number, &Record::Did(commands)));
    }
    text.into_bytes()
}

fn loaded(bytes: &[u8]) -> Past {
    journal::read(bytes).expect("it is not newer")
}

/// A set that uses everything.
const SET: [&[&str]; 8] = [
    &["/create vco vco1 freq 110.5 shape saw"],
    &["/create adsr env", "/create vca amp", "/create out out", "/connect env amp.cv"],
    &["/connect vco1 amp 0.3", "/connect amp out.left"],
    &["/gate env 1 0.7"],
    &["/set vco* freq 220"],
    &["/create noise hiss channels 2 color pink"],
    &["/disconnect env amp.cv"],
    &["/free hiss"],
];

fn ids() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9_]{1,32}", "[0-9]{1,3}", "[0-9]e[0-9]", Just("closed".to_owned())]
}

fn numbers() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("numbers are finite", |number| number.is_finite())
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        numbers().prop_map(Value::Number),
        "[ -~äö€]{1,20}".prop_map(Value::Word),
        prop_oneof!["--gain", ";", "#", "\"", "\\\\", "-1", "1e5", "inf"].prop_map(Value::Word),
    ]
}

fn params(most: usize) -> impl Strategy<Value = Vec<(String, Value)>> {
    vec(("[a-z][a-z_]{0,10}", values()), 1..most)
}

fn targets() -> impl Strategy<Value = String> {
    prop_oneof![ids(), Just("*".to_owned()), Just("kick[!0-9]?".to_owned()), Just("{a,b}_*".to_owned())]
}

fn ports() -> impl Strategy<Value = PortName> {
    (ids(), option::of(ids())).prop_map(|(id, port)| PortName { id, port })
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        ("[a-z]{1,8}", ids(), params(6)).prop_map(|(type_name, id, params)| Command::Create {
            type_name,
            id: Some(id),
            params
        }),
        targets().prop_map(|target| Command::Free { target }),
        (targets(), any::<bool>(), 0.0_f32..=1.0).prop_map(|(target, is_on, velocity)| Command::Gate {
            target,
            is_on,
            velocity
        }),
        (targets(), params(6)).prop_map(|(target, params)| Command::Set { target, params }),
        (ports(), ports(), numbers()).prop_map(|(source, target, gain)| Command::Connect {
            source,
            target,
            gain
        }),
        (ports(), ports()).prop_map(|(source, target)| Command::Disconnect { source, target }),
        Just(Command::PatchClear),
        Just(Command::Panic),
    ]
}

/// Lines that often make sense together.
fn plausible() -> impl Strategy<Value = Command> {
    let id = "[abcd]";
    prop_oneof![
        3 => (prop_oneof!["vco", "vca", "adsr", "mix", "noise", "out", "delay"], id)
            .prop_map(|(of, id)| said(&format!("/create {of} {id}"))),
        4 => (id, id, -2.0_f32..2.0).prop_map(|(from, to, gain)| said(&format!("/connect {from} {to} {gain:?}"))),
        2 => (id, id).prop_map(|(from, to)| said(&format!("/disconnect {from} {to}"))),
        1 => id.prop_map(|id| said(&format!("/free {id}"))),
        2 => (prop_oneof!["[abcd]", Just("*".to_owned())], any::<bool>(), 0.0_f32..=1.0)
            .prop_map(|(to, on, velocity)| said(&format!("/gate {to} {} {velocity:?}", u8::from(on)))),
        2 => (id, prop_oneof!["freq", "gain", "attack", "level", "seed"], 0.0_f32..1.0)
            .prop_map(|(id, param, value)| said(&format!("/set {id} {param} {value:?}"))),
        1 => Just(Command::PatchClear),
        1 => Just(Command::Panic),
    ]
}

proptest! {
    #[test]
    fn commands_come_back_from_a_line_bit_by_bit(commands in vec(commands(), 1..6), number in 1_u64..1_000_000) {
        let line = record::line(number, &Record::Did(commands.clone()));
        prop_assert_eq!(line.matches('\n').count(), 1, "{:?}", line);
        let read = record::parse(line.trim_end_matches('\n').as_bytes(), number);
        prop_assert_eq!(read, Ok(Record::Did(commands)), "{}", line);
    }

    #[test]
    fn what_was_set_up_comes_back_and_once_more_from_the_short_journal(
        groups in vec(vec(plausible(), 1..4), 0..40)
    ) {
        let mut scene = Scene::default();
        let mut text = journal::encode(&header(), &scene).0;
        let mut number = 0;
        for commands in groups {
            // What is refused is not journaled.
            if scene.perform_all(&commands).is_ok() {
                number += 1;
                text.push_str(&record::line(number, &Record::Did(commands)));
            }
        }
        let long = loaded(text.as_bytes());
        prop_assert!(long.bad_line.is_none(), "{:?} in {}", long.bad_line, text);
        prop_assert_eq!(long.commands(), scene.commands());
        let (short, records) = journal::encode(&header(), &long.scene);
        let again = loaded(short.as_bytes());
        prop_assert_eq!(again.records as u64, records);
        prop_assert_eq!(again.commands(), scene.commands());
        for (now, then) in again.scene.patch.connections().iter().zip(scene.patch.connections()) {
            prop_assert_eq!(now.is_feedback, then.is_feedback, "a loop is cut elsewhere: {}", short);
        }
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = journal::read(&bytes);
    }
}

#[test]
fn every_prefix_of_a_journal_loads() {
    let whole = written(&SET);
    for cut in 0..=whole.len() {
        let past = loaded(&whole[..cut]);
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(past.records, lines.saturating_sub(1), "cut at {cut}");
        assert_eq!(past.header.is_some(), lines > 0, "cut at {cut}");
        let is_torn = cut > 0 && whole[cut - 1] != b'\n';
        let bad_line = past.bad_line.as_ref();
        assert_eq!(bad_line.map(|bad| (bad.line, bad.is_torn())), is_torn.then_some((lines + 1, true)));
        let full = loaded(&written(&SET[..past.records]));
        assert_eq!(past.commands(), full.commands(), "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_anywhere_ends_the_journal_at_its_line_and_no_sooner() {
    let whole = written(&SET);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let line = 1 + whole[..bit / 8].iter().filter(|byte| **byte == b'\n').count();
        let past = loaded(&flipped);
        let bad_line = past.bad_line.as_ref().unwrap_or_else(|| panic!("bit {bit} was believed"));
        assert_eq!(bad_line.line, line, "bit {bit}");
        assert_eq!(past.records, line.saturating_sub(2), "bit {bit}");
        assert_eq!(past.commands(), loaded(&written(&SET[..past.records])).commands(), "bit {bit}");
    }
}

#[test]
fn lines_that_are_missing_doubled_or_swapped_are_noticed() {
    let whole = String::from_utf8(written(&SET)).expect("a journal is text");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let bad_line =
        |lines: &[&str]| loaded(lines.concat().as_bytes()).bad_line.expect("it was noticed").to_string();
    assert!(bad_line(&[&lines[..2], &lines[3..]].concat()).starts_with("line 3: it should be record 2"));
    assert!(bad_line(&[&lines[..3], &lines[2..]].concat()).starts_with("line 4: it should be record 3"));
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    assert!(bad_line(&swapped).starts_with("line 3: it should be record 2"));
    let closed = record::line(9, &Record::Closed);
    let after = record::line(10, &Record::Did(vec![Command::Panic]));
    assert!(loaded(format!("{whole}{closed}").as_bytes()).is_closed);
    assert!(bad_line(&[&whole, &closed, &after]).starts_with("line 11"));
}

#[test]
fn an_unknown_type_or_command_ends_the_journal_with_the_line_and_the_reason() {
    for (nonsense, reason) in [
        ("/create vcoo x", "vco"),
        ("/set vco1 frequency 3.0", "freq"),
        ("/fly 1", "unknown address"),
        ("/quit", "stands in no journal"),
        ("/create vco x ; /connect x nobody", "nobody"),
        ("/gate vco1 1.0 1.0", "gate"),
        ("/free \"vco1", "quote"),
    ] {
        let mut bytes = written(&SET[..2]);
        bytes.extend(record::sealed(&format!("3 {nonsense}")).into_bytes());
        bytes.extend(record::line(4, &Record::Did(vec![said("/free vco1")])).into_bytes());
        let past = loaded(&bytes);
        let bad_line = past.bad_line.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(bad_line.starts_with("line 4: ") && bad_line.contains(reason), "{nonsense}: {bad_line}");
        assert_eq!(
            past.commands(),
            loaded(&written(&SET[..2])).commands(),
            "{nonsense}: half of it was done"
        );
    }
}

#[test]
fn a_newer_version_is_refused_by_name_and_an_older_or_none_is_no_journal() {
    let newer = record::sealed("backline-journal 7 engine=9.0.0 whatever");
    let refusal = journal::read(newer.as_bytes()).expect_err("it is newer").to_string();
    assert!(refusal.contains("version 7") && refusal.contains("version 1"), "{refusal}");
    for other in ["backline-journal 0 x", "backline-journal one", "something-else 1", "backline-journal"] {
        let past = loaded(record::sealed(other).as_bytes());
        assert!(past.header.is_none() && past.bad_line.is_some_and(|bad| bad.line == 1), "{other}");
    }
    let stranger = format!("{}{}", record::sealed("backline-journal 1 tune=A432 listen=nowhere"), "");
    assert_eq!(loaded(stranger.as_bytes()).header.map(|header| header.listen), Some(None));
}

fn folder(path: &Path) -> Arc<Folder> {
    Arc::new(Folder::open_at(path.to_owned()).expect("our folder can be used"))
}

fn of_disk(folder: &Folder, name: &str) -> Past {
    loaded(&folder.read(name).expect("it can be read").unwrap_or_default())
}

#[test]
fn a_journal_that_grows_beyond_its_bound_is_rewritten_as_what_there_is() {
    let place = tempfile::tempdir().expect("a folder of our own");
    let folder = folder(place.path());
    let bounds = Bounds { records: 10, bytes: 1_000_000 };
    let mut scene = Scene::default();
    let begun = Journal::begin(folder.clone(), "long", header(), &scene, bounds);
    let mut journal = begun.expect("a thread can be started");
    let mut most = 0;
    let mut do_and_note = |line: String, journal: &mut Journal, scene: &mut Scene| {
        let command = said(&line);
        scene.perform_all(std::slice::from_ref(&command)).expect("it makes sense");
        journal.note(command);
        until("the record is written", || {
            if journal.wants_scene() {
                journal.give(scene.clone());
            }
            journal.flush();
            let past = of_disk(&folder, "long");
            assert!(past.bad_line.as_ref().is_none_or(journal::BadLine::is_torn));
            most = most.max(past.records);
            past.commands() == scene.commands()
        });
    };
    do_and_note("/create vco 1".to_owned(), &mut journal, &mut scene);
    for hz in 100..150 {
        do_and_note(format!("/set vco1 freq {hz}"), &mut journal, &mut scene);
    }
    assert!((8..=12).contains(&most), "the longest journal had {most} records");
    journal.close(true);
    let closed = of_disk(&folder, "long");
    assert!(closed.is_closed && !closed.is_to_be_replayed());
    assert_eq!(closed.header, Some(header()));
}

#[test]
fn edits_that_were_begun_are_one_record_when_they_are_committed_and_none_otherwise() {
    let place = tempfile::tempdir().expect("a folder of our own");
    let folder = folder(place.path());
    let begun = Journal::begin(folder.clone(), "x", header(), &Scene::default(), Bounds::default());
    let mut journal = begun.expect("a thread can be started");
    for line in ["/begin", "/create vco 1", "/create out out", "/connect vco1 out", "/commit"] {
        journal.note(said(line));
    }
    for line in ["/begin", "/create vco 2", "/abort", "/begin", "/commit", "/status", "/sync 1", "/begin"] {
        journal.note(said(line));
    }
    journal.note(said("/create vco 3"));
    journal.close(true);
    let text = String::from_utf8(folder.read("x").expect("readable").expect("there")).expect("text");
    let lines: Vec<&str> = text.lines().skip(1).map(|line| line.split_at(9).1).collect();
    assert_eq!(lines, ["1 /create vco vco1 ; /create out out ; /connect vco1 out 1.0", "2 closed"]);
}

#[test]
fn what_is_no_regular_file_of_that_name_is_neither_opened_nor_followed() {
    let place = tempfile::tempdir().expect("a folder of our own");
    let folder = folder(place.path());
    let secret = place.path().join("secret");
    std::fs::write(&secret, "nobody's journal").expect("our folder is writable");
    symlink(&secret, folder.path_of("link")).expect("links can be made");
    std::fs::create_dir(folder.path_of("folder")).expect("our folder is writable");
    let made = std::process::Command::new("mkfifo").arg(folder.path_of("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo is part of every system");
    for name in ["link", "folder", "pipe"] {
        assert!(matches!(folder.read(name), Err(FolderError::NotAFile { .. })), "{name}");
    }
    for name in ["../secret", "/etc/passwd", "", ".", "a/b", "a\0b"] {
        assert!(matches!(folder.read(name), Err(FolderError::BadName(_))), "{name}");
    }
    // Written in the place of a link, it is the link that goes.
    folder.replace("link", b"new").expect("our folder is writable");
    assert_eq!(std::fs::read_to_string(&secret).expect("it is there"), "nobody's journal");
    assert_eq!(folder.read("link").expect("readable").as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_broken_journal_is_kept_aside_and_keeps_its_name_among_others() {
    let place = tempfile::tempdir().expect("a folder of our own");
    let folder = folder(place.path());
    for content in ["first", "second"] {
        folder.replace("x", content.as_bytes()).expect("our folder is writable");
        let aside = folder.keep_aside("x").expect("it is kept");
        folder.replace("x", b"new").expect("our folder is writable");
        assert_eq!(std::fs::read_to_string(aside).expect("it is there"), content);
    }
}

#[test]
fn journals_of_sessions_without_a_name_are_swept_when_nobody_has_asked_for_a_week() {
    let place = tempfile::tempdir().expect("a folder of our own");
    let folder = folder(place.path());
    let living = name_of_unnamed(std::process::id());
    let week = std::time::Duration::from_secs(8 * 24 * 3_600);
    for (name, is_old) in [("unnamed-1-0", true), ("unnamed-2-0", false), ("friday", true), (&living, true)] {
        let file = folder.replace(name, b"x").expect("our folder is writable");
        if is_old {
            file.set_modified(std::time::SystemTime::now() - week).expect("a file's time can be set");
        }
    }
    folder.sweep_unnamed();
    let left = |name: &str| folder.path_of(name).exists();
    assert!(!left("unnamed-1-0"), "it is old and nobody's");
    assert!(left("unnamed-2-0") && left("friday") && left(&living), "they may be wanted");
}
