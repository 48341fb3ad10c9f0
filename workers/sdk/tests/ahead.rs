//! Types that are rendered ahead by a second thread: heard exactly so many blocks later, or said to be too late, and never
//! waited for.

mod support;

use assert_no_alloc::assert_no_alloc;
use backline_abi::block::kind;
use backline_abi::commit::next_block;
use backline_abi::panel::Panel;
use backline_abi::plan::ModuleRecord;
use backline_sdk::c_api::types::{BacklineJob, BacklineRack, BacklineSetup};
use backline_sdk::foreign::Foreign;
use backline_sdk::rack::Rack;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use support::foreign::record_of;
use support::played::{Played, RATE_HZ};
use support::racks::{module_type, rack, read};
use support::{BLOCK_FRAMES, wait_until};

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

/// Blocks between a block and its sound.
const AHEAD_BLOCKS: usize = 2;
/// First value of the state.
const FIRST_SUM: u32 = 1_000;

/// What author and test share.
#[derive(Default)]
struct Author {
    /// Renders that may begin.
    allowed: AtomicU32,
    /// Renders that are over.
    rendered: AtomicU32,
    /// Times that the gate was struck.
    strikes: AtomicU32,
}

unsafe extern "C" fn begin(_user: *mut c_void, _setup: *const BacklineSetup, state: *mut u32) {
    // SAFETY: one word.
    unsafe { state.write(FIRST_SUM) };
}

/// Sums what it hears, when it is allowed to. Fails while its parameter is 1.
unsafe extern "C" fn sum(user: *mut c_void, job: *const BacklineJob) -> i32 {
    // SAFETY: the test keeps it longer than the rack.
    let author = unsafe { &*user.cast::<Author>() };
    // SAFETY: as the library calls it.
    let job = unsafe { &*job };
    let is_rehearsal = job.setup.instance == 0;
    if !is_rehearsal {
        wait_until("a render is allowed", || author.allowed.load(SeqCst) > author.rendered.load(SeqCst));
        author.strikes.fetch_add(job.is_struck, SeqCst);
    }
    // SAFETY: one parameter.
    let has_failed = unsafe { job.setup.params.read() } == 1.0;
    for frame in 0..job.frames as usize {
        // SAFETY: one input and one parameter.
        let input = unsafe { job.inputs.read() };
        // SAFETY: it has a plane, or there is none.
        let heard = if input.is_null() { 0.0 } else { unsafe { input.wrapping_add(frame).read() } };
        // SAFETY: one word, which nobody else has.
        let state = unsafe { &mut *job.state };
        *state += heard as u32;
        // SAFETY: one plane.
        unsafe { job.outputs.wrapping_add(frame).write(*state as f32) };
    }
    if !is_rehearsal && job.start_frame + job.frames == BLOCK_FRAMES as u32 {
        author.rendered.fetch_add(1, SeqCst);
    }
    i32::from(has_failed) * 4
}

struct Scene {
    author: &'static Author,
    rack: Foreign,
    panels: Vec<Panel>,
}

impl Scene {
    fn new() -> Self {
        let author: &'static Author = Box::leak(Box::default());
        Self::by(author)
    }

    fn by(author: &'static Author) -> Self {
        let mut of = module_type(c"sum");
        (of.state_words, of.render_ahead_blocks) = (1, AHEAD_BLOCKS as u32);
        let user = std::ptr::from_ref(author).cast_mut().cast::<c_void>();
        let of = BacklineRack { user, init: Some(begin), render: Some(sum), ..rack(vec![of]) };
        let mut rack = Foreign::new(read(&of).expect("the rack is good"));
        rack.warm(0, RATE_HZ, BLOCK_FRAMES);
        rack.ready(None).expect("there is a second thread");
        Self { author, panels: rack.panels(), rack }
    }

    fn record(&self, instance: u32) -> ModuleRecord {
        ModuleRecord { instance, ..record_of(&self.panels, "sum", 1) }
    }

    fn begun(&mut self, instance: u32) -> Played {
        let record = self.record(instance);
        Played::begun(&mut self.rack, record)
    }

    /// Waits until the author has rendered so many blocks in all.
    fn settle(&self, rendered: u32) {
        wait_until("blocks are rendered ahead", || self.author.rendered.load(SeqCst) >= rendered);
    }
}

/// What is heard in a block in which every frame adds `step` to `sum`.
fn steps(sum: u32, step: u32) -> Vec<f32> {
    (1..=BLOCK_FRAMES as u32).map(|frame| (sum + frame * step) as f32).collect()
}

