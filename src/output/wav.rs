//! Step 7 of 7, to a file: samples as 32-bit float WAV, with their checksum.
//!
//! In:  interleaved frames, in order.
//! Out: `name.wav`, and `name-2.wav`, ... where one file would pass the 4 GiB a WAV header can count.
//! Thread: control (offline rendering) or the recorder's writer; both may allocate, block and log.
//! A file is readable after every [`WavFiles::flush`], even if nobody lives to finish it.

use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Bytes one file holds at most: the header counts in 32 bits and takes a few bytes itself.
const MAX_FILE_BYTES: u64 = (1 << 32) - (1 << 16);
/// Large enough that a write to a slow disk is rare, small enough that a killed engine loses little.
const BUFFER_BYTES: usize = 1 << 16;
const BYTES_PER_SAMPLE: u64 = 4;
/// Further files are looked for under higher numbers up to this one.
const MAX_NUMBER: usize = 10_000;

/// Why a recording could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file could not be created.
    #[error("cannot create {}; name a folder that exists and may be written to", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: hound::Error,
    },
    /// There is one, and it may not be replaced.
    #[error("{} is there already and stays as it is; choose another name", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// The file took no more; usually the disk is full.
    #[error("cannot write to {}; is the disk full? Free some space or record elsewhere", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: hound::Error,
    },
    /// The writer thread could not be started.
    #[error("cannot start the thread that writes recordings; is the limit on processes reached (ulimit -u)?")]
    Thread(#[source] std::io::Error),
    /// The writer thread died.
    #[error("the thread that writes {} died; what it flushed is readable, and the log says why", path.display())]
    WriterDied {
        /// The first file.
        path: PathBuf,
    },
}

/// SHA-256 over samples as interleaved little-endian 32-bit floats: the bytes of a WAV file without its header.
#[derive(Debug, Clone, Default)]
pub struct SampleHash(Sha256);

impl SampleHash {
    /// The checksum of no samples yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds samples.
    pub fn update(&mut self, samples: &[f32]) {
        const SAMPLES: usize = 1024;
        let mut bytes = [0; SAMPLES * BYTES_PER_SAMPLE as usize];
        for part in samples.chunks(SAMPLES) {
            for (four, sample) in bytes.chunks_exact_mut(4).zip(part) {
                four.copy_from_slice(&sample.to_le_bytes());
            }
            self.0.update(&bytes[..size_of_val(part)]);
        }
    }

    /// The checksum as 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How a WAV file is made.
#[derive(Debug, Clone, Copy)]
pub struct WavShape {
    /// Sample rate.
    pub rate_hz: u32,
    /// Samples in a frame.
    pub channels: u16,
    /// A new file is begun after so many frames.
    pub max_frames_per_file: u64,
    /// Whether a file of that name is replaced; if not, it is an error, and further files take free numbers.
    pub replaces: bool,
}

impl WavShape {
    /// Files as long as the format allows.
    pub fn new(rate_hz: u32, channels: u16) -> Self {
        let max_frames_per_file = MAX_FILE_BYTES / (BYTES_PER_SAMPLE * u64::from(channels.max(1)));
        Self { rate_hz, channels, max_frames_per_file, replaces: true }
    }
}

/// One recording, in as many files as its length needs.
pub struct WavFiles {
    shape: WavShape,
    paths: Vec<PathBuf>,
    writer: hound::WavWriter<BufWriter<File>>,
    frames_in_file: u64,
    frames: u64,
    flushed_frames: u64,
}

impl WavFiles {
    /// Creates the first file.
    pub fn create(path: &Path, shape: WavShape) -> Result<Self, RecordError> {
        let writer = create_writer(path, shape)?;
        let paths = vec![path.to_owned()];
        Ok(Self { shape, paths, writer, frames_in_file: 0, frames: 0, flushed_frames: 0 })
    }

    /// Appends interleaved frames, going on in a further file where one is full.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), RecordError> {
        let channels = usize::from(self.shape.channels);
        let mut rest = samples;
        while !rest.is_empty() {
            let room_frames = self.shape.max_frames_per_file - self.frames_in_file;
            if room_frames == 0 {
                self.begin_next_file()?;
                continue;
            }
            let room = usize::try_from(room_frames).unwrap_or(usize::MAX).saturating_mul(channels);
            let (now, later) = rest.split_at(room.min(rest.len()));
            for &sample in now {
                self.writer.write_sample(sample).map_err(|cause| self.write_error(cause))?;
            }
            let frames = (now.len() / channels) as u64;
            self.frames_in_file += frames;
            self.frames += frames;
            rest = later;
        }
        Ok(())
    }

    /// Writes out what is buffered and makes the header say so, so that the file can be read as it stands.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        self.writer.flush().map_err(|cause| self.write_error(cause))?;
        self.flushed_frames = self.frames;
        Ok(())
    }

    /// Completes the last file.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, RecordError> {
        self.flush()?;
        Ok(self.paths)
    }

    /// Frames written so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames that are in readable files whatever happens next.
    pub fn flushed_frames(&self) -> u64 {
        self.flushed_frames
    }

    /// The files so far, in order.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    fn begin_next_file(&mut self) -> Result<(), RecordError> {
        self.flush()?;
        let mut number = self.paths.len() + 1;
        let mut path = numbered(&self.paths[0], number);
        while !self.shape.replaces && number < MAX_NUMBER && path.symlink_metadata().is_ok() {
            number += 1;
            path = numbered(&self.paths[0], number);
        }
        self.writer = create_writer(&path, self.shape)?;
        self.paths.push(path);
        self.frames_in_file = 0;
        Ok(())
    }

    fn write_error(&self, cause: hound::Error) -> RecordError {
        let path = self.paths.last().unwrap_or(&self.paths[0]).clone();
        RecordError::Write { path, cause }
    }
}

