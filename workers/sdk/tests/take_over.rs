//! Nobody hears a death: a worker dies at every point of a block, in every way, while it plays a module of
//! every type. The module goes on in another worker, bit by bit; that one dies too, often in the same block.
//!
//! `BACKLINE_SEED=17 BACKLINE_ROUNDS=1000 cargo test -p backline-sdk --test take_over` is a long run.

mod support;

use backline_abi::layout::LINE_CHUNK_WORDS;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::Ordering::Acquire;
use support::fate::{End, Fate, Point};
use support::inscribed;
use support::pair::Pair;
use support::storm::Dice;
use support::worker::Worker;
use support::{Shape, Stage, wait_until};

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

/// Low, so that the longest delay is a few hundred blocks.
const RATE_HZ: u32 = 4_000;
const ARENA_BYTES: usize = 2 * 1024 * 1024;
/// Slot 0 has the twins, the others take turns.
const SLOTS: usize = 4;
/// Blocks compared after each round.
const BLOCKS_AFTER: usize = 50;
/// A fate is met at the latest in so many blocks.
const MOST_BLOCKS_TO_FATE: usize = 8;
/// The test through which this program becomes a worker.
const ENTRANCE: &str = "a_worker_that_may_die_plays_like_the_stock_worker";

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// When a worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Between two blocks.
    Idle,
    /// The block is announced; it has seen nothing of that.
    Unread,
    /// At some moment of the block.
    Sometime,
    /// Exactly there.
    At(Point),
}

const WHENS: [When; 8] = [
    When::Idle,
    When::Unread,
    When::Sometime,
    When::At(Point::Hearing),
    When::At(Point::Rendering),
    When::At(Point::Storing),
    When::At(Point::Stored),
    When::At(Point::Committed),
];

#[derive(Debug, Clone, Copy)]
struct Blow {
    when: When,
    end: End,
    subject: usize,
    at: u32,
}

/// A stage on which subjects wander from one dying worker to the next.
struct Theatre {
    on: Stage,
    pair: Pair,
    workers: Vec<Worker>,
    dice: Dice,
    home: usize,
    fates: u32,
    story: String,
}

impl Theatre {
    fn new(test: &str, block_frames: usize, is_alone: bool, seed: u64) -> Self {
        let shape = Shape { block_frames, rate_hz: RATE_HZ, arena_bytes: ARENA_BYTES };
        let mut on = Stage::of_shape(test, SLOTS, shape);
        let mut workers: Vec<Worker> = (0..SLOTS).map(|slot| start(&on, slot)).collect();
        workers.iter_mut().enumerate().for_each(|(slot, worker)| worker.await_ready(&on, slot));
        let mut dice = Dice::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let pair = Pair::enter(&mut on, &mut dice, 1, is_alone);
        pair.put_in_force(&mut on);
        let story = format!("blocks of {block_frames}, seed {seed}");
        let mut theatre = Self { on, pair, workers, dice, home: 1, fates: 0, story };
        theatre.play(BLOCKS_AFTER);
        theatre
    }

    fn announce(&mut self) {
        let events = self.pair.events(&mut self.dice, self.on.shape().block_frames);
        self.on.announce(&events);
    }

    /// Waits until all have the block, and compares.
    fn hear(&self) {
        wait_until(&format!("the block after {}", self.story), || self.pair.has_committed(&self.on));
        if let Some(what) = self.pair.first_difference(&self.on) {
            panic!("{what}: {}", self.story);
        }
    }

    fn play(&mut self, blocks: usize) {
        for _ in 0..blocks {
            self.announce();
            self.hear();
        }
    }

    /// The worker that has the subjects, or will have them, is struck. A block is in progress afterwards.
    fn strike(&mut self, blow: Blow, is_announced: bool) {
        match blow.when {
            When::Idle => self.strike_idle(blow.end, is_announced),
            When::Unread => {
                self.workers[self.home].stop();
                if !is_announced {
                    self.announce();
                }
                self.end_from_outside(blow.end);
            }
            When::Sometime => {
                if !is_announced {
                    self.announce();
                }
                (0..self.dice.below(30_000)).for_each(|_| std::hint::spin_loop());
                self.workers[self.home].stop();
                self.end_from_outside(blow.end);
            }
            When::At(_) => self.strike_inside(is_announced),
        }
    }

    fn strike_idle(&mut self, end: End, is_announced: bool) {
        if is_announced {
            self.hear();
        }
        let done = &self.on.head(self.home).done.word;
        wait_until("the worker is done", || done.load(Acquire) == self.on.block);
        self.workers[self.home].stop();
        self.end_from_outside(end);
        self.announce();
    }

