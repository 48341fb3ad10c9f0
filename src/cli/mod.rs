//! The command line: one file a subcommand. [`args`] is the whole of it, [`exit`] how it ends.

pub mod args;
pub mod bench;
pub mod completions;
pub mod doctor;
pub mod exit;
mod keep;
pub mod man;
pub mod modules;
mod news;
pub mod picture;
pub mod play;
pub mod reap;
mod recover;
pub mod render;
pub mod run;
pub mod send;
mod set;
mod signals;
mod spectrum;
pub mod status;
pub mod stop;
mod warmth;
