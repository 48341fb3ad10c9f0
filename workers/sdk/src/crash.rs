//! Step 5a, too: a worker that dies of a fault says so. In: the arena it has joined. Out: its last word in
//! `ArenaHead::crash`, for the engine to tell a fault of a module from a signal that somebody sent.

use crate::attach::View;
use backline_abi::crash;

/// Listens for faults from now on. One that cannot be listened for is not reported, and counts as the worker's own.
pub fn listen(view: &'static View) {
    if let Err(cause) = crash::listen(view.head()) {
        eprintln!("worker {}: faults of this worker will not be told apart: {cause}", view.slot);
    }
}
