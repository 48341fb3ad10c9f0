//! A stage without an engine: segments made by hand, real worker processes on them, and blocks announced one
//! by one. It does what the engine does, in the same order (`src/cycle`, `src/pool/dispatch`, `src/control`).
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod c;
pub mod cabling;
pub mod fate;
pub mod foreign;
pub mod frail;
pub mod inscribed;
pub mod pair;
pub mod played;
pub mod prison;
pub mod racks;
pub mod storm;
pub mod worker;
pub mod zygote;

use backline_abi::block::{BlockHeader, Event};
use backline_abi::commit::{Commit, FIRST, next_block, observe, parity};
use backline_abi::layout::{
    ABI_VERSION, ARENA_HEAP_WORDS, Answer, ArenaHead, Assignment, BLOCKS_KEPT, Control, Header, MAGIC,
    ModuleMemory, PAGE, PLANS_KEPT, status,
};
use backline_abi::plan::{Location, ModuleRecord, Plan};
use backline_abi::ring::{Consumer, Producer};
use backline_abi::segment::Segment;
use backline_abi::wake::{self, now_ns};
use backline_dsp::catalogue;
use backline_dsp::module::{MAX_PARAMS, Setup};
use bytemuck::Zeroable;
use cabling::{Cable, connection, push};
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Frames of every block.
pub const BLOCK_FRAMES: usize = 64;
/// Sample rate.
pub const RATE_HZ: u32 = 48_000;
/// Bytes of each arena.
const ARENA_BYTES: usize = 2 * 1024 * 1024;
/// Cache lines of a page.
const LINES_OF_PAGE: usize = PAGE / 64;
/// Nothing here takes this long; what takes longer is stuck.
const WATCHDOG_NS: u64 = 60_000_000_000;

/// Looks until `is_so`; fails with `what` if it never is.
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(is_so_in_time(is_so), "never happened: {what}");
}

/// Looks until `is_so` or until the watchdog bites.
pub fn is_so_in_time(mut is_so: impl FnMut() -> bool) -> bool {
    let until_ns = now_ns() + WATCHDOG_NS;
    while !is_so() {
        if now_ns() >= until_ns {
            return false;
        }
        wake::sleep_until(now_ns() + 50_000);
    }
    true
}

/// Sizes of a stage.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Frames of every block.
    pub block_frames: usize,
    /// Sample rate.
    pub rate_hz: u32,
    /// Bytes of each arena.
    pub arena_bytes: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { block_frames: BLOCK_FRAMES, rate_hz: RATE_HZ, arena_bytes: ARENA_BYTES }
    }
}

/// A module to enter.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Its type.
    pub name: &'static str,
    /// Channels asked for.
    pub channels: usize,
    /// Seed of everything random in it.
    pub identity: u32,
    /// Its parameters by index; those that are not here have their default.
    pub params: Vec<f32>,
}

impl Wish {
    /// One channel, everything as it comes.
    pub fn plain(name: &'static str) -> Self {
        Self { name, channels: 1, identity: 5, params: Vec::new() }
    }
}

/// One module on the stage.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Index in all tables.
    pub cell: u32,
    /// What the workers know of it.
    pub record: ModuleRecord,
    /// Where it lies in every arena.
    pub memory: ModuleMemory,
    /// Where it lives.
    pub location: Location,
}

/// All segments, writable, and what the engine would remember.
pub struct Stage {
    control: Segment,
    arenas: Vec<Segment>,
    shape: Shape,
    /// Last block announced.
    pub block: u32,
    /// When the audio thread stops waiting; never, if nobody says otherwise.
    pub deadline_ns: u64,
    /// Version of the plan in force.
    pub plan_version: u32,
    replies_heads: Vec<AtomicU32>,
    next_cell: u32,
    next_start: usize,
    next_lease: u32,
    next_ticket: u32,
}

impl Stage {
    /// A stage for `slots` workers, none started.
    pub fn new(test: &str, slots: usize) -> Self {
        Self::of_shape(test, slots, Shape::default())
    }

    /// A stage of other sizes.
    pub fn of_shape(test: &str, slots: usize, shape: Shape) -> Self {
        let name = format!("backline-test-{test}-{}", std::process::id());
        let control = Segment::create(&name, size_of::<Control>()).expect("room for the control segment");
        let arena =
            |slot| Segment::create(&format!("{name}-{slot}"), shape.arena_bytes).expect("room for an arena");
        let stage = Self {
            control,
            arenas: (0..slots).map(arena).collect(),
            shape,
            block: FIRST,
            deadline_ns: u64::MAX,
            plan_version: 0,
            replies_heads: (0..slots).map(|_| AtomicU32::new(0)).collect(),
            next_cell: 0,
            next_start: ARENA_HEAP_WORDS,
            next_lease: 1,
            next_ticket: 1,
        };
        stage.control().header.store(&stage.true_header());
        stage.mean_catalogue(backline_dsp::play::fingerprint());
        stage
    }

