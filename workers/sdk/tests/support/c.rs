//! Workers in C, compiled against the library that was built with this test program.

use super::Stage;
use super::worker::{Worker, said};
use backline_abi::panel::{Line, Panel};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a program has the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// `libbackline_sdk.so`.
    Shared,
    /// `libbackline_sdk.a`.
    Static,
}

/// Where the library is: beside this program.
pub fn library_folder() -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let folder = own.parent().expect("it is in a folder").to_owned();
    assert!(folder.join("libbackline_sdk.so").is_file(), "the library is built with its tests");
    folder
}

/// A file of the SDK.
pub fn inside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder for what `test` makes, empty.
pub fn folder_for(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    // It is there if a process of this number has been here before.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// A program of one of the sources in `tests/c_worker`.
pub struct Program {
    folder: PathBuf,
    path: PathBuf,
}

impl Program {
    /// Compiles `source` with each of `defined`, for `test`.
    pub fn of(test: &str, source: &str, linked: Linked, defined: &[&str]) -> Self {
        let (folder, library) = (folder_for(test), library_folder());
        let path = folder.join(source.trim_end_matches(".c"));
        let mut gcc = Command::new("gcc");
        gcc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror"]);
        gcc.args(defined.iter().map(|text| format!("-D{text}")));
        gcc.arg("-I").arg(inside("include")).arg(inside("tests/c_worker").join(source)).arg("-o").arg(&path);
        match linked {
            Linked::Shared => {
                let search = format!("-Wl,-rpath,{}", library.display());
                gcc.arg("-L").arg(&library).arg("-lbackline_sdk").arg(search)
            }
            Linked::Static => gcc.arg(library.join("libbackline_sdk.a")),
        };
        let output = gcc.arg("-lm").output().expect("gcc is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { folder, path }
    }

    /// The ring modulator.
    pub fn ring(test: &str, linked: Linked) -> Self {
        Self::of(test, "ring.c", linked, &[])
    }

    /// A worker that does not do as it is told.
    pub fn contrary(test: &str, defined: &[&str]) -> Self {
        Self::of(test, "contrary.c", Linked::Shared, defined)
    }

    /// Started with `words`.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        // Cargo looks for libraries where it puts finished ones; those are of an earlier build.
        command.args(words).env_remove("LD_LIBRARY_PATH");
        command
    }

    /// What it writes when it is asked to describe itself.
    pub fn describe(&self) -> String {
        let output = self.command(&["--describe"]).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("lines of JSON are text")
    }

    /// Runs it with `words` to its end: its exit code and what it said.
    pub fn said(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(words);
        command.stdout(Stdio::null());
        said(command)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What is left is in the build folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The types in a description.
pub fn panels(described: &str) -> Vec<Panel> {
    let line = |line: &str| match serde_json::from_str(line).expect("a line is what the engine reads") {
        Line::Type(panel) => panel,
        other => panic!("not a type: {other:?}"),
    };
    described.lines().map(line).collect()
}

/// The command line of `program` as the worker in `slot`.
pub fn command(on: &Stage, program: &Program, slot: usize) -> Command {
    let core = slot % std::thread::available_parallelism().map_or(1, usize::from);
    let numbers = [slot.to_string(), core.to_string(), std::process::id().to_string()];
    program.command(&[on.name(), &numbers[0], &numbers[1], &numbers[2]])
}

impl Stage {
    /// A worker of `program` in `slot`, ready, with the types that it has.
    pub fn c_worker(&self, program: &Program, slot: usize) -> Worker {
        self.mean_panels_in(slot, &panels(&program.describe()));
        let mut worker = Worker::started(self, slot, command(self, program, slot));
        worker.await_ready(self, slot);
        worker
    }
}
