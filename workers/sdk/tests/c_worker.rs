//! A worker in C, as a real process in real shared memory: it says what it has, joins, warms up, plays, is killed, and
//! another process of it goes on.

mod support;

use backline_abi::block::{Event, kind};
use backline_abi::crash::{CrashWord, Origin};
use backline_abi::layout::{ABI_VERSION, stage};
use backline_abi::panel::{Modulation, Panel};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use support::c::{Linked, Program, command, panels};
use support::foreign::record_of;
use support::worker::{Worker, said};
use support::{BLOCK_FRAMES, Module, RATE_HZ, Stage, wait_until};

/// Exit code of a worker that could not join (sysexits' EX_CONFIG).
const REFUSED: Option<i32> = Some(78);

#[test]
fn a_c_worker_says_what_it_has_however_it_is_linked() {
    let shared = panels(&Program::ring("says-shared", Linked::Shared).describe());
    let own = panels(&Program::ring("says-static", Linked::Static).describe());
    assert_eq!(shared, own);
    let [Panel { name, summary, inputs, outputs, params, state_words, is_exact, most_channels, .. }] =
        &own[..]
    else {
        panic!("one type: {own:?}")
    };
    assert_eq!((name.as_str(), summary.as_str()), ("ring", "Ring modulator"));
    assert_eq!((inputs[0].name.as_str(), outputs[0].name.as_str()), ("in", "out"));
    assert_eq!((params[0].name.as_str(), params[0].unit.as_str()), ("frequency", "Hz"));
    assert_eq!((params[0].min, params[0].max, params[0].default), (1.0, 8_000.0, 440.0));
    assert_eq!(params[0].modulation, Modulation::Octaves);
    assert_eq!((*state_words, *is_exact, *most_channels), (16 + 1, true, 16));
}

/// What a ring modulator of `module` plays of what it hears, with its frequency changed by `events`.
struct Reference {
    phase: f32,
    frequency_hz: f32,
}

impl Reference {
    fn of(module: &Module) -> Self {
        Self { phase: 0.0, frequency_hz: module.record.params[0] }
    }

    fn play(&mut self, heard: &[f32], events: &[Event]) -> Vec<f32> {
        let mut sample = |(frame, heard): (usize, &f32)| {
            for event in events.iter().filter(|event| event.offset_frames as usize == frame) {
                self.frequency_hz = event.value;
            }
            let sine = (std::f32::consts::TAU * self.phase).sin();
            self.phase = (self.phase + self.frequency_hz / RATE_HZ as f32) % 1.0;
            heard * sine
        };
        heard.iter().enumerate().map(&mut sample).collect()
    }
}

fn samples(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|bits| f32::from_bits(*bits)).collect()
}

fn frequency(module: &Module, offset_frames: u32, value: f32) -> Event {
    Event { instance: module.record.instance, offset_frames, kind: 0, value }
}

fn plays_what_it_should(test: &str, linked: Linked) {
    let program = Program::ring(test, linked);
    let types = panels(&program.describe());
    let mut on = Stage::new(test, 2);
    let _native = Worker::ready(&on, 0);
    let ring_worker = on.c_worker(&program, 1);
    let head = on.head(1);
    assert_eq!((head.warmed_types.load(Relaxed), head.pid.load(Relaxed)), (1, ring_worker.pid()));
    let price_ns = f32::from_bits(head.prices[0].load(Relaxed));
    assert!(price_ns.is_finite() && price_ns > 0.0);
    let name = std::fs::read_to_string(format!("/proc/{}/comm", ring_worker.pid())).expect("it lives");
    assert_eq!(name, "ring\n");
    let (vco, ring) = (on.add("vco", 0), on.add_record(record_of(&types, "ring", 2), 1));
    on.plan(&[(&vco, &[]), (&ring, &[(&vco, 0, 0)])]);
    let mut reference = Reference::of(&ring);
    for block in 0..6 {
        let events = match block {
            2 => vec![
                frequency(&ring, 17, 1_000.0),
                frequency(&ring, 17, 123.0),
                frequency(&ring, 41, 4_000.0),
            ],
            4 => vec![frequency(&ring, 0, 50.0), frequency(&ring, 63, 7_000.0)],
            _ => vec![],
        };
        on.announce(&events);
        on.await_commit(&ring);
        let heard = samples(&on.heard(&ring));
        let expected = reference.play(&samples(&on.heard(&vco)), &events);
        for (left, right) in heard[..BLOCK_FRAMES].iter().zip(&heard[BLOCK_FRAMES..]) {
            assert_eq!(left, right, "a mono cable feeds both channels");
        }
        for (frame, (heard, expected)) in heard.iter().zip(&expected).enumerate() {
            assert!((heard - expected).abs() < 1e-4, "block {block}, frame {frame}: {heard} {expected}");
        }
    }
    assert_eq!(on.head(1).render_allocations.load(Relaxed), 0);
}

