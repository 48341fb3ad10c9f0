//! A device that may be lost and come back: while it is away a timer drives the same render function, so that
//! the set goes on unheard, in time, and is heard again when the device is back.
//!
//! Thread: control tends it; the timer and the attempts to reopen have a thread of their own, so that a sound
//! system that hangs holds up nobody.

use super::device::{self, CallbackTiming, DeviceNotice, DeviceSpec, OpenDevice};
use super::device_error::DeviceError;
use crate::rt::report::AudioReport;
use crate::rt::{self, AUDIO_PRIORITY};
use backline_abi::rights;
use backline_abi::wake::{now_ns, sleep_until};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::thread::JoinHandle;
use std::time::Duration;

/// Notices of a device that may wait to be read.
const NOTICES: usize = 64;
/// First pause between two attempts to reopen; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A render function for the device, boxed so that it has a name.
pub type DeviceRender = Box<dyn FnMut(&mut [f32], CallbackTiming) + Send + 'static>;

/// What a thread does before its first block: ask for priority, and say what it got.
#[derive(Clone)]
pub struct Promotion {
    /// Ask for FIFO priority.
    pub wants_realtime: bool,
    /// Where the answer goes.
    pub report: Arc<AudioReport>,
    /// Set each time a device or the timer begins, so that the render function fades in.
    pub is_fresh: Arc<AtomicBool>,
}

impl Promotion {
    fn promote(&self) {
        // A sound system may have given priority already.
        let has_fifo = self.wants_realtime && rights::take_fifo(AUDIO_PRIORITY).is_ok() || rights::has_fifo();
        self.report.introduce(has_fifo);
        rights::flush_denormals();
        // Release: pairs with the render function's swap.
        self.is_fresh.store(true, Release);
    }
}

/// A device, or the timer in its place.
pub struct Survivor {
    spec: DeviceSpec,
    promotion: Promotion,
    name: String,
    now: Now,
}

enum Now {
    Playing(Box<OpenDevice<DeviceRender>>, Receiver<DeviceNotice>),
    Adrift { thread: JoinHandle<Ended>, is_stopping: Arc<AtomicBool> },
    Closed,
}

/// How a drift ended: with the device back, or told to stop.
enum Ended {
    Back(Box<OpenDevice<DeviceRender>>, Receiver<DeviceNotice>),
    Stopped(Option<DeviceRender>),
}

impl Survivor {
    /// Opens the device of `spec`.
    pub fn open(spec: DeviceSpec, render: DeviceRender, promotion: Promotion) -> Result<Self, DeviceError> {
        let (device, notices) = try_open(&spec, render, &promotion).map_err(|(error, _)| error)?;
        let name = format!("{} {}", device.report().host, device.report().name);
        Ok(Self { spec, promotion, name, now: Now::Playing(device, notices) })
    }

    /// The device's host and name.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// What to say if the device's period is not the block asked for.
    pub fn period_notice(&self) -> Option<String> {
        let Now::Playing(device, _) = &self.now else { return None };
        let asked = self.spec.block_frames;
        let period = device.report().period_frames.filter(|period| *period != asked)?;
        Some(format!("{} plays periods of {period} frames, not {asked}", self.name))
    }

    /// Gaps the device has noticed since it was opened last.
    pub fn xruns(&self) -> u64 {
        match &self.now {
            Now::Playing(device, _) => device.xruns(),
            _ => 0,
        }
    }

    /// Looks whether the device is lost or back; returns what there is to say.
    pub fn tend(&mut self) -> Option<String> {
        match &self.now {
            Now::Playing(_, notices) => match notices.try_recv().ok()? {
                DeviceNotice::Lost { reason } => Some(self.lose(&reason)),
                DeviceNotice::Degraded { reason } => Some(format!("{}: {reason}", self.name)),
            },
            Now::Adrift { thread, .. } if thread.is_finished() => self.come_back(),
            _ => None,
        }
    }

