//! The only place where shared memory is mapped. Everything behind it is safe: words are atomics, and every
//! offset is checked.
//!
//! Names carry the engine's boot id, pid and start time, so that a sweep can tell a dead engine's segments
//! from a living one's. The engine creates and unlinks; workers open. A segment that is only read is
//! mprotected, so a stray write faults in the process that made it.

use crate::layout::{ArenaHead, Control, PAGE};
use shared_memory::{Shmem, ShmemConf};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Why a segment could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The kernel refused to create or open it.
    #[error("shared memory segment {name} ({bytes} bytes) could not be {action}")]
    Map {
        /// Segment.
        name: String,
        /// Size asked for.
        bytes: usize,
        /// `created` or `opened`.
        action: &'static str,
        /// What the kernel said.
        #[source]
        cause: shared_memory::ShmemError,
    },
    /// Not enough room in /dev/shm.
    #[error(
        "shared memory is too small: {needed} bytes needed, {free} free in /dev/shm; free some (backline reap), \
         or start with a smaller --arena or fewer --workers"
    )]
    NoRoom {
        /// Bytes needed in all.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The segment is smaller than what it should hold.
    #[error(
        "shared memory segment {name} has {bytes} bytes, {needed} are needed; rebuild engine and workers together"
    )]
    TooSmall {
        /// Segment.
        name: String,
        /// Its size.
        bytes: usize,
        /// The size needed.
        needed: usize,
    },
    /// The mapping could not be made read-only.
    #[error("shared memory segment {name} could not be made read-only")]
    Protect {
        /// Segment.
        name: String,
        /// What the kernel said.
        #[source]
        cause: std::io::Error,
    },
}

/// One mapped segment, seen as words.
pub struct Segment {
    memory: Shmem,
    name: String,
}

// SAFETY: `Shmem` is not Send because it holds a raw pointer; the mapping it names is valid from any thread
// until it is dropped, and is only reached as atomics.
unsafe impl Send for Segment {}
// SAFETY: all access through `&Segment` is by atomics, or by `mprotect`, which the kernel serialises.
unsafe impl Sync for Segment {}

impl Segment {
    /// Creates a segment exclusively; it is unlinked when this value is dropped. New memory is zero.
    pub fn create(name: &str, bytes: usize) -> Result<Self, SegmentError> {
        let memory = ShmemConf::new().os_id(name).size(bytes).create();
        let segment = Self::mapped(memory, name, bytes, "created")?;
        segment.reserve()?;
        Ok(segment)
    }

