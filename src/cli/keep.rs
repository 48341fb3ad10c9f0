//! The keeper: the process that `backline run` is, small and idle. The engine is its child, and is started again
//! when it crashes.
//!
//! In: signals, and how the engine ends. Out: the same signals to the engine, and its exit code.
//! The engine is started by exec of the same program with the same words, so it prints on the same standard output;
//! it has a process group of its own, so that Ctrl-C reaches it once, through here.

use super::exit::Exit;
use super::signals;
use crate::config::Settings;
use crate::pool::rig;
use crate::session::folder::{Folder, name_of_unnamed};
use crate::session::keeper::{CRASH_WINDOW, Crashes, Kept, MOST_CRASHES, Verdict, cause_of};
use crate::session::{SessionLock, leftovers};
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::Signals;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

/// Keeps an engine running until it ends by itself, or crashes too often.
pub fn keep(settings: &Settings) -> anyhow::Result<Exit> {
    let _lock = settings.session.as_deref().map(SessionLock::take_as_keeper).transpose()?;
    let own = std::process::id();
    let name = settings.session.clone().unwrap_or_else(|| name_of_unnamed(own));
    // Looked up once: a program that is replaced during the set must not take its engine along.
    let program = std::env::current_exe().context("this program cannot be found again")?;
    let watched = [SIGCHLD].into_iter().chain(signals::ending());
    let mut keeper = Keeper { signals: Signals::new(watched)?, asked: None };
    let mut crashes = Crashes::default();
    for restarts in 0.. {
        let kept = Kept { keeper: own, restarts, name: name.clone() };
        let mut engine = start(&program, &kept).context("the engine cannot be started")?;
        let pid = engine.id();
        let status = keeper.attend(&mut engine).context("the engine cannot be waited for")?;
        if status.signal().is_some() {
            clear_up(pid);
        }
        keeper.take_signals(None);
        match crashes.judge(status, keeper.asked, Instant::now()) {
            Verdict::EndWith(code) => std::process::exit(code.into()),
            Verdict::GiveUp => return Ok(give_up(pid, status, &name)),
            Verdict::StartAgain => tracing::error!(
                "the engine (pid {pid}) {}; it is started again, and goes on with what its journal holds \
                 (crash {} of the last {} s)",
                cause_of(status),
                crashes.count(),
                CRASH_WINDOW.as_secs()
            ),
        }
    }
    Ok(Exit::Internal)
}

/// Starts the engine: the same words, and what it needs to know of its keeper.
fn start(program: &Path, kept: &Kept) -> std::io::Result<Child> {
    let mut words = std::env::args_os().skip(1);
    let mut command = Command::new(program);
    command.args(words.next()).arg(format!("--kept={kept}")).args(words).process_group(0);
    command.spawn()
}

struct Keeper {
    signals: Signals,
    /// The last signal that asked for the end.
    asked: Option<i32>,
}

impl Keeper {
    /// Waits for the end of `engine`, and passes on to it what asks for it.
    fn attend(&mut self, engine: &mut Child) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = engine.try_wait()? {
                return Ok(status);
            }
            // A child that ended since is a signal that waits.
            drop(self.signals.wait());
            self.take_signals(Some(engine));
        }
    }

    /// Takes the signals that have come, each once.
    fn take_signals(&mut self, engine: Option<&Child>) {
        for signal in self.signals.pending().filter(|signal| *signal != SIGCHLD) {
            self.asked = Some(signal);
            if let (Some(engine), Some(signal)) = (engine, Signal::from_named_raw(signal)) {
                // ESRCH: it has ended by itself. It is not reaped yet, so the number is still its own.
                let _ = kill_process(Pid::from_child(engine), signal);
            }
        }
    }
}

/// Sees to it that nothing of a killed engine writes, sounds or takes memory any more.
fn clear_up(engine: u32) {
    let cleared = leftovers::clear(engine);
    if !cleared.killed.is_empty() {
        tracing::warn!("workers {:?} outlived their engine and were killed", cleared.killed);
    }
    if !cleared.alive.is_empty() {
        tracing::error!(
            "workers {:?} of the dead engine cannot be killed; they hold its old memory",
            cleared.alive
        );
    }
    rig::sweep();
}

fn give_up(pid: u32, status: ExitStatus, name: &str) -> Exit {
    let journal = Folder::open().map(|folder| folder.path_of(name).display().to_string());
    tracing::error!(
        "the engine (pid {pid}) {}: {MOST_CRASHES} crashes in {} s are too many, and it is not started again. \
         What was set up is in the journal {}: go on with it by `backline run --session {name}`, or remove it",
        cause_of(status),
        CRASH_WINDOW.as_secs(),
        journal.unwrap_or_default()
    );
    Exit::Internal
}
