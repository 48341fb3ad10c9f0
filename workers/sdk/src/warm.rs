//! Step 5b: from attached to ready. Rights are asked for and read back, all memory is touched, every module
//! type is rendered and timed, so that nothing happens for the first time during the set. Priority comes last: a
//! worker that replaces a lost one warms up while others play, and takes nothing from them.

use crate::attach::{Call, View};
use crate::rack::Rack;
use backline_abi::layout::{MAX_TYPES, rights_bits, stage};
use backline_abi::rights;
use std::sync::atomic::Ordering::Relaxed;

/// Set in a worker that was forked from a zygote.
const FORKED_VARIABLE: &str = "BACKLINE_FORKED";
/// Stack that the render thread is sure to have, touched.
const STACK_BYTES: usize = 256 * 1024;

/// Asks for rights, touches memory, renders every type once. May allocate; nothing after it may.
pub fn warm(view: &View, call: &Call, rack: &mut impl Rack) {
    let obtained = take_place(view, call);
    let head = view.head();
    head.core.store(rights::current_core() as u32, Relaxed);
    view.touch();
    touch_stack();
    view.enter(stage::TOUCHED);

    rights::flush_denormals();
    view.enter(stage::WARMING);
    let rate_hz = view.header.rate_hz as f32;
    let block_frames = view.header.block_frames as usize;
    for type_index in 0..rack.types().min(MAX_TYPES) {
        let price_ns = rack.warm(type_index, rate_hz, block_frames);
        head.prices[type_index].store(price_ns.to_bits(), Relaxed);
        head.warmed_types.store(type_index as u32 + 1, Relaxed);
    }
    head.rights.store(obtained | take_priority(view), Relaxed);
}

fn take_place(view: &View, call: &Call) -> u32 {
    let mut obtained = 0;
    if rights::pin_to(call.core) {
        obtained |= rights_bits::PINNED;
    }
    let lock = if std::env::var_os(FORKED_VARIABLE).is_some() {
        rights::lock_touched_memory
    } else {
        rights::lock_memory
    };
    if view.header.locks_memory != 0 && lock().is_ok() {
        obtained |= rights_bits::LOCKED;
    }
    obtained
}

fn take_priority(view: &View) -> u32 {
    let wanted = view.header.worker_priority;
    if wanted != 0 && rights::take_fifo(wanted).is_ok() { rights_bits::FIFO } else { 0 }
}

/// Touches so much of the calling thread's stack.
#[inline(never)]
pub(crate) fn touch_stack() {
    let mut stack = [1_u8; STACK_BYTES];
    std::hint::black_box(&mut stack);
}
