//! Workers in a sandbox: what a renderer does not need is refused, counted and named, and the block goes on. Everything
//! else is as it is without: they play, die, are taken over, and leave.
//!
//! What this kernel does not have is printed, and the worker must say so, too.

mod support;

use backline_abi::complaint::Heard;
use backline_abi::crash::{CrashWord, Origin};
use backline_abi::death::OWNER_DIED;
use backline_abi::layout::{sandbox_bits, stage};
use backline_abi::refused::RefusedCall;
use backline_abi::wake::now_ns;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use std::collections::BTreeMap;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use support::prison::{Prison, REFUSED, STRICT, obtainable};
use support::worker::{Worker, command};
use support::zygote::{Zygote, home, modules};
use support::{Stage, wait_until};

const MEMORY: (&str, &str) = ("BACKLINE_MEMORY_MIB", "256");

fn with(mut command: Command, variables: &[(&str, &str)]) -> Command {
    command.envs(variables.iter().copied());
    command
}

/// A stock worker in a sandbox.
fn confined(on: &Stage, slot: usize) -> Worker {
    let mut worker = Worker::started(on, slot, with(command(on.name(), slot, std::process::id()), &[STRICT]));
    worker.await_ready(on, slot);
    worker
}

/// Attempts, the calls by which they are made, and how much of it the system call filter sees.
const ATTEMPTS: [(&str, &[libc::c_long]); 11] = [
    ("socket", &[libc::SYS_socket]),
    ("open", &[libc::SYS_openat]),
    ("unlink", &[libc::SYS_unlinkat, SYS_UNLINK]),
    ("fork", &[libc::SYS_clone]),
    ("exec", &[libc::SYS_execve]),
    ("kill", &[libc::SYS_kill]),
    ("init", &[libc::SYS_kill]),
    ("thread", &[libc::SYS_clone3, libc::SYS_clone]),
    ("executable", &[libc::SYS_mmap]),
    ("executable_later", &[libc::SYS_mprotect]),
    ("masked", &[libc::SYS_socket]),
];
#[cfg(target_arch = "x86_64")]
const SYS_UNLINK: libc::c_long = libc::SYS_unlink;
#[cfg(not(target_arch = "x86_64"))]
const SYS_UNLINK: libc::c_long = libc::SYS_unlinkat;

#[test]
fn what_a_renderer_does_not_need_is_refused_and_counted_and_the_block_goes_on() {
    let mut prison = Prison::with("sb-refused", &[STRICT]);
    assert_eq!(prison.on.head(0).sandbox.load(Acquire), obtainable());
    assert_eq!(prison.refused().0, 0, "warming up was before");
    let mut count = 0;
    // What would do harm, if it were not refused.
    let harmful: [(&str, &[libc::c_long]); 2] =
        [("handler", &[libc::SYS_rt_sigaction]), ("erase", &[libc::SYS_madvise])];
    for (what, calls) in ATTEMPTS.iter().chain(&harmful) {
        assert_eq!(prison.attempt(what), REFUSED, "{what}");
        let (now, last) = prison.refused();
        assert!(now > count, "{what} is counted");
        assert!(calls.contains(&last.call.into()), "{what}: {last:?}");
        assert_eq!(u32::from(last.instance), prison.module.record.instance, "{what}");
        count = now;
        assert_eq!(prison.attempt("nothing"), 0.0);
    }
    assert_eq!(prison.attempt("harmless"), 0.0);
    assert_eq!(prison.refused().0, count, "a renderer is refused nothing");
    assert!(prison.worker.end().is_none());
}

#[test]
fn without_a_sandbox_all_of_it_is_allowed() {
    for variables in [&[][..], &[("BACKLINE_SANDBOX", "none")]] {
        let mut prison = Prison::with("sb-none", variables);
        for (what, _) in ATTEMPTS {
            // There is nothing to unlink or to execute; that it is so is an answer.
            let answer = if ["unlink", "exec"].contains(&what) { libc::ENOENT } else { 0 };
            // Who is not root may not signal process 1.
            if what != "init" {
                assert_eq!(prison.attempt(what), answer as f32, "{what}");
            }
        }
        for what in ["remap", "rewrite", "harmless"] {
            assert_eq!(prison.attempt(what), 0.0, "{what}");
        }
        let head = prison.on.head(0);
        assert_eq!((head.sandbox.load(Acquire), head.refused_calls.load(Acquire)), (0, 0));
    }
}

