//! Workers of other kinds, from the control thread: they say what module types they have while the set may play already;
//! then their types are offered, and their workers warm up.
//!
//! A kind that cannot speak is tried again, unless it never could: then it is closed, and `status` says why. A kind that
//! falls silent later (a zygote that was killed) is opened again; its workers play on meanwhile.

use super::Conductor;
use crate::catalogue::{self, NATIVE};
use crate::kinds::Kind;
use crate::kinds::manifest::Sandbox;
use crate::kinds::route::{Routes, answers_for};
use crate::pool::Heard;
use backline_abi::panel::{Fault, Line, Panel};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Before a kind that fell silent is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(200);
/// Times in a row that a kind may fall silent without having said everything.
const MOST_FAILURES: u32 = 3;
/// Between two looks while kinds are waited for.
const LOOK: Duration = Duration::from_millis(2);
/// What a set waits for a kind at most.
const PATIENCE: Duration = Duration::from_secs(90);
/// Faults kept of a kind; a folder may be full of them.
const MOST_FAULTS: usize = 256;

/// How far a kind has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// It says what types it has; words of how far it is.
    Opening(String),
    /// Its types are offered, its workers warm up.
    Warming,
    /// As many workers as there shall be were ready.
    Warm,
    /// It cannot be used.
    Closed(String),
}

/// One kind.
struct Warmed {
    kind: Kind,
    stage: Stage,
    /// What it said this time.
    said: Vec<Panel>,
    /// What its workers are held to, once it was said.
    panels: Option<Vec<Panel>>,
    faults: Vec<Fault>,
    opened: Instant,
    warm_ms: Option<f64>,
    failures: u32,
    reopen_at: Option<Instant>,
}

/// All kinds but our own.
pub struct Kinds {
    all: Vec<Warmed>,
    routes: Routes,
    /// What there is to tell whoever started the engine.
    news: Vec<Value>,
}

impl Kinds {
    /// None of `kinds` is open yet.
    pub fn new(kinds: &[Kind], routes: &Routes) -> Self {
        let warmed = |kind: &Kind| Warmed {
            kind: kind.clone(),
            stage: Stage::Opening("starting".to_owned()),
            said: Vec::new(),
            panels: None,
            faults: Vec::new(),
            opened: Instant::now(),
            warm_ms: None,
            failures: 0,
            reopen_at: None,
        };
        Self { all: kinds.iter().map(warmed).collect(), routes: routes.clone(), news: Vec::new() }
    }

    /// What there is to tell since the last time, as events.
    pub fn take_news(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.news)
    }

    /// In words, who is not warm yet; for whoever asks for a type that nobody offers.
    fn note(&self) -> Option<String> {
        let opening = self.all.iter().filter_map(|warmed| match &warmed.stage {
            Stage::Opening(words) => {
                Some(format!("{} workers are still warming ({words})", warmed.kind.manifest.name))
            }
            Stage::Closed(why) => Some(format!("{} workers are not there: {why}", warmed.kind.manifest.name)),
            Stage::Warming | Stage::Warm => None,
        });
        let notes: Vec<String> = opening.collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    fn tell(&mut self, index: usize, event: &str, more: Value) {
        let mut news = json!({ "event": event, "kind": self.all[index].kind.manifest.name });
        if let (Some(news), Value::Object(more)) = (news.as_object_mut(), more) {
            news.extend(more);
        }
        self.news.push(news);
    }
}

impl Conductor {
    /// Has every kind say what types it has.
    pub(super) fn open_kinds(&mut self) {
        for index in 0..self.kinds.all.len() {
            self.pool.open(index + 1);
        }
        catalogue::set_note(self.kinds.note());
    }

    /// What there is to tell of kinds since the last time, as events.
    pub fn kinds_news(&mut self) -> Vec<Value> {
        self.kinds.take_news()
    }

