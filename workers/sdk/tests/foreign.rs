//! Modules of a rack in another language, without a process: blocks are cut where something happens, everything that was
//! told travels with the state, and nothing is allocated.

mod support;

use assert_no_alloc::assert_no_alloc;
use backline_abi::block::{Event, kind};
use backline_abi::panel::Panel;
use backline_abi::plan::ModuleRecord;
use backline_sdk::c_api::exports::backline_complain;
use backline_sdk::c_api::types::{BacklineJob, BacklineModuleType, BacklineRack, BacklineSetup};
use backline_sdk::foreign::Foreign;
use backline_sdk::rack::Rack;
use proptest::prelude::*;
use std::ffi::c_void;
use std::sync::Mutex;
use support::BLOCK_FRAMES;
use support::foreign::record_of;
use support::played::{Played, RATE_HZ};
use support::racks::{kept, module_type, param, port, rack, read};

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

/// The type.
const TELLER: &str = "teller";
/// Words of the author's state: a sum, and how often the gate was struck.
const STATE_WORDS: u32 = 2;

/// The first values of the state.
unsafe extern "C" fn begin(_user: *mut c_void, setup: *const BacklineSetup, state: *mut u32) {
    // SAFETY: as the library calls it.
    let setup = unsafe { &*setup };
    // SAFETY: `level` is its second parameter.
    let level = unsafe { setup.params.wrapping_add(1).read() };
    // SAFETY: there are two words.
    unsafe { state.write((level * 1_000.0) as u32) };
}

/// Sums its inputs, scaled, frame by frame: every frame says everything that the module was told.
unsafe extern "C" fn tell(_user: *mut c_void, job: *const BacklineJob) -> i32 {
    // SAFETY: as the library calls it.
    let job = unsafe { &*job };
    // SAFETY: two parameters.
    let params = unsafe { std::slice::from_raw_parts(job.setup.params, 2) };
    // SAFETY: two inputs and two parameters.
    let inputs = unsafe { std::slice::from_raw_parts(job.inputs, 4) };
    // SAFETY: two words, which nobody else has.
    let state = unsafe { std::slice::from_raw_parts_mut(job.state, 2) };
    assert_eq!(job.state.align_offset(64), 0);
    assert_eq!((job.setup.rate_hz, job.setup.block_frames), (RATE_HZ, BLOCK_FRAMES as u32));
    if params[0] < 0.0 {
        // SAFETY: a text.
        unsafe { backline_complain(job, c"below zero".as_ptr()) };
        state[0] = 0xbad;
        return 1;
    }
    state[1] += job.is_struck;
    for frame in 0..job.frames as usize {
        for channel in 0..job.setup.channels as usize {
            let at = channel * job.stride as usize + frame;
            let heard = |input: &*const f32| {
                if input.is_null() {
                    return 0.0;
                }
                // SAFETY: an input that is there has a plane a channel.
                unsafe { input.wrapping_add(at).read() }
            };
            let sum: f32 = inputs.iter().map(heard).sum();
            state[0] = state[0].wrapping_add((sum * 64.0) as i32 as u32);
            let told = params[0] + 2.0 * params[1] + job.gate as f32 + job.velocity;
            // SAFETY: an output has a plane a channel.
            unsafe {
                job.outputs
                    .wrapping_add(at)
                    .write(told + (state[0] % 4_096) as f32 + 8_192.0 * state[1] as f32)
            };
        }
    }
    0
}

fn teller() -> BacklineModuleType {
    let mut of = module_type(c"teller");
    (of.inputs, of.input_count) = (kept(vec![port(c"in"), port(c"side")]), 2);
    let mut balance = param(c"balance");
    balance.min = -1.0;
    (of.params, of.param_count) = (kept(vec![balance, param(c"level")]), 2);
    (of.is_gated, of.most_channels, of.state_words, of.is_exact) = (1, 4, STATE_WORDS, 1);
    of
}

fn taken(rack: &BacklineRack) -> Foreign {
    let mut foreign = Foreign::new(read(rack).expect("the rack is good"));
    for index in 0..foreign.types() {
        foreign.warm(index, RATE_HZ, BLOCK_FRAMES);
    }
    foreign.ready(None).expect("it can play");
    foreign
}

