//! What another language calls. No panic leaves these functions, and none of them keeps a pointer into the rack but
//! `user` and the functions.

use super::reading::{self, Offer};
use super::refusal::RackError;
use super::types::{BACKLINE_ABI_VERSION, BacklineJob, BacklineRack};
use super::voice;
use crate::attach::AttachError;
use crate::foreign::Foreign;
use crate::host;
use backline_abi::panel::Line;
use backline_abi::rights;
use std::error::Error;
use std::ffi::{CStr, c_char};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The worker has left because the engine closed, or everything is described.
const DONE: i32 = 0;
/// Wrong command line (sysexits' EX_USAGE).
const USAGE: i32 = 64;
/// A panic, which is a defect of this library (EX_SOFTWARE).
const DEFECT: i32 = 70;
/// The descriptor would not take the description (EX_IOERR).
const UNWRITTEN: i32 = 74;
/// The rack, or the engine's segment, is of another build (EX_CONFIG).
const REFUSED: i32 = 78;
/// Words of a command line at most; the rest is not read.
const MAX_WORDS: i32 = 16;

/// A worker's whole life. `argv` is the command line without the program's name: `--describe`, which writes what
/// `backline_describe` writes to standard output, or NAME SLOT CORE ENGINE_PID, as the engine starts workers.
///
/// Returns the exit code of the process: 0 when the engine has closed or all is described, 64 for another command line,
/// 70 for a defect of this library, 74 when standard output is closed, 78 when the rack or the engine is refused; the
/// reason is on standard error.
///
/// # Safety
///
/// `argv` has `argc` texts. The rack is as its version, sizes and counts say, and its functions and `user` are good until
/// the process ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn backline_worker_run(
    argc: i32,
    argv: *const *const c_char,
    rack: *const BacklineRack,
) -> i32 {
    let life = || {
        // SAFETY: `argc` texts, as our caller promises.
        let words = unsafe { words(argc, argv) };
        // SAFETY: the rack is as our caller promises.
        let offer = unsafe { reading::read(rack) };
        offer.map_or_else(|refusal| refuse(&refusal), |offer| live(&words, offer))
    };
    contained(life)
}

/// Writes what the module types of `rack` are to the descriptor `fd`: a line of JSON for each. Nothing is closed.
///
/// Returns 0, 74 when `fd` does not take it, or 78 when the rack is refused; the reason is on standard error.
///
/// # Safety
///
/// The rack is as its version, sizes and counts say. `fd` is nobody else's while this writes there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn backline_describe(rack: *const BacklineRack, fd: i32) -> i32 {
    contained(|| {
        // SAFETY: the rack is as our caller promises.
        let offer = unsafe { reading::read(rack) };
        offer.map_or_else(|refusal| refuse(&refusal), |offer| describe(&offer, fd))
    })
}

/// Says why the render of `job`, which this is called from, will return something else than 0. Of more than 1008 bytes the
/// end is kept. Also `init` and `warm` may call it, with NULL for the job. Real-time safe.
///
/// # Safety
///
/// `text` is a text or NULL, which says nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn backline_complain(job: *const BacklineJob, text: *const c_char) {
    // Which job is known by the thread; the pointer says so to whoever reads the call.
    let _ = job;
    if text.is_null() {
        return;
    }
    // SAFETY: a text, as our caller promises; it is copied before we return.
    let text = unsafe { CStr::from_ptr(text) };
    voice::say(text.to_bytes());
}

/// Version of this library: the BACKLINE_ABI_VERSION that it was built with.
#[unsafe(no_mangle)]
pub extern "C" fn backline_abi_version() -> u32 {
    BACKLINE_ABI_VERSION
}

/// # Safety
///
/// `argv` is null or has `argc` texts, or nulls.
unsafe fn words(argc: i32, argv: *const *const c_char) -> Vec<String> {
    let count = if argv.is_null() { 0 } else { argc.clamp(0, MAX_WORDS) as usize };
    let word = |index| {
        // SAFETY: there are so many.
        let word = unsafe { argv.add(index) };
        // SAFETY: `argv` is readable there, as our caller promises.
        let word = unsafe { word.read() };
        if word.is_null() {
            return String::new();
        }
        // SAFETY: a text, as our caller promises; it is copied before anybody else can run.
        unsafe { CStr::from_ptr(word) }.to_string_lossy().into_owned()
    };
    (0..count).map(word).collect()
}

fn live(words: &[String], offer: Offer) -> i32 {
    if words.first().is_some_and(|word| word == "--describe") {
        return describe(&offer, 1);
    }
    let name = offer.process.clone();
    if let Some(name) = &name {
        rights::name_thread(name);
    }
    let name = name.as_deref().unwrap_or("worker");
    match host::run(words.iter().cloned(), Foreign::new(offer)) {
        Ok(()) => DONE,
        Err(AttachError::Usage) => {
            say(&format!("{name}: usage: --describe, or {}", AttachError::USAGE));
            USAGE
        }
        Err(refusal) => {
            let cause = refusal.source().map_or_else(String::new, |cause| format!(": {cause}"));
            say(&format!("{name}: {refusal}{cause}"));
            REFUSED
        }
    }
}

fn refuse(refusal: &RackError) -> i32 {
    say(&format!("the worker is refused: {refusal}"));
    REFUSED
}

fn describe(offer: &Offer, fd: i32) -> i32 {
    if offer.panels.is_empty() {
        say("the rack has no module types; set types and type_count");
    }
    match write_lines(offer, fd) {
        Ok(()) => DONE,
        Err(cause) => {
            say(&format!("the module types cannot be written to descriptor {fd}: {cause}"));
            UNWRITTEN
        }
    }
}

fn write_lines(offer: &Offer, fd: i32) -> io::Result<()> {
    let mut lines = Vec::new();
    for panel in &offer.panels {
        serde_json::to_writer(&mut lines, &Line::Type(panel.clone()))?;
        lines.push(b'\n');
    }
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: not -1; if it is not open, the copy is refused.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    File::from(fd.try_clone_to_owned()?).write_all(&lines)
}

/// Runs `life`; a panic ends here, because it must not go on in code of another language.
fn contained(life: impl FnOnce() -> i32) -> i32 {
    catch_unwind(AssertUnwindSafe(life)).unwrap_or_else(|_| {
        say("a defect of libbackline_sdk; the panic above says where");
        DEFECT
    })
}

/// To standard error, whether or not there is one.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_here() {
        assert_eq!(contained(|| panic!("as told")), DEFECT);
        assert_eq!(contained(|| DONE), DONE);
    }
}
