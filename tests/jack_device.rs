//! A real JACK server with its dummy driver: what the callback renders is what `jack_rec` records.
//!
//! The player runs in a process of its own (this test, started again), because libjack reads the server's name
//! from the environment.
#![cfg(feature = "jack")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backline::output::device::{CallbackTiming, DeviceHost, DeviceSpec, open};

const RATE_HZ: u32 = 48_000;
const BLOCK_FRAMES: u32 = 128;
const SINE_HZ: f64 = 440.0;
const WATCHDOG: Duration = Duration::from_secs(30);
/// Set in the second process only: what it shall do.
const ROLE: &str = "BACKLINE_TEST_ROLE";

/// A process that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // Asked first, so that jackd removes its shared memory; made to go if it does not within five seconds.
        let _ = Command::new("sh").args(["-c", &format!("kill {}", self.0.id())]).status();
        for _ in 0..500 {
            if self.0.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Removes what JACK leaves in shared memory when a server ends before its clients; the name is ours alone.
struct Swept(&'static str);

impl Drop for Swept {
    fn drop(&mut self) {
        for left in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if left.file_name().to_string_lossy().contains(self.0) {
                let _ = std::fs::remove_file(left.path());
            }
        }
    }
}

/// One server at a time: JACK's own book-keeping of servers does not like two that come and go together.
static ALONE: Mutex<()> = Mutex::new(());

/// A server, and the right to have one. Fields are dropped in this order.
struct Server {
    process: Killed,
    _swept: Swept,
    _alone: MutexGuard<'static, ()>,
}

/// A JACK server of our own name, or `None` where jackd is not installed.
fn dummy_server(name: &'static str) -> Option<Server> {
    let found = Command::new("jackd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_err() {
        println!("SKIPPED: jackd is not installed; it comes with: apt install jackd2");
        return None;
    }
    // The name is always the same: JACK keeps a place for each of eight names and takes it back from a dead server
    // only for a server of that name. While another run of this test has it, ours gives up and is started again.
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut server = Server { process: start_server(name), _swept: Swept(name), _alone: alone };
    until("the JACK server answers", || {
        if server.process.0.try_wait().expect("our child").is_some() {
            server.process = start_server(name);
            return false;
        }
        let ports = Command::new("jack_lsp").env("JACK_DEFAULT_SERVER", name).output();
        ports.is_ok_and(|ports| String::from_utf8_lossy(&ports.stdout).contains("system:playback_1"))
    });
    Some(server)
}

fn start_server(name: &str) -> Killed {
    let server = Command::new("jackd")
        .args(["-n", name, "-r", "-d", "dummy", "-r", &RATE_HZ.to_string(), "-p", &BLOCK_FRAMES.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Killed(server.expect("jackd starts"))
}

fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_true() {
        assert!(since.elapsed() < WATCHDOG, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts this test again as a player on the server `name`.
fn second_process(test: &str, role: &str, server: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its file"));
    command
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .env("JACK_DEFAULT_SERVER", server)
        .env("JACK_NO_START_SERVER", "1");
    command
}

fn spec(rate_hz: u32) -> DeviceSpec {
    DeviceSpec { host: DeviceHost::Jack, name: None, rate_hz, block_frames: BLOCK_FRAMES }
}

/// What the second process does for the first test: a sine, until it is killed or the server goes away.
fn play_a_sine() {
    let step = std::f64::consts::TAU * SINE_HZ / f64::from(RATE_HZ);
    let mut phase = 0.0_f64;
    let render = move |stereo: &mut [f32], _: CallbackTiming| {
        for frame in stereo.chunks_exact_mut(2) {
            frame.fill(0.5 * phase.sin() as f32);
            phase = (phase + step) % std::f64::consts::TAU;
        }
    };
    let (first_seen, first) = crossbeam_channel::bounded(1);
    let (notices, told) = crossbeam_channel::bounded(8);
    let on_first = move || first_seen.send(()).expect("the test listens");
    let device = match open(&spec(RATE_HZ), render, on_first, notices) {
        Ok(device) => device,
        Err(failure) => panic!("{}", failure.error),
    };
    first.recv_timeout(WATCHDOG).expect("the first callback comes");
    assert_eq!(device.report().period_frames, Some(BLOCK_FRAMES));
    assert_eq!((device.report().rate_hz, device.report().channels), (RATE_HZ, 2));
    println!("PLAYING");
    let notice = told.recv_timeout(WATCHDOG);
    println!("NOTICE {notice:?}");
    assert!(device.close().is_some(), "the render function comes back from a lost device");
}

/// From the usual distance of two crossings from below zero to above: a block that a busy machine lost makes one
/// distance wrong, and does not count.
fn measured_hz(samples: &[f32]) -> f64 {
    let rising: Vec<f64> = samples
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] <= 0.0 && pair[1] > 0.0)
        .map(|(frame, pair)| frame as f64 + f64::from(-pair[0] / (pair[1] - pair[0])))
        .collect();
    let mut periods: Vec<f64> = rising.windows(2).map(|pair| pair[1] - pair[0]).collect();
    periods.sort_by(f64::total_cmp);
    assert!(periods.len() > 100, "only {} periods were heard", periods.len());
    f64::from(RATE_HZ) / periods[periods.len() / 2]
}

fn read_channel(path: &Path, channel: usize) -> Vec<f32> {
    let mut file = hound::WavReader::open(path).expect("jack_rec wrote a WAV file");
    let spec = file.spec();
    assert_eq!(spec.sample_rate, RATE_HZ);
    let full_scale = (1_u64 << (spec.bits_per_sample - 1)) as f32;
    let all: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => file.samples::<f32>().map(Result::unwrap).collect(),
        hound::SampleFormat::Int => {
            file.samples::<i32>().map(|sample| sample.unwrap() as f32 / full_scale).collect()
        }
    };
    all.into_iter().skip(channel).step_by(usize::from(spec.channels)).collect()
}

/// Records the player with JACK's own recorder and measures what it wrote.
fn hear_the_sine(server: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let wav = folder.path().join("heard.wav");
    let recorded = Command::new("jack_rec")
        .arg("-f")
        .arg(&wav)
        .args(["-d", "2", "-b", "32", "backline_out:out_0", "backline_out:out_1"])
        .env("JACK_DEFAULT_SERVER", server)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("jack_rec starts");
    assert!(recorded.success(), "jack_rec: {recorded}");
    for channel in [0, 1] {
        let heard = read_channel(&wav, channel);
        let peak = heard.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!((0.45..=0.55).contains(&peak), "peak {peak} on channel {channel}");
        let hz = measured_hz(&heard);
        assert!((hz - SINE_HZ).abs() < 1.0, "{hz} Hz on channel {channel}");
    }
}

#[test]
fn jack_plays_what_the_callback_renders_and_a_lost_server_is_told() {
    if std::env::var(ROLE).is_ok_and(|role| role == "sine") {
        return play_a_sine();
    }
    let name = "backline-test-sine";
    let Some(server) = dummy_server(name) else { return };
    let test = "jack_plays_what_the_callback_renders_and_a_lost_server_is_told";
    let player = second_process(test, "sine", name).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut player = Killed(player.expect("this test starts itself"));
    until("the player is connected", || {
        if player.0.try_wait().expect("our child").is_some() {
            let complaint = std::io::read_to_string(player.0.stderr.take().expect("piped"));
            panic!("the player ended early: {}", complaint.expect("text"));
        }
        let ports = Command::new("jack_lsp").arg("-c").env("JACK_DEFAULT_SERVER", name).output();
        ports.is_ok_and(|ports| String::from_utf8_lossy(&ports.stdout).contains("   backline_out:out_1"))
    });

    hear_the_sine(name);
    drop(server);
    until("the player has noticed", || player.0.try_wait().expect("our child").is_some());
    let said = std::io::read_to_string(player.0.stdout.take().expect("piped")).expect("text");
    assert!(said.contains("NOTICE Ok(Lost"), "{said}");
}

#[test]
fn a_server_of_another_rate_is_answered_with_the_rate_to_ask_for() {
    if std::env::var(ROLE).is_ok_and(|role| role == "wrong rate") {
        let (notices, _) = crossbeam_channel::bounded(1);
        let Err(failure) = open(&spec(44_100), |_: &mut [f32], _| {}, || {}, notices) else {
            panic!("44,100 Hz opened on a server of 48,000 Hz");
        };
        println!("ERROR {}", failure.error);
        return;
    }
    let name = "backline-test-rate";
    let Some(_server) = dummy_server(name) else {
        return;
    };
    let test = "a_server_of_another_rate_is_answered_with_the_rate_to_ask_for";
    let said = second_process(test, "wrong rate", name).output().expect("this test starts itself");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("does not play 44100 Hz; start with --rate 48000"), "{said}");
}

#[test]
fn no_server_is_answered_with_how_to_start_one_and_nothing_else_is_printed() {
    if std::env::var(ROLE).is_ok_and(|role| role == "no server") {
        let (notices, _) = crossbeam_channel::bounded(1);
        let Err(failure) = open(&spec(RATE_HZ), |_: &mut [f32], _| {}, || {}, notices) else {
            panic!("a JACK server that does not run was opened");
        };
        assert!(failure.error.is_absent());
        println!("ERROR {}", failure.error);
        return;
    }
    let test = "no_server_is_answered_with_how_to_start_one_and_nothing_else_is_printed";
    let said =
        second_process(test, "no server", "backline-test-absent").output().expect("this test starts itself");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("no JACK server 'backline-test-absent'"), "{text}");
    assert!(text.contains("jackd -d alsa -r 48000 -p 128"), "{text}");
    assert_eq!(String::from_utf8_lossy(&said.stderr), "");
}