fn tellers() -> (Foreign, Vec<Panel>) {
    let rack = BacklineRack { init: Some(begin), render: Some(tell), ..rack(vec![teller()]) };
    let foreign = taken(&rack);
    let panels = foreign.panels();
    (foreign, panels)
}

/// The same without any cutting: frame by frame.
struct Model {
    record: ModuleRecord,
    params: [f32; 2],
    is_open: bool,
    velocity: f32,
    sum: u32,
    strikes: u32,
}

impl Model {
    fn of(record: ModuleRecord) -> Self {
        let params = [record.params[0], record.params[1]];
        Self { record, params, is_open: false, velocity: 0.0, sum: (params[1] * 1_000.0) as u32, strikes: 0 }
    }

    fn play(&mut self, frames: usize, events: &[Event], heard: &[Option<&[f32]>]) -> Vec<f32> {
        let channels = self.record.channels as usize;
        let mut outputs = vec![0.0; channels * BLOCK_FRAMES];
        for frame in 0..frames {
            let mut is_struck = false;
            for event in events.iter().filter(|event| event.offset_frames as usize == frame) {
                match event.kind {
                    kind::GATE_ON => (self.is_open, self.velocity, is_struck) = (true, event.value, true),
                    kind::GATE_OFF => self.is_open = false,
                    index => self.params[index as usize] = event.value,
                }
            }
            self.strikes += u32::from(is_struck);
            for channel in 0..channels {
                let at = channel * BLOCK_FRAMES + frame;
                let sum: f32 = heard.iter().flatten().map(|planes| planes[at]).sum();
                self.sum = self.sum.wrapping_add((sum * 64.0) as i32 as u32);
                let told =
                    self.params[0] + 2.0 * self.params[1] + f32::from(u8::from(self.is_open)) + self.velocity;
                outputs[at] = told + (self.sum % 4_096) as f32 + 8_192.0 * self.strikes as f32;
            }
        }
        outputs
    }
}

/// Frames, happenings (frame, what, value) and inputs of one block.
type Scene = (usize, Vec<(usize, usize, f32)>, [bool; 4], u32);

fn scene() -> impl Strategy<Value = Scene> {
    let happening = (0..BLOCK_FRAMES, 0..4_usize, 0.0_f32..1.0);
    (1..=BLOCK_FRAMES, prop::collection::vec(happening, 0..6), any::<[bool; 4]>(), any::<u32>())
}

fn events_of(instance: u32, frames: usize, happenings: &[(usize, usize, f32)]) -> Vec<Event> {
    let kinds = [0, 1, kind::GATE_ON, kind::GATE_OFF];
    let event = |(frame, what, value): &(usize, usize, f32)| Event {
        instance,
        offset_frames: (frame % frames) as u32,
        kind: kinds[*what],
        value: *value,
    };
    let mut events: Vec<Event> = happenings.iter().map(event).collect();
    events.sort_by_key(|event| event.offset_frames);
    events
}

proptest! {
    #[test]
    fn blocks_are_cut_so_that_every_frame_is_told_what_holds_there(
        scenes in prop::collection::vec(scene(), 1..6),
        channels in 1_u32..=4,
        moves_before in 0_usize..6,
    ) {
        let (mut rack, panels) = tellers();
        let record = record_of(&panels, TELLER, channels);
        prop_assert!(rack.fits(&record, RATE_HZ));
        let mut played = Played::begun(&mut rack, record);
        let mut model = Model::of(record);
        for (index, (frames, happenings, is_patched, seed)) in scenes.iter().enumerate() {
            if index == moves_before {
                // Another worker goes on with what is in the arena.
                rack = tellers().0;
                played = Played::brought(record, &played.state, played.block);
            }
            let planes: Vec<f32> =
                (0..4 * BLOCK_FRAMES as u32).map(|at| (at.wrapping_mul(*seed) >> 24) as f32).collect();
            let heard = is_patched.map(|is_patched| is_patched.then_some(&planes[..]));
            let events = events_of(record.instance, *frames, happenings);
            let expected = model.play(*frames, &events, &heard);
            let outputs = assert_no_alloc(|| played.play(&mut rack, *frames, &events, &heard));
            prop_assert_eq!(outputs, Ok(&expected[..]), "block {}", index);
        }
    }
}

