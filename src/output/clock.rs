//! Which clock drives the cycle: chosen by the settings, opened, and stopped with a fade.
//!
//! In: a [`Cycle`]. Out: blocks in real time, until [`Playing::stop`].
//! Thread: control opens and stops; the cycle runs on the device's thread or on the timer's.

use super::device::{self, CallbackTiming, DeviceHost, DeviceNotice, DeviceSpec, OpenDevice};
use super::device_error::DeviceError;
use super::null::{DEADLINE_SHARE, NullClock};
use super::record::RecorderInput;
use crate::config::{AudioClock, Settings};
use crate::cycle::Cycle;
use crate::rt::dll::BlockClock;
use crate::rt::report::AudioReport;
use crate::rt::{self, AUDIO_PRIORITY};
use backline_abi::rights;
use backline_abi::wake::now_ns;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a device may take to play its fade before it is closed all the same.
const FADE_LIMIT: Duration = Duration::from_millis(500);
/// Notices of a device that may wait to be read.
const NOTICES: usize = 64;

/// What the cycle plays into.
pub enum Playing {
    /// A timer.
    Null {
        /// Its thread, which gives everything back when it ends.
        thread: Option<JoinHandle<NullClock>>,
        /// Tells it to fade and end.
        is_stopping: Arc<AtomicBool>,
    },
    /// A device.
    Device {
        /// Closes it when dropped.
        device: Option<Box<OpenDevice<DeviceRender>>>,
        /// Tells the callback to fade.
        is_stopping: Arc<AtomicBool>,
        /// Set by the callback when the fade is over.
        is_silent: Arc<AtomicBool>,
        /// What the device has to say.
        notices: Receiver<DeviceNotice>,
    },
}

/// A render function for the device, boxed so that it has a name.
pub type DeviceRender = Box<dyn FnMut(&mut [f32], CallbackTiming) + Send + 'static>;

/// What is playing, and what there is to say about it.
pub struct Opened {
    /// The clock.
    pub playing: Playing,
    /// For `status` and the `ready` event: `null`, or the device's name.
    pub name: String,
    /// Why it is not what one would expect, if it is not.
    pub notice: Option<String>,
}

/// Opens the clock that `settings` ask for.
pub fn open(
    settings: &Settings,
    cycle: Cycle,
    recorder: Option<RecorderInput>,
    report: Arc<AudioReport>,
) -> Result<Opened, DeviceError> {
    let host = match settings.audio {
        AudioClock::Null => return Ok(open_null(settings, cycle, recorder, report, None)),
        AudioClock::Jack => DeviceHost::Jack,
        AudioClock::Cpal => DeviceHost::Alsa,
        AudioClock::Auto if has_sound_card() => DeviceHost::Default,
        AudioClock::Auto => {
            let notice = "no sound card here: playing on the null clock, in real time, unheard".to_owned();
            return Ok(open_null(settings, cycle, recorder, report, Some(notice)));
        }
    };
    open_device(settings, host, cycle, recorder, report)
}

/// ALSA lists plug-ins such as `null` on any machine; a card is in /proc/asound.
fn has_sound_card() -> bool {
    std::fs::read_to_string("/proc/asound/cards").is_ok_and(|cards| cards.contains('['))
}

fn open_null(
    settings: &Settings,
    cycle: Cycle,
    recorder: Option<RecorderInput>,
    report: Arc<AudioReport>,
    notice: Option<String>,
) -> Opened {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let clock = NullClock {
        cycle,
        recorder,
        is_stopping: is_stopping.clone(),
        wants_realtime: settings.wants_realtime,
        block_frames: settings.block_frames as usize,
        rate_hz: settings.rate_hz,
        report,
    };
    let thread = std::thread::Builder::new().name("audio".into()).spawn(move || clock.run());
    // A machine that cannot start one thread plays nothing; the first status shows no blocks.
    Opened { playing: Playing::Null { thread: thread.ok(), is_stopping }, name: "null".to_owned(), notice }
}

