//! What the engine reads from a worker's arena is copied once and checked: whatever a worker scribbles there,
//! the engine does not panic, reads nothing outside, and does not wait for ever.

use backline::catalogue;
use backline::cycle::Cycle;
use backline::cycle::events::events;
use backline::cycle::handoff::{Sink, StagedPlan, handoff};
use backline::pool::Pool;
use backline::pool::dispatch::{Conversation, DispatchError};
use backline::pool::rig::{Rig, RigSpec};
use backline::rt::report::AudioReport;
use backline::supervise::alarm::Alarm;
use backline::supervise::audit::Audit;
use backline::takeover::TakeOver;
use backline_abi::layout::{ARENA_HEAP_WORDS, ArenaHead, ModuleMemory};
use backline_abi::plan::{Location, ModuleRecord};
use backline_abi::segment::Segment;
use backline_abi::wake::now_ns;
use backline_dsp::catalogue::CATALOGUE;
use bytemuck::Zeroable;
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Frames of a block.
const BLOCK_FRAMES: usize = 64;
/// Garbage written in each test that counts it.
const CORRUPTIONS: usize = 20_000;
/// Nothing here takes this long.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What the engine decides by.
const HOT: [usize; 6] = [
    offset_of!(ArenaHead, pid),
    offset_of!(ArenaHead, stage),
    offset_of!(ArenaHead, rights),
    offset_of!(ArenaHead, assignments_head),
    offset_of!(ArenaHead, replies_tail),
    offset_of!(ArenaHead, prices),
];

const SPEC: RigSpec = RigSpec {
    spares: 0,
    others: 0,
    rate_hz: 48_000,
    block_frames: BLOCK_FRAMES as u32,
    slots: 2,
    arena_bytes: 1024 * 1024,
    wants_realtime: false,
};

/// Xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.roll() as usize % end
    }

    /// Near `before`, at a limit, or anything.
    fn garbage(&mut self, before: u32) -> u32 {
        match self.below(5) {
            0 => before.wrapping_add(self.below(200) as u32),
            1 => before.wrapping_sub(self.below(200) as u32),
            2 => [0, u32::MAX, f32::NAN.to_bits(), (-f32::NAN).to_bits(), f32::INFINITY.to_bits()]
                [self.below(5)],
            3 => self.below(8) as u32,
            _ => self.roll(),
        }
    }
}

/// A rig without workers, and its arenas as their workers see them: the engine's own mapping is read-only.
fn rig_and_arenas() -> (Arc<Rig>, Vec<Segment>) {
    let rig = Arc::new(Rig::create(&SPEC).expect("room for a small rig"));
    let arenas = writable_arenas(&rig);
    (rig, arenas)
}

fn writable_arenas(rig: &Rig) -> Vec<Segment> {
    let open = |slot| Segment::open(&format!("{}-{slot}", rig.name())).expect("the rig has this arena");
    (0..SPEC.slots).map(open).collect()
}

#[test]
fn any_reply_ring_gives_answers_or_is_called_garbled() {
    let (rig, arenas) = rig_and_arenas();
    let mut dice = Dice(3);
    let mut talk = Conversation::default();
    let tail = offset_of!(ArenaHead, replies_tail) / 4;
    let (mut heard, mut garbled) = (0, 0);
    for _ in 0..CORRUPTIONS {
        let words = arenas[0].words();
        let scribbled = &words[if dice.below(2) == 0 { tail } else { tail + dice.below(1_400) }];
        scribbled.store(dice.garbage(scribbled.load(Relaxed)), Relaxed);
        match talk.hear(&rig, 0) {
            Ok(answer) => heard += usize::from(answer.is_some()),
            Err(_) => {
                garbled += 1;
                // The worker is replaced.
                talk.start_over(&rig, 0);
                assert_eq!(talk.hear(&rig, 0), Ok(None));
                assert!(!talk.is_waiting());
            }
        }
    }
    assert!(heard > 100 && garbled > 100, "{heard} heard, {garbled} garbled: the test does not test");
}