#[test]
fn what_a_second_thread_renders_ahead_is_in_the_sandbox_too() {
    let mut prison = Prison::of("sb-later", "escapes_later", &[STRICT]);
    assert_eq!(prison.on.head(0).sandbox.load(Acquire), obtainable());
    let instance = prison.module.record.instance as u16;
    for (what, call) in
        [("socket", libc::SYS_socket), ("open", libc::SYS_openat), ("masked", libc::SYS_socket)]
    {
        let before = prison.refused().0;
        prison.announce(what);
        prison.on.await_commit(&prison.module);
        wait_until("it is refused", || prison.refused().0 > before);
        assert_eq!(prison.refused().1, RefusedCall { call: call as u16, instance }, "{what}");
        prison.announce("nothing");
        prison.on.await_commit(&prison.module);
    }
    assert!(prison.worker.end().is_none());
}

#[test]
fn memory_of_others_stays_read_only_and_no_descriptor_leads_there() {
    let mut prison = Prison::with("sb-sealed", &[STRICT]);
    if obtainable() & sandbox_bits::SEALED != 0 {
        assert_eq!(prison.attempt("rewrite"), REFUSED);
        assert_ne!(prison.attempt("remap"), 0.0);
    }
    assert!(prison.worker.end().is_none());
}

#[test]
fn memory_grows_by_what_its_kind_may_take_and_no_more() {
    let mut prison = Prison::with("sb-memory", &[STRICT, MEMORY]);
    assert_eq!(prison.attempt("harmless"), 0.0, "64 MiB are there");
    assert_eq!(prison.attempt("memory"), libc::ENOMEM as f32, "1 GiB is not");
    assert_eq!(prison.on.head(0).sandbox.load(Acquire), obtainable());
    assert_eq!(prison.attempt("harmless"), 0.0, "and the worker goes on");
}

#[test]
fn a_module_that_fails_still_says_where() {
    let mut prison = Prison::with("sb-raises", &[STRICT]);
    let mut seen = prison.on.head(0).complaint.serial();
    prison.announce("raises");
    prison.on.await_commit(&prison.module);
    let Some(Heard { text, .. }) = prison.on.head(0).complaint.read(&mut seen) else {
        panic!("it has nothing to say")
    };
    assert!(text.contains("IndexError") && text.contains("escapes.py, line "), "{text}");
    prison.announce("nothing");
    prison.on.await_commit(&prison.module);
    assert!(prison.on.head(0).complaint.read(&mut seen).is_none(), "and plays again");
}

#[test]
fn faults_and_aborts_in_a_sandbox_leave_a_last_word_and_a_death_notice() {
    let ends = [("faults", libc::SIGSEGV, Origin::Kernel), ("aborts", libc::SIGABRT, Origin::Itself)];
    for (what, signal, origin) in ends {
        let mut prison = Prison::with(&format!("sb-{what}"), &[STRICT]);
        prison.announce(what);
        assert_eq!(prison.worker.await_end().signal(), Some(signal), "{what}");
        let head = prison.on.head(0);
        let instance = prison.module.record.instance as u16;
        let word = CrashWord::decode(head.crash.load(Acquire));
        assert_eq!(word, Some(CrashWord { signal, origin, instance }), "{what}");
        assert_ne!(head.death.load(Acquire) & OWNER_DIED, 0, "{what}: the kernel tells its death");
    }
}

