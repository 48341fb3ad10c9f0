//! Faults on purpose: `--chaos seed=7,kill=0.05,stop=0.01`. In each block, with the probability given, that is done to
//! a random worker at a random moment of the block, by real signals to real processes.
//!
//! Which block, which worker and which moment follow from the seed; what the worker is doing at that moment does not.

use super::Conductor;
use crossbeam_channel::{Sender, bounded};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// A moment in a block is drawn from this span, which is longer than a free-running block takes.
const FREE_SPAN: Duration = Duration::from_micros(200);
/// A sleep of the kernel is coarser than this; the rest is waited for awake.
const SLEEP_SLACK: Duration = Duration::from_micros(200);
/// Blocks drawn for at once, however long nobody looked.
const MOST_BLOCKS: u32 = 64;
/// Blows under way at most.
const QUEUE: usize = 64;

/// What can be done to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SIGKILL.
    Kill,
    /// SIGSEGV.
    Segv,
    /// SIGABRT.
    Abort,
    /// SIGSTOP.
    Stop,
    /// A new process, and a planned hand-over to it.
    Recycle,
}

/// All kinds with their names in a specification.
const KINDS: [(&str, Kind); 5] = [
    ("kill", Kind::Kill),
    ("segv", Kind::Segv),
    ("abort", Kind::Abort),
    ("stop", Kind::Stop),
    ("recycle", Kind::Recycle),
];

/// What `--chaos` asks for: a seed, and a probability a block for each kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    seed: u64,
    odds: [f64; KINDS.len()],
}

/// A `--chaos` that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{part}' is no part of a chaos specification: {why}; write for example seed=7,kill=0.05,stop=0.01")]
pub struct SpecError {
    part: String,
    why: String,
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut spec = Self { seed: 1, odds: [0.0; KINDS.len()] };
        for part in text.split(',') {
            let error = |why: &str| SpecError { part: part.to_owned(), why: why.to_owned() };
            let (name, value) = part.split_once('=').ok_or_else(|| error("it has no '='"))?;
            if name == "seed" {
                spec.seed = value.parse().map_err(|_| error("a seed is a whole number from 0"))?;
                continue;
            }
            let known = KINDS.iter().position(|(known, _)| *known == name);
            let hint = crate::nearest::hint(name, KINDS.iter().map(|(known, _)| *known));
            let kind = known.ok_or_else(|| error(&format!("nobody knows '{name}'{hint}")))?;
            let odds: f64 = value.parse().map_err(|_| error("a probability is a number from 0 to 1"))?;
            if !(0.0..=1.0).contains(&odds) {
                return Err(error("a probability is a number from 0 to 1"));
            }
            spec.odds[kind] = odds;
        }
        Ok(spec)
    }
}

/// Blows that were struck, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Injected([u64; KINDS.len()]);

impl Injected {
    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// As JSON: kind to count.
    pub fn to_json(&self) -> serde_json::Value {
        let counts =
            KINDS.iter().zip(self.0).map(|((name, _), count)| ((*name).to_owned(), serde_json::json!(count)));
        serde_json::Value::Object(counts.collect())
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = (KINDS.iter().zip(self.0).filter(|(_, count)| *count > 0))
            .map(|((name, _), count)| format!("{name} {count}"))
            .collect();
        write!(to, "{} faults injected ({})", self.total(), parts.join(", "))
    }
}

/// One signal on its way.
struct Blow {
    victim: rustix::fd::OwnedFd,
    signal: Signal,
    at: Instant,
}

/// Draws faults, block after block, and has them done.
pub struct Chaos {
    spec: Spec,
    state: u64,
    blows: Sender<Blow>,
    injected: Injected,
    seen_block: Option<u32>,
}

