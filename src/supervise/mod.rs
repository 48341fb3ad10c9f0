//! Beside the flow: the processes themselves. [`lifecycle`] is the table of what may happen to a slot;
//! [`process`] is the one thread that spawns, signals and reaps.

pub mod lifecycle;
pub mod process;
