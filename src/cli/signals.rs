//! The signals that end an engine: Ctrl-C, TERM, and HUP unless that is ignored, as under `nohup`.

use super::exit::Exit;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Signals that ask an engine to end, and its keeper to pass them on.
pub fn ending() -> Vec<i32> {
    [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP)).collect()
}

/// Whether whoever started us has had `signal` ignored (proc_pid_status(5), SigIgn).
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Whether the engine was asked to end, and by which signal.
pub struct Stop {
    is_asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Takes the signals from now on.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Self { is_asked: Arc::default(), signal: Arc::default() };
        for signal in ending() {
            // A second signal while we are fading ends the program at once.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.is_asked.clone())?;
            signal_hook::flag::register_usize(signal, stop.signal.clone(), signal as usize)?;
            signal_hook::flag::register(signal, stop.is_asked.clone())?;
        }
        // A file that may grow no further is an error of that file, not the end of the set.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        Ok(stop)
    }

    /// True once a signal has come.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(SeqCst)
    }

    /// How the engine ends.
    pub fn exit(&self) -> Exit {
        match self.signal.load(SeqCst) as i32 {
            SIGHUP => Exit::HungUp,
            SIGINT => Exit::Interrupted,
            SIGTERM => Exit::Terminated,
            _ => Exit::Success,
        }
    }
}
