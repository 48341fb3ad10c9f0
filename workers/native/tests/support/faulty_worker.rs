//! The stock worker with modules that break on demand: whatever module has one of these frequencies does what
//! stands beside it, in the middle of a block.

#[path = "../../src/rack.rs"]
mod rack;

use backline_abi::block::Event;
use backline_abi::plan::ModuleRecord;
use backline_sdk::rack::{Job, Outcome, Rack};
use std::process::ExitCode;

const FAULTS_HZ: f32 = 661.0;
const ABORTS_HZ: f32 = 662.0;
const EXITS_HZ: f32 = 663.0;
const HANGS_HZ: f32 = 664.0;
const PANICS_HZ: f32 = 665.0;
const OVERFLOWS_HZ: f32 = 666.0;

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

struct Faulty(rack::Native);

#[inline(never)]
fn fall(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 512]);
    if std::hint::black_box(depth) == u64::MAX { 0 } else { fall(depth + 1) + here[depth as usize % 512] }
}

fn break_down(frequency_hz: f32) {
    if frequency_hz == FAULTS_HZ {
        let nowhere = std::hint::black_box(std::ptr::null_mut::<u32>());
        // SAFETY: none, that is the point: the kernel raises SIGSEGV here, and this process is there to die of it.
        unsafe { nowhere.write_volatile(1) };
    } else if frequency_hz == ABORTS_HZ {
        std::process::abort();
    } else if frequency_hz == EXITS_HZ {
        std::process::exit(0);
    } else if frequency_hz == HANGS_HZ {
        loop {
            std::thread::yield_now();
        }
    } else if frequency_hz == PANICS_HZ {
        panic!("a module panics");
    } else if frequency_hz == OVERFLOWS_HZ {
        std::hint::black_box(fall(0));
    }
}

impl Rack for Faulty {
    fn types(&self) -> usize {
        self.0.types()
    }

    fn fingerprint(&self) -> u64 {
        self.0.fingerprint()
    }

    fn warm(&mut self, type_index: usize, rate_hz: f32, block_frames: usize) -> f32 {
        self.0.warm(type_index, rate_hz, block_frames)
    }

    fn fits(&self, record: &ModuleRecord, rate_hz: f32) -> bool {
        self.0.fits(record, rate_hz)
    }

    fn init(&mut self, record: &ModuleRecord, rate_hz: f32, state: &mut [u32]) {
        self.0.init(record, rate_hz, state);
    }

    fn render(&mut self, job: Job<'_>) -> Outcome {
        break_down(job.record.params[0]);
        job.events.iter().filter(|event| event.kind == 0).for_each(|event| break_down(event.value));
        self.0.render(job)
    }

    fn hear(&mut self, record: &ModuleRecord, events: &[Event], state: &mut [u32]) {
        self.0.hear(record, events, state);
    }
}

fn main() -> ExitCode {
    match backline_sdk::run(std::env::args().skip(1), Faulty(rack::Native)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("faulty-worker: {refusal}");
            ExitCode::FAILURE
        }
    }
}