    /// Whether every kind is warm, or closed.
    pub fn are_kinds_settled(&self) -> bool {
        self.kinds.all.iter().all(|warmed| matches!(warmed.stage, Stage::Warm | Stage::Closed(_)))
    }

    /// Waits until every kind is warm or closed; `progress` is told what there is to tell.
    pub fn await_kinds(&mut self, progress: &mut dyn FnMut(Vec<Value>)) {
        let until = Instant::now() + PATIENCE;
        while !self.are_kinds_settled() && Instant::now() < until {
            self.tend_pool();
            progress(self.kinds_news());
            std::thread::sleep(LOOK);
        }
        progress(self.kinds_news());
    }

    /// Looks after the kinds: what they say, and how many of their workers are ready.
    pub(super) fn tend_kinds(&mut self) {
        if self.kinds.all.is_empty() {
            return;
        }
        for heard in self.pool.take_heard() {
            match heard {
                Heard::Line(kind, line) => self.hear_line(kind - 1, line),
                Heard::Silence(kind, is_done, cause) => self.hear_silence(kind - 1, is_done, cause),
            }
        }
        for index in 0..self.kinds.all.len() {
            self.look_after_kind(index);
        }
    }

    fn hear_line(&mut self, index: usize, line: Line) {
        let warmed = &mut self.kinds.all[index];
        match line {
            Line::Stage(words) => {
                if let Stage::Opening(stage) = &mut warmed.stage {
                    stage.clone_from(&words);
                    self.kinds.tell(index, "warming", json!({ "stage": words }));
                    catalogue::set_note(self.kinds.note());
                }
            }
            Line::Type(panel) => warmed.said.push(panel),
            Line::Fault(fault) => self.note_fault(index, fault),
            Line::Ready(_) => self.offer(index),
        }
    }

    fn note_fault(&mut self, index: usize, fault: Fault) {
        let warmed = &mut self.kinds.all[index];
        if warmed.faults.contains(&fault) || warmed.faults.len() >= MOST_FAULTS {
            return;
        }
        let kind = &warmed.kind.manifest.name;
        tracing::warn!(kind, name = fault.name, reason = fault.reason, "no module type comes from this");
        warmed.faults.push(fault.clone());
        self.kinds.tell(index, "fault", json!({ "name": fault.name, "reason": fault.reason }));
    }

    /// Everything has been said: the types are offered, and the workers may come.
    fn offer(&mut self, index: usize) {
        let warmed = &mut self.kinds.all[index];
        let said = std::mem::take(&mut warmed.said);
        warmed.failures = 0;
        if let Some(panels) = &warmed.panels {
            // Modules may play by what was said before.
            if *panels != said {
                let why = "its module types are others than before; restart the engine to use them";
                self.close(index, why.to_owned());
            }
            return;
        }
        let (all, routes): (Vec<Kind>, _) =
            (self.kinds.all.iter().map(|warmed| warmed.kind.clone()).collect(), self.kinds.routes.clone());
        let is_routed = |name: &str| answers_for(&all, &routes, index + 1, name);
        let replaced = |name: &str| said.iter().any(|panel| panel.name == name) && is_routed(name);
        catalogue::withdraw(NATIVE, |name| !replaced(name));
        let unfit = catalogue::add(index + 1, &said, is_routed);
        self.pool.describe(index + 1, &said);
        self.kinds.all[index].panels = Some(said);
        self.kinds.all[index].stage = Stage::Warming;
        for refused in unfit {
            self.note_fault(index, Fault { name: refused.name.clone(), reason: refused.reason });
        }
        let types = self.kinds.all[index].panels.as_ref().map_or(0, Vec::len);
        self.kinds.tell(index, "described", json!({ "types": types }));
        catalogue::set_note(self.kinds.note());
    }