    fn lose(&mut self, reason: &str) -> String {
        if let Now::Playing(device, _) = std::mem::replace(&mut self.now, Now::Closed)
            && let Some(render) = device.close()
        {
            self.drift(render);
        }
        format!("{} is lost ({reason}): playing on a timer, unheard, until it is back", self.name)
    }

    fn drift(&mut self, render: DeviceRender) {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let raft = Raft {
            spec: self.spec.clone(),
            promotion: self.promotion.clone(),
            is_stopping: is_stopping.clone(),
        };
        let thread = std::thread::Builder::new().name("audio".into()).spawn(move || raft.drift(render));
        match thread {
            Ok(thread) => self.now = Now::Adrift { thread, is_stopping },
            Err(cause) => tracing::error!(%cause, "no thread for the timer: the sound has stopped"),
        }
    }

    fn come_back(&mut self) -> Option<String> {
        let Now::Adrift { thread, .. } = std::mem::replace(&mut self.now, Now::Closed) else { return None };
        match thread.join() {
            Ok(Ended::Back(device, notices)) => {
                self.now = Now::Playing(device, notices);
                Some(format!("{} is back", self.name))
            }
            _ => Some(format!("{} cannot be opened any more: the sound has stopped", self.name)),
        }
    }

    /// Closes whatever plays.
    pub fn close(self) {
        match self.now {
            Now::Playing(device, _) => drop(device.close()),
            Now::Adrift { thread, is_stopping } => {
                // Release: pairs with the raft's Acquire load.
                is_stopping.store(true, Release);
                if let Ok(Ended::Stopped(render)) = thread.join() {
                    drop(render);
                }
            }
            Now::Closed => {}
        }
    }
}

type Opened = (Box<OpenDevice<DeviceRender>>, Receiver<DeviceNotice>);

fn try_open(
    spec: &DeviceSpec,
    render: DeviceRender,
    promotion: &Promotion,
) -> Result<Opened, (DeviceError, Option<DeviceRender>)> {
    let (send, notices): (Sender<DeviceNotice>, _) = bounded(NOTICES);
    let promotion = promotion.clone();
    device::open(spec, render, move || promotion.promote(), send)
        .map(|device| (Box::new(device), notices))
        .map_err(|failure| (failure.error, failure.render))
}

/// What carries the render function while the device is away.
struct Raft {
    spec: DeviceSpec,
    promotion: Promotion,
    is_stopping: Arc<AtomicBool>,
}

impl Raft {
    fn drift(self, mut render: DeviceRender) -> Ended {
        self.promotion.promote();
        let mut out = vec![0.0; self.spec.block_frames as usize * 2];
        let mut pause = FIRST_PAUSE;
        loop {
            self.keep_time(&mut render, &mut out, pause);
            // Acquire: pairs with control's store.
            if self.is_stopping.load(Acquire) {
                return Ended::Stopped(Some(render));
            }
            match try_open(&self.spec, render, &self.promotion) {
                Ok((device, notices)) => return Ended::Back(device, notices),
                Err((error, Some(back))) => {
                    tracing::debug!(%error, "the device is not back yet");
                    render = back;
                }
                Err((_, None)) => return Ended::Stopped(None),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Plays into nothing, in real time, for `how_long` or until told to stop.
    fn keep_time(&self, render: &mut DeviceRender, out: &mut [f32], how_long: Duration) {
        let block_ns = u64::from(self.spec.block_frames) * 1_000_000_000 / u64::from(self.spec.rate_hz);
        let mut due_ns = now_ns();
        let until_ns = due_ns + how_long.as_nanos() as u64;
        while due_ns < until_ns && !self.is_stopping.load(Acquire) {
            sleep_until(due_ns);
            rt::audio_section(|| render(out, CallbackTiming { until_heard: Duration::ZERO }));
            due_ns = (due_ns + block_ns).max(now_ns().saturating_sub(block_ns));
        }
    }
}
