//! Every interleaving (up to [`PREEMPTIONS`] preemptions) of what two processes do to the same words:
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p backline-abi --release --test loom`.
//!
//! Rings, commit words and record copies are the shipped code. The worker loop is not, because it stands on
//! mapped memory, which loom cannot see; its order of operations is repeated in [`arena::Arena`] with the
//! shipped commit words and copies, and has to be kept like it: `render` is the SDK's `block::render_module`,
//! `take_over` its `roster::take_over`, `hear` its `source::gather`, `set_up` its `prepare::set_up`. Where a
//! fence matters, a second model leaves it out and must fail.
//!
//! Loom never lets a load see a store of the future, so no model here would notice if the ring's consumer freed
//! a slot before it had read it; that `head` is stored with Release is for the reader to check.
#![cfg(loom)]

mod arena;
mod commit;
mod hand_over;
mod ring;

use loom::sync::Arc;
use loom::thread;

/// Preemptions of one run.
const PREEMPTIONS: usize = 3;

/// Who begins. Loom remembers one access to a word only, so a store does not race with another thread's load
/// if the storing thread has loaded the word itself in between; with both beginnings all races are found.
type IsSwapped = bool;

fn model(run: impl Fn(IsSwapped) + Sync + Send + Copy + 'static) {
    for is_swapped in [false, true] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(PREEMPTIONS);
        builder.max_branches = 100_000;
        builder.check(move || run(is_swapped));
    }
}

/// Both at the same time; what each gives comes back.
fn together<S: 'static, A: 'static, B: 'static>(
    shared: &Arc<S>,
    is_swapped: IsSwapped,
    one: impl FnOnce(&S) -> A + 'static,
    other: impl FnOnce(&S) -> B + 'static,
) -> (A, B) {
    let theirs = shared.clone();
    if is_swapped {
        let one = thread::spawn(move || one(&theirs));
        let other = other(shared);
        (one.join().expect("it ends"), other)
    } else {
        let other = thread::spawn(move || other(&theirs));
        (one(shared), other.join().expect("it ends"))
    }
}
