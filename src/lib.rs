//! Backline: a rig of worker processes that stands warm before the set starts.
//!
//! A sound travels; turn the pages in this order:
//!
//! ```text
//!  OSC packet ─▶ osc ─▶ Command ─▶ patch ─▶ pool ══ assignment ring, plan ══▶ worker process     (workers/)
//!   [control]    1        2          3        4                                    5
//!                                                                                  ║ commit words, outputs
//!  device ◀── output ◀── cycle ◀═══════════════════════════════════════════════════╝
//!   [audio]     7          6
//! ```
//!
//! | step | module | in | out | thread |
//! |---|---|---|---|---|
//! | 1 | [`osc`] | datagrams, text, scores | [`command::Request`]s, refusals | control |
//! | 2 | [`command`] | | the vocabulary: everything a performer can ask | any |
//! | 3 | [`patch`] | commands | a valid [`patch::Patch`] and its render order | control |
//! | 4 | [`pool`] | modules to play | a worker and a place for each | control |
//! | 5 | `workers/` | blocks, events, inputs | samples, state, commits | a process each |
//! | 6 | [`cycle`] | commits of the sinks | one block of the mix, guarded | audio |
//! | 7 | [`output`] | the mix | a device, a timer, a file | audio |
//!
//! [`control`] is the thread where steps 1 to 4 meet; [`cli`] and [`mod@bench`] are what a person starts. Beside
//! the flow: [`takeover`] (modules leave a worker that is lost), [`supervise`] (processes, and what is done about each),
//! [`session`] (what outlives a performance or an engine: journal and keeper, saved patches), [`rt`] (rules of audio
//! threads).
//! Vocabulary, open to all: [`catalogue`] (module types), [`command`], [`config`], [`kinds`] (of worker), [`rt`], [`nearest`], [`pattern`], and the crate
//! `backline_abi`, which is the shared memory both sides stand on.
//!
//! What an audio thread may not do: allocate, free, lock, log, panic, loop without a bound, or make a system
//! call but the named wake.

// Vocabulary.
pub mod catalogue;
pub mod command;
pub mod config;
pub mod kinds;
pub mod nearest;
pub mod pattern;
pub mod rt;

// The flow.
pub mod cycle;
pub mod osc;
pub mod output;
pub mod patch;
pub mod pool;

// Beside it.
pub mod session;
pub mod supervise;
pub mod takeover;

// Where it meets, and what a person starts.
pub mod bench;
pub mod cli;
pub mod control;

/// Audio sections of the unit tests are guarded like those of the program.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
