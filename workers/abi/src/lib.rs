//! The contract on which both sides stand: what engine and workers see of each other, and nothing else.
//!
//! ```text
//!  engine                     CONTROL SEGMENT (engine writes, workers read)          worker w
//!  control  ── assignments ─▶ rings[w] ───────────────────────────────────────────▶  prepare, release
//!  control  ── plan ────────▶ plans, modules, places ─────────────────────────────▶  who plays what, in which order
//!  audio    ── block N ─────▶ blocks[N % 4]: frames, deadline, events ────────────▶  render
//!  audio    ── one wake ────▶ bells[w] ───────────────────────────────────────────▶  (futex)
//!
//!                             ARENA w (worker w writes, everybody else reads)
//!  control  ◀── replies ───── reply ring, stage, counters, prices ◀───────────────   
//!  audio    ◀── commits ───── one word a module, outputs, state in two copies ◀───   commit, wake
//! ```
//!
//! Every page has one writer; readers map it read-only. All words are atomics, so a racing reader sees stale
//! or mixed values but never undefined behaviour, and everything that is read is checked before it is used.
//!
//! Reading order: [`layout`] (what lies where), [`words`] (records in atomics), [`ring`], [`commit`],
//! [`plan`], [`block`], [`panel`] (what a worker says of its module types), [`complaint`] (and of a block that one
//! could not render), then the files with the system in them: [`segment`] (mapping), [`wake`] (futex), [`death`]
//! (the kernel's notice of a death), [`crash`] (a dying worker's last word), [`rights`] (priority, affinity,
//! locked memory), [`confine`] (what a process gives up for good) and [`refused`] (what it is refused from then on).

pub mod cable;
pub mod commit;
pub mod ring;
pub mod sync;

#[cfg(not(loom))]
pub mod block;
#[cfg(not(loom))]
pub mod complaint;
#[cfg(not(loom))]
pub mod confine;
#[cfg(not(loom))]
pub mod crash;
#[cfg(not(loom))]
pub mod death;
#[cfg(not(loom))]
pub mod layout;
#[cfg(not(loom))]
pub mod panel;
#[cfg(not(loom))]
pub mod plan;
#[cfg(not(loom))]
pub mod refused;
#[cfg(not(loom))]
pub mod rights;
#[cfg(not(loom))]
pub mod segment;
#[cfg(not(loom))]
pub mod wake;
pub mod words;
