//! `backline render`, run to its end.

use super::sound::{Stereo, read};
use super::{backline, stderr, stdout};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A patch, a score, a length: what is to be rendered in several ways.
pub struct Piece {
    patch: PathBuf,
    score: PathBuf,
    seconds: f64,
    folder: TempDir,
}

/// How to render it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Worker processes; 0 is `--in-process`.
    pub workers: usize,
    /// Frames of a block.
    pub block: usize,
}

/// What came of it.
pub struct Rendered {
    /// SHA-256 of the samples.
    pub sha256: String,
    /// The whole line of JSON.
    pub told: Value,
    /// Where the file is.
    pub wav: PathBuf,
}

impl Piece {
    /// A patch and a score that lie in files.
    pub fn of_files(patch: &Path, score: &Path, seconds: f64) -> Self {
        let folder = tempfile::tempdir().expect("a folder of our own");
        Self { patch: patch.to_owned(), score: score.to_owned(), seconds, folder }
    }

    /// A patch and a score as text.
    pub fn of_text(patch: &str, score: &str, seconds: f64) -> Self {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let (patch_file, score_file) = (folder.path().join("piece.toml"), folder.path().join("piece.score"));
        std::fs::write(&patch_file, patch).expect("our folder is writable");
        std::fs::write(&score_file, score).expect("our folder is writable");
        Self { patch: patch_file, score: score_file, seconds, folder }
    }

    /// The command that renders it in `way`, and the file that this will make.
    pub fn command(&self, way: Way) -> (Command, PathBuf) {
        let wav = self.folder.path().join(format!("{}-{}.wav", way.workers, way.block));
        let mut command = backline();
        command.arg("render").arg(&self.patch).arg("--score").arg(&self.score).arg("--out").arg(&wav);
        command.args(["--json", "--seconds", &self.seconds.to_string(), "--block", &way.block.to_string()]);
        match way.workers {
            0 => command.arg("--in-process"),
            workers => command.args(["--workers", &workers.to_string()]),
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        (command, wav)
    }

    /// Renders it.
    pub fn render(&self, way: Way) -> Rendered {
        let (mut command, wav) = self.command(way);
        let child = command.spawn().expect("backline starts");
        self.finish(child, wav)
    }

    /// Waits for a render that was begun with [`Piece::command`].
    pub fn finish(&self, child: Child, wav: PathBuf) -> Rendered {
        let output = child.wait_with_output().expect("it is our child");
        let last = stdout(&output).lines().last().unwrap_or_default().to_owned();
        assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
        let told: Value = serde_json::from_str(&last).unwrap_or_else(|fault| panic!("{last:?}: {fault}"));
        let sha256 = told["sha256"].as_str().expect("a render tells its checksum").to_owned();
        Rendered { sha256, told, wav }
    }

    /// Renders it in every way and asserts that all sound the same, and like something.
    pub fn assert_same_bits(&self, ways: &[Way]) {
        let reference = self.render(ways[0]);
        let heard = reference.stereo();
        assert!(super::sound::peak(&heard.left) > 0.01, "the piece is silent");
        for way in &ways[1..] {
            let other = self.render(*way);
            if other.sha256 != reference.sha256 {
                let other = other.stereo();
                let left = super::sound::first_difference(&heard.left, &other.left);
                let right = super::sound::first_difference(&heard.right, &other.right);
                panic!("{way:?} differs from {:?}: left from frame {left:?}, right from {right:?}", ways[0]);
            }
        }
    }
}

impl Rendered {
    /// Its samples.
    pub fn stereo(&self) -> Stereo {
        read(&self.wav)
    }
}
