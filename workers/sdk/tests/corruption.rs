//! A worker on memory that somebody scribbles on: whatever it reads, it neither panics nor dies of a fault nor
//! spins; at worst it leaves with a message, and another one takes its place.
//!
//! `BACKLINE_CORRUPTIONS=1000000 cargo test -p backline-sdk --test corruption` is the long run.

mod support;

use backline_abi::block::Event;
use backline_abi::layout::{Assignment, MAX_CONNECTIONS, MAX_MODULES, assignment, stage, status};
use backline_abi::plan::{Location, ModuleRecord, Plan, PlanConnection, PlanEntry};
use backline_abi::wake;
use bytemuck::Zeroable;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Release};
use support::storm::{Dice, deadly_control_words, hot_control_words, module_words, strike};
use support::worker::{Worker, command};
use support::{Module, Stage, is_so_in_time, wait_until};

/// Corruptions without `BACKLINE_CORRUPTIONS`.
const CORRUPTIONS: usize = 20_000;
/// Corruptions between two times when everything is mended and must work.
const BETWEEN_CALMS: usize = 64;
/// Corruptions remembered for the message of a failure.
const REMEMBERED: usize = 24;

/// Where lightning may strike.
struct Targets {
    control: Vec<Range<usize>>,
    deadly: Vec<Range<usize>>,
    arena: Vec<Range<usize>>,
}

/// A patch in slot 0, with a source that lives in slot 1, where nobody plays it.
fn a_patch(on: &mut Stage) -> Vec<Module> {
    ["vco", "noise", "delay", "vcf", "adsr", "out"].map(|name| on.enter(name, 0)).to_vec()
}

fn put_patch_in_force(on: &mut Stage, modules: &[Module]) {
    let [vco, noise, delay, vcf, adsr, out] = modules else { unreachable!("the patch has six modules") };
    on.plan(&[
        (vco, &[]),
        (noise, &[]),
        (adsr, &[]),
        (delay, &[(noise, 0, 0), (vco, 0, 0)]),
        (vcf, &[(delay, 0, 0), (adsr, 0, 1)]),
        (out, &[(vcf, 0, 0), (vco, 0, 1)]),
    ]);
}

/// One corruption, and a block or a bell for the worker to stumble over it.
fn disturb(on: &mut Stage, modules: &[Module], targets: &Targets, dice: &mut Dice) -> String {
    let is_after = dice.is_one_in(2);
    if is_after {
        on.announce(&[]);
    }
    let what = if dice.is_one_in(200) {
        format!("deadly control {}", strike(dice, on.control_words(), &targets.deadly))
    } else if dice.is_one_in(4) {
        let slot = dice.below(2);
        format!("arena {slot} {}", strike(dice, on.arena(slot).words(), &targets.arena))
    } else {
        format!("control {}", strike(dice, on.control_words(), &targets.control))
    };
    if is_after {
        on.ring_bells();
    } else {
        on.announce(&[]);
    }
    // Whoever waits for a source that garbage has invented looks again.
    for (slot, module) in [0, 1].iter().flat_map(|slot| modules.iter().map(move |module| (*slot, module))) {
        on.arena(slot).commit_word(module.memory.commit).iter().for_each(|word| wake::wake_commit(word));
    }
    // Mostly it is through with the block before the next corruption, sometimes it is in the middle of it.
    let looks = dice.below(6);
    (0..looks)
        .take_while(|_| on.head(0).done.word.load(Acquire) != on.block)
        .for_each(|_| on.let_others_run());
    what
}

/// A worker in slot 0, replaced whenever it left because of a garbled ring.
struct Survivor {
    worker: Worker,
    left: usize,
}

impl Survivor {
    /// Fails if it ended in any other way than of its own accord; true if it was replaced.
    fn look_after(&mut self, on: &mut Stage, modules: &[Module]) -> Result<bool, String> {
        match self.worker.end() {
            None => return Ok(false),
            Some(end) if end.code() != Some(0) => return Err(end.to_string()),
            Some(_) => {}
        }
        self.left += 1;
        on.mend(modules);
        self.worker = Worker::ready(on, 0);
        Ok(true)
    }

