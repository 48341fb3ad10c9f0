//! The stock worker: the module catalogue joined to the worker loop. Started by the engine, never by hand.

mod rack;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

/// Exit code of a worker that could not join (sysexits' EX_CONFIG).
const REFUSED: u8 = 78;

fn main() -> ExitCode {
    match backline_sdk::run(std::env::args().skip(1), rack::Native) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            let cause =
                std::error::Error::source(&refusal).map_or_else(String::new, |cause| format!(": {cause}"));
            eprintln!("backline-worker: {refusal}{cause}");
            ExitCode::from(REFUSED)
        }
    }
}