#[test]
fn two_modules_are_each_heard_exactly_two_blocks_later() {
    let mut on = Scene::new();
    on.author.allowed.store(u32::MAX, SeqCst);
    let mut modules = [on.begun(7), on.begun(9)];
    let mut sums = [FIRST_SUM; 2];
    let mut sent: [Vec<Vec<f32>>; 2] = Default::default();
    for block in 0..20_u32 {
        for (index, module) in modules.iter_mut().enumerate() {
            let step = (block * 3 + index as u32) % 5;
            let input = [step as f32; BLOCK_FRAMES];
            let heard = module.play(&mut on.rack, BLOCK_FRAMES, &[], &[Some(&input)]).expect("in time");
            let expected = match block.checked_sub(AHEAD_BLOCKS as u32) {
                Some(due) => sent[index][due as usize].clone(),
                None => vec![0.0; BLOCK_FRAMES],
            };
            assert_eq!(heard, expected, "module {index}, block {block}");
            sent[index].push(steps(sums[index], step));
            sums[index] += step * BLOCK_FRAMES as u32;
        }
        on.settle((block + 1) * 2);
    }
}

#[test]
fn what_comes_too_late_is_not_waited_for_and_what_follows_is_heard_in_its_time() {
    let mut on = Scene::new();
    let mut module = on.begun(7);
    let input = [1.0; BLOCK_FRAMES];
    let mut outcomes = Vec::new();
    for _ in 0..6 {
        // Nobody is allowed to render: were it waited for, this would be the end.
        let outcome = assert_no_alloc(|| {
            module.play(&mut on.rack, BLOCK_FRAMES, &[], &[Some(&input)]).map(|heard| heard[0])
        });
        outcomes.push(outcome.map_err(str::to_owned));
    }
    let late = |said: &str| Err(said.to_owned());
    assert_eq!(
        outcomes,
        [Ok(0.0), Ok(0.0), late("rendered too late"), late(""), late(""), late("")],
        "it is said once"
    );
    on.author.allowed.store(u32::MAX, SeqCst);
    // Blocks 0, 1 and 2 were on their way; those behind were not sent any more.
    for block in 4..6 {
        on.settle(block - 1);
        assert_eq!(module.play(&mut on.rack, BLOCK_FRAMES, &[], &[Some(&input)]), Err(""));
    }
    on.settle(5);
    for block in 3..9 {
        let heard = module.play(&mut on.rack, BLOCK_FRAMES, &[], &[Some(&input)]).expect("in time again");
        assert_eq!(heard, steps(FIRST_SUM + block * BLOCK_FRAMES as u32, 1));
        on.settle(block + 3);
    }
}

#[test]
fn a_module_that_is_late_for_long_says_so_every_two_seconds() {
    let mut on = Scene::new();
    let mut module = on.begun(7);
    let blocks = 5 * RATE_HZ as usize / BLOCK_FRAMES;
    let mut said = Vec::new();
    for block in 0..blocks {
        if block % 100 == 99 {
            // It gets through a block now and then, far too late.
            let rendered = on.author.allowed.fetch_add(1, SeqCst) + 1;
            on.settle(rendered);
        }
        if module.play(&mut on.rack, BLOCK_FRAMES, &[], &[]) == Err("rendered too late") {
            said.push(block);
        }
    }
    assert_eq!(said, [2, 1502, 3002]);
    on.author.allowed.store(u32::MAX, SeqCst);
}

#[test]
fn a_free_running_engine_waits_and_nothing_is_late() {
    let mut on = Scene::new();
    on.author.allowed.store(u32::MAX, SeqCst);
    let mut module = on.begun(7);
    module.is_free_running = true;
    let input = [1.0; BLOCK_FRAMES];
    for block in 0..200 {
        let heard = assert_no_alloc(|| module.play(&mut on.rack, BLOCK_FRAMES, &[], &[Some(&input)]));
        let expected = match u32::checked_sub(block, AHEAD_BLOCKS as u32) {
            Some(due) => steps(FIRST_SUM + due * BLOCK_FRAMES as u32, 1),
            None => vec![0.0; BLOCK_FRAMES],
        };
        assert_eq!(heard, Ok(&expected[..]));
    }
}

#[test]
fn a_gate_in_blocks_that_fail_is_struck_once() {
    let mut on = Scene::new();
    let mut module = on.begun(7);
    let strike = [module.event(9, kind::GATE_ON, 1.0)];
    for block in 0..8 {
        // Block 1 is sent and heard too late; block 6 is not even sent.
        let events = if block == 1 || block == 6 { &strike[..] } else { &[] };
        let _ = module.play(&mut on.rack, BLOCK_FRAMES, events, &[]);
    }
    on.author.allowed.store(u32::MAX, SeqCst);
    on.settle(3);
    assert_eq!(on.author.strikes.load(SeqCst), 1);
    for block in 0..4 {
        let _ = module.play(&mut on.rack, BLOCK_FRAMES, &[], &[]);
        on.settle(4 + block);
    }
    assert_eq!(on.author.strikes.load(SeqCst), 2);
}