    /// Everything is as it should be again: it plays all modules and answers, whatever it went through.
    fn calm(&mut self, on: &mut Stage, modules: &[Module]) -> Result<(), String> {
        loop {
            on.mend(modules);
            put_patch_in_force(on, modules);
            on.announce(&[]);
            let has_played = || modules.iter().all(|module| on.has_committed(module));
            if !is_so_in_time(|| has_played() || self.worker.end().is_some()) {
                return Err("it does not play any more".to_owned());
            }
            if !self.look_after(on, modules)? {
                break;
            }
        }
        let heard = on.heard(&modules[5]);
        assert!(heard.iter().all(|bits| f32::from_bits(*bits).is_finite()));
        assert_eq!(
            on.ask(0, Assignment { kind: assignment::PING, ..Assignment::zeroed() }).status,
            status::DONE
        );
        Ok(())
    }
}

#[test]
fn a_worker_survives_a_storm_over_all_shared_memory() {
    let corruptions = std::env::var("BACKLINE_CORRUPTIONS").ok().and_then(|text| text.parse().ok());
    let mut on = Stage::new("storm", 2);
    let modules = a_patch(&mut on);
    let targets = Targets {
        control: hot_control_words(),
        deadly: deadly_control_words(),
        arena: module_words(&modules),
    };
    let mut survivor = Survivor { worker: Worker::ready(&on, 0), left: 0 };
    let mut dice = Dice::new(0x9E37_79B9_7F4A_7C15);
    let mut last = VecDeque::new();
    for number in 0..corruptions.unwrap_or(CORRUPTIONS) {
        let outcome = if number % BETWEEN_CALMS == 0 {
            survivor.calm(&mut on, &modules).map(|()| false)
        } else {
            survivor.look_after(&mut on, &modules)
        };
        if let Err(failure) = outcome {
            panic!("{failure}; after {number} corruptions, the last of them {last:#?}");
        }
        last.push_back(disturb(&mut on, &modules, &targets, &mut dice));
        if last.len() > REMEMBERED {
            last.pop_front();
        }
    }
    survivor.calm(&mut on, &modules).expect("it plays after the storm");
    assert!(survivor.left > 0, "a garbled ring makes a worker leave");
    on.control().is_closing.store(1, Release);
    on.ring_bells();
    assert_eq!(survivor.worker.await_end().code(), Some(0));
    eprintln!("{} workers left a garbled ring", survivor.left);
}

#[test]
fn a_record_that_is_garbled_after_it_was_set_up_is_left_out_and_the_others_play_on() {
    let mut on = Stage::new("record", 1);
    let mut worker = Worker::ready(&on, 0);
    let (whole, module, listener) = (on.add("vco", 0), on.add("delay", 0), on.add("out", 0));
    on.plan(&[(&module, &[]), (&whole, &[])]);
    on.play(&[&module, &whole]);
    let record = module.record;
    let absurd = [
        ModuleRecord { state_words: 4_097, ..record },
        ModuleRecord { state_words: 1, ..record },
        ModuleRecord { output_planes: 65, ..record },
        ModuleRecord { output_planes: 0, ..record },
        ModuleRecord { type_index: 0, ..record },
        ModuleRecord { type_index: u32::MAX, ..record },
        ModuleRecord { channels: 0, ..record },
        ModuleRecord { channels: 17, ..record },
        ModuleRecord { line_words: 0, ..record },
        ModuleRecord { line_words: u32::MAX, ..record },
        ModuleRecord { memory_start: 16, ..record },
        ModuleRecord { memory_start: u32::MAX - 15, ..record },
        ModuleRecord { instance: 0, ..record },
    ];
    for garbled in absurd {
        on.tell(&Module { record: garbled, ..module });
        on.plan(&[(&module, &[]), (&whole, &[]), (&listener, &[(&module, 0, 0)])]);
        on.play(&[&whole]);
        assert!(!on.has_committed(&module), "{garbled:?}");
        on.tell(&module);
        on.plan(&[(&module, &[]), (&whole, &[])]);
        // The listener waits for its source until the block is too far behind.
        (0..2).for_each(|_| on.announce(&[]));
        on.play(&[&module, &whole]);
        assert_eq!(worker.end(), None);
    }
}

