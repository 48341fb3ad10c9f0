//! Recording to real files, to a full disk, and while the audio thread goes on.

use super::*;
use std::time::Instant;

const WATCHDOG: Duration = Duration::from_secs(60);

fn sine(frames: usize) -> Vec<f32> {
    (0..frames * 2).map(|n| (n as f32 * 0.01).sin()).collect()
}

fn read(path: &Path) -> Vec<f32> {
    hound::WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect()
}

#[test]
fn everything_pushed_before_finish_is_in_the_file_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.wav");
    let (mut input, recorder) = Recorder::start(&path, 48_000, 2).unwrap();
    let samples = sine(40_000);
    for block in samples.chunks(2 * 113) {
        input.push(block);
    }
    let recording = recorder.finish().unwrap();
    assert_eq!(recording.dropped_frames, 0);
    assert_eq!((recording.frames, recording.unwritten_frames), (40_000, 0));
    assert!(recording.failure.is_none());
    assert_eq!(read(&path), samples);
    let mut hash = SampleHash::new();
    hash.update(&samples);
    assert_eq!(recording.sha256, hash.finish());
}

#[test]
fn every_frame_is_recorded_or_counted_while_finish_races_the_audio_thread() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let path = folder.path().join(format!("{round}.wav"));
        let (mut input, recorder) = Recorder::start(&path, 48_000, 2).unwrap();
        let has_started = Arc::new(AtomicBool::new(false));
        let started = has_started.clone();
        let audio = std::thread::spawn(move || {
            for _ in 0..2000 {
                input.push(&[0.25; 2 * 16]);
                started.store(true, Ordering::Relaxed);
            }
            input.dropped_frames()
        });
        while !has_started.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        let recording = recorder.finish().unwrap();
        let dropped_frames = audio.join().unwrap();
        assert_eq!(recording.frames + dropped_frames, 2000 * 16);
        assert_eq!(read(&path).len() as u64, recording.frames * 2);
    }
}

#[test]
fn a_block_that_does_not_fit_is_dropped_whole_and_counted() {
    let (ring, mut pushed) = rtrb::RingBuffer::new(2 * 100);
    let mut input = RecorderInput { ring, shared: Arc::default(), channels: 2 };
    input.push(&[0.5; 2 * 60]);
    input.push(&[0.7; 2 * 60]);
    assert_eq!(input.dropped_frames(), 60);
    input.push(&[0.9; 2 * 40]);
    assert_eq!(input.dropped_frames(), 60);
    let kept: Vec<f32> = std::iter::from_fn(|| pushed.pop().ok()).collect();
    assert_eq!(kept, [vec![0.5; 2 * 60], vec![0.9; 2 * 40]].concat());
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.wav");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (mut input, recorder) = Recorder::start(&path, 48_000, 2).unwrap();
    let since = Instant::now();
    let mut pushed_frames = 0;
    while recorder.unwritten_frames() == 0 {
        input.push(&[0.1; 2 * 4800]);
        pushed_frames += 4800;
        assert!(since.elapsed() < WATCHDOG, "the full disk was never noticed");
        std::thread::sleep(Duration::from_millis(1));
    }
    input.push(&[0.1; 2 * 64]);
    let gauge = recorder.gauge();
    assert!(gauge.failure().is_some_and(|words| words.contains("full.wav") && words.contains("disk full")));
    let recording = recorder.finish().unwrap();
    assert_eq!(recording.frames, 0);
    assert_eq!(recording.unwritten_frames + recording.dropped_frames, pushed_frames + 64);
    let error = recording.failure.expect("the failure is reported");
    assert!(error.to_string().contains("full.wav") && error.to_string().contains("disk full"), "{error}");
}

#[test]
fn the_file_of_an_engine_that_never_finishes_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.wav");
    let (mut input, recorder) = Recorder::start(&path, 8_000, 2).unwrap();
    let samples = sine(8_000 + 100);
    for block in samples.chunks(2 * 100) {
        input.push(block);
    }
    let since = Instant::now();
    let as_left_by_a_killed_engine = loop {
        let found: Option<Vec<f32>> = hound::WavReader::open(&path)
            .ok()
            .and_then(|file| file.into_samples::<f32>().collect::<Result<_, _>>().ok());
        match found {
            Some(found) if !found.is_empty() => break found,
            _ => assert!(since.elapsed() < WATCHDOG, "the header was never written"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(samples.starts_with(&as_left_by_a_killed_engine));
    drop(recorder);
    assert_eq!(read(&path), samples, "dropping a recorder finishes it");
}

#[test]
fn pushing_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut input, recorder) = Recorder::start(&folder.path().join("rt.wav"), 48_000, 2).unwrap();
    let block = [0.5; 2 * 128];
    for _ in 0..2000 {
        assert_no_alloc::assert_no_alloc(|| input.push(&block));
    }
    let recording = recorder.finish().unwrap();
    assert_eq!(recording.frames + recording.dropped_frames, 2000 * 128);
}
