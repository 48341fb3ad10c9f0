//! The control loop over the network: datagrams in, commands performed at their time, answers out, and between
//! two datagrams a look after the pool.
//!
//! Time-tagged gates and parameters go to the audio thread a little before their time, with their exact frame.
//! Edits of the patch are performed when their time has come, for the next block; a gate that stands behind
//! such an edit in time waits for it.

use super::Conductor;
use super::apply::Moment;
use super::held::{Held, Waiting};
use super::notify::{Notices, Sent};
use crate::command::{Arg, Client, Command, Due, Reply, Request};
use crate::config::Settings;
use crate::osc::{ClockPair, Decoded, Listener, ReplyLimit, Schedule, decode, encode};
use backline_abi::wake::now_ns;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::SocketAddr;

/// Between two looks after the pool.
const TEND_NS: u64 = 5_000_000;
/// The same while a worker is on its way: whoever waits for it waits for us, too.
const TEND_SOON_NS: u64 = 1_000_000;
/// Datagrams taken before the rest of the loop gets its turn.
const DATAGRAMS_A_TURN: usize = 64;
/// How long before its time an event goes to the audio thread, beside two blocks.
const LEAD_NS: u64 = 10_000_000;
/// Between two looks after work on files, while there is any.
const FILE_LOOK_NS: u64 = 500_000;

/// A request that is due later.
struct Later {
    request: Request,
    client: Client,
}

/// What the network loop has counted, and has to count on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServeCounts {
    /// Datagrams received.
    pub datagrams: u64,
    /// Messages refused before they were commands.
    pub malformed: u64,
    /// Datagrams from senders that may not.
    pub strangers: u64,
    /// Commands whose time tag was past on arrival.
    pub late: u64,
    /// Clients that are told what happens.
    pub listeners: usize,
    /// Bytes that the kernel keeps for us between two turns, as it counts them.
    pub buffer_bytes: usize,
}

/// The loop's own state.
pub struct Server {
    listener: Listener,
    clocks: ClockPair,
    early: Schedule<Later>,
    at_due: Schedule<Later>,
    limit: ReplyLimit,
    decoded: Vec<Decoded>,
    lead_ns: u64,
    tended_ns: u64,
    /// The supervisor has something to tell.
    has_notice: bool,
    counts: ServeCounts,
    held: Held,
    notices: Notices,
}

impl Server {
    /// A loop over `listener`.
    pub fn new(listener: Listener, settings: &Settings) -> Self {
        let counts = ServeCounts { buffer_bytes: listener.receive_buffer_bytes(), ..ServeCounts::default() };
        Self {
            listener,
            clocks: ClockPair::default(),
            // What may be scheduled is counted over both, and before it comes here.
            early: Schedule::with_limit(settings.max_scheduled),
            at_due: Schedule::with_limit(settings.max_scheduled),
            limit: ReplyLimit::default(),
            decoded: Vec::new(),
            lead_ns: LEAD_NS + 2 * settings.block_ns(),
            tended_ns: 0,
            has_notice: false,
            counts,
            held: Held::default(),
            notices: Notices::default(),
        }
    }

    /// One turn: waits for a datagram until something else is due, then does everything that is due.
    pub fn turn(&mut self, conductor: &mut Conductor) {
        self.wait(conductor);
        for _ in 0..DATAGRAMS_A_TURN {
            if !self.receive(conductor) {
                break;
            }
        }
        self.perform_due(conductor);
        if self.has_notice || now_ns() >= self.next_tend_ns(conductor) {
            conductor.pool().alarm().silence_for_notice();
            self.has_notice = false;
            self.tended_ns = now_ns();
            conductor.tend_pool();
            conductor.tend_session();
            self.notices.look_at_engine(conductor);
        }
        self.finish_file_work(conductor);
        self.notify();
    }

    fn next_tend_ns(&self, conductor: &Conductor) -> u64 {
        self.tended_ns + if conductor.pool().is_settled() { TEND_NS } else { TEND_SOON_NS }
    }

    fn wait(&mut self, conductor: &Conductor) {
        let next_early = self.early.next_due().map(|due| due.saturating_sub(self.lead_ns));
        let file_look = conductor.has_any_file_work().then(|| now_ns() + FILE_LOOK_NS);
        let next = [next_early, self.at_due.next_due(), Some(self.next_tend_ns(conductor)), file_look];
        let until_ns = next.into_iter().flatten().min().unwrap_or(0);
        let left_ns = until_ns.saturating_sub(now_ns());
        let timeout =
            Timespec { tv_sec: (left_ns / 1_000_000_000) as i64, tv_nsec: (left_ns % 1_000_000_000) as i64 };
        // An interrupted wait is a wait that is over.
        let alarm = conductor.pool().alarm();
        let bell = PollFd::from_borrowed_fd(alarm.notice_bell(), PollFlags::IN);
        let mut polled = [PollFd::new(&self.listener, PollFlags::IN), bell];
        let _ = poll(&mut polled, Some(&timeout));
        self.has_notice |= polled[1].revents().contains(PollFlags::IN);
        if polled[0].revents().contains(PollFlags::ERR) {
            for gone in self.listener.unreachable() {
                self.notices.forget(Client(gone));
            }
        }
    }

