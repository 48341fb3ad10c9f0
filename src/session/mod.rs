//! Beside the flow: what outlives one command, and what outlives the engine.
//!
//! A session has a name; two engines of one name exclude each other ([`lock`]). What was set up in it is in its
//! journal, and when the engine dies, the keeper starts it again and the journal is replayed.
//!
//! Reading order: [`scene`] (what is replayed), [`record`] (one line of a journal), [`journal`] (the whole file),
//! [`folder`] (where it lies), [`writer`] (the thread that writes it), [`continuity`] (control's end of all this),
//! [`keeper`] (when an engine is started again), [`leftovers`] (what must be gone before that). Beside them:
//! [`library`] (patches and recordings by name), and [`whole_file`] (how any of these is read and replaced).

pub mod continuity;
pub mod folder;
pub mod journal;
pub mod keeper;
pub mod leftovers;
pub mod library;
pub mod lock;
pub mod record;
pub mod scene;
pub mod whole_file;
pub mod writer;

pub use lock::{SessionError, SessionLock};
