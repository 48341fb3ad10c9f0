//! Step 7 of 7, to a file while playing: what the audio thread outputs, on disk.
//!
//! In:  [`RecorderInput::push`] on the audio thread, which never waits.
//! Out: WAV files ([`super::wav`]) written by a thread of normal priority, and a [`Recording`] that accounts
//!      for every frame.
//! Thread: `RecorderInput` is real-time safe; [`Recorder`] belongs to control.
//! Refused: what does not fit into the ring, because the disk stalled for seconds; it is dropped and counted. On
//! a full disk the recording ends where the disk ended, one error is logged, and the sound goes on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

pub use super::wav::{RecordError, SampleHash, WavFiles, WavShape, Written, write_wav};

/// Sound the ring holds while the disk is busy with something else.
const RING_SECONDS: usize = 2;
/// How often the writer looks into the ring: rare enough to cost nothing, often enough to keep it almost empty.
const POLL: Duration = Duration::from_millis(20);

/// What recorder input and writer both see.
#[derive(Debug, Default)]
struct Shared {
    is_closed: AtomicBool,
    is_pushing: AtomicBool,
    accepted_frames: AtomicU64,
    dropped_frames: AtomicU64,
    unwritten_frames: AtomicU64,
    /// Why the recording ended early, in words.
    failure: OnceLock<String>,
}

/// The audio thread's end of a recorder.
///
/// Drop it on a control thread: the ring may be freed with it.
pub struct RecorderInput {
    ring: rtrb::Producer<f32>,
    shared: Arc<Shared>,
    channels: usize,
}

impl RecorderInput {
    /// Hands interleaved frames to the writer, all of them or none. Real-time safe: wait-free, no syscall.
    pub fn push(&mut self, samples: &[f32]) {
        debug_assert!(samples.len().is_multiple_of(self.channels), "whole frames");
        // SeqCst, with the writer's load in `wait_for_last_push`: either we see that the recorder is closed, or
        // the writer sees that we are pushing and waits.
        self.shared.is_pushing.store(true, Ordering::SeqCst);
        let is_open = !self.shared.is_closed.load(Ordering::SeqCst);
        let is_accepted = is_open && self.ring.push_entire_slice(samples).is_ok();
        // Release: what we pushed is in the ring before the writer may go on (pairs with its load).
        self.shared.is_pushing.store(false, Ordering::Release);
        if !is_accepted {
            let frames = (samples.len() / self.channels) as u64;
            self.shared.dropped_frames.fetch_add(frames, Ordering::Relaxed);
        }
    }

    /// Frames that found the ring full or the recorder closed.
    pub fn dropped_frames(&self) -> u64 {
        self.shared.dropped_frames.load(Ordering::Relaxed)
    }
}

/// What became of a recording.
#[derive(Debug)]
pub struct Recording {
    /// The files, in order; one, unless it would pass 4 GiB.
    pub files: Vec<PathBuf>,
    /// Frames in those files.
    pub frames: u64,
    /// Frames that found the ring full, because the disk stalled.
    pub dropped_frames: u64,
    /// Frames that were accepted but not written, because the disk failed.
    pub unwritten_frames: u64,
    /// Checksum of all frames that were accepted, written or not.
    pub sha256: String,
    /// Why the files end early, if they do.
    pub failure: Option<RecordError>,
}

/// Control's end: a running recording. Dropping it finishes it, too, but tells nobody how it went.
pub struct Recorder {
    path: PathBuf,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<Recording>>,
}

impl Recorder {
    /// Creates the file and starts the writer.
    pub fn start(path: &Path, rate_hz: u32, channels: u16) -> Result<(RecorderInput, Recorder), RecordError> {
        Self::start_shaped(path, WavShape::new(rate_hz, channels))
    }

    /// Like [`Recorder::start`], with a say in how long one file may become.
    pub fn start_shaped(path: &Path, shape: WavShape) -> Result<(RecorderInput, Recorder), RecordError> {
        let files = WavFiles::create(path, shape)?;
        let channels = usize::from(shape.channels);
        let (ring, pushed) = rtrb::RingBuffer::new(shape.rate_hz as usize * RING_SECONDS * channels);
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(pushed, shared.clone(), files, shape);
        let writer = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || writer.run())
            .map_err(RecordError::Thread)?;
        let input = RecorderInput { ring, shared: shared.clone(), channels };
        Ok((input, Recorder { path: path.to_owned(), shared, writer: Some(writer) }))
    }

    /// The file, or the first of them.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Frames the disk did not take so far; above 0 the recording has ended early.
    pub fn unwritten_frames(&self) -> u64 {
        self.shared.unwritten_frames.load(Ordering::Relaxed)
    }

    /// How it goes, to be asked at any time and from any thread.
    pub fn gauge(&self) -> RecordingGauge {
        RecordingGauge { path: self.path.clone(), shared: self.shared.clone() }
    }

    /// Ends the recording: everything accepted is written, and the files are complete.
    ///
    /// The input may still be in use; what it pushes from now on counts as dropped.
    pub fn finish(mut self) -> Result<Recording, RecordError> {
        self.close().ok_or_else(|| RecordError::WriterDied { path: self.path.clone() })
    }

    fn close(&mut self) -> Option<Recording> {
        let writer = self.writer.take()?;
        self.shared.is_closed.store(true, Ordering::SeqCst);
        writer.thread().unpark();
        writer.join().ok()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}