#[test]
fn a_worker_that_never_stops_answering_does_not_hold_control() {
    let (rig, arenas) = rig_and_arenas();
    let tail = &arenas[0].arena_head().expect("it is large enough").replies_tail.word;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Relaxed) {
                tail.fetch_add(1, Relaxed);
            }
        });
        let mut talk = Conversation::default();
        for _ in 0..1_000 {
            if talk.hear(&rig, 0).is_err() {
                talk.start_over(&rig, 0);
            }
        }
        is_over.store(true, Relaxed);
    });
}

/// A sink in each slot, at the same place in both arenas.
fn sinks() -> Vec<Sink> {
    let record = |start: usize| ModuleRecord {
        memory_start: start as u32,
        state_words: 6,
        output_planes: 2,
        ..ModuleRecord::zeroed()
    };
    let mut start = ARENA_HEAP_WORDS;
    (0..2)
        .map(|cell| {
            let memory =
                ModuleMemory::of(&record(start), BLOCK_FRAMES, SPEC.arena_bytes / 4).expect("it fits");
            start = memory.end;
            Sink { cell, instance: cell + 1, memory }
        })
        .collect()
}

#[test]
fn whatever_the_arenas_hold_every_block_is_finite_and_under_the_ceiling() {
    let (rig, arenas) = rig_and_arenas();
    let (mut outbox, inbox) = handoff();
    let (_sender, queue) = events();
    let report = Arc::new(AudioReport::default());
    let takeover =
        TakeOver::start(rig.clone(), Arc::new(Alarm::new().expect("a bell")), false).expect("a thread");
    let mut cycle = Cycle::new(rig.clone(), inbox, queue, takeover.witness(), report.clone());
    let sinks = sinks();
    for sink in &sinks {
        let location = Location { slot: sink.cell, lease: sink.cell + 1 };
        rig.control().places[sink.cell as usize].put(location);
    }
    let cells = sinks.iter().map(|sink| sink.cell).collect();
    let end = sinks.last().map_or(ARENA_HEAP_WORDS, |sink| sink.memory.end);
    outbox.stage(StagedPlan { version: 1, buffer: 0, all: sinks.clone(), sinks: sinks.clone(), cells });
    let mut dice = Dice(9);
    let mut out = vec![0.0; 2 * BLOCK_FRAMES];
    for number in 0..CORRUPTIONS / 10 {
        cycle.begin(BLOCK_FRAMES, now_ns(), now_ns());
        let block = rig.control().block.word.load(Relaxed);
        for (sink, arena) in sinks.iter().zip(&arenas) {
            (0..10).for_each(|_| {
                let heap = dice.below(2) == 0;
                let word = if heap {
                    ARENA_HEAP_WORDS + dice.below(end - ARENA_HEAP_WORDS)
                } else {
                    dice.below(1_400)
                };
                let word = &arena.words()[word];
                word.store(dice.garbage(word.load(Relaxed)), Relaxed);
            });
            // Now and then the commit is right, so that the garbage is heard.
            if number % 3 != 0 {
                let commit = arena.commit_word(sink.memory.commit).expect("it is aligned");
                commit.store(u64::from(sink.cell + 1) << 32 | u64::from(block), Relaxed);
            }
        }
        cycle.wait(now_ns());
        cycle.wait_for_all(now_ns());
        cycle.finish(&mut out);
        let is_sound = |sample: &f32| sample.is_finite() && sample.abs() <= 1.0;
        assert!(out.iter().all(is_sound), "block {number}: {out:?}");
    }
    assert!(report.concealed.load(Relaxed) > 0 && report.silenced_samples.load(Relaxed) > 0);
}

fn ready_pool() -> (Pool, Vec<Segment>) {
    let pool = Pool::start(&SPEC, &[], Audit::none(), &mut |_| {})
        .expect("the workers start; build them first: cargo build --workspace");
    let arenas = writable_arenas(pool.rig());
    (pool, arenas)
}

