//! How many refusals a sender of nonsense is told about.
//!
//! In:  who sent it and when. Out: whether to answer.
//! Thread: control. Senders can be invented faster than they can be forgotten, so the table is bounded; when
//! it is full of busy senders, newcomers share one allowance.

use std::collections::HashMap;
use std::net::SocketAddr;

/// Answers a second to one sender, unless told otherwise.
pub const DEFAULT_PER_SECOND: u32 = 100;
/// Senders remembered at once.
pub const MAX_SENDERS: usize = 256;

/// Credit is counted in time; nobody can save up more than a second of it.
const FULL_NS: u64 = 1_000_000_000;

/// An allowance of answers for each sender.
#[derive(Debug)]
pub struct ReplyLimit {
    cost_ns: u64,
    by_sender: HashMap<SocketAddr, Bucket>,
    shared: Bucket,
    withheld: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    credit_ns: u64,
    filled_at_ns: u64,
}

impl Bucket {
    fn credit_at(&self, now_ns: u64) -> u64 {
        self.credit_ns.saturating_add(now_ns.saturating_sub(self.filled_at_ns)).min(FULL_NS)
    }

    fn take(&mut self, cost_ns: u64, now_ns: u64) -> bool {
        let credit_ns = self.credit_at(now_ns);
        let is_enough = credit_ns >= cost_ns;
        self.credit_ns = if is_enough { credit_ns - cost_ns } else { credit_ns };
        self.filled_at_ns = now_ns;
        is_enough
    }
}

impl Default for ReplyLimit {
    fn default() -> Self {
        Self::per_second(DEFAULT_PER_SECOND)
    }
}

impl ReplyLimit {
    /// Allows each sender that many answers a second, at least one.
    pub fn per_second(answers: u32) -> Self {
        Self {
            cost_ns: FULL_NS / u64::from(answers.max(1)),
            by_sender: HashMap::with_capacity(MAX_SENDERS),
            shared: Bucket { credit_ns: FULL_NS, filled_at_ns: 0 },
            withheld: 0,
        }
    }

    /// True if `sender` may be answered once more.
    pub fn allow(&mut self, sender: SocketAddr, now_ns: u64) -> bool {
        let cost_ns = self.cost_ns;
        let is_allowed = self.bucket(sender, now_ns).take(cost_ns, now_ns);
        self.withheld += u64::from(!is_allowed);
        is_allowed
    }

    /// Answers that were not given.
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    fn bucket(&mut self, sender: SocketAddr, now_ns: u64) -> &mut Bucket {
        let is_known = self.by_sender.contains_key(&sender);
        if !is_known && self.by_sender.len() >= MAX_SENDERS {
            // Whoever has full credit again loses nothing by being forgotten.
            self.by_sender.retain(|_, bucket| bucket.credit_at(now_ns) < FULL_NS);
        }
        if is_known || self.by_sender.len() < MAX_SENDERS {
            let fresh = Bucket { credit_ns: FULL_NS, filled_at_ns: now_ns };
            self.by_sender.entry(sender).or_insert(fresh)
        } else {
            &mut self.shared
        }
    }
}
