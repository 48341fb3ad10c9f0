//! From somebody else's OSC client to the sound of it, measured in the recording.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use support::packets::{ahead_ns, tag_after, tagged, together};
use support::sound::{assert_pitch, first_sound, last_sound, peak};
use support::tools;
use support::{Rig, output, undisturbed};

/// Frames of a block where a test counts in blocks: long, so that a busy machine is late less often.
const BLOCK: usize = 512;
/// A voice that sounds only while its gate is open.
const VOICE: [&str; 8] = [
    "/create vco 1 shape sine",
    "/create adsr 1 attack 0 release 0",
    "/create vca 1",
    "/create out out",
    "/connect vco1 vca1",
    "/connect adsr1 vca1.cv",
    "/connect vca1 out.left 0.5",
    "/set vco1 freq 330",
];

fn block_option() -> [String; 2] {
    ["--block".to_owned(), BLOCK.to_string()]
}

fn oscsend(rig: &mut Rig, words: &[&str]) {
    let port = rig.address.port().to_string();
    let sent = Command::new("oscsend").args(["localhost", &port]).args(words).stdin(Stdio::null()).status();
    assert!(sent.is_ok_and(|status| status.success()), "oscsend {words:?}");
    // oscsend shows no answers. Datagrams of one host stay in order, so this is answered after it.
    rig.must("/sync 1");
}