    /// Makes the kernel set the memory aside now: a size alone is a promise that ends in SIGBUS.
    fn reserve(&self) -> Result<(), SegmentError> {
        let needed = self.bytes() as u64;
        let no_room = || SegmentError::NoRoom { needed, free: free_bytes() };
        let file = std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/{}", self.name));
        let file = file.map_err(|_| no_room())?;
        // SAFETY: the descriptor is open for the call; the range is the segment's own size.
        let refused = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, needed as libc::off_t) } != 0;
        if refused { Err(no_room()) } else { Ok(()) }
    }

    /// Opens a segment that another process created.
    pub fn open(name: &str) -> Result<Self, SegmentError> {
        Self::mapped(ShmemConf::new().os_id(name).open(), name, 0, "opened")
    }

    fn mapped(
        memory: Result<Shmem, shared_memory::ShmemError>,
        name: &str,
        bytes: usize,
        action: &'static str,
    ) -> Result<Self, SegmentError> {
        let name = name.to_owned();
        match memory {
            Ok(memory) => Ok(Self { memory, name }),
            Err(cause) => Err(SegmentError::Map { name, bytes, action, cause }),
        }
    }

    /// Makes this process's mapping read-only: a write through it is then a fault.
    pub fn protect(&self) -> Result<(), SegmentError> {
        let bytes = self.memory.len();
        // SAFETY: the range is exactly this value's own mapping, and nothing here writes it through `&self`
        // unless the process is its writer, in which case it does not call this.
        let refused = unsafe { libc::mprotect(self.memory.as_ptr().cast(), bytes, libc::PROT_READ) } != 0;
        if refused {
            return Err(SegmentError::Protect {
                name: self.name.clone(),
                cause: std::io::Error::last_os_error(),
            });
        }
        Ok(())
    }

    /// From now on nobody in this process can unmap this mapping, replace it, or make it writable if it is not
    /// (`mseal`, Linux 6.10 and later). Descriptors of the segment are another matter: they can be mapped anew.
    pub fn seal(&self) -> std::io::Result<()> {
        // SAFETY: the range is exactly this value's own mapping, which is page-aligned; the call changes no memory, and
        // `Drop` fails to unmap it from now on, which leaves it mapped.
        let refused =
            unsafe { libc::syscall(libc::SYS_mseal, self.memory.as_ptr(), self.memory.len(), 0) } != 0;
        if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Name in /dev/shm.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes mapped.
    pub fn bytes(&self) -> usize {
        self.memory.len()
    }

    /// All of it as words.
    pub fn words(&self) -> &[AtomicU32] {
        // SAFETY:
        // - the mapping is `len` bytes, page-aligned, and lives as long as `self`;
        // - atomics of 32 bits have the layout of `u32`, for which every bit pattern is valid;
        // - other processes access the same words as atomics only (this crate is the only accessor).
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast::<AtomicU32>(), self.memory.len() / 4) }
    }

    /// Reads one word of every page, so that the first real access faults no more.
    pub fn touch(&self) -> u32 {
        self.touch_part(0..self.words().len())
    }

    /// The same for the pages of `words`. The kernel is asked to map all of them at once before; what it does not, is mapped
    /// page by page.
    pub fn touch_part(&self, words: Range<usize>) -> u32 {
        let words = self.pages_of(words);
        self.populate(words.clone(), libc::MADV_POPULATE_READ);
        self.words()[words]
            .chunks(PAGE / 4)
            .filter_map(|page| page.first())
            .fold(0, |sum, word| sum ^ word.load(std::sync::atomic::Ordering::Relaxed))
    }

    /// Writes every page (as it is), so that a private page table entry exists for writing too. Only for the
    /// segment's writer, before anybody else uses it.
    pub fn touch_for_writing(&self) {
        self.touch_part_for_writing(0..self.words().len());
    }

    /// The same for the pages of `words`.
    pub fn touch_part_for_writing(&self, words: Range<usize>) {
        let words = self.pages_of(words);
        self.populate(words.clone(), libc::MADV_POPULATE_WRITE);
        for word in self.words()[words].chunks(PAGE / 4).filter_map(|page| page.first()) {
            word.fetch_or(0, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// From the beginning of a page on, and no further than there are words.
    fn pages_of(&self, words: Range<usize>) -> Range<usize> {
        let end = words.end.min(self.words().len());
        (words.start / (PAGE / 4) * (PAGE / 4)).min(end)..end
    }

    /// Linux 5.14; a kernel without it changes nothing.
    fn populate(&self, words: Range<usize>, how: libc::c_int) {
        let part = &self.words()[words];
        let address = part.as_ptr().cast_mut().cast();
        // SAFETY: the range is part of this value's own mapping; this maps its pages and leaves their contents alone.
        unsafe { libc::madvise(address, size_of_val(part), how) };
    }

    fn view<T>(&self) -> Result<&T, SegmentError> {
        let needed = size_of::<T>();
        if self.memory.len() < needed || !(self.memory.as_ptr() as usize).is_multiple_of(align_of::<T>()) {
            return Err(SegmentError::TooSmall { name: self.name.clone(), bytes: self.memory.len(), needed });
        }
        // SAFETY:
        // - long enough and aligned: checked above; lives as long as `self`;
        // - `T` is `Control` or `ArenaHead`, made of atomic words only, valid for every bit pattern.
        Ok(unsafe { &*self.memory.as_ptr().cast::<T>() })
    }

    /// The control segment's structure.
    pub fn control(&self) -> Result<&Control, SegmentError> {
        self.view::<Control>()
    }

    /// An arena's first pages.
    pub fn arena_head(&self) -> Result<&ArenaHead, SegmentError> {
        self.view::<ArenaHead>()
    }

    /// The commit word at `index` (in words), if there is one that is aligned. Real-time safe.
    pub fn commit_word(&self, index: usize) -> Option<&AtomicU64> {
        let pair = self.words().get(index..index.checked_add(2)?)?;
        if !index.is_multiple_of(2) {
            return None;
        }
        // SAFETY: `pair` is 8 bytes inside the mapping, 8-byte aligned (the mapping is page-aligned, `index` is
        // even); every process reaches a commit word as one 64-bit atomic.
        Some(unsafe { &*pair.as_ptr().cast::<AtomicU64>() })
    }
}

/// Bytes free for shared memory.
pub fn free_bytes() -> u64 {
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path is a C string and `stat` is memory for the answer.
    let failed = unsafe { libc::statvfs(c"/dev/shm".as_ptr(), stat.as_mut_ptr()) } != 0;
    if failed {
        return 0;
    }
    // SAFETY: all-zero is a valid statvfs, and the call has filled it.
    let stat = unsafe { stat.assume_init() };
    stat.f_bavail.saturating_mul(stat.f_frsize)
}
