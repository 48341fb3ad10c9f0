//! Patches by name: saved so that a person can read them, loaded in one block or not at all.

mod support;

use backline::command::{Arg, Reply};
use backline::osc::parse_reply;
use std::net::UdpSocket;
use std::process::Command;
use support::folder::BY_HAND;
use support::packets::bundle;
use support::sound::{Stereo, first_sound};
use support::{Folder, Rig, backline, output, stderr, stdout, tools, undisturbed};

/// Frames of a block where a test counts in blocks.
const BLOCK: usize = 512;

fn text(word: &str) -> Arg {
    Arg::Text(word.to_owned())
}

fn built(rig: &mut Rig) {
    rig.must_all(&[
        "/create vco 1 freq 220 shape square",
        "/create adsr 1",
        "/create vca 1",
        "/create out out",
    ]);
    rig.must_all(&["/connect vco1 vca1", "/connect adsr1 vca1.cv", "/connect vca1 out.left 0.5"]);
}

/// All answers to one packet, as far as the answer that `is_last`.
fn answers(socket: &UdpSocket, is_last: impl Fn(&Reply) -> bool) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut bytes = [0; 65_536];
    loop {
        let length = socket.recv(&mut bytes).expect("an answer comes");
        replies.push(parse_reply(&bytes[..length]).expect("an answer is a message"));
        if is_last(&replies[replies.len() - 1]) {
            return replies;
        }
    }
}

#[test]
fn what_is_saved_is_what_is_loaded_again() {
    let folder = Folder::of_patches();
    let mut rig = Rig::start(&folder.options());
    built(&mut rig);
    rig.must_all(&["/set adsr1 attack 0.25", "/set vco1 freq 0.1"]);
    let modules = rig.modules();
    let path = folder.file("set-1").display().to_string();
    let saved = Reply::done("/patch/save", [text("set-1"), text(&path)]);
    assert_eq!(rig.must("/patch/save set-1"), saved);
    assert_eq!(folder.names(), ["set-1.toml"]);
    let first = folder.text("set-1");
    assert!(first.starts_with("version = 1\n\n[[module]]\ntype = \"vco\"\nid = \"vco1\"\n"), "{first}");
    assert!(first.contains("freq = 0.1\n") && first.contains("shape = \"square\""), "{first}");

    assert_eq!(rig.must("/patch/clear"), Reply::done("/patch/clear", []));
    assert!(rig.modules().is_empty());
    assert_eq!(rig.status()["connections"], 0);
    assert_eq!(rig.must("/patch/load set-1"), Reply::done("/patch/load", [text("set-1")]));
    assert_eq!(rig.modules(), modules);
    rig.must("/patch/save again");
    assert_eq!(folder.text("again"), first);
    rig.stop();
}

#[test]
fn every_client_can_do_it() {
    let folder = Folder::of_patches();
    let mut rig = Rig::start(&folder.options());
    built(&mut rig);
    rig.must("/cmd 'patch/save by-cmd'");
    let to = rig.address.to_string();
    let send = |words: &[&str]| {
        let mut command = backline();
        command.args(["send", "--to", &to]).args(words);
        output(command)
    };
    let saved = send(&["/patch/save", "007"]);
    assert!(saved.status.success(), "{}", stderr(&saved));
    assert!(stdout(&saved).starts_with("/done /patch/save 007 "), "{}", stdout(&saved));
    let refused = send(&["patch/load", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).contains("there is: 007 by-cmd"), "{}", stdout(&refused));
    let mut expected = vec!["007.toml", "by-cmd.toml"];
    if tools::has("oscsend", "liblo-tools") {
        let port = rig.address.port().to_string();
        let mut command = Command::new("oscsend");
        command.args(["localhost", &port, "/patch/save", "s", "by_oscsend"]);
        assert!(output(command).status.success());
        support::until("it is saved", || folder.file("by_oscsend").exists());
        expected.push("by_oscsend.toml");
    }
    if let Some(python) = tools::python_with_osc() {
        let mut command = Command::new(python);
        let port = rig.address.port().to_string();
        command.arg(support::file("tests/support/play.py")).arg(port);
        command.args(["/patch/save by-python", "/patch/load by-cmd", "/patch/load by-nobody"]);
        let said = stdout(&output(command));
        let lines: Vec<_> = said.lines().collect();
        assert!(lines[0].starts_with("[\"/done\", \"/patch/save\", \"by-python\""), "{said}");
        assert_eq!(lines[1], "[\"/done\", \"/patch/load\", \"by-cmd\"]");
        assert!(lines[2].starts_with("[\"/fail\", \"/patch/load\", \"there is no "), "{said}");
        expected.push("by-python.toml");
    }
    expected.sort_unstable();
    assert_eq!(folder.names(), expected);
    for name in &expected {
        assert_eq!(folder.text(name.trim_end_matches(".toml")), folder.text("by-cmd"));
    }
    rig.stop();
}