#[test]
fn a_killed_python_worker_in_a_sandbox_changes_no_sample() {
    let mut zygote =
        Zygote::ready_with(&[modules().join("tones.py"), home().join("examples/granulator.py")], &[STRICT]);
    let mut on = Stage::new("sb-py-killed", 2);
    on.mean_panels(&zygote.panels);
    let (mut dying, _other) = (zygote.worker(&on, 0), zygote.worker(&on, 1));
    let types = ["pulse", "resonator", "granulator"];
    // The twins that stay live where the others move to.
    let twins = types.map(|name| on.add_described(&zygote.panels, name, 3, 1));
    let mut subjects = types.map(|name| on.add_described(&zygote.panels, name, 3, 0));
    let mut loudest = 0.0_f32;
    for block in 0..400 {
        if block == 200 {
            dying.kill();
            subjects.iter_mut().for_each(|subject| on.relocate(subject, 1));
        }
        let (one, two) = (twins, subjects);
        on.plan(&[
            (&one[0], &[]),
            (&one[1], &[(&one[0], 0, 0)]),
            (&one[2], &[(&one[1], 0, 0)]),
            (&two[0], &[]),
            (&two[1], &[(&two[0], 0, 0)]),
            (&two[2], &[(&two[1], 0, 0)]),
        ]);
        let heard = on.play(&[&one[0], &one[1], &one[2], &two[0], &two[1], &two[2]]);
        assert_eq!(heard[..3], heard[3..], "block {block}");
        loudest = heard[5].iter().fold(loudest, |loudest, bits| loudest.max(f32::from_bits(*bits).abs()));
    }
    assert!(loudest > 0.01, "grains are heard");
    assert_eq!(on.head(1).modules_adopted.load(Relaxed), 3);
    assert_eq!(on.head(1).refused_calls.load(Acquire), 0, "honest modules are refused nothing");
}

#[test]
fn a_stock_worker_in_a_sandbox_plays_is_taken_over_and_leaves() {
    let mut on = Stage::new("sb-native", 2);
    let (dying, mut other) = (confined(&on, 0), confined(&on, 1));
    let (noise, echo) = (on.add("noise", 1), on.add("delay", 1));
    let (mut moved_noise, mut moved_echo) = (on.add("noise", 0), on.add("delay", 0));
    let mut dying = Some(dying);
    for block in 0..48 {
        if block == 24 {
            dying.take().expect("it lives").kill();
            on.relocate(&mut moved_noise, 1);
            on.relocate(&mut moved_echo, 1);
        }
        on.plan(&[
            (&noise, &[]),
            (&echo, &[(&noise, 0, 0)]),
            (&moved_noise, &[]),
            (&moved_echo, &[(&moved_noise, 0, 0)]),
        ]);
        let heard = on.play(&[&noise, &moved_noise, &echo, &moved_echo]);
        assert_eq!((&heard[0], &heard[2]), (&heard[1], &heard[3]), "block {block}");
    }
    assert_eq!(on.head(1).sandbox.load(Acquire), obtainable());
    on.control().is_closing.store(1, Release);
    on.ring_bells();
    assert_eq!(other.await_end().code(), Some(0));
    assert_eq!(on.head(1).stage.load(Acquire), stage::LEFT);
    assert_eq!(on.head(1).refused_calls.load(Acquire), 0, "not even to leave it needs more");
}

#[test]
fn a_worker_in_a_sandbox_dies_of_every_signal_that_it_is_sent() {
    for signal in [libc::SIGTERM, libc::SIGSEGV, libc::SIGABRT, libc::SIGKILL] {
        let on = Stage::new(&format!("sb-sent-{signal}"), 1);
        let mut worker = confined(&on, 0);
        worker.signal(signal);
        assert_eq!(worker.await_end().signal(), Some(signal));
        wait_until("its death is told", || on.head(0).death.load(Acquire) & OWNER_DIED != 0);
    }
    let on = Stage::new("sb-sent-sys", 1);
    let mut worker = confined(&on, 0);
    worker.signal(libc::SIGSYS);
    assert_eq!(
        worker.await_end().signal(),
        Some(libc::SIGKILL),
        "a SIGSYS of somebody else is no refused call"
    );
    assert_eq!(on.head(0).refused_calls.load(Acquire), 0);
}

#[test]
fn the_next_worker_of_a_slot_begins_with_no_refused_call() {
    let mut prison = Prison::with("sb-next", &[STRICT]);
    assert_eq!(prison.attempt("socket"), REFUSED);
    assert_eq!(prison.refused().0, 1);
    prison.worker.kill();
    let _next = prison.zygote.worker(&prison.on, 0);
    assert_eq!(
        (prison.refused(), prison.on.head(0).sandbox.load(Acquire)),
        ((0, RefusedCall::decode(0)), obtainable())
    );
}

