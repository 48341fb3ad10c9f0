//! What the machine was: without it a figure means nothing.

use serde_json::{Value, json};

/// CPU, kernel, governor, virtualisation and load of this machine.
pub fn describe() -> Value {
    let cpuinfo = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let is_virtual = field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    json!({
        "cpu": field("model name").or_else(|| field("Hardware")).unwrap_or_else(|| "unknown".to_owned()),
        "cores": core_affinity::get_core_ids().map_or(0, |cores| cores.len()),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "governor": if governor.is_empty() { "none".to_owned() } else { governor.trim().to_owned() },
        "virtual": is_virtual,
        "load": read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        "version": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    })
}

/// Processes started on this machine since boot.
pub fn processes_started() -> u64 {
    let stat = read("/proc/stat");
    let line = stat.lines().find_map(|line| line.strip_prefix("processes "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Page faults of process `pid` so far, minor and major (proc_pid_stat(5), fields 10 and 12).
pub fn page_faults(pid: u64) -> u64 {
    let stat = read(&format!("/proc/{pid}/stat"));
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    field(7) + field(9)
}

/// Memory of a process (proc_pid_smaps(5)).
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// With its share of what it has together with others.
    pub pss_kib: u64,
    /// Its own, which leaves out shared segments and shared libraries.
    pub private_kib: u64,
}

/// Memory of process `pid`; zeros if there is none.
pub fn memory(pid: u64) -> Memory {
    let rollup = read(&format!("/proc/{pid}/smaps_rollup"));
    let sum = |name: &str| -> u64 {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    Memory { pss_kib: sum("Pss:"), private_kib: sum("Private_Clean:") + sum("Private_Dirty:") }
}

/// What process `pid` has of memory beside shared segments, KiB: its share of what it has together with others included.
pub fn pss_beside_segments_kib(pid: u64) -> u64 {
    let mut is_segment = false;
    let mut sum_kib = 0;
    for line in read(&format!("/proc/{pid}/smaps")).lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if let Some(kib) = line.strip_prefix("Pss:").filter(|_| !is_segment) {
            sum_kib += kib.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
        } else if !first.ends_with(':') {
            // The head of a mapping: addresses, rights, offset, device, inode, file.
            is_segment = line.contains("/dev/shm/");
        }
    }
    sum_kib
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