#[test]
fn a_record_that_is_not_what_its_type_needs_does_not_fit() {
    let (rack, panels) = tellers();
    let good = record_of(&panels, TELLER, 2);
    assert!(rack.fits(&good, RATE_HZ));
    assert_eq!((good.state_words, rack.most_state_words()), (16 + STATE_WORDS, 18));
    let others = [
        ModuleRecord { type_index: 1, ..good },
        ModuleRecord { channels: 0, output_planes: 0, ..good },
        ModuleRecord { channels: 5, output_planes: 5, ..good },
        ModuleRecord { state_words: 17, ..good },
        ModuleRecord { output_planes: 1, ..good },
        ModuleRecord { line_words: 1, ..good },
    ];
    for other in others {
        assert!(!rack.fits(&other, RATE_HZ), "{other:?}");
    }
}

#[test]
fn a_block_that_fails_changes_no_state_but_what_the_module_was_told() {
    let (mut rack, panels) = tellers();
    let mut played = Played::begun(&mut rack, record_of(&panels, TELLER, 1));
    played.play(&mut rack, 64, &[], &[]).expect("it plays");
    let before = played.state.to_vec();
    let events = [played.event(5, kind::GATE_ON, 0.5), played.event(9, 0, -0.5)];
    let said = assert_no_alloc(|| played.play(&mut rack, 64, &events, &[]));
    assert_eq!(said, Err("below zero"));
    assert_eq!(played.state[16..], before[16..], "the author's words");
    let recovers = [played.event(0, 0, 0.0)];
    let heard = played.play(&mut rack, 64, &recovers, &[]).expect("it plays")[0];
    assert_eq!(
        heard,
        0.0 + 2.0 * 0.5 + 1.0 + 0.5 + 500.0 + 8_192.0,
        "it was struck, once, in a block that failed"
    );
    let heard = played.play(&mut rack, 64, &[], &[]).expect("it plays")[0];
    assert_eq!(heard, 2.5 + 500.0 + 8_192.0, "and not again");
}

/// What `rest` was told last.
static OURS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

unsafe extern "C" fn note_ours(_user: *mut c_void, instances: *const u32, count: u32) {
    // SAFETY: as the library calls it.
    let ours = unsafe { std::slice::from_raw_parts(instances, count as usize) };
    *OURS.lock().expect("nobody panics") = ours.to_vec();
}

#[test]
fn whoever_keeps_memory_for_each_module_is_told_which_are_ours() {
    let mut with_rest = rack(vec![module_type(c"ring")]);
    with_rest.rest = Some(note_ours);
    let mut foreign = taken(&with_rest);
    let panels = foreign.panels();
    let record = |instance| ModuleRecord { instance, ..record_of(&panels, "ring", 1) };
    let mut played = [8, 3].map(|instance| Played::begun(&mut foreign, record(instance)));
    for module in &mut played {
        module.play(&mut foreign, 64, &[], &[]).expect("it plays");
    }
    let _prepared = Played::begun(&mut foreign, record(5));
    foreign.rest(&|instance| instance == 8);
    assert_eq!(*OURS.lock().expect("nobody panics"), [5, 8], "what was set up is ours before it plays");
}

unsafe extern "C" fn too_cold(_user: *mut c_void, type_index: u32, _rate_hz: f32, _block_frames: u32) -> i32 {
    i32::from(type_index == 1) * 5
}

#[test]
fn a_type_that_cannot_be_made_ready_is_why_the_worker_cannot_play() {
    let mut cold = rack(vec![module_type(c"one"), module_type(c"two"), module_type(c"three")]);
    cold.warm = Some(too_cold);
    let mut foreign = Foreign::new(read(&cold).expect("the rack is good"));
    let prices = [0, 1, 2].map(|index| foreign.warm(index, RATE_HZ, BLOCK_FRAMES) > 0.0);
    assert_eq!(prices, [true, false, false]);
    assert_eq!(foreign.ready(None), Err("\"two\" cannot be made ready: warm returned 5".to_owned()));
}
