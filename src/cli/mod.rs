//! One file a subcommand.

pub mod args;
pub mod completions;
pub mod doctor;
pub mod exit;
pub mod man;
pub mod modules;
pub mod picture;
mod spectrum;
pub mod send;
pub mod stop;
