//! The latency harness: each bench answers one question and keeps the whole distribution.
//!
//! [`create`] times a running engine from the outside, as a performer's client; [`cycle`] drives the block
//! cycle itself; [`takeover`] kills workers while it plays; [`warmup`] sets this pool beside Python's ways to a warm
//! process ([`peers`]). [`engine`] is what the outside looks at, [`machine`] says where it was measured, [`outcome`] how
//! it is told.

pub mod create;
pub mod cycle;
pub mod engine;
pub mod foreign;
pub mod machine;
pub mod outcome;
pub mod peers;
pub mod takeover;
pub mod warmup;
