//! The second thread: takes rooms, renders them, gives them back. Its priority is just below the render thread's, so it
//! never takes time from what is due now.

use super::room::{Room, Sizes};
use super::{Bell, Terms};
use crate::aligned::AlignedWords;
use crate::c_api::voice;
use crate::warm::touch_stack;
use backline_abi::wake::{self, now_ns};
use backline_abi::{crash, rights};
use rtrb::{Consumer, Producer};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::mpsc::Sender;

/// Longest sleep; whatever there is to do wakes it before.
const LOOK_AGAIN_NS: u64 = 1_000_000_000;

/// All that the thread has.
pub struct Second {
    terms: Terms,
    /// For each lane the state after the block that was rendered last.
    states: Vec<AlignedWords>,
    inbox: Consumer<Box<Room>>,
    outbox: Producer<Box<Room>>,
    bell: Arc<Bell>,
}

impl Second {
    pub(super) fn with_room(
        terms: Terms,
        sizes: &Sizes,
        lanes: usize,
        inbox: Consumer<Box<Room>>,
        outbox: Producer<Box<Room>>,
        bell: Arc<Bell>,
    ) -> Self {
        let states = (0..lanes).map(|_| AlignedWords::filled(1, sizes.state_words)).collect();
        Self { terms, states, inbox, outbox, bell }
    }

    /// The thread's life.
    pub(super) fn run(mut self, started: &Sender<()>) {
        if let Err(cause) = crash::listen_in_second() {
            // Whether or not there is a standard error.
            let _ =
                writeln!(io::stderr(), "faults of modules rendered ahead will not be told apart: {cause}");
        }
        rights::flush_denormals();
        touch_stack();
        voice::clear();
        // Below the lowest FIFO priority is what every thread has.
        if let Some(priority) = self.terms.priority.filter(|priority| *priority > 1) {
            // Refused, it renders with what is left over; late blocks say so.
            let _ = rights::take_fifo(priority - 1);
        }
        // Whoever waited may have gone.
        let _ = started.send(());
        loop {
            // Acquire: whatever was sent before the bell was rung is in the queue (pairs with `Bell::ring`).
            let bell = self.bell.word.load(Acquire);
            // Acquire: pairs with the store before the last ring.
            if self.bell.is_closing.load(Acquire) != 0 {
                return;
            }
            match self.inbox.pop() {
                Ok(room) => self.render(room),
                Err(_) => wake::wait(&self.bell.word, bell, now_ns() + LOOK_AGAIN_NS),
            }
        }
    }

    fn render(&mut self, mut room: Box<Room>) {
        if let Some(state) = self.states.get_mut(room.ticket.lane) {
            crash::second_renders(room.instance());
            room.render(&self.terms, state);
            crash::second_renders(0);
        }
        // The queue has room for all rooms there are.
        let returned = self.outbox.push(room);
        debug_assert!(returned.is_ok(), "a room has no way back");
        // Release: the room is in the queue (pairs with the render thread's load, if that waits).
        self.bell.returned.fetch_add(1, Release);
        wake::wake(&self.bell.returned);
    }
}
