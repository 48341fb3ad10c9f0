//! How a recorder's ring gets to the audio thread while it plays, and back to be freed. Neither side waits.
//!
//! Control puts what is wanted (a ring, or none) into one shared place; if what it finds there was not taken yet, it
//! frees that itself. The audio thread swaps the place empty, exchanges the ring inside the box for its own, and
//! sends the box back through a ring, so it frees nothing and allocates nothing.

use super::record::RecorderInput;
use crossbeam_utils::atomic::AtomicCell;
use std::sync::Arc;

/// What control wants recorded into; comes back with what was recorded into before.
type Wanted = Option<RecorderInput>;
type Place = AtomicCell<Option<Box<Wanted>>>;

const _: () = assert!(AtomicCell::<Option<Box<Wanted>>>::is_lock_free(), "the audio thread must not lock");

/// Boxes under way back; control empties it long before it is full.
const RETURNS: usize = 16;

/// Control's end.
pub struct TapHandle {
    place: Arc<Place>,
    returned: rtrb::Consumer<Box<Wanted>>,
}

/// The audio thread's end: everything it outputs goes to the recorder it was started with, and to the one that
/// control wants at the moment.
pub struct Tap {
    fixed: Wanted,
    current: Wanted,
    place: Arc<Place>,
    returned: rtrb::Producer<Box<Wanted>>,
}

/// Both ends; `fixed` is recorded into for good.
pub fn tap(fixed: Option<RecorderInput>) -> (TapHandle, Tap) {
    let place = Arc::new(AtomicCell::new(None));
    let (producer, consumer) = rtrb::RingBuffer::new(RETURNS);
    let handle = TapHandle { place: place.clone(), returned: consumer };
    (handle, Tap { fixed, current: None, place, returned: producer })
}

impl TapHandle {
    /// From the next block on, what is played goes into `input`, or nowhere.
    pub fn want(&mut self, input: Option<RecorderInput>) {
        self.free_returned();
        // What was not taken yet is freed here.
        drop(self.place.swap(Some(Box::new(input))));
    }

    /// Whether the audio thread has taken what was wanted last: then it uses nothing else any more.
    pub fn is_taken(&mut self) -> bool {
        self.free_returned();
        // Only control puts anything there, so looking by taking out and putting back loses nothing to anybody
        // but the audio thread, which takes it a block later.
        match self.place.take() {
            None => true,
            Some(waiting) => {
                self.place.store(Some(waiting));
                false
            }
        }
    }

    fn free_returned(&mut self) {
        while self.returned.pop().is_ok() {}
    }
}

impl Tap {
    /// Records interleaved frames, all of them or none. Real-time safe: wait-free, no system call.
    pub fn push(&mut self, samples: &[f32]) {
        self.take_newest();
        for input in [&mut self.fixed, &mut self.current].into_iter().flatten() {
            input.push(samples);
        }
    }

    fn take_newest(&mut self) {
        // Without room for the way back, what is wanted waits a block.
        if self.returned.is_full() {
            return;
        }
        if let Some(mut wanted) = self.place.take() {
            std::mem::swap(&mut *wanted, &mut self.current);
            // Room was checked above, and this is the only producer.
            let _ = self.returned.push(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::record::Recorder;

    fn recorder(folder: &tempfile::TempDir, name: &str) -> (RecorderInput, Recorder) {
        Recorder::start(&folder.path().join(name), 48_000, 2).expect("a file of our own")
    }

    #[test]
    fn each_recorder_hears_what_is_played_while_it_is_wanted_and_the_fixed_one_everything() {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let (fixed, all) = recorder(&folder, "all.wav");
        let (mut handle, mut tap) = tap(Some(fixed));
        let block = [0.25; 2 * 64];
        let mut play = |blocks: usize| {
            for _ in 0..blocks {
                assert_no_alloc::assert_no_alloc(|| tap.push(&block));
            }
        };
        play(3);
        let (input, first) = recorder(&folder, "first.wav");
        handle.want(Some(input));
        assert!(!handle.is_taken());
        play(5);
        assert!(handle.is_taken());
        let (input, second) = recorder(&folder, "second.wav");
        handle.want(Some(input));
        play(7);
        handle.want(None);
        play(11);
        assert!(handle.is_taken());
        for (recorder, blocks) in [(all, 26), (first, 5), (second, 7)] {
            let recording = recorder.finish().expect("it was written");
            assert_eq!(
                (recording.frames, recording.dropped_frames),
                (blocks * 64, 0),
                "{:?}",
                recording.files
            );
        }
    }

    #[test]
    fn what_was_never_taken_is_freed_by_control() {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let (mut handle, mut tap) = tap(None);
        for round in 0..3 * RETURNS {
            let (input, recorder) = recorder(&folder, "again.wav");
            handle.want(Some(input));
            if round % 3 == 0 {
                tap.push(&[0.5; 2 * 16]);
            }
            handle.want(None);
            let recording = recorder.finish().expect("it was written");
            assert_eq!(recording.frames, if round % 3 == 0 { 16 } else { 0 });
        }
        tap.push(&[0.5; 2]);
        assert!(handle.is_taken());
    }
}