fn open_device(
    settings: &Settings,
    host: DeviceHost,
    cycle: Cycle,
    recorder: Option<RecorderInput>,
    report: Arc<AudioReport>,
) -> Result<Opened, DeviceError> {
    let (is_stopping, is_silent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let player = DevicePlayer {
        cycle,
        recorder,
        is_stopping: is_stopping.clone(),
        is_silent: is_silent.clone(),
        clock: BlockClock::new(settings.rate_hz),
        block_frames: settings.block_frames as usize,
        rate_hz: settings.rate_hz,
        report: report.clone(),
    };
    let spec = DeviceSpec {
        host,
        name: settings.device.clone(),
        rate_hz: settings.rate_hz,
        block_frames: settings.block_frames,
    };
    let (send, notices): (Sender<DeviceNotice>, Receiver<DeviceNotice>) = bounded(NOTICES);
    let wants_realtime = settings.wants_realtime;
    let promote = move || {
        let has_fifo = wants_realtime && rights::take_fifo(AUDIO_PRIORITY).is_ok() || rights::has_fifo();
        report.introduce(has_fifo);
        rights::flush_denormals();
    };
    let render: DeviceRender = player.into_render();
    let device = device::open(&spec, render, promote, send).map_err(|failure| failure.error)?;
    let opened = device.report();
    let name = format!("{} {}", opened.host, opened.name);
    let notice = opened
        .period_frames
        .filter(|period| *period != settings.block_frames)
        .map(|period| format!("{name} plays periods of {period} frames, not {}", settings.block_frames));
    let device = Some(Box::new(device));
    Ok(Opened { playing: Playing::Device { device, is_stopping, is_silent, notices }, name, notice })
}

impl Playing {
    /// What the device has to say, if anything; a timer is silent.
    pub fn notice(&self) -> Option<DeviceNotice> {
        match self {
            Playing::Null { .. } => None,
            Playing::Device { notices, .. } => notices.try_recv().ok(),
        }
    }

    /// Gaps the device has noticed.
    pub fn device_xruns(&self) -> u64 {
        match self {
            Playing::Device { device: Some(device), .. } => device.xruns(),
            _ => 0,
        }
    }

    /// Fades out, ends, and frees what the audio thread held.
    pub fn stop(self) {
        match self {
            Playing::Null { thread, is_stopping } => {
                // Release: pairs with the clock's Acquire load.
                is_stopping.store(true, Release);
                if let Some(thread) = thread {
                    drop(thread.join());
                }
            }
            Playing::Device { device, is_stopping, is_silent, .. } => {
                is_stopping.store(true, Release);
                let until = Instant::now() + FADE_LIMIT;
                // Acquire: pairs with the callback's store.
                while !is_silent.load(Acquire) && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(1));
                }
                drop(device.and_then(|device| device.close()));
            }
        }
    }
}

/// The cycle as a device's callback: any number of frames, cut into blocks.
struct DevicePlayer {
    cycle: Cycle,
    recorder: Option<RecorderInput>,
    is_stopping: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
    clock: BlockClock,
    block_frames: usize,
    rate_hz: u32,
    report: Arc<AudioReport>,
}

impl DevicePlayer {
    fn into_render(mut self) -> DeviceRender {
        Box::new(move |out, _timing| {
            rt::audio_section(|| self.play(out));
            self.report.allocations.store(rt::allocations_seen().into(), Relaxed);
        })
    }

    /// Fills `out`. Real-time safe.
    fn play(&mut self, out: &mut [f32]) {
        let began_ns = now_ns();
        let frames = out.len() / 2;
        let start_ns = self.clock.callback(began_ns, frames);
        self.report.rate_actual_bits.store(self.clock.rate_hz().to_bits(), Relaxed);
        // Acquire: pairs with control's store when it stops the clock.
        if self.is_stopping.load(Acquire) {
            self.cycle.guard().fade_out_in(0);
        }
        let frame_ns = 1e9 / f64::from(self.rate_hz);
        let mut done = 0;
        for block in out.chunks_mut(self.block_frames * 2) {
            let end = done + block.len() / 2;
            let deadline_ns = began_ns + (end as f64 * frame_ns * DEADLINE_SHARE) as u64;
            self.cycle.begin(block.len() / 2, start_ns + (done as f64 * frame_ns) as u64, deadline_ns);
            self.cycle.wait(deadline_ns);
            self.cycle.finish(block);
            done = end;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.push(out);
        }
        if self.cycle.guard().is_silent() {
            // Release: pairs with control's Acquire load.
            self.is_silent.store(true, Release);
        }
    }
}
