//! In which order modules are rendered, and which cables are read one block late.
//!
//! **Loops.** Connections are taken in creation order; one that would close a loop with those already taken
//! is *feedback*: its target reads what its source rendered in the block before. So in each loop it is the
//! newest cable that is late, exactly as many are late as need be, and nothing that happens elsewhere in the
//! patch changes which. The flag is a function of the patch alone: loading a saved patch gives it again.
//!
//! **Order.** Every other connection goes forward. After a module comes the first of its consumers that has
//! all its inputs, so a chain stays together (same core, warm cache); where chains begin, the oldest is first.
//! A module elsewhere changes nothing in the order of the others.

use std::collections::HashSet;

use super::{Connection, Patch};

/// A connection, and when it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ordered {
    /// The cable.
    pub connection: Connection,
    /// Its source is read one block late.
    pub is_feedback: bool,
}

/// The whole patch in the order of rendering.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    /// Instances; a module comes after all those it reads in the same block.
    pub modules: Vec<u32>,
    /// Grouped by target, the groups in the order of `modules`; within a group in creation order, which is
    /// the order in which an input adds its cables up.
    pub connections: Vec<Ordered>,
    /// Where the group of `modules[n]` starts, and one past the last group's end.
    starts: Vec<usize>,
}

impl Order {
    /// What is patched into `modules[position]`.
    pub fn inputs(&self, position: usize) -> &[Ordered] {
        &self.connections[self.starts[position]..self.starts[position + 1]]
    }
}

/// Puts a patch in order. Linear in modules and connections (times log of modules, to find them).
pub fn order(patch: &Patch) -> Order {
    let ranks = ranks(patch);
    let modules = patch.modules();
    let mut groups = vec![Vec::new(); modules.len()];
    for &connection in patch.connections() {
        if let Some(target) = patch.position(connection.target) {
            groups[target].push(Ordered { connection, is_feedback: connection.is_feedback });
        }
    }
    let mut order = Order { starts: vec![0], ..Order::default() };
    for position in ranks {
        order.modules.push(modules[position].instance);
        order.connections.append(&mut groups[position]);
        order.starts.push(order.connections.len());
    }
    order
}

/// Positions of the patch's modules in render order: Kahn's algorithm with a stack, so that what has just
/// become ready is next.
fn ranks(patch: &Patch) -> Vec<usize> {
    let forward = Forward::of(patch, patch.connections());
    let mut waits_for = vec![0_usize; patch.modules().len()];
    for &consumer in forward.consumers.iter().flatten() {
        waits_for[consumer] += 1;
    }
    let mut ready: Vec<usize> =
        (0..waits_for.len()).rev().filter(|&position| waits_for[position] == 0).collect();
    let mut ranks = Vec::with_capacity(waits_for.len());
    while let Some(position) = ready.pop() {
        ranks.push(position);
        let first_new = ready.len();
        for &consumer in &forward.consumers[position] {
            waits_for[consumer] -= 1;
            if waits_for[consumer] == 0 {
                ready.push(consumer);
            }
        }
        // The cable that was there first is followed first.
        ready[first_new..].reverse();
    }
    ranks
}

/// Who reads whom in the same block, by position.
struct Forward {
    consumers: Vec<Vec<usize>>,
}

impl Forward {
    fn of(patch: &Patch, connections: &[Connection]) -> Self {
        let mut forward = Self { consumers: vec![Vec::new(); patch.modules().len()] };
        for cable in connections.iter().filter(|cable| !cable.is_feedback) {
            if let (Some(source), Some(target)) = (patch.position(cable.source), patch.position(cable.target))
            {
                forward.consumers[source].push(target);
            }
        }
        forward
    }

    /// Whether something that `from` renders arrives at `to` in the same block; a module reaches itself.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut is_seen = vec![false; self.consumers.len()];
        let mut pending = vec![from];
        while let Some(position) = pending.pop() {
            if position == to {
                return true;
            }
            if !std::mem::replace(&mut is_seen[position], true) {
                pending.extend(&self.consumers[position]);
            }
        }
        false
    }
}

/// Whether a new cable from `source` to `target` would close a loop.
pub(super) fn closes_loop(patch: &Patch, source: u32, target: u32) -> bool {
    match (patch.position(source), patch.position(target)) {
        (Some(source), Some(target)) => Forward::of(patch, patch.connections()).reaches(target, source),
        _ => false,
    }
}

/// Decides anew which connections are feedback, from the `first` whose elder was removed: what is older than
/// a removed cable never depended on it.
pub(super) fn mark_feedback(patch: &mut Patch, first: usize) {
    if !patch.connections[first..].iter().any(|cable| cable.is_feedback) {
        return;
    }
    let mut forward = Forward::of(patch, &patch.connections[..first]);
    for index in first..patch.connections.len() {
        let cable = patch.connections[index];
        let (Some(source), Some(target)) = (patch.position(cable.source), patch.position(cable.target))
        else {
            continue;
        };
        let is_feedback = forward.reaches(target, source);
        patch.connections[index].is_feedback = is_feedback;
        if !is_feedback {
            forward.consumers[source].push(target);
        }
    }
}

/// Modules that one cable joins to `instance` within a block: what it reads, then what reads it, each once.
pub fn neighbours(patch: &Patch, instance: u32) -> Vec<u32> {
    let forward = || patch.connections().iter().filter(|cable| !cable.is_feedback);
    let sources = forward().filter(|cable| cable.target == instance).map(|cable| cable.source);
    let targets = forward().filter(|cable| cable.source == instance).map(|cable| cable.target);
    let mut seen = HashSet::new();
    sources.chain(targets).filter(|&neighbour| seen.insert(neighbour)).collect()
}

/// Groups of modules that cables join within a block, each in render order; the group that renders first is first.
/// A module without cables is a group of its own.
pub fn chains(patch: &Patch) -> Vec<Vec<u32>> {
    let modules = patch.modules();
    let mut joined = vec![Vec::new(); modules.len()];
    for (source, consumers) in Forward::of(patch, patch.connections()).consumers.iter().enumerate() {
        for &target in consumers {
            joined[source].push(target);
            joined[target].push(source);
        }
    }
    let mut chain_of = vec![usize::MAX; modules.len()];
    let mut chains: Vec<Vec<u32>> = Vec::new();
    for position in ranks(patch) {
        if chain_of[position] == usize::MAX {
            paint(&joined, &mut chain_of, position, chains.len());
            chains.push(Vec::new());
        }
        chains[chain_of[position]].push(modules[position].instance);
    }
    chains
}

/// Writes `chain` at everything that is joined to `start`.
fn paint(joined: &[Vec<usize>], chain_of: &mut [usize], start: usize, chain: usize) {
    let mut pending = vec![start];
    while let Some(position) = pending.pop() {
        if chain_of[position] == usize::MAX {
            chain_of[position] = chain;
            pending.extend(&joined[position]);
        }
    }
}

#[cfg(test)]
mod tests;
