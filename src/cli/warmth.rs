//! How the warm-up is shown: a bar on a terminal, JSON lines with `--json` (on standard
//! error, because the first event on standard output is `ready`), else one line at the end.

use crate::pool::warmup::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Shows progress of one warm-up.
pub struct Warmth {
    bar: ProgressBar,
    is_json: bool,
    started: Instant,
}

impl Warmth {
    /// A bar on standard error if that is a terminal; JSON lines if `is_json`.
    pub fn new(is_json: bool) -> Self {
        let wants_bar = !is_json && std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let target = if wants_bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("warming {bar:30} {pos}/{len} workers  {msg}") {
            bar.set_style(style);
        }
        Self { bar, is_json, started: Instant::now() }
    }

    /// One step.
    pub fn show(&mut self, progress: &Progress) {
        if self.is_json {
            let Progress { ready, workers, stages } = progress;
            let warm_ms = self.warm_ms();
            // A reader who has left does not stop the music.
            let _ = writeln!(
                std::io::stderr(),
                "{}",
                json!({"event": "warming", "ready": ready, "workers": workers, "stages": stages, "ms": warm_ms})
            );
            return;
        }
        self.bar.set_length(progress.workers as u64);
        self.bar.set_position(progress.ready as u64);
        let slowest = progress.stages.iter().find(|stage| **stage != "ready");
        self.bar.set_message(slowest.copied().unwrap_or("ready").to_owned());
    }

    /// Something about a kind of worker that is not ours.
    pub fn show_news(&self, event: &serde_json::Value) {
        if let Some(words) = super::news::in_words(event) {
            self.bar.set_message(words);
        }
    }

    /// Milliseconds since the start.
    pub fn warm_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1e3
    }

    /// The end of it.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
