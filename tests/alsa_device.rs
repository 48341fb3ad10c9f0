//! ALSA without a sound card: its file device takes what the callback renders, and an error names the remedy.
//!
//! Each test starts itself again, because ALSA reads its configuration's place from the environment. The file
//! device is not paced by a clock, so nothing here says anything about time.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backline::output::device::{CallbackTiming, DeviceHost, DeviceSpec, list, open};

const WATCHDOG: Duration = Duration::from_secs(30);
/// Set in the second process only: what it shall do.
const ROLE: &str = "BACKLINE_TEST_ROLE";
/// Frames that the test listens to; what follows them on the tape does not matter.
const HEARD_FRAMES: usize = 4_800;

fn spec(name: Option<&str>) -> DeviceSpec {
    let name = name.map(str::to_owned);
    DeviceSpec { host: DeviceHost::Default, name, rate_hz: 48_000, block_frames: 128 }
}

/// A card of ours that writes what it plays into `tape`, and nothing else.
fn configuration(tape: &Path) -> String {
    format!(
        "</usr/share/alsa/alsa.conf>\n\
         pcm.tape {{ type file slave.pcm null file \"{}\" format raw hint {{ show on description \"Tape\" }} }}\n",
        tape.display()
    )
}

fn second_process(test: &str, role: &str, configuration: &Path) -> (String, String) {
    let output = Command::new(std::env::current_exe().expect("a test knows its file"))
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .env("ALSA_CONFIG_PATH", configuration)
        .output()
        .expect("this test starts itself");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// Frame number n as a sample that names it.
fn sample(frame: u64) -> f32 {
    (frame % 65_536) as f32 / 65_536.0
}

fn play_to_the_tape() {
    assert!(list().iter().any(|device| device.id == "tape" && device.description == "Tape"), "{:?}", list());
    let frames = Arc::new(AtomicU64::new(0));
    let counted = frames.clone();
    let render = move |stereo: &mut [f32], _: CallbackTiming| {
        for pair in stereo.chunks_exact_mut(2) {
            let frame = counted.fetch_add(1, Ordering::Relaxed);
            pair.copy_from_slice(&[sample(frame), -sample(frame)]);
        }
    };
    let (first_seen, first) = crossbeam_channel::bounded(1);
    let (notices, _told) = crossbeam_channel::bounded(8);
    let on_first = move || first_seen.send(()).expect("the test listens");
    let Ok(device) = open(&spec(Some("tape")), render, on_first, notices) else { panic!("the tape opens") };
    first.recv_timeout(WATCHDOG).expect("the first callback comes");
    assert_eq!((device.report().host, device.report().name.as_str()), ("ALSA", "tape"));
    assert_eq!(device.report().period_frames, Some(128));
    let since = Instant::now();
    while frames.load(Ordering::Relaxed) < 2 * HEARD_FRAMES as u64 {
        assert!(since.elapsed() < WATCHDOG, "the device stopped asking");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(device.close().is_some());
}

#[test]
fn alsa_plays_what_the_callback_renders() {
    if std::env::var(ROLE).is_ok_and(|role| role == "tape") {
        return play_to_the_tape();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let tape = folder.path().join("tape.raw");
    let alsa_conf = folder.path().join("alsa.conf");
    std::fs::write(&alsa_conf, configuration(&tape)).expect("a configuration");
    second_process("alsa_plays_what_the_callback_renders", "tape", &alsa_conf);
    let bytes = std::fs::read(&tape).expect("the tape was written");
    let samples = bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    let heard: Vec<f32> = samples.skip_while(|&sample| sample == 0.0).take(2 * HEARD_FRAMES).collect();
    let expected: Vec<f32> =
        (1..=HEARD_FRAMES as u64).flat_map(|frame| [sample(frame), -sample(frame)]).collect();
    assert!(heard == expected, "{:?} ... is not {:?} ...", &heard[..8], &expected[..8]);
}

#[test]
fn without_a_card_the_error_names_the_remedy_and_alsa_prints_nothing() {
    if std::env::var(ROLE).is_ok_and(|role| role == "no card") {
        let (notices, _told) = crossbeam_channel::bounded(1);
        let Err(failure) = open(&spec(None), |_: &mut [f32], _| {}, || {}, notices) else {
            panic!("a card that is not there was opened");
        };
        assert!(failure.error.is_absent(), "{}", failure.error);
        println!("ERROR {}", failure.error);
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let alsa_conf = folder.path().join("alsa.conf");
    std::fs::write(&alsa_conf, "pcm.!default { type hw card 31 }\n").expect("a configuration");
    let test = "without_a_card_the_error_names_the_remedy_and_alsa_prints_nothing";
    let (said, complained) = second_process(test, "no card", &alsa_conf);
    assert!(said.contains("'default' is no usable audio device"), "{said}");
    assert!(said.contains("--audio null"), "{said}");
    assert_eq!(complained, "");
}