/// Tends `pool` until all its workers may take modules.
fn await_recovery(pool: &mut Pool) {
    let started = Instant::now();
    while !pool.slots().iter().all(|slot| slot.state.is_usable()) {
        pool.tend();
        assert!(started.elapsed() < WATCHDOG, "the pool does not recover");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sets up a module in `slot`, as `create` does.
fn prepare(pool: &mut Pool, slot: usize) -> Result<(), DispatchError> {
    let entry = &CATALOGUE[0];
    let mut record = ModuleRecord {
        instance: 1,
        channels: 1,
        memory_start: ARENA_HEAP_WORDS as u32,
        state_words: entry.state_words as u32,
        output_planes: entry.output_planes(1) as u32,
        ..ModuleRecord::zeroed()
    };
    record.params.iter_mut().zip(entry.panel.params).for_each(|(value, param)| *value = param.default);
    pool.rig().control().modules[0].store(&record);
    let lease = 1 + pool.slots()[slot].spawned as u32;
    let place = Location { slot: slot as u32, lease };
    pool.rig().control().places[0].put(place);
    pool.prepare(slot, 0, 1, lease).map(|_| ())
}

#[test]
fn a_slot_whose_reply_ring_was_garbled_works_again_with_its_next_process() {
    let (mut pool, arenas) = ready_pool();
    assert_eq!(prepare(&mut pool, 0), Ok(()));
    arenas[0].arena_head().expect("it is large enough").replies_tail.word.store(0xBAD0, Relaxed);
    assert_eq!(prepare(&mut pool, 0), Err(DispatchError::Garbled { slot: 0 }));
    assert_eq!(prepare(&mut pool, 1), Ok(()), "the other worker is not concerned");
    await_recovery(&mut pool);
    assert_eq!(pool.slots()[0].spawned, 2);
    assert_eq!(prepare(&mut pool, 0), Ok(()));
}

#[test]
fn scribbled_prices_do_not_count() {
    let (pool, arenas) = ready_pool();
    let row = catalogue::all()[0];
    let honest = pool.price_ns(row, 1);
    assert!(honest.is_finite() && honest > 0.0);
    let price = |slot: usize| &arenas[slot].arena_head().expect("it is large enough").prices[0];
    for garbage in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 1e30] {
        let kept = price(0).swap(garbage.to_bits(), Relaxed);
        let other = pool.price_ns(row, 1);
        assert!(other.is_finite() && other >= honest, "{garbage}: {other} beside {honest}");
        let kept_too = price(1).swap(garbage.to_bits(), Relaxed);
        assert_eq!(pool.price_ns(row, 1), 0.0, "nobody knows");
        assert!(pool.choose(catalogue::NATIVE, pool.price_ns(row, 1), &[]).is_ok());
        price(0).store(kept, Relaxed);
        price(1).store(kept_too, Relaxed);
    }
}

#[test]
fn a_pool_survives_a_storm_over_everything_its_workers_tell() {
    let (mut pool, arenas) = ready_pool();
    let (mut dice, types) = (Dice(27), catalogue::all());
    for _ in 0..20 {
        for _ in 0..100 {
            let hot = HOT[dice.below(HOT.len())] / 4;
            let word = if dice.below(4) == 0 { hot } else { dice.below(1_400) };
            let word = &arenas[dice.below(2)].words()[word];
            word.store(dice.garbage(word.load(Relaxed)), Relaxed);
            pool.tend();
            pool.common_rights();
            let price_ns = pool.price_ns(types[dice.below(types.len())], 1);
            assert!(price_ns.is_finite());
            let _ = pool.choose(dice.below(3), price_ns, &[0]);
        }
        // Any answer will do, as long as there is one.
        let _ = prepare(&mut pool, 0);
        let _ = prepare(&mut pool, 1);
        await_recovery(&mut pool);
    }
    // An idle worker whose ring is garbled finds out when it looks for the next time, and leaves.
    let started = Instant::now();
    while prepare(&mut pool, 0).is_err() || prepare(&mut pool, 1).is_err() {
        pool.tend();
        await_recovery(&mut pool);
        assert!(started.elapsed() < WATCHDOG, "the workers do not play any more");
    }
    assert!(pool.accounts().spawned > 2, "no worker was ever replaced: the test does not test");
}
