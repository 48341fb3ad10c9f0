//! What whole-engine tests share: real engines, real workers, real clients, and ears.
//!
//! Each engine has its own folder, its own free port and its own shared memory, so tests may run side by side.
//! Nothing here asserts a time: [`until`] waits for a condition, and its watchdog is for tests that hang.
// Each test program uses its own part of this.
#![allow(dead_code)]

pub mod fakes;
pub mod folder;
pub mod jack;
pub mod packets;
pub mod processes;
pub mod python;
pub mod render;
pub mod rig;
pub mod sound;
pub mod tools;

#[allow(unused_imports)]
pub use folder::Folder;
#[allow(unused_imports)]
pub use rig::Rig;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Generous: whoever waits this long has failed anyway.
pub const WATCHDOG: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `is_true`.
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let found = wait_for(|| is_true().then_some(()));
    assert!(found.is_some(), "waited in vain until {what}");
}

/// Waits until `look` finds something; `None` is the watchdog.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if since.elapsed() > WATCHDOG {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// Takes again and again until the machine let one through undisturbed. A take is `None` if a block was late
/// or skipped, which on a busy machine says nothing about the engine.
pub fn undisturbed<T>(mut take: impl FnMut() -> Option<T>) -> T {
    for attempt in 1..=20 {
        if let Some(good) = take() {
            return good;
        }
        println!("take {attempt} was disturbed by the machine; again");
    }
    panic!("this machine let no take through undisturbed");
}

/// The engine's program, with nobody's settings but ours.
pub fn backline() -> Command {
    on_its_own(Command::new(program()))
}

/// `command`, which will run the engine, with nobody's settings but ours.
pub fn on_its_own(mut command: Command) -> Command {
    for name in ["BACKLINE_WORKER", "BACKLINE_LOG", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(name, "/nonexistent");
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command.env("XDG_STATE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"));
    // Journals; an engine that a test starts has a folder of its own, unless the test wants two to share one.
    command.env("BACKLINE_STATE", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"));
    command
}

/// Where the engine's program is.
pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_backline")
}

/// A file of this repository.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs to the end.
pub fn output(mut command: Command) -> Output {
    command.output().unwrap_or_else(|cause| panic!("{command:?} does not start: {cause}"))
}

/// How `child` ended, once it has.
pub fn end_of(child: &mut Child) -> ExitStatus {
    let ended = wait_for(|| child.try_wait().expect("it is our child"));
    ended.unwrap_or_else(|| panic!("process {} does not end", child.id()))
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
