//! Two real processes and the memory between them: a stray write faults in its maker, a killed writer leaves
//! a whole record or none, a futex wakes across processes, a name belongs to its creator.
//!
//! The second process is this test program again, running the same test; an environment variable tells it that
//! it is the child, and it plays the child's part and never comes back.

use backline_abi::layout::{Assignment, PAGE};
use backline_abi::ring::{Consumer, Producer, RING_WORDS};
use backline_abi::segment::{Segment, SegmentError, free_bytes};
use backline_abi::wake::{self, WaitList, now_ns};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Tells the child which segment it shares with its parent, and what to do there.
const SEGMENT: &str = "BACKLINE_TEST_SEGMENT";
const PART: &str = "BACKLINE_TEST_PART";
/// Nothing here takes this long; a test that waits longer is stuck.
const WATCHDOG_NS: u64 = 60_000_000_000;

fn segment_name(test: &str) -> String {
    format!("backline-test-{test}-{}", std::process::id())
}

fn file_of(name: &str) -> PathBuf {
    PathBuf::from("/dev/shm").join(name)
}

/// This program again, running `test` only, as the child that shares `segment`.
fn child_command(test: &str, segment: &str, part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(SEGMENT, segment).env(PART, part);
    command.stdout(Stdio::null());
    command
}

fn child(test: &str, segment: &str, part: &str) -> Child {
    child_command(test, segment, part).spawn().expect("this program starts again")
}

fn end_of(test: &str, segment: &str, part: &str) -> ExitStatus {
    child(test, segment, part).wait().expect("the child ends")
}

/// The segment and the part of this process, if it is a child.
fn role() -> Option<(Segment, String)> {
    let name = std::env::var(SEGMENT).ok()?;
    let segment = Segment::open(&name).expect("the parent has created it");
    Some((segment, std::env::var(PART).unwrap_or_default()))
}

fn protect_page(segment: &Segment, page: usize) {
    let words = &segment.words()[page * PAGE / 4..][..PAGE / 4];
    // SAFETY: exactly one page of this process's own mapping; nobody here holds a `&mut` to it, and a write
    // that is a fault from now on is what the test is about.
    let refused = unsafe { libc::mprotect(words.as_ptr().cast_mut().cast(), PAGE, libc::PROT_READ) } != 0;
    assert!(!refused, "mprotect of page {page}: {}", std::io::Error::last_os_error());
}

/// Kills this process: nothing of it runs any more, as if somebody else had done it at this instant.
extern "C" fn die(_signal: libc::c_int) {
    // SAFETY: `getpid` takes nothing and may be called in a signal handler.
    let own = unsafe { libc::getpid() };
    // SAFETY: integer arguments only; may be called in a signal handler.
    unsafe { libc::kill(own, libc::SIGKILL) };
}

/// From now on a write to a protected page is a SIGKILL at exactly that instruction.
fn die_by_sigkill_at_the_next_fault() {
    let handler = die as extern "C" fn(libc::c_int);
    // SAFETY: `die` has the signature of a handler and calls only what a handler may.
    unsafe { libc::signal(libc::SIGSEGV, handler as libc::sighandler_t) };
}

#[test]
fn a_stray_write_kills_the_process_that_made_it_and_changes_nothing() {
    if let Some((segment, _)) = role() {
        segment.protect().expect("a mapping can be made read-only");
        assert_eq!(segment.words()[5].load(Acquire), 77, "reading is still allowed");
        segment.words()[5].store(78, Release);
        unreachable!("the store faults");
    }
    let name = segment_name("stray");
    let segment = Segment::create(&name, PAGE).expect("room for a page");
    segment.words()[5].store(77, Release);
    let test = "a_stray_write_kills_the_process_that_made_it_and_changes_nothing";
    assert_eq!(end_of(test, &name, "").signal(), Some(libc::SIGSEGV));
    assert_eq!(segment.words()[5].load(Acquire), 77);
}

/// A ring laid over pages so that a page boundary lies at each step of a push: the first record has one half on
/// page 0 and the other on page 1; page 2 is the tail's, page 3 the head's.
struct Pages<'s> {
    slots: &'s [AtomicU32],
    tail: &'s AtomicU32,
    head: &'s AtomicU32,
}

const PAGES: usize = 4;
const FIRST_SLOT: usize = PAGE / 4 - 8;

