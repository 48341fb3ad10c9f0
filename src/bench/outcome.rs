//! How a bench is told: a table for people, JSON with the whole histogram for machines.

use super::machine;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Significant digits kept of each value.
const DIGITS: u8 = 3;
/// Longest value that is told apart, ns.
const LONGEST_NS: u64 = 60_000_000_000;

/// What times are told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds: what happens within a block.
    Us,
    /// Milliseconds: what happens to whole processes.
    Ms,
}

impl Unit {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Ms => "ms",
        }
    }

    fn of_ns(self, ns: u64) -> f64 {
        match self {
            Self::Us => ns as f64 / 1e3,
            Self::Ms => ns as f64 / 1e6,
        }
    }

    /// Decimals in the table; whoever looks at milliseconds looks at microseconds, too.
    const fn decimals(self) -> usize {
        match self {
            Self::Us => 1,
            Self::Ms => 3,
        }
    }
}

/// A distribution of times, kept in nanoseconds.
pub struct Times {
    /// What was measured, in words.
    pub name: String,
    /// What it should be at most, as (quantile, us).
    pub goals: Vec<(f64, f64)>,
    unit: Unit,
    histogram: Histogram<u64>,
}

impl Times {
    /// Nothing measured yet; to be told in us.
    pub fn new(name: impl Into<String>, goals: &[(f64, f64)]) -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
            .expect("bounds and digits are constants in range");
        Self { name: name.into(), goals: goals.to_vec(), unit: Unit::Us, histogram }
    }

    /// Nothing measured yet; to be told in ms, without a goal.
    pub fn in_ms(name: impl Into<String>) -> Self {
        Self { unit: Unit::Ms, ..Self::new(name, &[]) }
    }

    /// Adds one time.
    pub fn record_ns(&mut self, ns: u64) {
        self.histogram.saturating_record(ns.max(1));
    }

    /// How many times were measured.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The value below which the share `quantile` lies, in us.
    pub fn quantile_us(&self, quantile: f64) -> f64 {
        self.histogram.value_at_quantile(quantile) as f64 / 1e3
    }

    /// The value below which the share `quantile` lies, in the unit in which this is told.
    fn quantile(&self, quantile: f64) -> f64 {
        self.unit.of_ns(self.histogram.value_at_quantile(quantile))
    }

    /// With the whole histogram, as (upper bound, count).
    pub fn to_json(&self) -> Value {
        let buckets: Vec<(f64, u64)> = self
            .histogram
            .iter_recorded()
            .map(|bucket| (self.unit.of_ns(bucket.value_iterated_to()), bucket.count_since_last_iteration()))
            .collect();
        json!({
            "name": self.name,
            "unit": self.unit.symbol(),
            "n": self.count(),
            "min": self.unit.of_ns(self.histogram.min()),
            "p50": self.quantile(0.5),
            "p99": self.quantile(0.99),
            "p99.9": self.quantile(0.999),
            "max": self.unit.of_ns(self.histogram.max()),
            "goals": self.goals.iter().map(|(quantile, us)| json!({"quantile": quantile, "us": us})).collect::<Vec<_>>(),
            "histogram": buckets,
        })
    }
}

/// Everything one bench has to tell.
pub struct Outcome {
    /// Which bench.
    pub bench: &'static str,
    /// What it was run with.
    pub settings: Value,
    /// Distributions, all told in one unit.
    pub times: Vec<Times>,
    /// Counts and single figures.
    pub figures: Vec<(String, Value)>,
}

impl Outcome {
    /// For machines.
    pub fn to_json(&self) -> Value {
        json!({
            "bench": self.bench,
            "machine": machine::describe(),
            "settings": self.settings,
            "results": self.times.iter().map(Times::to_json).collect::<Vec<_>>(),
            "figures": self.figures.iter().cloned().collect::<serde_json::Map<_, _>>(),
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("bench {}  {}\n{}\n\n", self.bench, self.settings, machine::describe());
        let unit = self.times.first().map_or(Unit::Us, |times| times.unit);
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{:<58} {:>7} {:>8} {:>8} {:>8} {:>8}",
            unit.symbol(),
            "n",
            "p50",
            "p99",
            "p99.9",
            "max"
        );
        for times in &self.times {
            let _ = write!(text, "{:<58} {:>7}", times.name, times.count());
            for quantile in [0.5, 0.99, 0.999, 1.0] {
                let _ = write!(text, " {:>8.*}", unit.decimals(), times.quantile(quantile));
            }
            for (quantile, us) in &times.goals {
                let verdict = if times.quantile_us(*quantile) <= *us { "met" } else { "MISSED" };
                let _ = write!(text, "  p{} <= {us}: {verdict}", quantile * 100.0);
            }
            text.push('\n');
        }
        for (name, value) in &self.figures {
            let _ = writeln!(text, "{name}: {value}");
        }
        text
    }
}
