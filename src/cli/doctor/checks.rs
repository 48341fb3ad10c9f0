//! What was found -> is it good enough, and if not, which line mends it. Pure.

use std::io;

const SETUP: &str = "sudo scripts/setup-realtime  (then log out and in again)";
const MIB: u64 = 1 << 20;
/// Control segment, rings and the like, beside the arenas.
const SHARED_EXTRA_BYTES: u64 = 16 * MIB;
/// Bit of CAP_IPC_LOCK in `CapEff`: memory may be locked whatever the limit.
const CAP_IPC_LOCK: u64 = 1 << 14;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Fit for a set.
    Ok,
    /// Works, with a cost that may be heard.
    Warn,
    /// Will be heard.
    Fail,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    pub(super) found: String,
    pub(super) remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), remedy: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let Self { check, verdict, found, remedy } = self;
        serde_json::json!({"check": check, "verdict": verdict.word(), "found": found, "remedy": remedy})
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<5} {:<14} {}", self.verdict.word(), self.check, self.found)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n      {:<14} mend: {remedy}", ""),
            None => Ok(()),
        }
    }
}

pub(super) fn priority(trial: io::Result<()>, priority: u32, limit: Option<u64>) -> Finding {
    let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    match trial {
        Ok(()) => Finding::ok("priority", format!("FIFO {priority} is granted (rtprio limit {limit})")),
        Err(cause) => Finding::fail(
            "priority",
            format!("FIFO {priority} is refused: {cause} (rtprio limit {limit})"),
            SETUP,
        ),
    }
}

/// `kernel.sched_rt_runtime_us`, of a period of 1,000,000.
pub(super) fn throttle(runtime_us: Option<i64>) -> Finding {
    let mend = "sudo sysctl -w kernel.sched_rt_runtime_us=950000";
    match runtime_us {
        None => {
            Finding::ok("throttle", "this kernel does not say how much time it leaves to real-time threads")
        }
        Some(0) => Finding::fail("throttle", "the kernel gives real-time threads no time at all", mend),
        Some(-1) => Finding::ok("throttle", "real-time threads are not throttled"),
        Some(runtime_us) if runtime_us < 900_000 => {
            Finding::warn("throttle", format!("real-time threads get {runtime_us} us of every second"), mend)
        }
        Some(runtime_us) => {
            Finding::ok("throttle", format!("real-time threads get {runtime_us} us of every second"))
        }
    }
}

/// RLIMIT_RTTIME.
pub(super) fn spinning(limit_us: Option<u64>) -> Finding {
    match limit_us {
        None => Finding::ok("rttime", "no limit on real-time CPU between blocking calls"),
        Some(limit) => Finding::warn(
            "rttime",
            format!("the kernel kills a real-time thread that computes {limit} us without a blocking call"),
            "ulimit -R unlimited  (rtkit sets this limit; start backline outside of it)",
        ),
    }
}

pub(super) fn locking(limit: Option<u64>, needed: u64, own_status: &str) -> Finding {
    let needed_mib = needed.div_ceil(MIB);
    match limit {
        None => Finding::ok("memlock", "memory may be locked without limit"),
        Some(_) if may_lock_anything(own_status) => {
            Finding::ok("memlock", "memory may be locked without limit (CAP_IPC_LOCK)")
        }
        Some(limit) if limit >= needed => {
            Finding::ok("memlock", format!("{} MiB may be locked, {needed_mib} are needed", limit / MIB))
        }
        Some(limit) => Finding::fail(
            "memlock",
            format!("{} MiB may be locked, {needed_mib} are needed; the rest may be paged out", limit / MIB),
            SETUP,
        ),
    }
}

fn may_lock_anything(own_status: &str) -> bool {
    let effective = own_status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits & CAP_IPC_LOCK != 0)
}

/// Shared memory of an engine with this many workers.
pub(super) fn shared_bytes(workers: usize, arena_mib: u32) -> u64 {
    workers as u64 * u64::from(arena_mib) * MIB + SHARED_EXTRA_BYTES
}

pub(super) fn shared_memory(free: Option<u64>, needed: u64) -> Finding {
    let needed_mib = needed.div_ceil(MIB);
    let mend = format!("sudo mount -o remount,size={}M /dev/shm", (2 * needed_mib).next_power_of_two());
    match free {
        None => Finding::fail("shm", "there is no /dev/shm", "sudo mount -t tmpfs tmpfs /dev/shm"),
        Some(free) if free >= needed => {
            Finding::ok("shm", format!("{} MiB free in /dev/shm, {needed_mib} are needed", free / MIB))
        }
        Some(free) => Finding::fail(
            "shm",
            format!("{} MiB free in /dev/shm, {needed_mib} are needed", free / MIB),
            mend,
        ),
    }
}

pub(super) fn governor(governors: &[String]) -> Finding {
    let slow: Vec<&str> =
        governors.iter().map(String::as_str).filter(|name| *name != "performance").collect();
    match (governors.len(), slow.first()) {
        (0, _) => Finding::ok("governor", "no frequency scaling to be seen here"),
        (cores, None) => Finding::ok("governor", format!("performance on all {cores} cores")),
        (cores, Some(name)) => Finding::warn(
            "governor",
            format!("{} of {cores} cores may clock down ({name}); a block after a rest is late", slow.len()),
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        ),
    }
}

pub(super) fn cores(cores: usize) -> Finding {
    match cores {
        1 => Finding::warn(
            "cores",
            "one core: workers, audio and everything else take turns",
            "taskset -pc $$  (shows whether this shell is kept from the other cores)",
        ),
        cores => Finding::ok("cores", format!("{cores} cores")),
    }
}

pub(super) fn virtualised(cpuinfo: &str) -> Finding {
    let has_hypervisor =
        |line: &str| line.starts_with("flags") && line.split_whitespace().any(|flag| flag == "hypervisor");
    if cpuinfo.lines().any(has_hypervisor) {
        Finding::warn(
            "machine",
            "a virtual machine: waking another core takes some 40 us instead of 5, and time may be stolen",
            "none from inside; play a set on a machine of its own, or with --block 256",
        )
    } else {
        Finding::ok("machine", "no hypervisor to be seen")
    }
}

/// ALSA's `null` swallows sound and keeps no time, so it does not count.
pub(super) fn sound_card(devices: Vec<String>) -> Finding {
    let cards: Vec<String> = devices.into_iter().filter(|id| id != "null").collect();
    if cards.is_empty() {
        return Finding::warn(
            "sound card",
            "ALSA knows none; `--audio auto` plays on a timer, unheard",
            "sudo usermod -aG audio $USER  (then log out and in), or plug one in: aplay -l lists them",
        );
    }
    Finding::ok("sound card", cards.join(", "))
}

pub(super) fn jack(is_built_in: bool, devices: Vec<String>) -> Finding {
    match (is_built_in, devices.is_empty()) {
        (false, _) => {
            Finding::ok("jack", "not built in (cargo build --features jack); only --audio jack needs it")
        }
        (true, true) => Finding::warn(
            "jack",
            "no server answers; only --audio jack needs one",
            "jackd -R -d alsa -r 48000 -p 128 &",
        ),
        (true, false) => Finding::ok("jack", devices.join(", ")),
    }
}

#[cfg(test)]
mod tests;
