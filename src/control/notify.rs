//! Telling clients what happens: `/n_go`, `/n_end`, `/worker/state`, `/late`, `/xrun`, and `/fail` for a module that
//! is bypassed, to whoever asked with `/notify 1`.
//!
//! In: what changed in the conductor since the last look. Out: events, each a message to each listener.
//! Thread: control, which never waits for a listener: each has its own queue and its own rate, and what does not
//! fit is counted (`/notify/lost n`). Only the last state of a worker, the worst lateness of an address and the number
//! of xruns are told; and in a flood, which is more than a listener is sent at once, a module that came and went
//! while its coming still waited is not told of.
//! A listener whose socket is gone is forgotten (`osc::Listener::unreachable`).

use super::Conductor;
use crate::command::{Arg, Client, Reply};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

/// Listeners at once.
pub const MAX_LISTENERS: usize = 32;
/// Events that wait for one listener.
pub const MAX_WAITING: usize = 2_048;
/// Events a second to one listener, and at once after a silence.
const PER_SECOND: u64 = 1_000;
const AT_ONCE: u64 = 256;
/// Credit is counted in time.
const COST_NS: u64 = 1_000_000_000 / PER_SECOND;

/// Why a `/notify` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// Too many.
    #[error(
        "{MAX_LISTENERS} clients are being notified already, the most there may be; one must /notify 0 first"
    )]
    Full,
    /// Nothing to end.
    #[error("this client is not being notified; /notify 1 begins it")]
    NotListening,
}

