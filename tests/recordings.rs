//! Recordings that begin and end while the engine plays.

mod support;

use backline::command::{Arg, Reply};
use std::path::Path;
use std::process::Command;
use support::sound::read;
use support::{Folder, Rig, backline, on_its_own, output, program, until};

/// Noise tells one frame from every other.
const NOISE: [&str; 3] = ["/create out out", "/create noise 1 seed 5", "/connect noise1 out.left 0.5"];

fn text(word: impl Into<String>) -> Arg {
    Arg::Text(word.into())
}

fn bits(samples: &[f32]) -> Vec<u32> {
    samples.iter().map(|sample| sample.to_bits()).collect()
}

/// Where `part` stands in `whole`, bit by bit.
fn place_in(whole: &[f32], part: &[f32]) -> Option<usize> {
    let (whole, part) = (bits(whole), bits(part));
    let (head, length) = (&part[..64], part.len());
    let starts = (0..=whole.len().checked_sub(length)?).filter(|&at| whole[at..at + 64] == *head);
    starts.into_iter().find(|&at| whole[at..at + length] == part[..])
}

fn frames_of(reply: &Reply) -> usize {
    match reply.args[..] {
        [_, _, _, Arg::Int(frames)] => frames as usize,
        _ => panic!("no frames in {reply:?}"),
    }
}

#[test]
fn what_is_recorded_at_run_time_is_a_part_of_what_is_heard_and_both_recordings_go_on() {
    let folder = Folder::of_recordings();
    let mut rig = Rig::recording(&folder.options_and(&["--block", "64"]));
    rig.must_all(&NOISE);
    let mut takes = Vec::new();
    for name in ["take-1", "take_2", "007"] {
        rig.play_blocks(10);
        let path = folder.file(name).display().to_string();
        let begun = rig.must(&format!("/record/start {name}"));
        assert_eq!(begun, Reply::done("/record/start", [text(name), text(&path)]));
        rig.play_blocks(100);
        let recordings = rig.status()["recordings"].clone();
        assert_eq!(recordings.as_array().map(Vec::len), Some(2), "{recordings}");
        assert_eq!(recordings[1]["path"], path.as_str());
        assert!(recordings[1]["failure"].is_null());
        let ended = rig.must("/record/stop");
        assert_eq!(ended.args[..3], [text("/record/stop"), text(name), text(&path)]);
        takes.push((folder.file(name), frames_of(&ended)));
    }
    let audio = rig.status()["audio"].clone();
    assert_eq!(audio["allocations"], 0, "the audio thread allocated");
    let heard = rig.stop().recording();
    let mut before = 0;
    for (path, frames) in takes {
        let take = read(&path);
        assert_eq!(take.left.len(), frames, "{}", path.display());
        assert!(frames >= 100 * 64 && frames.is_multiple_of(64), "{frames} frames");
        let place = place_in(&heard.left, &take.left).expect("it is a part of what was heard");
        assert!(place >= before && place.is_multiple_of(64), "it began at {place}");
        before = place + frames;
    }
}

#[test]
fn a_name_that_is_taken_is_refused_and_what_has_it_stays_as_it_is() {
    let folder = Folder::of_recordings();
    let elsewhere = tempfile::tempdir().expect("a folder of our own");
    let victim = elsewhere.path().join("victim.wav");
    std::fs::write(folder.file("taken"), "an older take").expect("our folder is writable");
    std::os::unix::fs::symlink(&victim, folder.file("link")).expect("links can be made");
    std::os::unix::fs::symlink("/dev/full", folder.file("full")).expect("links can be made");
    std::fs::create_dir(folder.file("folder")).expect("folders can be made");
    let mut rig = Rig::start(&folder.options());
    for name in ["taken", "link", "full", "folder"] {
        let said = rig.refused(&format!("/record/start {name}"));
        let file = folder.file(name).display().to_string();
        assert!(said.contains(&file) && said.contains("there already"), "{name}: {said}");
    }
    assert_eq!(std::fs::read(folder.file("taken")).expect("it is there"), b"an older take");
    assert!(!victim.exists());
    for name in ["../x", "/tmp/x", "a.wav", "A", "''"] {
        let said = rig.refused(&format!("/record/start {name}"));
        assert!(said.contains("is not a name"), "{name}: {said}");
    }
    assert!(rig.refused("/record/stop").contains("/record/start NAME"));
    rig.must("/record/start a");
    assert!(rig.refused("/record/start b").contains("a is being recorded already; /record/stop first"));
    rig.must("/record/stop");
    assert!(rig.refused("/record/start a").contains("a.wav is there already"));
    assert!(rig.refused("/record/stop").contains("nothing is being recorded"));
    assert!(!folder.file("b").exists());
    rig.stop();
}