/// The bits of what is heard on the left from its first sound on, when `during` happens in between.
fn heard_while(folder: &Folder, during: &[&str]) -> Option<Stereo> {
    let block = BLOCK.to_string();
    let mut rig = Rig::recording(&folder.options_and(&["--block", &block]));
    // The engine fades in for 20 ms; what is compared comes after that.
    rig.play_blocks(20);
    let disturbed = rig.disturbances();
    rig.must_all(&["/begin", "/create noise 1 seed 3", "/create delay 1 time 0.05 feedback 0.6"]);
    rig.must_all(&["/create out out", "/connect noise1 delay1", "/connect delay1 out.left 0.5", "/commit"]);
    rig.play_blocks(20);
    rig.must_all(during);
    rig.play_blocks(20);
    if rig.disturbances() > disturbed {
        return None;
    }
    Some(rig.stop().recording())
}

#[test]
fn what_the_patch_and_the_file_have_in_common_goes_on_bit_by_bit() {
    let folder = Folder::of_patches();
    let module = |type_name: &str, id: &str| format!("[[module]]\ntype = \"{type_name}\"\nid = \"{id}\"\n");
    let cable = |from: &str, to: &str| format!("[[connect]]\nfrom = \"{from}\"\nto = \"{to}\"\ngain = 0.5\n");
    let file = [
        "version = 1\n",
        &module("vco", "vco9"),
        &module("out", "out"),
        &module("delay", "delay1"),
        "time = 0.05\nfeedback = 0.6\n",
        &module("noise", "noise1"),
        "seed = 3\n",
        &cable("vco9", "out.right"),
        &cable("noise1", "delay1").replace("gain = 0.5\n", ""),
        &cable("delay1", "out.left"),
    ];
    folder.put("other", file.concat());
    let undisturbed_run = undisturbed(|| heard_while(&folder, &[]));
    let loaded = undisturbed(|| heard_while(&folder, &["/patch/load other", "/patch/load other"]));
    let sound = |heard: &Stereo| {
        let first = first_sound(&heard.left).expect("the noise is heard");
        // The end fades, wherever it is.
        heard.left[first..heard.left.len() - 4_800].iter().map(|sample| sample.to_bits()).collect::<Vec<_>>()
    };
    let (expected, found) = (sound(&undisturbed_run), sound(&loaded));
    let frames = expected.len().min(found.len());
    assert!(frames > 30 * BLOCK, "only {frames} frames to compare");
    let differs = (0..frames).find(|&frame| expected[frame] != found[frame]);
    assert_eq!(differs, None, "the load was heard on the left");
    // The right side is that of the left until something else comes into it.
    let parts = |heard: &Stereo| (0..heard.left.len()).find(|&frame| heard.left[frame] != heard.right[frame]);
    assert_eq!(parts(&undisturbed_run), None);
    let new = parts(&loaded).expect("the new module is heard");
    assert_eq!(new % BLOCK, 0, "it came inside a block");
}

#[test]
fn a_load_is_in_force_in_one_block() {
    let folder = Folder::of_patches();
    let noise = |id: &str, to: &str| {
        format!(
            "[[module]]\ntype = \"noise\"\nid = \"{id}\"\n[[connect]]\nfrom = \"{id}\"\nto = \"out.{to}\"\n"
        )
    };
    let out = "[[module]]\ntype = \"out\"\nid = \"out\"\nlevel = 0.4\n";
    let both = ["version = 1\n", out, &noise("a", "left"), &noise("b", "right")].concat();
    folder.put("both", both);
    undisturbed(|| {
        let block = BLOCK.to_string();
        let mut rig = Rig::recording(&folder.options_and(&["--block", &block]));
        rig.play_blocks(5);
        let disturbed = rig.disturbances();
        rig.must("/patch/load both");
        rig.play_blocks(5);
        if rig.disturbances() > disturbed {
            return None;
        }
        let heard = rig.stop().recording();
        let left = first_sound(&heard.left).expect("the left noise is heard");
        assert_eq!(Some(left), first_sound(&heard.right), "one side came first");
        assert_eq!(left % BLOCK, 0, "they began inside a block");
        Some(())
    });
}

#[test]
fn what_others_wrote_into_a_file_is_kept() {
    let folder = Folder::of_patches();
    folder.put("hand", BY_HAND);
    let mut rig = Rig::start(&folder.options());
    rig.must("/patch/load hand");
    rig.must("/patch/save same");
    assert_eq!(folder.text("same"), BY_HAND);
    rig.must_all(&["/set vco1 freq 55.5", "/create noise 1", "/connect noise1 out.right 0.25"]);
    rig.must("/patch/save more");
    let more = folder.text("more");
    assert!(more.starts_with("# Made by hand.\nversion = 1\ntitle = \"Night\"\n"), "{more}");
    for kept in [
        "type = \"vco\" # the voice",
        "freq = 55.5\ncolour = [\"red\"]",
        "why = \"to be heard\"",
        "[someone.else]",
    ] {
        assert!(more.contains(kept), "{kept} is gone from:\n{more}");
    }
    rig.must_all(&["/patch/clear", "/patch/load more"]);
    assert_eq!(rig.modules().len(), 3);
    rig.must_all(&["/patch/clear", "/create vco 1", "/patch/save fresh"]);
    assert_eq!(folder.text("fresh"), "version = 1\n\n[[module]]\ntype = \"vco\"\nid = \"vco1\"\n");
    rig.stop();

    // A patch from the command line is a file like any other.
    let file = folder.file("hand").display().to_string();
    let mut rig = Rig::start(&folder.options_and(&[&file]));
    rig.must("/patch/save run");
    assert_eq!(folder.text("run"), BY_HAND);
    rig.stop();
}