    /// A stopped worker goes the way of `end`, as far as somebody outside can bring that about.
    fn end_from_outside(&mut self, end: End) {
        let worker = &mut self.workers[self.home];
        match end {
            End::Stop => return,
            End::Abort => worker.signal(libc::SIGABRT),
            End::Segv => worker.signal(libc::SIGSEGV),
            End::Kill | End::Exit | End::Panic => worker.signal(libc::SIGKILL),
        }
        worker.signal(libc::SIGCONT);
        worker.await_end();
    }

    /// The fate lies in wait already; blocks go by until it is met.
    fn strike_inside(&mut self, is_announced: bool) {
        if !is_announced {
            self.announce();
        }
        // Whoever has committed this block already meets it in the next one.
        for _ in 0..MOST_BLOCKS_TO_FATE {
            let mut is_met = false;
            wait_until(&format!("a death or a block: {}", self.story), || {
                let worker = &mut self.workers[self.home];
                is_met = worker.end().is_some() || worker.is_stopped();
                is_met || self.pair.has_committed(&self.on)
            });
            if is_met {
                return;
            }
            self.hear();
            self.announce();
        }
        panic!("nobody died: {}", self.story);
    }

    /// Lays a fate in the way, or clears the way.
    fn lay(&mut self, blow: Option<Blow>) {
        for (index, subject) in self.pair.subjects.iter().enumerate() {
            let fate = blow.filter(|blow| blow.subject == index).and_then(|blow| match blow.when {
                When::At(point) => Some(Fate { number: self.fates, point, end: blow.end, at: blow.at }),
                _ => None,
            });
            let record = fate.map_or(subject.record, |fate| fate.inscribed(&subject.record));
            self.on.control().modules[subject.cell as usize].store(&record);
        }
    }

    fn move_to(&mut self, slot: usize) {
        for subject in &mut self.pair.subjects[..Pair::movers()] {
            self.on.relocate(subject, slot);
        }
        self.home = slot;
    }

    /// Two workers are struck, one after the other.
    fn round(&mut self, first: Blow, second: Blow) {
        let [a, b, c] = [0, 1, 2].map(|step| (self.home - 1 + step) % (SLOTS - 1) + 1);
        let is_same_block = !self.dice.is_one_in(3);
        self.story = format!("{} · {first:?} then {second:?} ({is_same_block})", self.story);
        let setting = self.story.split(" · ").next().unwrap_or_default().to_owned();

        self.fates += 1;
        self.lay(Some(first));
        self.pair.put_in_force(&mut self.on);
        self.strike(first, false);
        self.assert_end(a, first);

        self.fates += 1;
        self.lay(Some(second).filter(|_| is_same_block));
        self.move_to(b);
        if !is_same_block {
            self.wake_now_or_later(a);
            self.hear();
            let blocks = self.dice.below(3);
            self.play(blocks);
            self.lay(Some(second));
            self.pair.put_in_force(&mut self.on);
        }
        self.strike(second, is_same_block);
        self.assert_end(b, second);

        self.lay(None);
        self.move_to(c);
        self.recover(a, b);
        self.story = setting;
    }

    /// A stopped worker may be told to go on before anybody has taken its modules over.
    fn wake_now_or_later(&mut self, slot: usize) {
        if self.dice.is_one_in(2) {
            self.go_on(slot);
        }
    }

    fn go_on(&mut self, slot: usize) {
        if self.workers[slot].end().is_none() {
            self.workers[slot].signal(libc::SIGCONT);
        }
    }

    /// The set goes on; late workers come back and change nothing, then new ones take their slots.
    fn recover(&mut self, a: usize, b: usize) {
        self.wake_now_or_later(b);
        self.hear();
        let blocks = self.dice.below(4);
        self.play(blocks);
        [a, b].into_iter().for_each(|slot| self.go_on(slot));
        self.play(BLOCKS_AFTER / 2);
        for slot in [a, b] {
            let worker = &mut self.workers[slot];
            if worker.end().is_none() {
                worker.signal(libc::SIGKILL);
                worker.await_end();
            }
            self.workers[slot] = start(&self.on, slot);
        }
        self.play(BLOCKS_AFTER / 2);
        if let Some(what) = self.pair.first_difference_in_memory(&self.on) {
            panic!("{what}: {}", self.story);
        }
        [a, b].into_iter().for_each(|slot| self.workers[slot].await_ready(&self.on, slot));
    }