impl Chaos {
    /// Starts the thread that strikes.
    pub fn start(spec: Spec) -> std::io::Result<Self> {
        let (blows, struck) = bounded::<Blow>(QUEUE);
        std::thread::Builder::new().name("chaos".into()).spawn(move || {
            for blow in struck {
                let left = blow.at.saturating_duration_since(Instant::now());
                std::thread::sleep(left.saturating_sub(SLEEP_SLACK));
                while Instant::now() < blow.at {
                    std::hint::spin_loop();
                }
                // It may be dead by now.
                let _ = pidfd_send_signal(&blow.victim, blow.signal);
            }
        })?;
        Ok(Self { state: spec.seed, spec, blows, injected: Injected::default(), seen_block: None })
    }

    /// What was done so far.
    pub fn injected(&self) -> Injected {
        self.injected
    }

    /// Draws for one block of a free-running clock, and strikes.
    pub fn strike(&mut self, conductor: &mut Conductor) {
        self.strike_within(conductor, Instant::now(), FREE_SPAN);
    }

    /// Draws for each block that a clock has played since the last call, and strikes in as many blocks from now.
    pub fn strike_live(&mut self, conductor: &mut Conductor) {
        let block = conductor.block();
        let passed = block.wrapping_sub(self.seen_block.replace(block).unwrap_or(block)).min(MOST_BLOCKS);
        let settings = conductor.settings();
        let period = Duration::from_secs(1) * settings.block_frames / settings.rate_hz;
        let now = Instant::now();
        for ahead in 0..passed {
            self.strike_within(conductor, now + period * ahead, period);
        }
    }

    /// Draws for one block, which begins at `from` and lasts for `span`.
    fn strike_within(&mut self, conductor: &mut Conductor, from: Instant, span: Duration) {
        for (index, (_, kind)) in KINDS.iter().enumerate() {
            if self.draw() < self.spec.odds[index] && self.strike_one(conductor, *kind, from, span) {
                self.injected.0[index] += 1;
            }
        }
    }

    fn strike_one(&mut self, conductor: &mut Conductor, kind: Kind, from: Instant, span: Duration) -> bool {
        let alive: Vec<usize> = (0..conductor.pool().slots().len())
            .filter(|slot| conductor.pool().slots()[*slot].state.is_usable())
            .collect();
        let (which, moment) = (self.draw(), self.draw());
        let Some(&slot) = alive.get((which * alive.len() as f64) as usize) else { return false };
        let signal = match kind {
            Kind::Recycle => return conductor.recycle(slot),
            Kind::Kill => Signal::KILL,
            Kind::Segv => Signal::SEGV,
            Kind::Abort => Signal::ABORT,
            Kind::Stop => Signal::STOP,
        };
        let pid = Pid::from_raw(conductor.pool().slots()[slot].pid as i32);
        let victim = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let at = from + span.mul_f64(moment);
        victim.is_some_and(|victim| self.blows.try_send(Blow { victim, signal, at }).is_ok())
    }

    /// A number from 0 to below 1 (SplitMix64, Steele, Lea and Flood 2014).
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_says_what_is_wrong_with_it() {
        let spec: Spec = "seed=7,kill=0.05,stop=0.01".parse().expect("it makes sense");
        assert_eq!((spec.seed, spec.odds), (7, [0.05, 0.0, 0.0, 0.01, 0.0]));
        let refusal = |text: &str| text.parse::<Spec>().expect_err("it makes none").to_string();
        assert!(refusal("kil=0.1").contains("did you mean 'kill'"), "{}", refusal("kil=0.1"));
        assert!(refusal("kill=2").contains("from 0 to 1"));
        assert!(refusal("kill=NaN").contains("from 0 to 1"));
        assert!(refusal("seed=x").contains("whole number"));
        assert!(refusal("").contains("no '='"));
    }

    #[test]
    fn one_seed_is_one_sequence_and_it_is_even() {
        let draws = |seed| {
            let mut chaos = Chaos::start(Spec { seed, odds: [0.0; KINDS.len()] }).expect("a thread");
            (0..10_000).map(|_| chaos.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        let mean = draws(4).iter().sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }
}
