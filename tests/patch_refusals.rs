//! Patches by name that cannot be loaded: refused with file, line and reason, and what plays goes on.

mod support;

use rosc::OscType;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::os::unix::fs::symlink;
use std::path::Path;
use support::folder::BY_HAND;
use support::{Folder, Rig, backline, output, stderr};

#[test]
fn a_bad_file_is_refused_with_file_line_and_reason_and_what_plays_goes_on() {
    let folder = Folder::of_patches();
    let outside = tempfile::tempdir().expect("a folder of our own");
    let secret = outside.path().join("secret.toml");
    std::fs::write(&secret, BY_HAND).expect("our folder is writable");
    let link = |target: &Path, name: &str| symlink(target, folder.file(name)).expect("links can be made");
    link(&secret, "link");
    link(Path::new("/dev/zero"), "zero");
    link(&folder.file("loop"), "loop");
    mknodat(CWD, folder.file("pipe"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).expect("a pipe");
    std::fs::create_dir(folder.file("folder")).expect("folders can be made");
    folder.put("newer", "version = 2\n");
    folder.put("older", BY_HAND.replace("version = 1\n", ""));
    folder.put("type", "version = 1\n[[module]]\ntype = \"vcoo\"\n");
    folder.put("param", "version = 1\n[[module]]\ntype = \"vco\"\nfrequ = 1\n");
    folder.put("range", "version = 1\n[[module]]\ntype = \"vco\"\nfreq = 1e9\n");
    folder.put("cable", BY_HAND.replace("to = \"out.left\"", "to = \"out.lefft\""));
    folder.put("cut", &BY_HAND[..BY_HAND.len() - 30]);
    folder.put("bytes", [BY_HAND.as_bytes(), b"\xff"].concat());
    let large = std::fs::File::create(folder.file("large")).expect("our folder is writable");
    large.set_len(64 << 20).expect("a file of holes");
    let cases: [(&str, &[&str]); 15] = [
        ("nobody", &["there is no", "nobody.toml", "there is:"]),
        ("link", &["link.toml is a link"]),
        ("zero", &["zero.toml is a link"]),
        ("loop", &["loop.toml is a link"]),
        ("pipe", &["pipe.toml is a pipe"]),
        ("folder", &["folder.toml is a folder"]),
        ("newer", &["newer.toml, line 1", "version 2", "reads version 1"]),
        ("older", &["older.toml", "version = 1"]),
        ("type", &["type.toml, line 3", "'vcoo'", "did you mean 'vco'"]),
        ("param", &["param.toml, line 4", "'frequ'", "did you mean 'freq'"]),
        ("range", &["range.toml, line 4", "out of range", "Hz"]),
        ("cable", &["cable.toml, line 20", "'lefft'", "left"]),
        ("cut", &["cut.toml, line"]),
        ("bytes", &["bytes.toml, line 25", "not UTF-8"]),
        ("large", &["large.toml has 67108864 bytes", "8388608"]),
    ];
    let mut rig = Rig::start(&folder.options());
    rig.must_all(&["/create vco 1 freq 220", "/create vca 1", "/create out out"]);
    rig.must_all(&["/connect vco1 vca1", "/connect vca1 out.left 0.5"]);
    let (before, names) = (rig.state(), folder.names());
    for (name, words) in cases {
        let said = rig.refused(&format!("/patch/load {name}"));
        for word in words {
            assert!(said.contains(word), "{name}: {said:?} does not say {word:?}");
        }
        assert_eq!(rig.state(), before, "after {name}");
    }
    for name in ["link", "zero", "loop", "pipe", "folder"] {
        let said = rig.refused(&format!("/patch/save {name}"));
        assert!(said.contains("not a regular file"), "{name}: {said}");
    }
    for name in ["../x", "..", "/etc/passwd", "a/b", ".hidden", "Upper", "x.toml", "", "é", &"x".repeat(65)]
    {
        for address in ["/patch/load", "/patch/save"] {
            let reply = rig.ask_osc(address, vec![OscType::String(name.to_owned())]);
            assert!(reply.is_failure(), "{address} {name}: {reply:?}");
        }
    }
    assert_eq!(rig.state(), before);
    assert_eq!(folder.names(), names, "nothing was written");
    assert_eq!(std::fs::read_to_string(&secret).expect("it is there"), BY_HAND);
    rig.stop();
}

#[test]
fn a_file_cut_anywhere_or_with_a_flipped_bit_is_refused_or_loaded_whole() {
    let folder = Folder::of_patches();
    let mut rig = Rig::start(&folder.options());
    let whole = BY_HAND.as_bytes();
    let cuts = (0..whole.len()).map(|cut| whole[..cut].to_vec());
    let flips = (0..whole.len()).map(|place| {
        let mut bytes = whole.to_vec();
        bytes[place] ^= 1 << (place % 8);
        bytes
    });
    rig.must("/create noise kept");
    for bytes in cuts.chain(flips) {
        folder.put("damaged", &bytes);
        let before = rig.modules();
        let reply = rig.ask("/patch/load damaged");
        let sound = std::str::from_utf8(&bytes).ok().and_then(|text| backline::patch::file::load(text).ok());
        let shown = String::from_utf8_lossy(&bytes);
        match sound {
            None => {
                assert!(reply.is_failure(), "{shown}");
                assert_eq!(rig.modules(), before, "a refused file changed something:\n{shown}");
            }
            Some(file) => {
                assert!(!reply.is_failure(), "{reply:?}: {shown}");
                let creates = |command: &&_| matches!(command, backline::command::Command::Create { .. });
                let wanted = file.commands.iter().filter(creates).count();
                let status = rig.status();
                assert_eq!(status["modules"], wanted, "{shown}");
                assert_eq!(status["connections"], file.commands.len() - wanted, "{shown}");
            }
        }
    }
    rig.stop();
}

#[test]
fn a_patch_for_which_there_is_no_memory_is_refused_and_has_it_once_the_old_one_is_cleared() {
    let folder = Folder::of_patches();
    let delays = |name: &str, count: usize| {
        let delay = |n: usize| format!("[[module]]\ntype = \"delay\"\nid = \"{name}{n}\"\n");
        folder.put(name, format!("version = 1\n{}", (0..count).map(delay).collect::<String>()));
    };
    // An arena of 4 MiB has room for 10 of them.
    for (name, count) in [("one", 6), ("two", 6), ("all", 64)] {
        delays(name, count);
    }
    let mut rig = Rig::start(&folder.options_and(&["--arena", "4"]));
    let said = rig.refused("/patch/load all");
    assert!(!said.contains("/patch/clear"), "that would not help: {said}");
    assert!(rig.modules().is_empty());
    rig.must("/patch/load one");
    let before = rig.modules();
    for name in ["two", "all", "two"] {
        let said = rig.refused(&format!("/patch/load {name}"));
        assert!(said.contains("does not fit beside the one that plays"), "{name}: {said}");
        assert!(said.contains("/patch/clear first"), "{name}: {said}");
        assert_eq!(rig.modules(), before);
    }
    // At once, while what was cleared is still being heard.
    rig.must_all(&["/patch/clear", "/patch/load two", "/panic", "/patch/load one"]);
    assert_eq!(rig.modules(), before);
    rig.stop();
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = Folder::of_patches();
    std::fs::write(folder.path().join("file"), "not a folder").expect("our folder is writable");
    let below = folder.path().join("file/below");
    let below = below.to_str().expect("temporary folders have plain names");
    let mut rig = Rig::start(&["--patches", below, "--recordings", below]);
    for text in ["/patch/save a", "/patch/load a", "/record/start a"] {
        let said = rig.refused(text);
        assert!(said.contains(below), "{text}: {said}");
    }
    rig.must("/create vco 1");
    rig.stop();
}

#[test]
fn a_render_refuses_what_needs_a_running_engine() {
    let folder = Folder::of_patches();
    folder.put("hand", BY_HAND);
    let (patch, score) = (folder.file("hand"), folder.path().join("a.score"));
    std::fs::write(&score, "0.0 /patch/clear\n0.1 /patch/load hand\n").expect("our folder is writable");
    let mut command = backline();
    let out = folder.path().join("a.wav");
    command.arg("render").arg(patch).args(["--seconds", "1", "--out"]).arg(&out).arg("--score").arg(score);
    let ended = output(command);
    assert_eq!(ended.status.code(), Some(1));
    let said = stderr(&ended);
    assert!(said.contains("at 0.1 s, /patch/load needs a running engine"), "{said}");
    assert!(!out.exists());
}