/// What [`write_wav`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The files, in order; one, unless it would pass 4 GiB.
    pub files: Vec<PathBuf>,
    /// Frames in all of them.
    pub frames: u64,
    /// See [`SampleHash`].
    pub sha256: String,
}

/// Writes a whole recording, chunk by chunk, and says what its samples were.
pub fn write_wav<C: AsRef<[f32]>>(
    path: &Path,
    shape: WavShape,
    chunks: impl IntoIterator<Item = C>,
) -> Result<Written, RecordError> {
    let mut files = WavFiles::create(path, shape)?;
    let mut hash = SampleHash::new();
    for chunk in chunks {
        hash.update(chunk.as_ref());
        files.write(chunk.as_ref())?;
    }
    let frames = files.frames();
    Ok(Written { files: files.finish()?, frames, sha256: hash.finish() })
}

fn create_writer(path: &Path, shape: WavShape) -> Result<hound::WavWriter<BufWriter<File>>, RecordError> {
    let spec = hound::WavSpec {
        channels: shape.channels,
        sample_rate: shape.rate_hz,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let create = || {
        // Exclusive creation follows no link either.
        let file = if shape.replaces { File::create(path)? } else { File::create_new(path)? };
        hound::WavWriter::new(BufWriter::with_capacity(BUFFER_BYTES, file), spec)
    };
    create().map_err(|cause| match cause {
        hound::Error::IoError(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            RecordError::Taken { path: path.to_owned() }
        }
        cause => RecordError::Create { path: path.to_owned(), cause },
    })
}

/// `take.wav`, 2 -> `take-2.wav`.
pub fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (n as f32 * 0.37).sin() * 1.5).collect()
    }

    fn read(path: &Path) -> Vec<f32> {
        hound::WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect()
    }

    #[test]
    fn a_file_holds_the_same_bits_that_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("take.wav");
        let mut samples = ramp(2000);
        samples.extend([f32::MIN_POSITIVE, -0.0, f32::from_bits(1), 3.0e38]);
        let written = write_wav(&path, WavShape::new(48_000, 2), samples.chunks(64)).unwrap();
        let bits = |samples: &[f32]| samples.iter().map(|sample| sample.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read(&path)), bits(&samples));
        assert_eq!(written.frames, 1002);
        assert_eq!(written.files, [path]);
    }

    #[test]
    fn the_checksum_is_that_of_the_bytes_after_the_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("take.wav");
        let samples = ramp(5000);
        let written = write_wav(&path, WavShape::new(48_000, 2), samples.chunks(1026)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let after_header = &bytes[bytes.len() - samples.len() * 4..];
        let mut expected = Sha256::new();
        expected.update(after_header);
        let expected: String = expected.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written.sha256, expected);
    }

    #[test]
    fn the_checksum_of_nothing_is_the_known_one() {
        let known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(SampleHash::new().finish(), known);
    }

    #[test]
    fn a_full_file_is_followed_by_a_numbered_one_and_no_frame_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.wav");
        let samples = ramp(2 * 250);
        let shape = WavShape { max_frames_per_file: 100, ..WavShape::new(48_000, 2) };
        let written = write_wav(&path, shape, samples.chunks(2 * 64)).unwrap();
        let names = ["set.wav", "set-2.wav", "set-3.wav"].map(|name| folder.path().join(name));
        assert_eq!(written.files, names);
        assert_eq!(names.iter().flat_map(|name| read(name)).collect::<Vec<_>>(), samples);
        assert_eq!(read(&names[2]).len(), 2 * 50);
    }

    #[test]
    fn a_recording_that_replaces_nothing_takes_the_next_free_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("set-2.wav"), "another take").unwrap();
        std::os::unix::fs::symlink("nowhere", path("link.wav")).unwrap();
        let shape = WavShape { max_frames_per_file: 100, replaces: false, ..WavShape::new(48_000, 2) };
        let written = write_wav(&path("set.wav"), shape, ramp(2 * 150).chunks(64)).unwrap();
        assert_eq!(written.files, [path("set.wav"), path("set-3.wav")]);
        assert_eq!(std::fs::read(path("set-2.wav")).unwrap(), b"another take");
        for taken in ["set.wav", "link.wav"] {
            let Err(error) = WavFiles::create(&path(taken), shape) else { panic!("{taken} was replaced") };
            assert!(error.to_string().contains(taken) && error.to_string().contains("already"), "{error}");
        }
        assert!(!path("nowhere").exists());
    }

    #[test]
    fn no_file_can_pass_what_its_header_can_count() {
        for channels in 1..=16 {
            let shape = WavShape::new(192_000, channels);
            let bytes = shape.max_frames_per_file * BYTES_PER_SAMPLE * u64::from(channels);
            assert!(bytes + 1024 < 1 << 32, "{channels} channels");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_in_the_error() {
        let nowhere = Path::new("/nonexistent-folder/take.wav");
        let Err(error) = WavFiles::create(nowhere, WavShape::new(48_000, 2)) else {
            panic!("a file was created in {}", nowhere.display());
        };
        assert!(error.to_string().contains("/nonexistent-folder/take.wav"), "{error}");
    }
}
