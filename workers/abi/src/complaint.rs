//! What a module says that could not render its block: a text for a person, from the worker to control.
//!
//! The last one counts. Its serial tells how many there were, so that control knows of those it did not read.
//! Thread: the worker's render loop writes, control reads.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Longest text, in bytes of UTF-8.
pub const TEXT_BYTES: usize = 1_008;
const TEXT_WORDS: usize = TEXT_BYTES / 4;

/// A text as it is being written, in private memory.
#[derive(Clone)]
pub struct Complaint {
    bytes: [u8; TEXT_BYTES],
    length: usize,
}

impl Default for Complaint {
    fn default() -> Self {
        Self { bytes: [0; TEXT_BYTES], length: 0 }
    }
}

impl Complaint {
    /// The text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// Replaces the text. Of one that is too long the end is kept: there a traceback says what happened. Real-time safe.
    pub fn say(&mut self, text: &str) {
        let mut start = text.len().saturating_sub(TEXT_BYTES);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        let kept = &text.as_bytes()[start..];
        self.bytes[..kept.len()].copy_from_slice(kept);
        self.length = kept.len();
    }
}

/// The last complaint of a worker. `serial` grows by two with each, and is odd while one is written.
#[repr(C)]
pub struct ComplaintCell {
    serial: AtomicU32,
    instance: AtomicU32,
    length_bytes: AtomicU32,
    reserved: AtomicU32,
    text: [AtomicU32; TEXT_WORDS],
}

/// A complaint as control reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Module.
    pub instance: u32,
    /// How many there were since the last one that was read, this one included.
    pub count: u32,
    /// In the module's own words.
    pub text: String,
}

impl ComplaintCell {
    /// The module of `instance` could not render its block. Only the worker. Real-time safe.
    pub fn write(&self, instance: u32, complaint: &Complaint) {
        let serial = self.serial.load(Relaxed) | 1;
        self.serial.store(serial, Relaxed);
        // Release fence: whoever sees a word of what follows also sees the odd serial (pairs with the fence in `read`).
        fence(Release);
        self.instance.store(instance, Relaxed);
        self.length_bytes.store(complaint.length as u32, Relaxed);
        for (word, bytes) in self.text.iter().zip(complaint.bytes.chunks_exact(4)) {
            word.store(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]), Relaxed);
        }
        // Release: the text is stored before its serial is (pairs with the first load in `read`).
        self.serial.store(serial.wrapping_add(1), Release);
    }

    /// Serial of the last one, for [`Self::read`] to begin with.
    pub fn serial(&self) -> u32 {
        self.serial.load(Relaxed) & !1
    }

    /// The last complaint, if there is one after serial `seen`, which then is its serial. Whatever a worker has scribbled
    /// here, it is a short text.
    pub fn read(&self, seen: &mut u32) -> Option<Heard> {
        // Acquire: pairs with the last store in `write`.
        let serial = self.serial.load(Acquire);
        if serial == *seen || serial & 1 == 1 {
            return None;
        }
        let instance = self.instance.load(Relaxed);
        let length = (self.length_bytes.load(Relaxed) as usize).min(TEXT_BYTES);
        let bytes: Vec<u8> = self.text.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
        // Acquire fence: the words above are read before the serial is read again (pairs with the fence in `write`).
        fence(Acquire);
        if self.serial.load(Relaxed) != serial {
            return None;
        }
        let count = (serial.wrapping_sub(*seen) / 2).max(1);
        *seen = serial;
        Some(Heard { instance, count, text: String::from_utf8_lossy(&bytes[..length]).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing_yet() -> ComplaintCell {
        ComplaintCell {
            serial: AtomicU32::new(0),
            instance: AtomicU32::new(0),
            length_bytes: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
            text: [const { AtomicU32::new(0) }; TEXT_WORDS],
        }
    }

    fn said(text: &str) -> Complaint {
        let mut complaint = Complaint::default();
        complaint.say(text);
        complaint
    }

    #[test]
    fn the_last_one_is_heard_once_and_the_others_are_counted() {
        let (cell, mut seen) = (nothing_yet(), 0);
        assert_eq!(cell.read(&mut seen), None);
        cell.write(7, &said("one"));
        cell.write(8, &said("division by zero"));
        let heard = Heard { instance: 8, count: 2, text: "division by zero".to_owned() };
        assert_eq!(cell.read(&mut seen), Some(heard));
        assert_eq!(cell.read(&mut seen), None);
    }

    #[test]
    fn of_a_long_text_the_end_is_kept_in_whole_characters() {
        let (cell, mut seen) = (nothing_yet(), 0);
        cell.write(1, &said(&format!("{}{}", "ü".repeat(2 * TEXT_BYTES), "end")));
        let text = cell.read(&mut seen).expect("there is one").text;
        assert!(text.len() <= TEXT_BYTES && text.ends_with("üend") && text.starts_with('ü'), "{text}");
    }

    #[test]
    fn what_was_scribbled_is_a_short_text() {
        let (cell, mut seen) = (nothing_yet(), 0);
        cell.length_bytes.store(u32::MAX, Relaxed);
        cell.text.iter().for_each(|word| word.store(u32::MAX, Relaxed));
        cell.serial.store(u32::MAX - 1, Relaxed);
        let heard = cell.read(&mut seen).expect("the serial has changed");
        assert!(heard.text.chars().count() <= TEXT_BYTES);
        cell.serial.store(3, Relaxed);
        assert_eq!(cell.read(&mut seen), None, "half written, for ever");
    }
}
