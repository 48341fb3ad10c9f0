//! Backline.
pub mod bench;
pub mod cli;
pub mod command;
pub mod config;
pub mod control;
pub mod cycle;
pub mod nearest;
pub mod osc;
pub mod output;
pub mod patch;
pub mod pattern;
pub mod pool;
pub mod rt;
pub mod session;
pub mod supervise;