/// Something that a listener is told.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    Go(String),
    End(String),
    Worker { slot: usize, pid: u32, core: usize, state: &'static str, reason: String },
    Late { seconds: f64, address: String },
    Bypassed { id: String, why: &'static str },
}

/// Somebody who listens.
#[derive(Debug)]
struct Listener {
    client: Client,
    id: i32,
    waiting: VecDeque<Event>,
    xruns: u64,
    lost: u64,
    credit_ns: u64,
    filled_ns: u64,
}

/// What the listeners know.
#[derive(Debug, Default)]
struct Seen {
    plan_version: u32,
    modules: HashMap<u32, String>,
    workers: Vec<(u32, &'static str)>,
    bypassed: BTreeMap<u32, &'static str>,
    xruns: u64,
}

/// Everybody who listens.
#[derive(Debug, Default)]
pub struct Notices {
    listeners: Vec<Listener>,
    seen: Seen,
}

/// What became of a message that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is under way.
    Yes,
    /// The socket is full; later.
    NotNow,
    /// It never will be.
    Never,
}

impl Notices {
    /// Begins or ends telling `client`; returns the number it is known by.
    pub fn set(
        &mut self,
        client: Client,
        is_on: bool,
        conductor: &Conductor,
        now_ns: u64,
    ) -> Result<i32, NotifyError> {
        let known = self.listeners.iter().position(|listener| listener.client == client);
        match (known, is_on) {
            (Some(position), true) => Ok(self.listeners[position].id),
            (Some(position), false) => Ok(self.listeners.remove(position).id),
            (None, false) => Err(NotifyError::NotListening),
            (None, true) if self.listeners.len() >= MAX_LISTENERS => Err(NotifyError::Full),
            (None, true) => {
                // Whoever comes first hears of nothing that was before.
                if self.listeners.is_empty() {
                    self.seen = Seen::of(conductor);
                }
                let is_free = |id: &i32| self.listeners.iter().all(|listener| listener.id != *id);
                let id = (0..).find(is_free).unwrap_or_default();
                self.listeners.push(Listener::new(client, id, now_ns));
                Ok(id)
            }
        }
    }

    /// Nobody listens at this address any more.
    pub fn forget(&mut self, client: Client) {
        self.listeners.retain(|listener| listener.client != client);
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// Somebody's time tag was past on arrival. Who sent it was told already.
    pub fn late(&mut self, seconds: f64, address: &str, sender: Client) {
        for listener in self.listeners.iter_mut().filter(|listener| listener.client != sender) {
            listener.tell(Event::Late { seconds, address: address.to_owned() });
        }
    }

    /// Looks for modules that came or went, after a command.
    pub fn look_at_modules(&mut self, conductor: &Conductor) {
        if self.listeners.is_empty() || conductor.plan_version() == self.seen.plan_version {
            return;
        }
        let (before, now) = (std::mem::take(&mut self.seen.modules), modules_of(conductor));
        let mut gone: Vec<_> = before.iter().filter(|(instance, _)| !now.contains_key(instance)).collect();
        gone.sort_unstable();
        for (_, id) in gone {
            self.tell_all(&Event::End(id.clone()));
        }
        for module in conductor.patch().modules() {
            if !before.contains_key(&module.instance) {
                self.tell_all(&Event::Go(module.id.clone()));
            }
        }
        self.seen.modules = now;
        self.seen.plan_version = conductor.plan_version();
    }

    /// Looks for workers that changed and blocks that were missed, between commands.
    pub fn look_at_engine(&mut self, conductor: &Conductor) {
        if self.listeners.is_empty() {
            return;
        }
        let workers = workers_of(conductor);
        for (slot, now) in workers.iter().enumerate() {
            if self.seen.workers.get(slot) == Some(now) {
                continue;
            }
            let entry = &conductor.pool().slots()[slot];
            let cause = entry.last_cause.clone().filter(|_| !entry.state.is_usable());
            let (pid, state) = *now;
            let reason = cause.unwrap_or_default();
            self.tell_all(&Event::Worker { slot, pid, core: entry.core, state, reason });
        }
        self.seen.workers = workers;
        self.look_at_bypassed(conductor);
        let xruns = conductor.report().xruns.load(Relaxed);
        let missed = xruns.saturating_sub(self.seen.xruns);
        self.listeners.iter_mut().for_each(|listener| listener.xruns += missed);
        self.seen.xruns = xruns;
    }

    fn look_at_bypassed(&mut self, conductor: &Conductor) {
        let bypassed = conductor.bypassed();
        for (instance, why) in
            bypassed.iter().filter(|(instance, _)| !self.seen.bypassed.contains_key(instance))
        {
            if let Some(module) = conductor.patch().by_instance(*instance) {
                let event = Event::Bypassed { id: module.id.clone(), why };
                self.listeners.iter_mut().for_each(|listener| listener.tell(event.clone()));
            }
        }
        self.seen.bypassed.clone_from(bypassed);
    }

    /// Sends what waits, as far as each listener's rate allows.
    pub fn flush(&mut self, now_ns: u64, mut send: impl FnMut(&Reply, Client) -> Sent) {
        for listener in &mut self.listeners {
            listener.flush(now_ns, &mut send);
        }
    }

    fn tell_all(&mut self, event: &Event) {
        self.listeners.iter_mut().for_each(|listener| listener.tell(event.clone()));
    }
}

impl Seen {
    fn of(conductor: &Conductor) -> Self {
        Self {
            plan_version: conductor.plan_version(),
            modules: modules_of(conductor),
            workers: workers_of(conductor),
            bypassed: conductor.bypassed().clone(),
            xruns: conductor.report().xruns.load(Relaxed),
        }
    }
}

fn modules_of(conductor: &Conductor) -> HashMap<u32, String> {
    conductor.patch().modules().iter().map(|module| (module.instance, module.id.clone())).collect()
}

fn workers_of(conductor: &Conductor) -> Vec<(u32, &'static str)> {
    conductor.pool().slots().iter().map(|slot| (slot.pid, slot.state.name())).collect()
}

impl Listener {
    fn new(client: Client, id: i32, now_ns: u64) -> Self {
        let (waiting, credit_ns) = (VecDeque::new(), AT_ONCE * COST_NS);
        Self { client, id, waiting, xruns: 0, lost: 0, credit_ns, filled_ns: now_ns }
    }

    /// Puts an event behind those that wait, or instead of one of them.
    fn tell(&mut self, event: Event) {
        let is_flooded = self.waiting.len() as u64 * COST_NS >= self.credit_ns;
        let is_superseded = |old: &Event| match (old, &event) {
            (Event::Worker { slot: old, .. }, Event::Worker { slot, .. }) => old == slot,
            (Event::Late { address: old, .. }, Event::Late { address, .. }) => old == address,
            (Event::Go(old), Event::End(id)) => is_flooded && old == id,
            _ => false,
        };
        let old = self.waiting.iter().rposition(is_superseded).and_then(|old| self.waiting.remove(old));
        let event = match (old, event) {
            // It came and went, and nobody was told that it came.
            (Some(Event::Go(_)), Event::End(_)) => return,
            (Some(Event::Late { seconds: worst, .. }), Event::Late { seconds, address }) => {
                Event::Late { seconds: seconds.max(worst), address }
            }
            (_, event) => event,
        };
        if self.waiting.len() >= MAX_WAITING {
            self.lost += 1;
        } else {
            self.waiting.push_back(event);
        }
    }

    fn flush(&mut self, now_ns: u64, send: &mut impl FnMut(&Reply, Client) -> Sent) {
        let gained_ns = now_ns.saturating_sub(self.filled_ns);
        self.credit_ns = self.credit_ns.saturating_add(gained_ns).min(AT_ONCE * COST_NS);
        self.filled_ns = now_ns;
        while self.credit_ns >= COST_NS {
            let Some(message) = self.next() else { return };
            let sent = send(&message, self.client);
            if sent == Sent::NotNow {
                return;
            }
            self.credit_ns -= COST_NS;
            let lost_before = self.lost;
            self.is_through_with(&message);
            if sent == Sent::Never {
                self.lost = lost_before.max(self.lost + 1);
                return;
            }
        }
    }

    /// The message that is due first.
    fn next(&self) -> Option<Reply> {
        let count = |count: u64| Arg::Int(count.min(i32::MAX as u64) as i32);
        let message = |address: &str, args: Vec<Arg>| Some(Reply { address: address.to_owned(), args });
        if let Some(event) = self.waiting.front() {
            return Some(event.message());
        }
        match (self.xruns, self.lost) {
            (0, 0) => None,
            (0, lost) => message("/notify/lost", vec![count(lost)]),
            (xruns, _) => message("/xrun", vec![count(xruns)]),
        }
    }

    fn is_through_with(&mut self, message: &Reply) {
        match message.address.as_str() {
            "/xrun" => self.xruns = 0,
            "/notify/lost" => self.lost = 0,
            _ => drop(self.waiting.pop_front()),
        }
    }
}

impl Event {
    fn message(&self) -> Reply {
        let int = |number: u32| Arg::Int(i32::try_from(number).unwrap_or(i32::MAX));
        let (address, args) = match self {
            Self::Go(id) => ("/n_go", vec![Arg::Text(id.clone())]),
            Self::End(id) => ("/n_end", vec![Arg::Text(id.clone())]),
            Self::Late { seconds, address } => {
                ("/late", vec![Arg::Double(*seconds), Arg::Text(address.clone())])
            }
            Self::Bypassed { id, why } => {
                let reason =
                    format!("it is bypassed, because {why}; /free it and create it again to try it again");
                ("/fail", vec![Arg::Text("/create".to_owned()), Arg::Text(reason), Arg::Text(id.clone())])
            }
            Self::Worker { slot, pid, core, state, reason } => {
                let place = vec![int(*slot as u32), int(*pid), int(*core as u32)];
                let words = [Arg::Text((*state).to_owned()), Arg::Text(reason.clone())];
                ("/worker/state", place.into_iter().chain(words).collect())
            }
        };
        Reply { address: address.to_owned(), args }
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