#[test]
fn what_a_client_sends_after_a_load_means_the_loaded_patch() {
    let folder = Folder::of_patches();
    // Long enough to read that everything else would be done before it.
    folder.put("slow", [BY_HAND, &"# so many words\n".repeat(400_000)].concat());
    let mut rig = Rig::start(&folder.options());
    let is_synced = |reply: &Reply| reply.address == "/synced";
    let socket = rig.throw(&bundle(&["/patch/load slow", "/set vco1 freq 220", "/list", "/sync 7"]));
    let replies = answers(&socket, is_synced);
    let addresses: Vec<_> = replies.iter().map(|reply| reply.address.as_str()).collect();
    assert_eq!(addresses, ["/done", "/done", "/list.reply", "/synced"], "{replies:?}");
    assert_eq!(replies[0], Reply::done("/patch/load", [text("slow")]));
    assert_eq!(replies[2].args.len(), 6, "two modules are listed");

    // Somebody else is not held up, and a save holds up nobody but a /sync.
    rig.must("/patch/clear");
    let socket = rig.throw(&bundle(&["/patch/load slow"]));
    assert_eq!(rig.must("/create noise other").args[1], text("other"));
    answers(&socket, |reply| *reply == Reply::done("/patch/load", [text("slow")]));
    let socket = rig.throw(&bundle(&["/patch/save x", "/set vco1 freq 330", "/sync 8"]));
    let replies = answers(&socket, is_synced);
    assert!(replies[2].address == "/synced" && replies[..2].iter().all(|reply| !reply.is_failure()));
    assert!(folder.text("x").contains("freq = 110\n"), "saved as it was when it was asked for");
    rig.stop();
}

#[test]
fn the_panic_button_calls_a_load_off() {
    let folder = Folder::of_patches();
    folder.put("hand", BY_HAND);
    let mut rig = Rig::start(&folder.options());
    let socket = rig.throw(&bundle(&["/patch/load hand", "/set vco1 freq 220", "/panic", "/sync 1"]));
    let replies = answers(&socket, |reply| reply.address == "/synced");
    let about = |address: &str| {
        let is_about = |reply: &&Reply| reply.args.first() == Some(&text(address));
        replies.iter().find(is_about).unwrap_or_else(|| panic!("no answer to {address}: {replies:?}"))
    };
    assert!(about("/set").is_failure() && about("/patch/load").is_failure(), "{replies:?}");
    assert!(!about("/panic").is_failure());
    rig.play_blocks(20);
    assert!(rig.modules().is_empty());
    rig.stop();
}

#[test]
fn transactions_and_files_do_not_mix_by_accident() {
    let folder = Folder::of_patches();
    folder.put("hand", BY_HAND);
    let mut rig = Rig::start(&folder.options());
    built(&mut rig);
    let before = rig.modules();
    rig.must("/begin");
    assert!(rig.refused("/patch/load hand").contains("/commit or /abort first"));
    rig.must_all(&["/patch/clear", "/create noise 1"]);
    assert_eq!(rig.modules(), before, "what is only gathered is not in force");
    rig.must("/patch/save meanwhile");
    assert!(folder.text("meanwhile").contains("adsr1"), "what is in force is saved");
    rig.must("/abort");
    assert_eq!(rig.modules(), before);
    rig.must_all(&["/begin", "/patch/clear", "/create noise 1", "/commit"]);
    assert_eq!(rig.modules().len(), 1);
    rig.stop();
}

#[test]
fn without_a_word_patches_are_in_the_folder_of_this_users_data() {
    let data = tempfile::tempdir().expect("a folder of our own");
    let mut command = backline();
    command.env("XDG_DATA_HOME", data.path());
    let mut rig = Rig::start_as(command, &[]);
    rig.must_all(&["/create vco 1", "/patch/save a"]);
    assert!(data.path().join("backline/patches/a.toml").is_file());
    rig.stop();
    let mut command = backline();
    command.env("XDG_DATA_HOME", data.path()).args(["run", "--print-config"]);
    let printed = stdout(&output(command));
    for (key, folder) in [("patches", "backline/patches"), ("recordings", "backline/recordings")] {
        let line = printed.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        assert!(line.contains(folder) && line.ends_with("default"), "{printed}");
    }
}
