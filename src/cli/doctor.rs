//! `backline doctor`: what this machine lacks for a set, each with the line that mends it.
//!
//! Everything is asked here and judged in `checks`, which is pure. Nothing on the machine is changed.

use std::fs;
use std::io::Write;

use super::args::DoctorArgs;
use super::exit::Exit;
use crate::config::{Settings, usable_cores};
use crate::output::device;
use crate::rt::{AUDIO_PRIORITY, probe};

mod checks;

use checks::{Finding, Verdict};

/// Prints every check. A failure when something is sure to be heard in a set.
pub fn run(args: &DoctorArgs) -> anyhow::Result<Exit> {
    let findings = examine();
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        if args.json {
            writeln!(out, "{}", finding.to_json())?;
        } else {
            writeln!(out, "{finding}")?;
        }
    }
    let is_unfit = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if is_unfit { Exit::Failure } else { Exit::Success })
}

fn examine() -> Vec<Finding> {
    let settings = Settings::default();
    let needed_bytes = checks::shared_bytes(settings.workers, settings.arena_mib);
    let limits = probe::limits();
    let devices = device::list();
    let sounding =
        |host| devices.iter().filter(|device| device.host == host).map(|device| device.id.clone()).collect();
    vec![
        checks::priority(probe::try_fifo(AUDIO_PRIORITY), AUDIO_PRIORITY, limits.rt_priority),
        checks::throttle(number_in("/proc/sys/kernel/sched_rt_runtime_us")),
        checks::spinning(limits.rt_time_us),
        checks::locking(limits.locked_bytes, needed_bytes, &text_of("/proc/self/status")),
        checks::shared_memory(probe::free_bytes("/dev/shm").ok(), needed_bytes),
        checks::governor(&governors()),
        checks::cores(usable_cores()),
        checks::virtualised(&text_of("/proc/cpuinfo")),
        checks::sound_card(sounding("ALSA")),
        checks::jack(cfg!(feature = "jack"), sounding("JACK")),
    ]
}

/// The governor of each core that has one.
fn governors() -> Vec<String> {
    let Ok(cores) = fs::read_dir("/sys/devices/system/cpu") else {
        return Vec::new();
    };
    let governor = |core: fs::DirEntry| fs::read_to_string(core.path().join("cpufreq/scaling_governor")).ok();
    cores.flatten().filter_map(governor).map(|name| name.trim().to_owned()).collect()
}

/// Empty when it cannot be read; the checks then say so.
fn text_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number_in(path: &str) -> Option<i64> {
    text_of(path).trim().parse().ok()
}
