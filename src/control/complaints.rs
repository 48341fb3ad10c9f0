//! Modules of other kinds of worker that cannot render a block say why: a traceback, a word of the worker. It is told to
//! whoever started the engine, to clients that asked, and to the log; the third time within five seconds such a module is
//! bypassed like one that breaks its workers.

use super::Conductor;
use crate::catalogue::NATIVE;
use backline_abi::complaint::Heard;
use backline_abi::wake::now_ns;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// Complaints of one module within [`WINDOW`] after which it is bypassed.
const MOST_STRIKES: usize = 3;
/// See [`MOST_STRIKES`].
const WINDOW: Duration = Duration::from_secs(5);
/// Why a module is bypassed.
const STRUCK_OUT: &str = "it could not render three times within five seconds";

/// What modules have said.
#[derive(Default)]
pub struct Complaints {
    /// Serial of the last one heard, for each slot.
    seen: Vec<u32>,
    /// For each instance when it complained, and what it said last.
    of: HashMap<u32, (Vec<u64>, String)>,
    total: u64,
    news: Vec<Value>,
}

impl Conductor {
    /// Hears what modules have to say.
    pub(super) fn hear_complaints(&mut self) {
        let slots = self.pool.slots().len();
        self.complaints.seen.resize(slots, 0);
        for slot in 0..slots {
            if self.pool.slots()[slot].kind == NATIVE {
                continue;
            }
            let rig = self.rig().clone();
            if let Some(heard) = rig.head(slot).complaint.read(&mut self.complaints.seen[slot]) {
                self.hear_complaint(&heard);
            }
        }
    }

    fn hear_complaint(&mut self, heard: &Heard) {
        let Some(module) = self.patch.by_instance(heard.instance) else { return };
        let id = module.id.clone();
        self.complaints.total += u64::from(heard.count);
        let now_ns = now_ns();
        let (times, last) = self.complaints.of.entry(heard.instance).or_default();
        times.retain(|at_ns| now_ns.saturating_sub(*at_ns) < WINDOW.as_nanos() as u64);
        times.extend(std::iter::repeat_n(now_ns, (heard.count as usize).min(MOST_STRIKES)));
        let is_out = times.len() >= MOST_STRIKES;
        if *last != heard.text {
            last.clone_from(&heard.text);
            tracing::error!(id, text = heard.text, "module could not render a block");
            self.complaints.news.push(json!({ "event": "complaint", "id": id, "text": heard.text }));
        }
        if is_out {
            self.bypass(heard.instance, STRUCK_OUT);
        }
    }

    /// A module is gone: nothing is held against its number.
    pub(super) fn forget_complaints(&mut self, instance: u32) {
        self.complaints.of.remove(&instance);
    }

    /// What there is to tell since the last time, as events.
    pub fn take_news(&mut self) -> Vec<Value> {
        let mut news = self.kinds_news();
        news.append(&mut self.complaints.news);
        news.append(&mut self.sandboxes.take_news());
        news
    }

    /// For `status`: what modules said last.
    pub(super) fn complaints_json(&self) -> Value {
        let row = |(instance, (_, text)): (&u32, &(Vec<u64>, String))| {
            Some(json!({ "id": self.patch.by_instance(*instance)?.id, "text": text }))
        };
        json!({ "total": self.complaints.total, "last": self.complaints.of.iter().filter_map(row).collect::<Vec<_>>() })
    }
}
