//! Step 5 of 7, the sound itself: every module of Backline, as pure functions of (state, inputs, events).
//!
//! In: a module's state (plain bytes), its inputs for a stretch of frames, its delay line.
//! Out: its outputs for the same frames, its state after them.
//! Thread: any; everything but construction is real-time safe (no allocation, lock, syscall, panic).
//!
//! Two rules make a patch bit-identical at every block size and under take-over:
//! - rendering 64 frames at once and 16 frames four times gives the same bits, so nothing is computed
//!   "once a block"; control-rate work counts frames in its own state;
//! - a module keeps *all* its memory in its state and in its line, and a line is append-only.
//!
//! Reading order: [`module`] (what a module is), [`param`] (smoothed and modulated parameters),
//! [`mod@line`] (delay memory), [`math`] and [`wave`] (functions and tables), then one
//! file a module, then [`catalogue`].
#![forbid(unsafe_code)]

pub mod module;

pub(crate) mod lanes;
pub mod line;
pub mod math;
pub mod param;
pub mod wave;

pub mod adsr;
pub mod delay;
pub(crate) mod ladder;
pub mod lfo;
pub mod mix;
pub mod noise;
pub mod out;
pub(crate) mod svf;
pub mod vca;
pub mod vcf;
pub mod vco;

pub mod catalogue;
pub mod play;
