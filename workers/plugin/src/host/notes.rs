//! Gates become keys: what happened since the last block, for formats that take notes.

/// Events kept between two blocks; a person has fewer in a second.
const MAX_EVENTS: usize = 16;
/// The key before anybody says which: middle C.
const DEFAULT_KEY: f32 = 60.0;

/// One key going down or up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyEvent {
    /// Down or up.
    pub is_on: bool,
    /// 0..=127.
    pub key: u8,
    /// 0.0..=1.0.
    pub velocity: f32,
}

impl KeyEvent {
    /// As three bytes of MIDI on channel 1. A note-on of velocity 0 would be a note-off, so it has at least 1.
    pub fn midi(self) -> [u8; 3] {
        let velocity = (self.velocity * 127.0).round() as u8;
        if self.is_on { [0x90, self.key, velocity.max(1)] } else { [0x80, self.key, velocity] }
    }
}

/// The keyboard of one instance: one key at a time. All real-time safe.
pub struct Keys {
    /// What the parameter `note` says.
    key: f32,
    /// The key that is down.
    held: Option<u8>,
    events: [KeyEvent; MAX_EVENTS],
    count: usize,
}

impl Keys {
    /// Nothing held, nothing happened.
    pub fn new() -> Self {
        let nothing = KeyEvent { is_on: false, key: 0, velocity: 0.0 };
        Self { key: DEFAULT_KEY, held: None, events: [nothing; MAX_EVENTS], count: 0 }
    }

    /// The key that the next gate plays.
    pub fn set_key(&mut self, value: f32) {
        if !value.is_nan() {
            self.key = value.round().clamp(0.0, 127.0);
        }
    }

    /// Strikes or lets go. When the list is full a strike is refused; letting go always has its place.
    pub fn gate(&mut self, is_on: bool, velocity: f32) {
        // Letting go of the old key, the new one, and letting go of that.
        let is_refused = is_on && self.count + 3 > MAX_EVENTS;
        if is_refused {
            return;
        }
        if let Some(key) = self.held.take() {
            self.push(KeyEvent { is_on: false, key, velocity: 0.0 });
        }
        if is_on {
            let key = self.key as u8;
            let velocity = if velocity.is_nan() { 1.0 } else { velocity.clamp(0.0, 1.0) };
            self.push(KeyEvent { is_on: true, key, velocity });
            self.held = Some(key);
        }
    }

    fn push(&mut self, event: KeyEvent) {
        if let Some(place) = self.events.get_mut(self.count) {
            *place = event;
            self.count += 1;
        }
    }

    /// What happened since the last call, in order.
    pub fn drain(&mut self) -> &[KeyEvent] {
        let count = std::mem::take(&mut self.count);
        &self.events[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_let_go_even_if_the_note_has_changed() {
        let mut keys = Keys::new();
        keys.gate(true, 1.0);
        keys.set_key(72.0);
        keys.gate(false, 0.0);
        assert_eq!(keys.drain().iter().map(|event| event.midi()[1]).collect::<Vec<_>>(), [60, 60]);
        assert!(keys.drain().is_empty());
    }

    #[test]
    fn a_storm_of_gates_never_leaves_a_key_hanging() {
        let mut keys = Keys::new();
        (0..1000).for_each(|_| keys.gate(true, 0.5));
        keys.gate(false, 0.0);
        let balance: i32 = keys.drain().iter().map(|event| if event.is_on { 1 } else { -1 }).sum();
        assert_eq!(balance, 0);
    }
}
