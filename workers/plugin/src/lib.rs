//! Plug-ins of other people's making: found, tried, described and run.
//!
//! A plug-in is foreign code in the process that opens it: it can crash it, hang it, or end it. So nothing is
//! opened in a process that matters before a process of its own has tried it:
//!
//! ```text
//!   folders ──> scan ──(child: a process for each file)──> trial ──> host ──> the plug-in
//!                 │                                          │
//!                 └────────── report: a line a type <────────┘
//! ```
//!
//! Afterwards a worker opens by name and file what it was told, with the same [`host`], and plays it ([`rack`]).

pub mod child;
pub mod description;
pub mod folders;
pub mod host;
mod nearest;
pub mod panel;
pub mod rack;
pub mod render;
pub mod report;
pub mod scan;
pub mod trial;
pub mod worker;