#[test]
fn a_render_that_fails_is_told_when_it_should_be_heard_and_leaves_no_state() {
    let mut on = Scene::new();
    on.author.allowed.store(u32::MAX, SeqCst);
    let mut module = on.begun(7);
    let input = [1.0; BLOCK_FRAMES];
    let mut outcomes = Vec::new();
    for block in 0..6 {
        let events = match block {
            1 => vec![module.event(0, 0, 1.0)],
            2 => vec![module.event(0, 0, 0.0)],
            _ => vec![],
        };
        let outcome = module.play(&mut on.rack, BLOCK_FRAMES, &events, &[Some(&input)]);
        outcomes.push(outcome.map(|heard| heard[BLOCK_FRAMES - 1]).map_err(str::to_owned));
        on.settle(block + 1);
    }
    let after = |blocks: u32| Ok((FIRST_SUM + blocks * BLOCK_FRAMES as u32) as f32);
    let failed = Err("render returned 4".to_owned());
    assert_eq!(outcomes, [Ok(0.0), Ok(0.0), after(1), failed, after(2), after(3)]);
}

#[test]
fn whoever_takes_it_over_begins_with_the_newest_state_that_was_heard() {
    let mut on = Scene::new();
    on.author.allowed.store(u32::MAX, SeqCst);
    let mut module = on.begun(7);
    let input = [1.0; BLOCK_FRAMES];
    for block in 0..5 {
        module.play(&mut on.rack, BLOCK_FRAMES, &[], &[Some(&input)]).expect("in time");
        on.settle(block + 1);
    }
    // Of five blocks four have come back before the fifth was sent.
    let sum = *module.state.last().expect("it has a state");
    assert!((FIRST_SUM + 3 * 64..=FIRST_SUM + 4 * 64).contains(&sum), "{sum}");
    let mut other = Scene::by(on.author);
    let mut module = Played::brought(module.record, &module.state, module.block);
    for block in 0..2 {
        assert_eq!(
            module.play(&mut other.rack, BLOCK_FRAMES, &[], &[Some(&input)]),
            Err(""),
            "what was on its way"
        );
        other.settle(block + 6);
    }
    let heard = module.play(&mut other.rack, BLOCK_FRAMES, &[], &[Some(&input)]).expect("in time");
    assert_eq!(heard, steps(sum, 1));
    // Blocks missed altogether are the same: what is on its way belongs to another time.
    module.block = next_block(next_block(module.block));
    assert_eq!(module.play(&mut other.rack, BLOCK_FRAMES, &[], &[Some(&input)]), Err(""));
}

#[test]
fn a_module_taken_over_before_anything_was_heard_begins_anew() {
    let mut on = Scene::new();
    let mut module = on.begun(7);
    module.play(&mut on.rack, BLOCK_FRAMES, &[], &[]).expect("silence");
    on.author.allowed.store(u32::MAX, SeqCst);
    on.settle(1);
    let mut other = Scene::by(on.author);
    let mut module = Played::brought(module.record, &module.state, module.block);
    for block in 0..3 {
        let heard = module.play(&mut other.rack, BLOCK_FRAMES, &[], &[]).expect("in time")[0];
        assert_eq!(heard, if block < 2 { 0.0 } else { FIRST_SUM as f32 });
        other.settle(block + 2);
    }
}

#[test]
fn there_are_so_many_lanes_and_whoever_leaves_makes_room() {
    let mut on = Scene::new();
    on.author.allowed.store(u32::MAX, SeqCst);
    let mut modules: Vec<Played> = (1..=33).map(|instance| on.begun(instance)).collect();
    let play = |module: &mut Played, on: &mut Scene| {
        module.play(&mut on.rack, BLOCK_FRAMES, &[], &[]).map(|heard| heard[0]).map_err(str::to_owned)
    };
    for module in &mut modules[..32] {
        assert_eq!(play(module, &mut on), Ok(0.0));
    }
    on.settle(32);
    let said = play(&mut modules[32], &mut on).expect_err("there are 32 lanes");
    assert!(said.starts_with("this worker renders no more modules ahead"), "{said}");
    on.rack.rest(&|instance| instance != 4);
    assert_eq!(play(&mut modules[32], &mut on), Ok(0.0));
    assert_eq!(play(&mut modules[0], &mut on), Ok(0.0), "the others go on");
}

#[test]
fn blocks_of_any_length_are_heard_the_same_time_later() {
    let mut on = Scene::new();
    on.author.allowed.store(u32::MAX, SeqCst);
    let mut module = on.begun(7);
    let input = [1.0; BLOCK_FRAMES];
    let mut heard = Vec::new();
    for block in 0..40 {
        let frames = [64, 1, 63, 32, 64, 7][block % 6];
        let events = [module.event(0, kind::GATE_ON, 1.0)];
        let sound = module.play(&mut on.rack, frames, &events, &[Some(&input)]).expect("in time");
        heard.extend_from_slice(&sound[..frames]);
        wait_until("it is rendered", || on.author.strikes.load(SeqCst) > block as u32);
        // It was struck before it was rendered; what counts is that the block is back when it is due.
        std::thread::yield_now();
    }
    let silence = AHEAD_BLOCKS * BLOCK_FRAMES;
    assert!(heard[..silence].iter().all(|sample| *sample == 0.0));
    let expected: Vec<f32> =
        (1..=heard.len() - silence).map(|frame| (FIRST_SUM as usize + frame) as f32).collect();
    assert_eq!(heard[silence..], expected);
}
