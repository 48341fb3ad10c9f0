//! Which modules an author may keep private memory for: those that were begun or rendered here and are still ours.
//!
//! A module is begun before it is in any plan. Others may come and go meanwhile, so one that has not been rendered yet is
//! ours for some rests more: else an author would let go of it just before its first block.

use backline_abi::layout::MAX_MODULES;

/// Rests for which a module is ours although no plan has it yet.
const PATIENCE: u32 = 16;

/// The modules of a worker, by number.
pub struct Instances {
    numbers: Vec<u32>,
    /// For each, how many rests it may still wait for its first block.
    patience: Vec<u32>,
}

impl Instances {
    /// None yet, with room for as many as there can be.
    pub fn with_room() -> Self {
        Self { numbers: Vec::with_capacity(MAX_MODULES), patience: Vec::with_capacity(MAX_MODULES) }
    }

    /// A module is set up. Real-time safe.
    pub fn begin(&mut self, instance: u32) {
        self.note(instance, PATIENCE);
    }

    /// A module is rendered. Real-time safe.
    pub fn render(&mut self, instance: u32) {
        self.note(instance, 0);
    }

    fn note(&mut self, instance: u32, patience: u32) {
        match self.numbers.binary_search(&instance) {
            Ok(index) => self.patience[index] = patience,
            // Modules that are gone may fill the room until the next rest; what comes then is forgotten.
            Err(_) if self.numbers.len() == MAX_MODULES => {}
            Err(index) => {
                self.numbers.insert(index, instance);
                self.patience.insert(index, patience);
            }
        }
    }

    /// Forgets those that are not ours any more, and gives the others. `plays` tells which are in the plan.
    pub fn rest(&mut self, plays: &dyn Fn(u32) -> bool) -> &[u32] {
        let mut kept = 0;
        for index in 0..self.numbers.len() {
            let (instance, patience) = (self.numbers[index], self.patience[index]);
            if plays(instance) || patience > 0 {
                self.numbers[kept] = instance;
                self.patience[kept] = patience.saturating_sub(1);
                kept += 1;
            }
        }
        self.numbers.truncate(kept);
        self.patience.truncate(kept);
        &self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_left_are_forgotten_and_one_that_was_not_heard_yet_is_waited_for() {
        let mut instances = Instances::with_room();
        [9, 3, 5].into_iter().for_each(|instance| instances.render(instance));
        instances.begin(4);
        assert_eq!(instances.rest(&|instance| instance != 5), [3, 4, 9]);
        assert_eq!(instances.rest(&|instance| instance == 9), [4, 9]);
        instances.render(4);
        assert_eq!(instances.rest(&|_| false), [0_u32; 0], "it was heard, and then freed");
        instances.begin(7);
        (0..PATIENCE).for_each(|_| assert_eq!(instances.rest(&|_| false), [7]));
        assert_eq!(instances.rest(&|_| false), [0_u32; 0]);
    }

    #[test]
    fn there_is_room_for_as_many_as_there_can_be_and_never_more() {
        let mut instances = Instances::with_room();
        let (room, rests) = (instances.numbers.capacity(), MAX_MODULES as u32);
        (0..2 * rests).rev().for_each(|instance| instances.render(instance));
        assert_eq!((instances.numbers.len(), instances.numbers.capacity()), (MAX_MODULES, room));
    }
}
