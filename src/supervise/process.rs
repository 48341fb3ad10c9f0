//! The supervisor thread: the only one that spawns, signals and reaps.
//!
//! In: [`Order`]s from control. Out: [`Notice`]s to control.
//! It lives as long as the engine, because a worker's death signal is tied to the thread that spawned it.
//! Workers are started by exec through `posix_spawn`, each in a process group of its own; a group gets TERM,
//! 200 ms, then KILL.

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a process group has between TERM and KILL.
const GRACE: Duration = Duration::from_millis(200);
/// How long an order may wait while nothing dies.
const LOOK_FOR_ORDERS: Duration = Duration::from_millis(5);

/// What control asks for.
#[derive(Debug)]
pub enum Order {
    /// Start a worker in `slot`, pinned to `core`.
    Spawn {
        /// Slot.
        slot: usize,
        /// Core.
        core: usize,
    },
    /// Kill the process group in `slot` now.
    Kill {
        /// Slot.
        slot: usize,
    },
    /// End everything and the thread.
    Close,
}

/// What the supervisor tells.
#[derive(Debug)]
pub enum Notice {
    /// A worker was started.
    Spawned {
        /// Slot.
        slot: usize,
        /// Process.
        pid: u32,
    },
    /// A worker could not be started.
    NotSpawned {
        /// Slot.
        slot: usize,
        /// Why.
        cause: std::io::Error,
    },
    /// A worker is dead and reaped.
    Exited {
        /// Slot.
        slot: usize,
        /// Process.
        pid: u32,
        /// How, in words.
        cause: String,
        /// Whether somebody else ended it, by a signal that no fault of its own raises.
        was_killed: bool,
    },
}

/// Control's handle on the supervisor thread. Dropping it ends all workers.
pub struct Supervisor {
    orders: Sender<Order>,
    notices: Receiver<Notice>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the thread. Workers are `program NAME SLOT CORE PID`, with `name` the control segment's.
    pub fn start(program: PathBuf, name: String) -> std::io::Result<Self> {
        let (orders, orders_in) = unbounded();
        let (notices_out, notices) = unbounded();
        let keeper = Keeper { program, name, orders: orders_in, notices: notices_out, children: Vec::new() };
        let thread = std::thread::Builder::new().name("supervisor".into()).spawn(move || keeper.run())?;
        Ok(Self { orders, notices, thread: Some(thread) })
    }

    /// Gives an order.
    pub fn order(&self, order: Order) {
        // The thread ends only after `Close`, which only `drop` sends.
        let _ = self.orders.send(order);
    }

    /// The next notice, if there is one.
    pub fn notice(&self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.order(Order::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Charge {
    slot: usize,
    child: Child,
    pid: u32,
    pidfd: OwnedFd,
}

/// The thread's own state.
struct Keeper {
    program: PathBuf,
    name: String,
    orders: Receiver<Order>,
    notices: Sender<Notice>,
    children: Vec<Charge>,
}

impl Keeper {
    fn run(mut self) {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Spawn { slot, core }) => self.spawn(slot, core),
                Ok(Order::Kill { slot }) => self.signal(|charge| charge.slot == slot, Signal::KILL),
                Ok(Order::Close) | Err(TryRecvError::Disconnected) => return self.close(),
                Err(TryRecvError::Empty) => self.watch(LOOK_FOR_ORDERS),
            }
        }
    }

    fn tell(&self, notice: Notice) {
        // Nobody listens any more only when the engine is closing.
        let _ = self.notices.send(notice);
    }

    fn spawn(&mut self, slot: usize, core: usize) {
        let spawned = Command::new(&self.program)
            .arg(&self.name)
            .args([slot.to_string(), core.to_string(), std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .and_then(|child| {
                let pid = child.id();
                let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
                Ok(Charge { slot, child, pid, pidfd })
            });
        match spawned {
            Ok(charge) => {
                self.tell(Notice::Spawned { slot, pid: charge.pid });
                self.children.push(charge);
            }
            Err(cause) => self.tell(Notice::NotSpawned { slot, cause }),
        }
    }

    /// Waits for a death, at most `limit`, and reaps whoever died.
    fn watch(&mut self, limit: Duration) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: limit.as_nanos() as i64 };
        let mut fds: Vec<PollFd<'_>> =
            self.children.iter().map(|charge| PollFd::new(&charge.pidfd, PollFlags::IN)).collect();
        if fds.is_empty() {
            return std::thread::sleep(limit);
        }
        let is_somebody_dead = poll(&mut fds, Some(&timeout)).is_ok_and(|count| count > 0);
        if is_somebody_dead {
            self.reap();
        }
    }

    fn reap(&mut self) {
        let mut index = 0;
        while index < self.children.len() {
            match self.children[index].child.try_wait() {
                Ok(Some(status)) => {
                    let charge = self.children.swap_remove(index);
                    // Whatever it started shares its group and goes with it.
                    let _ = kill_process_group(group_of(charge.pid), Signal::KILL);
                    self.tell(Notice::Exited {
                        slot: charge.slot,
                        pid: charge.pid,
                        cause: cause_of(status),
                        was_killed: was_killed(status),
                    });
                }
                _ => index += 1,
            }
        }
    }

    fn signal(&self, whose: impl Fn(&Charge) -> bool, signal: Signal) {
        for charge in self.children.iter().filter(|charge| whose(charge)) {
            // ESRCH: it is dead already, and will be reaped.
            let _ = kill_process_group(group_of(charge.pid), signal);
        }
    }

    fn close(&mut self) {
        self.signal(|_| true, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while !self.children.is_empty() && Instant::now() < deadline {
            self.watch(LOOK_FOR_ORDERS);
        }
        self.signal(|_| true, Signal::KILL);
        for charge in &mut self.children {
            let _ = charge.child.wait();
        }
        self.children.clear();
    }
}

fn group_of(pid: u32) -> Pid {
    // A child's pid is positive, and the group has its number: `process_group(0)`.
    Pid::from_raw(pid as i32).unwrap_or(Pid::INIT)
}

fn was_killed(status: ExitStatus) -> bool {
    let outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP].map(Signal::as_raw);
    status.signal().is_some_and(|signal| outside.contains(&signal))
}

fn cause_of(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code)) => format!("exited with code {code}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}