impl<'s> Pages<'s> {
    fn of(segment: &'s Segment) -> Self {
        let words = segment.words();
        let slots = &words[FIRST_SLOT..][..RING_WORDS];
        Self { slots, tail: &words[2 * PAGE / 4], head: &words[3 * PAGE / 4] }
    }

    fn pop(&self) -> Option<Assignment> {
        Consumer::new(self.slots, self.tail, self.head).try_pop().expect("no index is garbled")
    }

    fn push(&self, record: Assignment) {
        Producer::new(self.slots, self.tail, self.head).try_push(record).expect("there is room");
    }
}

const RECORD: Assignment =
    Assignment { kind: 1, ticket: 2, cell: 3, instance: 4, lease: 5, reserved: [6; 11] };
/// What stands in the slot before.
const DUST: u32 = 0xD057;

#[test]
fn a_producer_killed_at_any_step_of_a_push_leaves_the_whole_record_or_nothing() {
    if let Some((segment, page)) = role() {
        die_by_sigkill_at_the_next_fault();
        if let Ok(page) = page.parse() {
            protect_page(&segment, page);
        }
        Pages::of(&segment).push(RECORD);
        die(libc::SIGKILL);
    }
    let test = "a_producer_killed_at_any_step_of_a_push_leaves_the_whole_record_or_nothing";
    let steps = [("0", 0, false), ("1", 8, false), ("2", 16, false), ("none", 16, true)];
    for (page, words_written, is_sent) in steps {
        let name = segment_name(&format!("push-{page}"));
        let segment = Segment::create(&name, PAGES * PAGE).expect("room for four pages");
        let ring = Pages::of(&segment);
        ring.slots.iter().for_each(|word| word.store(DUST, Relaxed));
        assert_eq!(end_of(test, &name, page).signal(), Some(libc::SIGKILL), "with page {page} protected");
        let written = ring.slots[..16].iter().filter(|word| word.load(Relaxed) != DUST).count();
        assert_eq!(written, words_written, "words of the record written when page {page} was reached");
        assert_eq!(ring.pop(), is_sent.then_some(RECORD), "with page {page} protected");
        assert_eq!(ring.pop(), None);
        // The next process in the dead one's place goes on where it was.
        let next = Assignment { ticket: 9, ..RECORD };
        ring.push(next);
        assert_eq!(ring.pop(), Some(next));
    }
}

#[test]
fn a_consumer_killed_before_it_moves_on_leaves_the_record_to_the_next_process() {
    if let Some((segment, _)) = role() {
        die_by_sigkill_at_the_next_fault();
        protect_page(&segment, 3);
        Pages::of(&segment).pop();
        unreachable!("storing the head faults");
    }
    let test = "a_consumer_killed_before_it_moves_on_leaves_the_record_to_the_next_process";
    let name = segment_name("pop");
    let segment = Segment::create(&name, PAGES * PAGE).expect("room for four pages");
    let ring = Pages::of(&segment);
    ring.push(RECORD);
    assert_eq!(end_of(test, &name, "").signal(), Some(libc::SIGKILL));
    assert_eq!(ring.pop(), Some(RECORD));
    assert_eq!(ring.pop(), None);
}

/// Wakes whoever sleeps on `word` and says how many did.
fn wake_and_count(word: &AtomicU32) -> i64 {
    // SAFETY: FUTEX_WAKE uses the address as a name only; it reads and writes nothing.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) }
}

#[test]
fn a_process_that_sleeps_on_a_read_only_mapping_is_woken_by_another() {
    if let Some((segment, _)) = role() {
        segment.protect().expect("a mapping can be made read-only");
        let word = &segment.words()[0];
        while word.load(Acquire) == 0 {
            wake::wait(word, 0, now_ns() + WATCHDOG_NS);
        }
        return;
    }
    let name = segment_name("futex");
    let segment = Segment::create(&name, PAGE).expect("room for a page");
    let word = &segment.words()[0];
    let mut sleeper = child("a_process_that_sleeps_on_a_read_only_mapping_is_woken_by_another", &name, "");
    let until_ns = now_ns() + WATCHDOG_NS;
    // It finds the word unchanged and sleeps again, so there is time to see it asleep.
    while wake_and_count(word) == 0 {
        assert!(now_ns() < until_ns, "the child never slept");
        std::thread::yield_now();
    }
    word.store(1, Release);
    wake::wake(word);
    assert!(sleeper.wait().expect("the child ends").success());
}