    /// Which catalogue the workers shall have.
    pub fn mean_catalogue(&self, fingerprint: u64) {
        self.control().catalogues.iter().for_each(|meant| meant.store(fingerprint, Relaxed));
    }

    /// The identity of this stage.
    pub fn true_header(&self) -> Header {
        Header {
            magic: MAGIC,
            abi_version: ABI_VERSION,
            control_bytes: size_of::<Control>() as u32,
            arena_head_bytes: size_of::<ArenaHead>() as u32,
            rate_hz: self.shape.rate_hz,
            block_frames: self.shape.block_frames as u32,
            slots: self.arenas.len() as u32,
            arena_bytes: self.shape.arena_bytes as u64,
            engine_pid: std::process::id(),
            worker_priority: 0,
            locks_memory: 0,
            reserved: [0; 3],
        }
    }

    /// Its sizes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Name of the control segment.
    pub fn name(&self) -> &str {
        self.control.name()
    }

    /// The control segment.
    pub fn control(&self) -> &Control {
        self.control.control().expect("it was created with this size")
    }

    /// The control segment as words.
    pub fn control_words(&self) -> &[AtomicU32] {
        self.control.words()
    }

    /// The arena of `slot`.
    pub fn arena(&self, slot: usize) -> &Segment {
        &self.arenas[slot]
    }

    /// The head of that arena.
    pub fn head(&self, slot: usize) -> &ArenaHead {
        self.arenas[slot].arena_head().expect("it was created larger than this")
    }

    /// Rings every worker.
    pub fn ring_bells(&self) {
        for bell in &self.control().bells[..self.arenas.len()] {
            bell.word.fetch_add(1, Release);
            wake::wake(&bell.word);
        }
    }

    /// Gives the workers the time of a short block.
    pub fn let_others_run(&self) {
        wake::sleep_until(now_ns() + 20_000);
    }

    /// A lease that nobody ever had.
    pub fn draw_lease(&mut self) -> u32 {
        self.next_lease += 1;
        self.next_lease
    }

    /// Enters a module of type `name` with one channel into the tables, to live in `slot`; nobody is told.
    pub fn enter(&mut self, name: &'static str, slot: usize) -> Module {
        self.enter_wished(&Wish::plain(name), slot)
    }

    /// The next module's commit word is the last thing in its page if `is_alone`, else it stands at line `line`
    /// of some page.
    pub fn place_next(&mut self, line: usize, is_alone: bool) {
        let line = if is_alone { LINES_OF_PAGE - 1 } else { line % LINES_OF_PAGE };
        self.next_start = self.next_start.next_multiple_of(PAGE / 4) + line * PAGE / 4 / LINES_OF_PAGE;
    }

    /// [`Stage::enter`] with all that can be wished for.
    pub fn enter_wished(&mut self, wish: &Wish, slot: usize) -> Module {
        let (type_index, entry) = catalogue::find(wish.name).expect("the type exists");
        let mut params = [0.0; MAX_PARAMS];
        params.iter_mut().zip(entry.panel.params).for_each(|(value, param)| *value = param.default);
        params.iter_mut().zip(&wish.params).for_each(|(value, wished)| *value = *wished);
        let channels = entry.channels(wish.channels);
        let (identity, used) = (wish.identity, &params[..entry.panel.params.len()]);
        let setup = Setup { rate_hz: self.shape.rate_hz as f32, channels, identity, params: used };
        let record = ModuleRecord {
            instance: 100 + self.next_cell,
            type_index: type_index as u32,
            channels: channels as u32,
            identity,
            memory_start: self.next_start as u32,
            state_words: entry.state_words as u32,
            line_words: (entry.line_samples)(&setup) as u32,
            output_planes: entry.output_planes(channels) as u32,
            params,
            input_ports: entry.panel.inputs.len() as u32,
            ..ModuleRecord::zeroed()
        };
        self.enter_record(record, slot)
    }

    /// Writes a module's record and place as they are.
    pub fn tell(&self, module: &Module) {
        self.control().modules[module.cell as usize].store(&module.record);
        self.control().places[module.cell as usize].put(module.location);
    }

    /// [`Stage::enter`], and has the worker in `slot` set it up.
    pub fn add(&mut self, name: &'static str, slot: usize) -> Module {
        self.add_wished(&Wish::plain(name), slot)
    }

    /// [`Stage::enter_wished`], and has the worker in `slot` set it up.
    pub fn add_wished(&mut self, wish: &Wish, slot: usize) -> Module {
        let module = self.enter_wished(wish, slot);
        assert_eq!(self.prepare(&module), status::DONE, "{} is set up", wish.name);
        module
    }

    /// Queues an assignment without waiting; its ticket comes back.
    pub fn send(&mut self, slot: usize, assigned: Assignment) -> u32 {
        self.next_ticket += 1;
        let ring = &self.control().rings[slot];
        let mut producer =
            Producer::new(&ring.slots, &ring.tail.word, &self.head(slot).assignments_head.word);
        producer.try_push(Assignment { ticket: self.next_ticket, ..assigned }).expect("the ring has room");
        self.ring_bells();
        self.next_ticket
    }