/// A stock worker that asks for a sandbox of a kernel that does not have these calls.
fn confined_by_older_kernel(on: &Stage, missing: &[libc::c_long]) -> Worker {
    let rules: BTreeMap<i64, Vec<_>> = missing.iter().map(|call| (*call, Vec::new())).collect();
    let answer = SeccompAction::Errno(libc::ENOSYS as u32);
    let architecture = std::env::consts::ARCH.try_into().expect("we run on it");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture).expect("a filter");
    let program = BpfProgram::try_from(filter).expect("a program");
    let mut command = with(command(on.name(), 0, std::process::id()), &[STRICT]);
    // SAFETY: between fork and exec only two system calls are made, by numbers and memory that is there already.
    unsafe { command.pre_exec(move || apply_filter(&program).map_err(|_| std::io::Error::last_os_error())) };
    let mut worker = Worker::started(on, 0, command);
    worker.await_ready(on, 0);
    worker
}

#[test]
fn a_worker_of_a_kernel_that_has_less_says_so_and_plays() {
    let cases: [(&[libc::c_long], u32); 4] = [
        (&[libc::SYS_landlock_create_ruleset], sandbox_bits::LANDLOCK),
        (&[libc::SYS_mseal], sandbox_bits::SEALED),
        (&[libc::SYS_seccomp], sandbox_bits::SECCOMP),
        (&[libc::SYS_prlimit64], sandbox_bits::RLIMITS),
    ];
    for (number, (missing, bit)) in cases.into_iter().enumerate() {
        let mut on = Stage::new(&format!("sb-older-{number}"), 1);
        let _worker = confined_by_older_kernel(&on, missing);
        assert_eq!(on.head(0).sandbox.load(Acquire), obtainable() & !bit, "without {missing:?}");
        let noise = on.add("noise", 0);
        on.plan(&[(&noise, &[])]);
        assert!(on.play(&[&noise])[0].iter().any(|bits| *bits != 0));
    }
}

/// What a block takes from its announcement to the commit, and what the worker was busy, in ns, sorted.
fn block_times(on: &mut Stage, blocks: usize) -> [Vec<u64>; 2] {
    let noise = on.add("noise", 0);
    let (mut taken_ns, mut busy_ns) = (Vec::with_capacity(blocks), Vec::with_capacity(blocks));
    on.plan(&[(&noise, &[])]);
    for _ in 0..blocks {
        let begun_ns = now_ns();
        on.announce(&[]);
        let word = &on.head(0).done.word;
        while word.load(Acquire) != on.block {
            std::hint::spin_loop();
        }
        taken_ns.push(now_ns() - begun_ns);
        busy_ns.push(on.head(0).busy_ns.load(Relaxed).into());
    }
    taken_ns.sort_unstable();
    busy_ns.sort_unstable();
    [taken_ns, busy_ns]
}

#[test]
#[ignore = "prints figures, asserts nothing: --release, --ignored, --nocapture, on a machine with nothing else to do"]
fn what_a_block_costs_with_and_without() {
    const BLOCKS: usize = 20_000;
    for round in 0..3 {
        for level in ["none", "strict"] {
            let mut on = Stage::new(&format!("sb-cost-{round}-{level}"), 1);
            let command = with(command(on.name(), 0, std::process::id()), &[("BACKLINE_SANDBOX", level)]);
            let mut worker = Worker::started(&on, 0, command);
            worker.await_ready(&on, 0);
            let times = block_times(&mut on, BLOCKS);
            for (what, sorted) in ["announced to done", "busy"].iter().zip(times) {
                let at = |part: f64| sorted[((BLOCKS - 1) as f64 * part) as usize];
                println!(
                    "{level:6} {what:17} p50 {} p99 {} p99.9 {} max {} ns",
                    at(0.5),
                    at(0.99),
                    at(0.999),
                    at(1.0)
                );
            }
        }
    }
}