    fn hear_silence(&mut self, index: usize, is_done: bool, cause: String) {
        let warmed = &mut self.kinds.all[index];
        let is_zygote = crate::kinds::find::is_forked(&warmed.kind.recipe);
        if is_done && !is_zygote {
            return self.offer(index);
        }
        warmed.said.clear();
        warmed.failures += 1;
        let kind = &warmed.kind.manifest.name;
        tracing::warn!(kind, cause, "nobody speaks for this kind of worker any more");
        if warmed.failures >= MOST_FAILURES {
            return self.close(index, format!("it could not say what module types it has: {cause}"));
        }
        warmed.reopen_at = Some(Instant::now() + REOPEN_AFTER * warmed.failures);
    }

    fn close(&mut self, index: usize, why: String) {
        let kind = &self.kinds.all[index].kind.manifest.name;
        tracing::error!(kind, why, "this kind of worker is closed");
        self.kinds.all[index].stage = Stage::Closed(why.clone());
        self.kinds.tell(index, "closed", json!({ "why": why }));
        catalogue::set_note(self.kinds.note());
    }

    fn look_after_kind(&mut self, index: usize) {
        let warmed = &mut self.kinds.all[index];
        if warmed.reopen_at.is_some_and(|at| at <= Instant::now()) {
            warmed.reopen_at = None;
            self.pool.open(index + 1);
        }
        if !matches!(self.kinds.all[index].stage, Stage::Warming | Stage::Warm) {
            return;
        }
        self.pool.keep_up(index + 1);
        let (ready, count) = self.pool.readiness(index + 1);
        if self.kinds.all[index].stage == Stage::Warming {
            if ready >= count {
                let warm_ms = self.kinds.all[index].opened.elapsed().as_secs_f64() * 1e3;
                self.kinds.all[index].stage = Stage::Warm;
                self.kinds.all[index].warm_ms = Some(warm_ms);
                let types = self.kinds.all[index].panels.as_ref().map_or(0, Vec::len);
                self.kinds.tell(
                    index,
                    "warm",
                    json!({ "workers": ready, "types": types, "warm_ms": warm_ms }),
                );
            } else if self.pool.has_given_up(index + 1) {
                self.close(
                    index,
                    "its workers die before they are ready; their messages are on standard error".to_owned(),
                );
            }
        }
    }

    /// For `status`.
    pub(super) fn kinds_json(&self) -> Vec<Value> {
        let row = |(index, warmed): (usize, &Warmed)| {
            let (ready, count) = self.pool.readiness(index + 1);
            let (state, words) = match &warmed.stage {
                Stage::Opening(words) => ("opening", Some(words.as_str())),
                Stage::Warming => ("warming", None),
                Stage::Warm => ("warm", None),
                Stage::Closed(why) => ("closed", Some(why.as_str())),
            };
            let types = catalogue::all().into_iter().filter(|row| row.kind == index + 1);
            json!({
                "kind": warmed.kind.manifest.name,
                "process": warmed.kind.manifest.process,
                "state": state,
                "stage": words,
                "ready": ready,
                "workers": count,
                "warm_ms": warmed.warm_ms,
                "single_use": warmed.kind.is_single_use(),
                "types": types.map(|row| row.panel.name).collect::<Vec<_>>(),
                "faults": warmed.faults,
            })
        };
        self.kinds.all.iter().enumerate().map(row).collect()
    }

    /// The sandbox that a kind of worker asks for.
    pub(super) fn sandbox_of(&self, kind: usize) -> Sandbox {
        let warmed = kind.checked_sub(1).and_then(|index| self.kinds.all.get(index));
        warmed.map_or(Sandbox::None, |warmed| warmed.kind.manifest.sandbox)
    }

    /// What a kind of worker is called.
    pub(super) fn kind_name(&self, kind: usize) -> &str {
        match kind {
            NATIVE => "native",
            kind => self.kinds.all.get(kind - 1).map_or("?", |warmed| warmed.kind.manifest.name.as_str()),
        }
    }
}