#[test]
fn oscsend_creates_plays_and_frees_a_voice_and_it_is_heard() {
    if !tools::has("oscsend", "liblo-tools") {
        return;
    }
    let mut rig = Rig::recording(&[]);
    let before = rig.blocks();
    oscsend(&mut rig, &["/create", "si", "vco", "1"]);
    assert_eq!(rig.modules(), [r#"Text("vco1") Text("vco")"#]);
    oscsend(&mut rig, &["/create", "ss", "out", "out"]);
    oscsend(&mut rig, &["/set", "sss", "vco1", "shape", "sine"]);
    oscsend(&mut rig, &["/connect", "ssf", "vco1", "out.left", "0.5"]);
    oscsend(&mut rig, &["/set", "ssf", "vco1", "freq", "440"]);
    rig.play_blocks(200);
    oscsend(&mut rig, &["/free", "s", "vco1"]);
    oscsend(&mut rig, &["/free", "s", "no_such"]);
    let after = rig.blocks();
    rig.play_blocks(20);
    assert_eq!(rig.modules(), [r#"Text("out") Text("out")"#]);

    let heard = rig.stop().recording();
    let first = first_sound(&heard.left).expect("the voice is heard");
    let last = last_sound(&heard.left).expect("the voice is heard");
    assert!(first >= before * 128, "sound at frame {first}, before the create");
    assert!(last < (after + 2) * 128 + 64, "sound at frame {last}, after the free");
    assert_pitch(&heard.left[first..last], 440.0);
    assert_eq!(heard.left, heard.right, "the left input of `out` alone feeds both sides");
}

#[test]
fn oscsend_gates_a_voice_that_was_silent_before() {
    if !tools::has("oscsend", "liblo-tools") {
        return;
    }
    let mut rig = Rig::recording(&[]);
    rig.must_all(&VOICE);
    rig.play_blocks(20);
    let before = rig.blocks();
    oscsend(&mut rig, &["/gate", "si", "adsr1", "1"]);
    rig.play_blocks(200);
    oscsend(&mut rig, &["/gate", "si", "adsr1", "0"]);
    let after = rig.blocks();
    rig.play_blocks(20);

    let heard = rig.stop().recording();
    let first = first_sound(&heard.left).expect("the gate is heard");
    let last = last_sound(&heard.left).expect("the gate is heard");
    assert!(first >= before * 128, "sound at frame {first}, before the gate");
    assert!(last < (after + 2) * 128 + 4_800, "sound at frame {last}, long after the gate");
    assert_pitch(&heard.left[first..last], 330.0);
}

/// Plays lines with python-osc; the answers, one a line.
fn python_osc(python: &Path, rig: &Rig, lines: &[&str]) -> String {
    let mut command = Command::new(python);
    command.arg(support::file("tests/support/play.py")).arg(rig.address.port().to_string()).args(lines);
    let output = output(command);
    assert!(output.status.success(), "{}", support::stderr(&output));
    support::stdout(&output)
}

#[test]
fn python_osc_creates_connects_sets_gates_and_frees_and_reads_every_answer() {
    let Some(python) = tools::python_with_osc() else { return };
    let mut rig = Rig::recording(&[]);
    let answers = python_osc(&python, &rig, &VOICE);
    let first = answers.lines().next().unwrap_or_default();
    assert!(first.starts_with(r#"["/done", "/create", "vco1", "#), "{first}");
    assert_eq!(answers.lines().filter(|line| line.starts_with(r#"["/done""#)).count(), VOICE.len());
    let before = rig.blocks();
    python_osc(&python, &rig, &["/gate adsr1 1"]);
    rig.play_blocks(200);
    let answers = python_osc(&python, &rig, &["/free vco1", "/free vco1", "/sync 7"]);
    let wanted = [
        r#"["/done", "/free", "vco1"]"#,
        r#"["/fail", "/free", "there is no module 'vco1'"#,
        r#"["/synced", 7]"#,
    ];
    for (answer, wanted) in answers.lines().zip(wanted) {
        assert!(answer.starts_with(wanted), "{answer}");
    }

    let heard = rig.stop().recording();
    let first = first_sound(&heard.left).expect("the gate is heard");
    let last = last_sound(&heard.left).expect("the gate is heard");
    assert!(first >= before * 128, "sound at frame {first}, before the gate");
    assert_pitch(&heard.left[first..last], 330.0);
}

/// Two voices with gates of their own, one on each side.
fn two_voices(rig: &mut Rig) {
    rig.must("/create out out");
    for (n, side) in [(1, "left"), (2, "right")] {
        rig.must_all(&[
            &format!("/create vco {n} shape saw"),
            &format!("/create adsr {n} attack 0"),
            &format!("/create vca {n}"),
            &format!("/connect vco{n} vca{n}"),
            &format!("/connect adsr{n} vca{n}.cv"),
            &format!("/connect vca{n} out.{side} 0.5"),
        ]);
    }
}

/// Plays `send` on two voices and returns how many frames after the left one the right one begins.
fn frames_between(mut send: impl FnMut(&Rig)) -> usize {
    undisturbed(|| {
        let [name, value] = block_option();
        let mut rig = Rig::recording(&[&name, &value]);
        two_voices(&mut rig);
        rig.play_blocks(5);
        let disturbed = rig.disturbances();
        send(&rig);
        rig.play_blocks(90);
        let is_disturbed = rig.disturbances() > disturbed;
        let heard = rig.stop().recording();
        let left = first_sound(&heard.left).expect("the first gate is heard");
        let right = first_sound(&heard.right).expect("the second gate is heard");
        (!is_disturbed).then(|| right.checked_sub(left).expect("the second gate comes second"))
    })
}

#[test]
fn gates_with_time_tags_sound_exactly_so_many_samples_apart_as_their_tags_say() {
    for frames in [1, 1_777, 24_000] {
        let apart = frames_between(|rig| {
            let start_ns = ahead_ns(300);
            let first = tagged(tag_after(start_ns, 0), &["/gate adsr1 1"]);
            let second = tagged(tag_after(start_ns, frames), &["/gate adsr2 1"]);
            rig.throw(&together(vec![first, second]));
        });
        assert_eq!(apart, frames as usize);
    }
}

#[test]
fn time_tags_of_packets_that_come_one_after_another_are_as_exact() {
    let apart = frames_between(|rig| {
        let start_ns = ahead_ns(400);
        rig.throw(&tagged(tag_after(start_ns, 2_345), &["/gate adsr2 1"]));
        // Unlike packets in one bundle, this one meets a clock that is read again.
        std::thread::sleep(std::time::Duration::from_millis(20));
        rig.throw(&tagged(tag_after(start_ns, 0), &["/gate adsr1 1"]));
    });
    assert_eq!(apart, 2_345);
}

#[test]
fn a_bundle_of_python_osc_is_played_at_its_time() {
    let Some(python) = tools::python_with_osc() else { return };
    let mut rig = Rig::recording(&[]);
    rig.must_all(&VOICE);
    let answers = python_osc(&python, &rig, &["+0.4 /gate adsr1 1", "+0.8 /gate adsr1 0", "+1.0 /sync 3"]);
    assert_eq!(answers.lines().last(), Some(r#"["/synced", 3]"#), "{answers}");
    let heard = rig.stop().recording();
    let first = first_sound(&heard.left).expect("the gate is heard");
    let last = last_sound(&heard.left).expect("the gate is heard");
    assert!(last - first > 9_600, "{} frames are heard", last - first);
    assert_pitch(&heard.left[first..last], 330.0);
}

#[test]
fn a_new_module_is_heard_from_a_block_boundary_on_at_most_one_block_later() {
    undisturbed(|| {
        let [name, value] = block_option();
        let mut rig = Rig::recording(&[&name, &value]);
        rig.must("/create out out");
        rig.play_blocks(10);
        let disturbed = rig.disturbances();
        let played_before = rig.blocks();
        let answers =
            rig.throw(&support::packets::bundle(&["/create vco 1 shape saw", "/connect vco1 out.left 0.5"]));
        for _ in 0..2 {
            answers.recv(&mut [0; 1_024]).expect("each command is answered");
        }
        let played_after = rig.blocks();
        rig.play_blocks(5);
        if rig.disturbances() > disturbed {
            return None;
        }
        let heard = rig.stop().recording();
        let first = first_sound(&heard.left).expect("the oscillator is heard");
        // An oscillator starts at phase 0, where every shape is exactly 0; its second sample is the first heard.
        let began = first - 1;
        assert_eq!(began % BLOCK, 0, "the oscillator began inside a block, at frame {began}");
        // While block n is played, n are played; what comes in then is in force from block n + 1 on.
        let began_in = began / BLOCK;
        let blocks = played_before..=played_after + 1;
        assert!(blocks.contains(&began_in), "it began in block {began_in}, not in {blocks:?}");
        assert!(peak(&heard.left) > 0.3);
        Some(())
    });
}