#[test]
fn a_plan_in_which_every_entry_claims_every_cable_is_played_as_far_as_there_is_room() {
    let mut on = Stage::new("claims", 1);
    let _worker = Worker::ready(&on, 0);
    let (source, greedy) = (on.add("vco", 0), on.add("mix", 0));
    let entry = |module: &Module, connections| PlanEntry {
        cell: module.cell,
        instance: module.record.instance,
        connections,
        ..PlanEntry::zeroed()
    };
    let cable = |source: &Module| PlanConnection {
        source_cell: source.cell,
        source_instance: source.record.instance,
        gain: f32::NAN,
        target_input: 1,
        ..PlanConnection::zeroed()
    };
    let mut plan =
        Plan { entries: vec![entry(&source, 0)], connections: vec![cable(&source); MAX_CONNECTIONS] };
    plan.entries.resize(MAX_MODULES, entry(&greedy, MAX_CONNECTIONS as u32));
    on.put_in_force(&plan);
    on.play(&[&source, &greedy]);
}

#[test]
fn events_without_sense_or_order_change_no_more_than_their_module() {
    let mut on = Stage::new("events", 1);
    let _worker = Worker::ready(&on, 0);
    let (struck, twin, alone) = (on.add("adsr", 0), on.add("vco", 0), on.add("vco", 0));
    on.plan(&[(&struck, &[]), (&twin, &[]), (&alone, &[])]);
    let mut dice = Dice::new(7);
    for _ in 0..200 {
        let mut any = || Event {
            instance: if dice.is_one_in(2) { struck.record.instance } else { dice.roll() as u32 | 1 << 31 },
            offset_frames: dice.garbage(63),
            kind: dice.garbage(0x100),
            value: f32::from_bits(dice.roll() as u32),
        };
        let events: Vec<Event> = (0..40).map(|_| any()).collect();
        on.announce(&events);
        [&struck, &twin, &alone].iter().for_each(|module| on.await_commit(module));
        assert_eq!(on.heard(&twin), on.heard(&alone));
        assert!(on.heard(&struck).iter().all(|bits| f32::from_bits(*bits).is_finite()));
    }
}

#[test]
fn a_worker_leaves_a_garbled_ring_with_a_message_and_the_next_one_works() {
    let mut on = Stage::new("garbled", 1);
    let mut leaver = command(on.name(), 0, std::process::id());
    let leaver = leaver.stderr(std::process::Stdio::piped()).spawn().expect("the worker program starts");
    wait_until("the worker is ready", || on.head(0).stage.load(Acquire) == stage::READY);
    on.control().rings[0].tail.word.store(9_999, Release);
    on.ring_bells();
    let output = leaver.wait_with_output().expect("it is our child");
    assert_eq!(output.status.code(), Some(0));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("ring index 9999 is impossible beside 0"), "{message}");
    assert_eq!(on.head(0).stage.load(Acquire), stage::LEFT);
    let _next = Worker::ready(&on, 0);
    let module = on.add("vco", 0);
    on.plan(&[(&module, &[])]);
    on.play(&[&module]);
}

#[test]
fn a_module_whose_old_place_is_scribbled_on_starts_anew_or_from_there_but_plays() {
    let mut on = Stage::new("old-place", 2);
    let mut worker = Worker::ready(&on, 0);
    let mut module = on.enter("delay", 1);
    on.plan(&[(&module, &[])]);
    let mut dice = Dice::new(11);
    for number in 0..300 {
        let hot = module_words(&[module]);
        (0..50).for_each(|_| {
            strike(&mut dice, on.arena(1).words(), &hot);
        });
        let previous =
            Location { slot: if number % 3 == 0 { dice.roll() as u32 } else { 1 }, lease: 40 + number };
        if number % 2 == 0 {
            let commit = on.arena(1).commit_word(module.memory.commit).expect("it is aligned");
            commit.store(u64::from(previous.lease) << 32 | u64::from(on.block), Release);
        }
        module.location = Location { slot: 0, lease: on.draw_lease() };
        let place = &on.control().places[module.cell as usize];
        assert!(place.relocate(place.current(), module.location, previous), "nobody else moves it");
        on.control().moves.word.fetch_add(1, Release);
        on.play(&[&module]);
        assert_eq!(worker.end(), None);
        let finite = on.heard(&module).iter().all(|bits| f32::from_bits(*bits).is_finite());
        assert!(finite, "what is not a number is silenced");
    }
}
