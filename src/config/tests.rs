use std::path::Path;

use super::key::SETTINGS;
use super::layer::Raw;
use super::*;

fn file(text: &str) -> Result<Layer, ConfigError> {
    Layer::of_file(Path::new("backline.toml"), text)
}

fn patch(text: &str) -> Result<Layer, ConfigError> {
    Layer::of_patch(Path::new("set.toml"), text)
}

fn refused(outcome: Result<impl std::fmt::Debug, ConfigError>) -> String {
    outcome.expect_err("the settings are refused").to_string()
}

#[test]
fn every_key_is_its_row_in_the_table() {
    for (row, setting) in SETTINGS.iter().enumerate() {
        assert_eq!(setting.key as usize, row, "{}", setting.name);
        assert_eq!(Key::of_name(setting.name), Some(setting.key));
    }
}

#[test]
fn the_defaults_hold_and_say_so() {
    let resolved = resolve(&[]).unwrap();
    assert_eq!(resolved.settings, Settings::default());
    assert!(resolved.to_string().lines().all(|line| line.ends_with("default")));
    for setting in &SETTINGS {
        let Ok(number) = (setting.show)(&resolved.settings).parse() else {
            continue;
        };
        let mut settings = Settings::default();
        assert!(setting.apply(&mut settings, &Raw::Whole(number)), "{} is in its own range", setting.name);
        assert_eq!(settings, Settings::default());
    }
}

#[test]
fn the_command_line_beats_the_patch_and_the_patch_beats_the_file() {
    let layers = [
        Layer::default().option(Key::Block, Some(Raw::Whole(64))).option(Key::Rate, None),
        patch("version = 1\n[settings]\nblock = 32\nworkers = 3\n").unwrap(),
        file("block = 16\nworkers = 5\nrate = 44100\n").unwrap(),
    ];
    let resolved = resolve(&layers).unwrap();
    let settings = &resolved.settings;
    assert_eq!((settings.block_frames, settings.workers, settings.rate_hz), (64, 3, 44_100));
    assert_eq!(resolved.origin(Key::Block).to_string(), "command line, --block");
    assert_eq!(resolved.origin(Key::Workers).to_string(), "patch set.toml, line 4");
    assert_eq!(resolved.origin(Key::Rate).to_string(), "backline.toml, line 3");
    assert_eq!(resolved.origin(Key::Listen), &Origin::Default);
}

#[test]
fn print_config_shows_each_value_with_unit_and_origin() {
    let resolved = resolve(&[file("rate = 44100").unwrap()]).unwrap();
    let text = resolved.to_string();
    let rate = text.lines().find(|line| line.starts_with("rate")).unwrap();
    assert!(rate.contains("44100 Hz") && rate.ends_with("backline.toml, line 1"), "{rate}");
    assert_eq!(text.lines().count(), SETTINGS.len());
    assert_eq!(resolved.to_json()["block"]["unit"], "frames");
}

#[test]
fn a_value_out_of_range_names_key_value_range_and_origin() {
    for (text, words) in [
        ("block = 8", ["block", "8", "16..=1024 frames", "line 1"]),
        ("\nrate = 1000000", ["rate", "1000000", "8000..=192000 Hz", "line 2"]),
        ("workers = 0", ["workers", "0", "1..=64", "line 1"]),
        ("lookahead = 2", ["lookahead", "2", "0..=1", "line 1"]),
        ("block = 64.0", ["block", "64.0", "whole number", "line 1"]),
        ("block = \"big\"", ["block", "'big'", "16..=1024", "line 1"]),
        ("audio = \"alsa\"", ["audio", "'alsa'", "auto cpal jack null", "line 1"]),
        ("listen = \"here\"", ["listen", "'here'", "ADDRESS:PORT", "line 1"]),
        ("allow = [\"10.0.0.0/99\"]", ["allow", "10.0.0.0/99", "192.168.1.0/24", "line 1"]),
        ("session = \"../up\"", ["session", "'../up'", "letters", "line 1"]),
        ("max_modules = 0", ["max_modules", "0", "1..=1024 modules", "line 1"]),
        ("max_memory_mib = 4096", ["max_memory_mib", "4096", "1..=1024 MiB", "line 1"]),
        ("max_scheduled = -1", ["max_scheduled", "-1", "1..=65536 commands", "line 1"]),
        ("client_max_modules = \"all\"", ["client_max_modules", "'all'", "1..=1024 modules", "line 1"]),
        ("client_max_connections = 5000", ["client_max_connections", "5000", "1..=4096", "line 1"]),
        ("client_max_memory_mib = 0", ["client_max_memory_mib", "0", "1..=1024 MiB", "line 1"]),
        ("client_max_scheduled = 1.5", ["client_max_scheduled", "1.5", "1..=65536", "line 1"]),
        ("patches = 3", ["patches", "3", "a folder", "line 1"]),
        ("recordings = \"\"", ["recordings", "''", "a folder", "line 1"]),
        ("realtime = 1", ["realtime", "1", "true or false", "line 1"]),
        ("[audio]\nx = 1", ["audio", "a table", "auto", "line 1"]),
    ] {
        let text = refused(resolve(&[file(text).unwrap()]));
        for word in words {
            assert!(text.contains(word), "{text:?} does not name {word:?}");
        }
    }
}