#[test]
fn an_engine_that_stops_completes_its_recording_and_says_so() {
    let folder = Folder::of_recordings();
    let mut rig = Rig::start(&folder.options());
    rig.must_all(&NOISE);
    rig.must("/record/start last");
    rig.play_blocks(50);
    let ended = rig.stop();
    let path = folder.file("last");
    let told = ended.events.iter().find(|event| event["event"] == "recorded").expect("it says so");
    assert_eq!(told["files"][0].as_str(), path.to_str());
    let left = read(&path).left;
    assert_eq!(told["frames"], left.len());
    assert_eq!(left.last(), Some(&0.0), "the end of the set is faded, and recorded");
}

#[test]
fn a_sync_after_a_stop_is_answered_when_the_file_is_complete() {
    let folder = Folder::of_recordings();
    let mut rig = Rig::start(&folder.options());
    let packet = support::packets::bundle(&["/record/start a", "/sync 1"]);
    let socket = rig.throw(&packet);
    let answer = || {
        let mut bytes = [0; 2_048];
        let length = socket.recv(&mut bytes).expect("an answer comes");
        backline::osc::parse_reply(&bytes[..length]).expect("an answer is a message").address
    };
    assert_eq!([answer(), answer()], ["/done", "/synced"]);
    assert!(folder.file("a").is_file());
    rig.must("/record/stop");
    rig.stop();
}

/// A mount namespace of our own with a very small disk at `folder`, where that is permitted.
fn with_small_disk(folder: &Path) -> Option<Command> {
    for how in [&["-m"][..], &["-r", "-m"]] {
        let mount = format!("mount -t tmpfs -o size=256k tmpfs {}", folder.display());
        let mut probe = Command::new("unshare");
        probe.args(how).args(["sh", "-c", &mount]);
        if probe.output().is_ok_and(|ended| ended.status.success()) {
            let mut command = on_its_own(Command::new("unshare"));
            let script = format!("{mount} && exec \"$0\" \"$@\"");
            command.args(how).args(["sh", "-c", &script, program()]);
            return Some(command);
        }
    }
    println!("SKIPPED: this user may not mount a small disk");
    None
}

#[test]
fn a_full_disk_ends_the_recording_loudly_and_the_sound_goes_on() {
    let folder = Folder::of_recordings();
    let Some(command) = with_small_disk(folder.path()) else { return };
    let mut rig = Rig::start_as(command, &folder.options());
    rig.must_all(&NOISE);
    rig.must("/record/start full");
    until("the disk is full", || !rig.status()["recordings"][0]["failure"].is_null());
    let status = rig.status();
    let recording = &status["recordings"][0];
    let words = recording["failure"].as_str().expect("words");
    assert!(words.contains("full.wav") && words.contains("disk full"), "{words}");
    assert!(rig.log().contains("recording ends here, the sound goes on"), "{}", rig.log());
    let to = rig.address.to_string();
    let mut shown = backline();
    shown.args(["status", "--to", &to]);
    let shown = support::stdout(&output(shown));
    assert!(shown.contains("ENDED EARLY"), "{shown}");
    rig.play_blocks(50);
    rig.must("/set noise1 color pink");
    let ended = rig.must("/record/stop");
    assert!(matches!(&ended.args[4], Arg::Text(why) if why.contains("disk full")), "{ended:?}");
    assert_eq!(rig.status()["recordings"].as_array().map(Vec::len), Some(0));
    rig.stop();
}