    /// Takes one datagram. False if there was none.
    fn receive(&mut self, conductor: &mut Conductor) -> bool {
        let (sender, clock) = match self.listener.receive() {
            Ok(Some((packet, sender))) => {
                let clock = self.clocks.arrival(now_ns);
                decode(packet, &clock, &mut self.decoded);
                (sender, clock)
            }
            Ok(None) => return false,
            Err(cause) => {
                tracing::warn!(%cause, "receiving failed");
                return false;
            }
        };
        self.counts.datagrams += 1;
        if !is_allowed(conductor.settings(), sender) {
            self.counts.strangers += 1;
            return true;
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        for decoded in decoded.drain(..) {
            match decoded {
                Ok(request) => self.accept(conductor, request, sender, clock.mono_ns),
                Err(refusal) => {
                    self.counts.malformed += 1;
                    if self.limit.allow(sender, clock.mono_ns) {
                        self.answer(&refusal.reply(), sender);
                    }
                }
            }
        }
        self.decoded = decoded;
        true
    }

    fn accept(&mut self, conductor: &mut Conductor, request: Request, sender: SocketAddr, arrived_ns: u64) {
        let client = Client(sender);
        if let Some(late_s) = request.late_s {
            self.counts.late += 1;
            let args = vec![Arg::Double(late_s), Arg::Text(request.address.clone())];
            self.answer(&Reply { address: "/late".to_owned(), args }, sender);
            self.notices.late(late_s, &request.address, client);
        }
        match request.due {
            Due::Now => self.perform(conductor, request, client, Moment { frame: 0, arrived_ns }),
            Due::At(due_ns) => match conductor.schedule(client) {
                Err(refused) => self.answer(&Reply::fail(&request.address, refused, None), sender),
                Ok(()) => {
                    // There is room: the limit is that of the count.
                    let _ = self.early.push(due_ns, Later { request, client });
                }
            },
        }
    }

    /// Does what `request` asks, or keeps it until a file that it has to wait for is there.
    fn perform(&mut self, conductor: &mut Conductor, request: Request, client: Client, moment: Moment) {
        if !self.held.must_wait(conductor, &request.command, client) {
            return self.perform_now(conductor, &request, client, moment);
        }
        match conductor.schedule(client) {
            Err(refused) => self.answer(&Reply::fail(&request.address, refused, None), client.0),
            Ok(()) => self.held.push(Waiting { request, client, moment }),
        }
    }

    fn perform_now(&mut self, conductor: &mut Conductor, request: &Request, client: Client, moment: Moment) {
        if request.command == Command::Panic {
            self.early.clear();
            self.at_due.clear();
            conductor.forget_scheduled();
            for held in self.held.drain() {
                let reason = "/panic came before what it waited for";
                self.answer(&Reply::fail(&held.request.address, reason, None), held.client.0);
            }
        }
        self.counts.listeners = self.notices.listeners();
        conductor.network = self.counts;
        let replies = match request.command {
            Command::Notify(is_on) => vec![self.register(conductor, request, client, is_on)],
            _ => conductor.apply_for(client, request, moment),
        };
        for reply in replies {
            self.answer(&reply, client.0);
        }
        self.notices.look_at_modules(conductor);
    }

    fn register(&mut self, conductor: &Conductor, request: &Request, client: Client, is_on: bool) -> Reply {
        match self.notices.set(client, is_on, conductor, now_ns()) {
            Ok(id) => Reply::done(&request.address, [Arg::Int(id)]),
            Err(refused) => Reply::fail(&request.address, refused, None),
        }
    }

    fn perform_due(&mut self, conductor: &mut Conductor) {
        while let Some((due_ns, later)) = self.early.pop_due(now_ns() + self.lead_ns) {
            let waits_for_nobody = self.at_due.next_due().is_none_or(|edit_ns| edit_ns > due_ns);
            if waits_for_nobody && conductor.is_event_for_somebody(&later.request.command) {
                self.perform_at(conductor, due_ns, later);
            } else if let Err(full) = self.at_due.push(due_ns, later) {
                self.perform_at(conductor, due_ns, full.item);
            }
        }
        while let Some((due_ns, later)) = self.at_due.pop_due(now_ns()) {
            self.perform_at(conductor, due_ns, later);
        }
    }

    fn perform_at(&mut self, conductor: &mut Conductor, due_ns: u64, later: Later) {
        let frame = conductor.report().frame_at(due_ns, conductor.settings().rate_hz).unwrap_or(0);
        conductor.unschedule(later.client);
        self.perform(conductor, later.request, later.client, Moment { frame, arrived_ns: now_ns() });
    }

    /// Answers for files that are done, and then what waited for them.
    fn finish_file_work(&mut self, conductor: &mut Conductor) {
        let replies = conductor.finish_file_work();
        if replies.is_empty() {
            return;
        }
        for (client, reply) in replies {
            if let Some(client) = client {
                self.answer(&reply, client.0);
            }
        }
        self.notices.look_at_modules(conductor);
        while let Some(Waiting { request, client, moment }) = self.held.pop(conductor) {
            conductor.unschedule(client);
            self.perform_now(conductor, &request, client, moment);
        }
    }

    fn notify(&mut self) {
        let listener = &self.listener;
        self.notices.flush(now_ns(), |message, client| match encode(message) {
            Err(_) => Sent::Never,
            Ok(bytes) => match listener.send(&bytes, client.0) {
                Ok(()) => Sent::Yes,
                Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => Sent::NotNow,
                Err(_) => Sent::Never,
            },
        });
    }

    fn answer(&self, reply: &Reply, to: SocketAddr) {
        let bytes = encode(reply).or_else(|too_big| {
            let address = reply.address.trim_end_matches(".reply");
            encode(&Reply::fail(address, too_big, None))
        });
        let sent = bytes.map(|bytes| self.listener.send(&bytes, to));
        if let Ok(Err(cause)) = sent {
            tracing::debug!(%to, %cause, "an answer could not be sent");
        }
    }
}

fn is_allowed(settings: &Settings, sender: SocketAddr) -> bool {
    let ip = sender.ip().to_canonical();
    ip.is_loopback() || settings.insecure || settings.allow.iter().any(|net| net.contains(&ip))
}
