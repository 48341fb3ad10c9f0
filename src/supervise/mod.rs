//! Beside the flow: the processes themselves.
//!
//! Reading order: [`lifecycle`] is the table of what may happen to a slot; [`process`] is the one thread that
//! spawns, signals and reaps, with [`alarm`] to wake it, [`ward`] for one process, [`herald`] for those that speak for a kind of worker, [`family`] for what
//! workers start, and [`orders`] for what it is told; [`ending`] says whose doing a death was and [`blame`] what follows from it; [`pace`] how fast slots are
//! filled again. What is left to others: [`audit`] (everything that was done), [`registry`] and [`mark`] (who
//! belongs to whom, for those who clean up after a killed engine), [`census`] (/proc).

pub mod alarm;
pub mod audit;
pub mod blame;
pub mod census;
pub mod ending;
pub mod family;
pub mod herald;
pub mod lifecycle;
pub mod mark;
pub mod orders;
pub mod pace;
pub mod process;
pub mod recycle;
pub mod registry;
pub mod ward;
