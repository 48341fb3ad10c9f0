//! The SDK for other languages: `libbackline_sdk.so`, `libbackline_sdk.a` and `include/backline.h`.
//!
//! ```text
//!  author's rack ── reading, rules ──▶ Offer (panels, functions) ──▶ exports: describe, or run as a `foreign::Foreign`
//!  author's render ◀── functions ──── foreign::play ◀── the worker loop
//!  backline_complain ──▶ voice ──▶ the job's complaint
//! ```
//!
//! [`types`] (what C sees), [`reading`] (copied out of C), [`rules`] and [`refusal`] (what is refused, and how that is
//! said), [`functions`] (into C), [`voice`] (what C says), [`exports`] (what C calls).

pub mod exports;
pub mod functions;
pub mod reading;
pub mod refusal;
pub mod rules;
pub mod types;
pub mod voice;
