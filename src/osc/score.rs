//! Scores: one event a line, `SECONDS ADDRESS ARGS...`; `#` begins a comment.
//!
//! In:  the text of a score. Out: its requests in order of time; events of one instant stay in the order of
//! their lines. One faulty line refuses the score, before anything sounds.

use super::refusal::{Reason, Refusal, shown};
use super::{decode, text};
use crate::command::Request;

/// Longest score: eleven days.
pub const MAX_SCORE_S: f64 = 1_000_000.0;

/// Why a score was refused. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The first word is no time.
    #[error(
        "line {line} of the score: {found} is not a time of 0 to {MAX_SCORE_S} s; write SECONDS ADDRESS ARGS"
    )]
    BadTime {
        /// Where.
        line: usize,
        /// As written.
        found: String,
    },
    /// The line cannot be split into words.
    #[error("line {line} of the score cannot be read; mend its quotes")]
    Unreadable {
        /// Where.
        line: usize,
        /// Why.
        #[source]
        cause: Reason,
    },
    /// The rest of the line is no command.
    #[error("line {line} of the score was refused; mend the command or write # before it")]
    Refused {
        /// Where.
        line: usize,
        /// Why.
        #[source]
        cause: Refusal,
    },
}

/// Reads a whole score.
pub fn parse(score: &str) -> Result<Vec<(f64, Request)>, ScoreError> {
    let mut events = Vec::new();
    for (line, text) in (1..).zip(score.lines()) {
        events.extend(event(line, text)?);
    }
    events.sort_by(|(a_s, _): &(f64, _), (b_s, _)| a_s.total_cmp(b_s));
    Ok(events)
}

fn event(line: usize, written: &str) -> Result<Option<(f64, Request)>, ScoreError> {
    let mut words = text::split(written).map_err(|cause| ScoreError::Unreadable { line, cause })?;
    if words.is_empty() {
        return Ok(None);
    }
    let first = words.remove(0).text;
    let time_s = first.parse().ok().filter(|time_s| (0.0..=MAX_SCORE_S).contains(time_s));
    let Some(time_s) = time_s else {
        return Err(ScoreError::BadTime { line, found: shown(&first) });
    };

    let request = text::spoken(words).and_then(decode::request);
    // Adding zero turns -0.0 into 0.0, which would sort before it.
    request.map(|request| Some((time_s + 0.0, request))).map_err(|cause| ScoreError::Refused { line, cause })
}