    /// What the worker in `slot` answers next.
    pub fn hear(&self, slot: usize) -> Option<Answer> {
        let head = self.head(slot);
        let mut replies = Consumer::new(&head.replies, &head.replies_tail.word, &self.replies_heads[slot]);
        replies.try_pop().expect("the worker keeps its reply ring whole")
    }

    /// Forgets what the worker in `slot` has answered.
    pub fn forget_replies(&self, slot: usize) {
        self.replies_heads[slot].store(self.head(slot).replies_tail.word.load(Acquire), Relaxed);
    }

    /// Sends an assignment and waits for its answer.
    pub fn ask(&mut self, slot: usize, assigned: Assignment) -> Answer {
        let ticket = self.send(slot, assigned);
        let mut answer = None;
        wait_until("the worker answers an assignment", || {
            answer = self.hear(slot);
            answer.is_some()
        });
        let answer = answer.expect("it was waited for");
        assert_eq!(answer.ticket, ticket);
        answer
    }

    /// Puts a new plan in force: modules in order, each with its cables.
    pub fn plan(&mut self, modules: &[(&Module, &[Cable<'_>])]) {
        let mut plan = Plan::default();
        for (module, cables) in modules {
            push(&mut plan, module, cables.iter().map(connection));
        }
        self.put_in_force(&plan);
    }

    /// Puts any plan in force from the next block on.
    pub fn put_in_force(&mut self, plan: &Plan) {
        self.plan_version += 1;
        self.control().plans[self.plan_version as usize % PLANS_KEPT].write(self.plan_version, plan);
    }

    /// Announces the next block, with `events` sorted by instance and frame.
    pub fn announce(&mut self, events: &[Event]) {
        self.block = next_block(self.block);
        let cell = &self.control().blocks[self.block as usize % BLOCKS_KEPT];
        let header = BlockHeader {
            block: self.block,
            frames: self.shape.block_frames as u32,
            plan_version: self.plan_version,
            plan_buffer: self.plan_version % PLANS_KEPT as u32,
            events: events.len() as u32,
            frames_before: BLOCK_FRAMES as u32,
            deadline_ns: self.deadline_ns,
            ..BlockHeader::zeroed()
        };
        cell.header.store(&BlockHeader { block: 0, ..header });
        fence(Release);
        cell.events.iter().zip(events).for_each(|(shared, event)| shared.store(event));
        cell.header.store(&header);
        self.control().block.word.store(self.block, Release);
        self.ring_bells();
    }

    /// What the commit word of `module` in its place says.
    pub fn commit_of(&self, module: &Module) -> Commit {
        self.commit_in(module.location.slot as usize, module)
    }

    /// What its commit word in the arena of `slot` says.
    pub fn commit_in(&self, slot: usize, module: &Module) -> Commit {
        observe(self.arenas[slot].commit_word(module.memory.commit).expect("it is aligned"))
    }

    /// Whether `module` has committed the block announced last.
    pub fn has_committed(&self, module: &Module) -> bool {
        self.commit_of(module) == Commit { lease: module.location.lease, block: self.block }
    }

    /// Waits for that.
    pub fn await_commit(&self, module: &Module) {
        wait_until("a module commits the block", || self.has_committed(module));
    }

    /// The bits of the outputs of `module` for the block announced last.
    pub fn heard(&self, module: &Module) -> Vec<u32> {
        self.outputs_in(module.location.slot as usize, module, self.block)
    }

    /// The bits of its outputs for `block` in the arena of `slot`.
    pub fn outputs_in(&self, slot: usize, module: &Module, block: u32) -> Vec<u32> {
        let start = module.memory.outputs[parity(block)];
        let words = &self.arenas[slot].words()[start..start + module.memory.output_words];
        words.iter().map(|word| word.load(Relaxed)).collect()
    }

    /// Announces a block, waits until all of `modules` have it, and gives what each of them plays.
    pub fn play(&mut self, modules: &[&Module]) -> Vec<Vec<u32>> {
        self.announce(&[]);
        modules.iter().for_each(|module| self.await_commit(module));
        modules.iter().map(|module| self.heard(module)).collect()
    }

    /// Moves `module` to `slot`, where it is taken over from where it is now, or was before if it never got there.
    pub fn relocate(&mut self, module: &mut Module, slot: usize) {
        let old = module.location;
        let has_arrived = self.commit_of(module).lease == old.lease;
        let place = &self.control().places[module.cell as usize];
        let previous = if has_arrived { old } else { place.sources()[1] };
        self.send_on(module, slot, previous);
    }

    /// Moves `module` to `slot`, by somebody who has last seen it arrive at `previous`.
    pub fn send_on(&mut self, module: &mut Module, slot: usize, previous: Location) {
        let old = module.location;
        module.location = Location { slot: slot as u32, lease: self.draw_lease() };
        let place = &self.control().places[module.cell as usize];
        assert!(place.relocate(old, module.location, previous), "it was there");
        self.control().moves.word.fetch_add(1, Release);
        wake::wake(&self.control().moves.word);
        self.ring_bells();
    }
}
