//! This test program as a worker that meets what is written for it into spare words of a module's record. The stock
//! worker does not look there.

use super::fate::{End, Fate, Point};
use super::frail::Frail;
use backline_abi::plan::ModuleRecord;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Tells this program, started again, that it is a worker, and with which arguments.
const CALL: &str = "BACKLINE_TEST_FRAIL";
/// The command that starts this program again as a worker, through `test`, which must begin with
/// [`play_if_called`].
pub fn command(test: &str, name: &str, slot: usize, engine: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    let core = slot % std::thread::available_parallelism().map_or(1, usize::from);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(CALL, format!("{name} {slot} {core} {engine}")).env_remove("RUST_BACKTRACE");
    // A fate that is a panic says so.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Lives a worker's life if this process was started for that; true when it is over.
pub fn play_if_called() -> bool {
    let Ok(call) = std::env::var(CALL) else { return false };
    let words: Vec<String> = call.split(' ').map(str::to_owned).collect();
    let met = AtomicU32::new(0);
    let frail = Frail::new(&words, move |record, is_at| {
        let fate = Fate::of(record).filter(|fate| is_at(fate.point) && fate.number > met.load(Relaxed))?;
        met.store(fate.number, Relaxed);
        Some(fate)
    });
    backline_sdk::run(words.into_iter(), frail).expect("the stage is as it should be");
    true
}

impl Fate {
    /// The record of a module at which this fate waits.
    pub fn inscribed(self, record: &ModuleRecord) -> ModuleRecord {
        let mut inscribed = *record;
        inscribed.reserved[..4].copy_from_slice(&[self.number, self.point as u32, self.end as u32, self.at]);
        inscribed
    }

    /// What waits at the module of `record`.
    pub fn of(record: &ModuleRecord) -> Option<Self> {
        let [number, point, end, at, ..] = record.reserved;
        let (point, end) = (*Point::ALL.get(point as usize)?, *End::ALL.get(end as usize)?);
        (number != 0).then_some(Self { number, point, end, at })
    }
}
