//! What a worker author links. The life of a worker: [`attach`] to the segments, [`warm`] up, lock itself into a
//! [`sandbox`] if its kind asks for one, then the loop of [`host`]: wait for the bell, answer assignments ([`prepare`]),
//! render each [`block`] of the modules it owns.
//!
//! A worker brings a [`rack::Rack`]: what module types it has and how each renders. Everything else (where
//! state lies, when to render, whom to wake, how a module moves here from another worker) is done here. An author who
//! writes in another language brings it through [`c_api`], and it is played as a [`foreign::Foreign`].
//!
//! One thread. Once ready it allocates nothing, locks nothing, and makes no system call but the futex.

pub mod aligned;
pub mod attach;
pub mod block;
pub mod c_api;
pub mod crash;
pub mod foreign;
pub mod host;
pub mod mirror;
pub mod prepare;
pub mod rack;
pub mod roster;
pub mod sandbox;
pub mod source;
pub mod warm;

pub use attach::{AttachError, View};
pub use host::run;