/// How a recording goes. Outlives it.
#[derive(Debug, Clone)]
pub struct RecordingGauge {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl RecordingGauge {
    /// The file, or the first of them.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Frames taken out of the ring so far.
    pub fn accepted_frames(&self) -> u64 {
        self.shared.accepted_frames.load(Ordering::Relaxed)
    }

    /// Frames that found the ring full so far.
    pub fn dropped_frames(&self) -> u64 {
        self.shared.dropped_frames.load(Ordering::Relaxed)
    }

    /// Frames that the disk did not take so far.
    pub fn unwritten_frames(&self) -> u64 {
        self.shared.unwritten_frames.load(Ordering::Relaxed)
    }

    /// Why it ended early, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.shared.failure.get().map(String::as_str)
    }
}

/// The thread between ring and disk.
struct Writer {
    pushed: rtrb::Consumer<f32>,
    shared: Arc<Shared>,
    files: WavFiles,
    shape: WavShape,
    hash: SampleHash,
    accepted_frames: u64,
    failure: Option<RecordError>,
    reported_drops: u64,
}

impl Writer {
    fn new(pushed: rtrb::Consumer<f32>, shared: Arc<Shared>, files: WavFiles, shape: WavShape) -> Self {
        let hash = SampleHash::new();
        Self { pushed, shared, files, shape, hash, accepted_frames: 0, failure: None, reported_drops: 0 }
    }

    fn run(mut self) -> Recording {
        while !self.shared.is_closed.load(Ordering::SeqCst) {
            self.drain();
            self.report_drops();
            std::thread::park_timeout(POLL);
        }
        self.wait_for_last_push();
        self.drain();
        self.attempt(WavFiles::flush);
        self.report_drops();
        Recording {
            files: self.files.paths().to_vec(),
            frames: self.files.flushed_frames(),
            dropped_frames: self.shared.dropped_frames.load(Ordering::Relaxed),
            unwritten_frames: self.accepted_frames - self.files.flushed_frames(),
            sha256: self.hash.finish(),
            failure: self.failure,
        }
    }

    /// A push that began before the recorder was closed is a few microseconds long; see `RecorderInput::push`.
    fn wait_for_last_push(&self) {
        while self.shared.is_pushing.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }

    /// Moves everything in the ring to the files. Pushes are whole frames, and so is what is found here.
    fn drain(&mut self) {
        let Ok(chunk) = self.pushed.read_chunk(self.pushed.slots()) else {
            return;
        };
        let (first, second) = chunk.as_slices();
        for samples in [first, second] {
            self.hash.update(samples);
            self.accepted_frames += (samples.len() / usize::from(self.shape.channels)) as u64;
            if self.failure.is_none() {
                self.failure = self.files.write(samples).err();
                report_failure(&self.shared, self.failure.as_ref());
            }
        }
        chunk.commit_all();
        self.shared.accepted_frames.store(self.accepted_frames, Ordering::Relaxed);
        if self.files.frames() - self.files.flushed_frames() >= u64::from(self.shape.rate_hz) {
            self.attempt(WavFiles::flush);
        }
        if self.failure.is_some() {
            let unwritten_frames = self.accepted_frames - self.files.flushed_frames();
            self.shared.unwritten_frames.store(unwritten_frames, Ordering::Relaxed);
        }
    }

    fn attempt(&mut self, action: impl FnOnce(&mut WavFiles) -> Result<(), RecordError>) {
        if self.failure.is_none() {
            self.failure = action(&mut self.files).err();
            report_failure(&self.shared, self.failure.as_ref());
        }
    }

    fn report_drops(&mut self) {
        let dropped_frames = self.shared.dropped_frames.load(Ordering::Relaxed);
        let is_open = !self.shared.is_closed.load(Ordering::Relaxed);
        if dropped_frames > self.reported_drops && is_open {
            tracing::warn!(dropped_frames, "the disk is too slow: the recording has gaps");
            self.reported_drops = dropped_frames;
        }
    }
}

fn report_failure(shared: &Shared, failure: Option<&RecordError>) {
    if let Some(error) = failure {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        // Only the first failure ends a recording.
        let _ = shared.failure.set(format!("{error} ({cause})"));
        tracing::error!(cause, "recording ends here, the sound goes on: {error}");
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
