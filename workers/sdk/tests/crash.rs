//! The last word of a worker that somebody kills with the signal of a fault: it dies of the first one, and says
//! that it was sent.

mod support;

use backline_abi::crash::{CrashWord, Origin};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering::{Acquire, Release};
use support::Stage;
use support::worker::Worker;

#[test]
fn a_worker_that_is_sent_the_signal_of_a_fault_dies_of_it_at_once_and_says_who_sent_it() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT] {
        let on = Stage::new(&format!("sent-{signal}"), 1);
        let mut worker = Worker::ready(&on, 0);
        assert_eq!(on.head(0).crash.load(Acquire), 0, "it lives");
        worker.signal(signal);
        assert_eq!(worker.await_end().signal(), Some(signal));
        let word = CrashWord::decode(on.head(0).crash.load(Acquire));
        assert_eq!(word, Some(CrashWord { signal, origin: Origin::SentByAnother, instance: 0 }));
    }
}

#[test]
fn a_killed_worker_has_no_last_word_and_the_next_one_in_its_slot_begins_without_one() {
    let on = Stage::new("wordless", 1);
    let mut first = Worker::ready(&on, 0);
    first.signal(libc::SIGSEGV);
    first.await_end();
    assert_ne!(on.head(0).crash.load(Acquire), 0);
    on.head(0).rendering.store(5, Release);
    let next = Worker::ready(&on, 0);
    assert_eq!((on.head(0).crash.load(Acquire), on.head(0).rendering.load(Acquire)), (0, 0));
    next.kill();
    assert_eq!(on.head(0).crash.load(Acquire), 0);
}