    fn assert_end(&mut self, slot: usize, blow: Blow) {
        if let (When::At(_), Some(end)) = (blow.when, self.workers[slot].end()) {
            assert!(is_end(blow.end, end), "{end:?} is not {:?}: {}", blow.end, self.story);
        }
    }

    fn blow(&mut self, when: When, end: End, subject: usize) -> Blow {
        let at = match when {
            When::At(Point::Rendering) => self.dice.below(self.on.shape().block_frames + 1),
            When::At(Point::Storing) => self.pair.page_stored_into(subject, &mut self.dice),
            _ => 0,
        };
        Blow { when, end, subject, at: at as u32 }
    }
}

fn is_end(told: End, end: ExitStatus) -> bool {
    match told {
        End::Kill => end.signal() == Some(libc::SIGKILL),
        End::Segv => end.signal() == Some(libc::SIGSEGV),
        End::Exit => end.code() == Some(0),
        // A panic allocates, which aborts where nothing may be allocated.
        End::Abort | End::Panic => end.signal() == Some(libc::SIGABRT),
        End::Stop => false,
    }
}

/// The stock worker in slot 0, those that may die in the others.
fn start(on: &Stage, slot: usize) -> Worker {
    let engine = std::process::id();
    let command = match slot {
        0 => support::worker::command(on.name(), slot, engine),
        _ => inscribed::command(ENTRANCE, on.name(), slot, engine),
    };
    Worker::started(on, slot, command)
}

/// The first blow meets every module at every point, and every way of dying at every point; the second is drawn.
fn rounds(test: &str, block_frames: usize, is_alone: bool) {
    let mut theatre = Theatre::new(test, block_frames, is_alone, number("BACKLINE_SEED", 1));
    let all = (WHENS.len() * Pair::movers()) as u64;
    for round in 0..number("BACKLINE_ROUNDS", all) as usize {
        let (point, turn) = (round % WHENS.len(), round / WHENS.len());
        let end = End::ALL[(point + turn) % End::ALL.len()];
        let first = theatre.blow(WHENS[point], end, turn % Pair::movers());
        let (when, end) = (WHENS[theatre.dice.below(WHENS.len())], End::ALL[theatre.dice.below(6)]);
        let subject = theatre.dice.below(Pair::movers());
        let second = theatre.blow(when, end, subject);
        theatre.round(first, second);
    }
}

#[test]
fn a_worker_that_may_die_plays_like_the_stock_worker() {
    if inscribed::play_if_called() {
        return;
    }
    assert!(Pair::is_complete(), "a module type is not among those that are tried");
    let mut theatre = Theatre::new("may-die", 64, false, number("BACKLINE_SEED", 1));
    theatre.play(2_000);
    assert_eq!(theatre.pair.first_difference_in_memory(&theatre.on), None);
}

#[test]
fn a_line_that_the_dead_left_half_written_is_not_what_their_successor_goes_on_with() {
    // The chunk that the worker dies in is whole with this block, so that its stamp stays the same ever after.
    let mut theatre = Theatre::new("half", LINE_CHUNK_WORDS, false, 1);
    let (slot, subject) = (theatre.home, Pair::position("delay"));
    theatre.fates += 1;
    let blow = Blow { when: When::At(Point::Rendering), end: End::Kill, subject, at: 100 };
    theatre.lay(Some(blow));
    theatre.pair.put_in_force(&mut theatre.on);
    theatre.strike(blow, false);
    theatre.assert_end(slot, blow);
    theatre.lay(None);
    theatre.move_to(slot + 1);
    theatre.hear();
    theatre.workers[slot] = start(&theatre.on, slot);
    theatre.workers[slot].await_ready(&theatre.on, slot);
    theatre.play(1);
    // Its successor has some chunks already, or none: it plays the same in both cases.
    theatre.strike_idle(End::Kill, false);
    theatre.move_to(slot);
    theatre.hear();
    assert_eq!(theatre.pair.first_difference_in_memory(&theatre.on), None);
}

#[test]
fn two_deaths_in_a_row_change_no_sample_in_blocks_of_64() {
    rounds("deaths-64", 64, false);
}

#[test]
fn two_deaths_in_a_row_change_no_sample_in_blocks_of_256() {
    rounds("deaths-256", 256, true);
}

#[test]
fn two_deaths_in_a_row_change_no_sample_in_blocks_of_16() {
    rounds("deaths-16", 16, true);
}