#[test]
fn a_c_worker_with_the_shared_library_plays_what_it_should() {
    plays_what_it_should("shared", Linked::Shared);
}

#[test]
fn a_c_worker_with_the_static_library_plays_what_it_should() {
    plays_what_it_should("static", Linked::Static);
}

#[test]
fn a_module_of_a_killed_c_worker_goes_on_bit_by_bit_in_another_process() {
    let program = Program::ring("goes-on", Linked::Shared);
    let types = panels(&program.describe());
    let mut on = Stage::new("goes-on", 3);
    let _native = Worker::ready(&on, 0);
    let mut workers = vec![on.c_worker(&program, 1), on.c_worker(&program, 2)];
    let noise = on.add("noise", 0);
    let twin = on.add_described(&types, "ring", 5, 2);
    let mut ring = on.add_described(&types, "ring", 5, 1);
    for block in 0..24 {
        if block == 12 {
            workers.remove(0).kill();
            on.relocate(&mut ring, 2);
        }
        on.plan(&[(&noise, &[]), (&twin, &[(&noise, 0, 0)]), (&ring, &[(&noise, 0, 0)])]);
        // The last change before the kill is to be heard after it.
        let value = 100.0 + 37.0 * block as f32;
        let events = if block % 5 == 1 {
            vec![frequency(&twin, 33, value), frequency(&ring, 33, value)]
        } else {
            vec![]
        };
        on.announce(&events);
        [&twin, &ring].into_iter().for_each(|module| on.await_commit(module));
        assert!(on.heard(&twin).iter().any(|bits| *bits != 0), "it is heard");
        assert_eq!(on.heard(&twin), on.heard(&ring), "block {block}");
    }
    assert_eq!(on.head(2).modules_adopted.load(Relaxed), 1);
}

#[test]
fn a_render_that_fails_is_concealed_and_says_why_and_forgets_nothing_it_was_told() {
    let program = Program::contrary("sulks", &[]);
    let types = panels(&program.describe());
    let mut on = Stage::new("sulks", 1);
    let _worker = on.c_worker(&program, 0);
    let module = on.add_described(&types, "sulks", 5, 0);
    on.plan(&[(&module, &[])]);
    let event =
        |offset_frames, kind, value| Event { instance: module.record.instance, offset_frames, kind, value };
    let mut play = |events: &[Event]| {
        on.announce(events);
        on.await_commit(&module);
        samples(&on.heard(&module))
    };
    let share = |frame: usize| (frame + 1) as f32 / BLOCK_FRAMES as f32;
    assert_eq!(play(&[]), [0.5; BLOCK_FRAMES]);
    let failed = play(&[event(3, kind::GATE_ON, 1.0), event(7, 0, 0.25)]);
    let ramp: Vec<f32> = (0..BLOCK_FRAMES).map(|frame| 0.5 * (1.0 - share(frame))).collect();
    assert_eq!(failed, ramp);
    assert_eq!(play(&[]), [0.0; BLOCK_FRAMES], "its gate is open still");
    let again = play(&[event(0, kind::GATE_OFF, 0.0)]);
    let ramp: Vec<f32> = (0..BLOCK_FRAMES).map(|frame| 0.25 * share(frame)).collect();
    assert_eq!(again, ramp, "at the level that it was told in a block that failed");
    assert_eq!(play(&[]), [0.25; BLOCK_FRAMES]);
    let heard = on.head(0).complaint.read(&mut 0).expect("it said why");
    assert_eq!((heard.instance, heard.count), (module.record.instance, 2));
    assert_eq!(heard.text, "I will not play this");
}

#[test]
fn what_is_rendered_ahead_is_heard_two_blocks_later() {
    let program = Program::contrary("ahead", &[]);
    let types = panels(&program.describe());
    let mut on = Stage::new("ahead", 1);
    let _worker = on.c_worker(&program, 0);
    let module = on.add_described(&types, "counts", 5, 0);
    on.plan(&[(&module, &[])]);
    for block in 0..20 {
        // It tells how many blocks it has rendered, and here nobody is in a hurry.
        let expected = (block as f32 - 1.0).max(0.0);
        assert_eq!(samples(&on.play(&[&module])[0]), [expected; BLOCK_FRAMES], "block {block}");
    }
    assert!(on.head(0).complaint.read(&mut 0).is_none());
}

/// Which module a worker dies of when a module that is rendered ahead, beside one that is not, is struck like that.
fn dies_of_what_is_rendered_ahead(test: &str, velocity: f32, deadline_ns: u64) -> (i32, CrashWord) {
    let program = Program::contrary(test, &[]);
    let types = panels(&program.describe());
    let mut on = Stage::new(test, 1);
    let mut worker = on.c_worker(&program, 0);
    let (ahead, beside) = (on.add_described(&types, "counts", 5, 0), on.add_described(&types, "sulks", 5, 0));
    on.deadline_ns = deadline_ns;
    on.plan(&[(&ahead, &[]), (&beside, &[])]);
    let strike =
        Event { instance: ahead.record.instance, offset_frames: 0, kind: kind::GATE_ON, value: velocity };
    on.announce(&[strike]);
    wait_until("the worker dies", || {
        if on.has_committed(&beside) {
            on.announce(&[]);
        }
        worker.end().is_some()
    });
    let word = CrashWord::decode(on.head(0).crash.load(Acquire)).expect("it has a last word");
    assert_eq!(u32::from(word.instance), ahead.record.instance);
    (worker.await_end().signal().expect("a signal"), word)
}

