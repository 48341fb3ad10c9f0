//! Step 1 of 7: bytes from the network become `Command`s, and answers become bytes again.
//!
//! In:  datagrams, lines of text, scores.
//! Out: `command::Request`s in the order they were written, each with the instant it is due.
//! Thread: control; everything here may allocate, nothing here blocks except [`client`].
//! Refused: whatever can be judged from the words alone, as a [`Refusal`] that becomes one `/fail`. What needs
//! the patch to be judged (does the id exist, is the value in range?) is judged in step 3.
//!
//! A packet's way, which is also the reading order:
//!
//! ```text
//! socket ─ bytes ─> guard ─ sound bytes ─> rosc ─ messages ─> verbs ─> Request ─> schedule ─> step 2
//!   ^                 │                                         │
//!   └──── reply <─────┴─ Refusal (limit: so many a second) <────┘
//! ```
//!
//! - [`socket`] receives into one buffer (`holder` finds who has its port);
//! - [`guard`] walks it without recursion before any library sees it;
//! - [`mod@decode`] flattens bundles, with [`time`] for their tags;
//! - [`verbs`] lists every address, [`args`] reads arguments, [`names`] and [`crate::pattern`] judge ids;
//! - [`text`] and [`score`] write the same messages as words, so they pass the same checks;
//! - [`schedule`] keeps what is due later; [`refusal`] has the words of every refusal;
//! - [`reply`] encodes answers, [`limit`] keeps nonsense from being answered without end;
//! - [`client`] is the other end of the wire, for `backline send` and its sisters.
#![forbid(unsafe_code)]

mod holder;
pub mod socket;

pub mod guard;

pub mod decode;
pub mod time;

pub mod args;
pub mod names;
pub mod verbs;

pub mod score;
pub mod text;

pub mod schedule;

pub mod limit;
pub mod refusal;
pub mod reply;

pub mod client;

pub use client::{Client, ClientError};
pub use decode::{Decoded, decode, request};
pub use holder::Holder;
pub use limit::ReplyLimit;
pub use refusal::{Reason, Refusal};
pub use reply::{TooBig, encode, parse_reply};
pub use schedule::{Full, Schedule};
pub use socket::{ListenError, Listener};
pub use time::{ArrivalClock, ClockPair};