#[test]
fn a_bad_value_is_refused_even_where_a_stronger_layer_hides_it() {
    let hides = Layer::default().option(Key::Block, Some(Raw::Whole(64)));
    assert!(refused(resolve(&[hides, file("block = 1").unwrap()])).contains("line 1"));
}

#[test]
fn an_unknown_key_of_a_file_is_refused_with_the_nearest() {
    let text = refused(file("rate = 48000\nblok = 64"));
    for word in ["'blok'", "line 2", "did you mean 'block'?"] {
        assert!(text.contains(word), "{text:?} does not name {word:?}");
    }
    assert!(refused(file("rate = ")).contains("line 1"));
}

#[test]
fn an_unknown_key_of_a_patch_is_passed_over_with_a_notice() {
    let resolved = resolve(&[patch("[settings]\nblok = 64").unwrap()]).unwrap();
    assert_eq!(resolved.settings, Settings::default());
    assert!(resolved.notices[0].contains("did you mean 'block'?"), "{:?}", resolved.notices);
}

#[test]
fn a_patch_opens_no_door() {
    let doors = [
        "listen = \"0.0.0.0:1\"",
        "insecure = true",
        "record = \"x.wav\"",
        "allow = \"0.0.0.0/0\"",
        "patches = \"/etc\"",
        "recordings = \"/etc\"",
        "client_max_modules = 1024",
    ];
    for text in doors {
        let text = refused(patch(&format!("[settings]\n{text}")));
        assert!(text.contains("cannot be set by a patch") && text.contains("line 2"), "{text}");
    }
}

#[test]
fn an_address_that_others_reach_needs_a_word_about_who_may() {
    let listen = |address: &str| Layer::default().option(Key::Listen, Some(Raw::Text(address.to_owned())));
    let text = refused(resolve(&[listen("0.0.0.0:57190")]));
    assert!(text.contains("--allow") && text.contains("--insecure") && text.contains("--listen"), "{text}");
    let allow = Raw::List(vec!["192.168.1.0/24".to_owned(), "::1".to_owned()]);
    let allowed = resolve(&[listen("0.0.0.0:57190").option(Key::Allow, Some(allow))]).unwrap();
    assert_eq!(allowed.settings.allow.len(), 2);
    assert!(resolve(&[listen("[::]:57190").option(Key::Insecure, Some(Raw::Truth(true)))]).is_ok());
    for loopback in ["127.0.0.1:0", "[::1]:57190", "localhost:9000", "9000"] {
        assert!(resolve(&[listen(loopback)]).is_ok(), "{loopback}");
    }
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.toml");
    assert!(refused(load(Layer::default(), None, Some(&path))).contains("my.toml"));
    std::fs::write(&path, "block = 256").unwrap();
    assert_eq!(load(Layer::default(), None, Some(&path)).unwrap().settings.block_frames, 256);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC*", name in "[a-z_]{1,12}") {
        for text in [text.clone(), format!("{name} = {text}"), format!("[settings]\n{name} = {text}")] {
            let _ = file(&text).map(|layer| resolve(&[layer]));
            let _ = patch(&text).map(|layer| resolve(&[layer]));
        }
    }
}