#[test]
fn a_fault_of_what_is_rendered_ahead_is_told_from_one_of_what_is_rendered_beside_it() {
    let (signal, word) = dies_of_what_is_rendered_ahead("ahead-faults", 1.0, 1);
    assert_eq!((signal, word.origin), (libc::SIGSEGV, Origin::Kernel));
}

#[test]
fn a_second_thread_that_hangs_is_given_up_with_the_module_that_it_hangs_in() {
    let (signal, word) = dies_of_what_is_rendered_ahead("ahead-hangs", 0.1, 1);
    assert_eq!((signal, word.origin), (libc::SIGABRT, Origin::Itself));
}

#[test]
fn a_c_worker_leaves_when_the_engine_closes() {
    let program = Program::ring("leaves", Linked::Shared);
    let on = Stage::new("c-leaves", 1);
    let mut worker = on.c_worker(&program, 0);
    on.control().is_closing.store(1, Release);
    on.ring_bells();
    assert_eq!(worker.await_end().code(), Some(0));
    assert_eq!(on.head(0).stage.load(Acquire), stage::LEFT);
}

#[test]
fn a_worker_with_a_second_thread_leaves_too() {
    let program = Program::contrary("leaves-too", &[]);
    let on = Stage::new("leaves-too", 1);
    let mut worker = on.c_worker(&program, 0);
    on.control().is_closing.store(1, Release);
    on.ring_bells();
    assert_eq!(worker.await_end().code(), Some(0));
}

#[test]
fn a_c_worker_of_another_build_is_refused_with_both_numbers() {
    let others = [
        ("rack.abi_version = 901", format!("ABI version 901, libbackline_sdk {ABI_VERSION}")),
        ("rack.rack_bytes += 8", "BacklineRack is 96 bytes in the worker, 88".to_owned()),
        ("rack.type_bytes -= 8", "BacklineModuleType is 80 bytes in the worker, 88".to_owned()),
        ("rack.param_bytes = 7", "BacklineParam is 7 bytes in the worker, 56".to_owned()),
        ("rack.job_bytes = 0", "BacklineJob is 0 bytes in the worker, 88".to_owned()),
    ];
    for (spoilt, expected) in others {
        let program = Program::contrary("refused", &[&format!("SPOIL={spoilt}")]);
        let on = Stage::new("c-refused", 1);
        for (code, message) in [program.said(&["--describe"]), said(command(&on, &program, 0))] {
            assert_eq!(code, REFUSED, "{message}");
            assert!(message.contains(&expected) && message.contains("backline.h"), "{message}");
        }
        assert_eq!(on.head(0).pid.load(Acquire), 0, "it left the arena alone");
    }
}

#[test]
fn a_c_worker_that_is_not_what_the_engine_read_is_refused_with_both_numbers() {
    let program = Program::contrary("unlike", &[]);
    let types = panels(&program.describe());
    let on = Stage::new("unlike", 1);
    on.mean_panels_in(0, &types[..1]);
    let (code, message) = said(command(&on, &program, 0));
    assert_eq!(code, REFUSED);
    let [own, meant] = [&types[..], &types[..1]].map(backline_abi::panel::fingerprint);
    let expected = format!("contrary: worker speaks module catalogue {own}, engine {meant}");
    assert!(message.contains(&expected), "{message}");
}

#[test]
fn a_c_worker_that_cannot_be_made_ready_says_why() {
    let program = Program::contrary("cold", &["WARMS=3"]);
    let on = Stage::new("cold", 1);
    on.mean_panels_in(0, &panels(&program.describe()));
    let (code, message) = said(command(&on, &program, 0));
    assert_eq!(code, REFUSED);
    assert!(message.contains(r#""counts" cannot be made ready: it is too cold"#), "{message}");
}

#[test]
fn a_wrong_command_line_says_how_to_call_it() {
    let program = Program::ring("usage", Linked::Shared);
    for words in
        [&[][..], &["--help"], &["name", "0", "0"], &["name", "0", "0", "x"], &["name", "64", "0", "1"]]
    {
        let (code, message) = program.said(words);
        assert_eq!(code, Some(64), "{words:?}: {message}");
        assert!(message.contains("usage: --describe, or NAME SLOT CORE ENGINE_PID"), "{message}");
    }
    let (code, message) = program.said(&["backline-test-nowhere", "0", "0", &std::process::id().to_string()]);
    assert_eq!(code, REFUSED);
    assert!(message.contains("backline-test-nowhere"), "it says which segment: {message}");
}