/// Sleeps on a commit word and on one that nobody touches.
fn wait_for(commit: &AtomicU64, seen: u64, deadline_ns: u64) {
    let other = AtomicU32::new(3);
    let mut list = WaitList::<2>::new();
    list.add(&other, 3);
    list.add_commit(commit, seen);
    list.wait(deadline_ns);
}

#[test]
fn nobody_sleeps_beyond_a_deadline_or_on_a_word_that_has_changed() {
    let segment = Segment::create(&segment_name("deadline"), PAGE).expect("room for a page");
    let word = &segment.words()[0];
    let deadline_ns = now_ns() + 20_000_000;
    while now_ns() < deadline_ns {
        wake::wait(word, 0, deadline_ns);
    }
    wake::wait(word, 0, 0);
    wake::wait(word, 1, u64::MAX);
    let commit = segment.commit_word(2).expect("it is aligned");
    commit.store(7 << 32 | 5, Relaxed);
    wait_for(commit, 7 << 32 | 4, u64::MAX);
    wait_for(commit, 7 << 32 | 5, now_ns());
}

#[test]
fn a_wait_without_an_end_ends_with_the_wake() {
    let segment = Segment::create(&segment_name("endless"), PAGE).expect("room for a page");
    let commit = segment.commit_word(0).expect("it is aligned");
    std::thread::scope(|threads| {
        let sleeper = threads.spawn(|| {
            while commit.load(Acquire) == 0 {
                wait_for(commit, 0, u64::MAX);
            }
        });
        while wake_and_count(&segment.words()[0]) == 0 {
            std::thread::yield_now();
        }
        commit.store(1, Release);
        wake::wake_commit(commit);
        sleeper.join().expect("the sleeper saw the commit");
    });
}

#[test]
fn a_name_is_created_once_opened_often_and_gone_with_its_creator() {
    let name = segment_name("name");
    let created = Segment::create(&name, 3 * PAGE).expect("room for three pages");
    assert!(created.words().iter().all(|word| word.load(Relaxed) == 0), "new memory is zero");
    let refused = Segment::create(&name, PAGE).err().expect("the name is taken");
    assert!(matches!(refused, SegmentError::Map { action: "created", .. }), "{refused}");
    let opened = Segment::open(&name).expect("it exists");
    assert_eq!(opened.bytes(), 3 * PAGE);
    created.words()[1].store(11, Release);
    assert_eq!(opened.words()[1].load(Acquire), 11);
    drop(opened);
    assert!(file_of(&name).exists(), "only the creator unlinks");
    drop(created);
    assert!(!file_of(&name).exists());
    let refused = Segment::open(&name).err().expect("it is gone");
    assert!(matches!(refused, SegmentError::Map { action: "opened", .. }), "{refused}");
}

#[test]
fn a_segment_too_small_for_its_structure_is_refused_with_both_sizes() {
    let segment = Segment::create(&segment_name("small"), PAGE).expect("room for a page");
    let refused = segment.control().err().expect("a page is no control segment").to_string();
    let needed = size_of::<backline_abi::layout::Control>();
    assert!(refused.contains(&format!("has {PAGE} bytes, {needed} are needed")), "{refused}");
    assert!(segment.commit_word(1).is_none() && segment.commit_word(PAGE / 4).is_none());
    assert!(segment.commit_word(usize::MAX).is_none() && segment.commit_word(PAGE / 4 - 2).is_some());
}

#[test]
fn a_segment_that_does_not_fit_is_refused_with_its_size_and_leaves_nothing() {
    let test = "a_segment_that_does_not_fit_is_refused_with_its_size_and_leaves_nothing";
    if std::env::var_os(PART).is_some() {
        let free = free_bytes();
        assert!(free <= 64 * 1024, "/dev/shm is the small one: {free} bytes are free");
        let refused = Segment::create("backline-test-large", 1024 * 1024).err().expect("there is no room");
        assert!(
            matches!(refused, SegmentError::NoRoom { needed: 1_048_576, free: said } if said == free),
            "{refused}"
        );
        assert!(!file_of("backline-test-large").exists());
        Segment::create("backline-test-fits", PAGE).expect("a page fits");
        return;
    }
    let alone = child_command(test, "", "no room");
    let script = r#"mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$0" "$@""#;
    let can_mount =
        Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]).output();
    if !can_mount.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED {test}: a small /dev/shm needs root and unshare(1)");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(alone.get_program()).args(alone.get_args());
    let status = command.env(PART, "no room").stdout(Stdio::null()).status().expect("unshare starts");
    assert!(status.success(), "{status}");
}
