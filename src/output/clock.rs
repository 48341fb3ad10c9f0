//! Which clock drives the cycle: chosen by the settings, opened, and stopped with a fade.
//!
//! In: a [`Cycle`]. Out: blocks in real time, until [`Playing::stop`].
//! Thread: control opens and stops; the cycle runs on the device's thread or on the timer's.

use super::device::{DeviceHost, DeviceSpec};
use super::device_error::DeviceError;
use super::failover::{DeviceRender, Promotion, Survivor};
use super::null::{DEADLINE_SHARE, NullClock};
use super::tap::Tap;
use crate::config::{AudioClock, Settings};
use crate::cycle::Cycle;
use crate::rt;
use crate::rt::dll::BlockClock;
use crate::rt::report::AudioReport;
use backline_abi::wake::now_ns;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a device may take to play its fade before it is closed all the same.
const FADE_LIMIT: Duration = Duration::from_millis(500);

/// What the cycle plays into.
pub enum Playing {
    /// A timer.
    Null {
        /// Its thread, which gives everything back when it ends.
        thread: Option<JoinHandle<NullClock>>,
        /// Tells it to fade and end.
        is_stopping: Arc<AtomicBool>,
    },
    /// A device, or a timer in its place while it is lost.
    Device {
        /// What plays.
        device: Survivor,
        /// Tells the callback to fade.
        is_stopping: Arc<AtomicBool>,
        /// Set by the callback when the fade is over.
        is_silent: Arc<AtomicBool>,
    },
}

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
    mut cycle: Cycle,
    tap: Tap,
    report: Arc<AudioReport>,
) -> Result<Opened, DeviceError> {
    cycle.look_ahead(settings.lookahead_blocks > 0);
    let host = match settings.audio {
        AudioClock::Null => return Ok(open_null(settings, cycle, tap, report, None)),
        AudioClock::Jack => DeviceHost::Jack,
        AudioClock::Cpal => DeviceHost::Alsa,
        AudioClock::Auto if has_sound_card() => DeviceHost::Default,
        AudioClock::Auto => {
            let notice = "no sound card here: playing on the null clock, in real time, unheard".to_owned();
            return Ok(open_null(settings, cycle, tap, report, Some(notice)));
        }
    };
    open_device(settings, host, cycle, tap, report)
}

/// ALSA lists plug-ins such as `null` on any machine; a card is in /proc/asound.
fn has_sound_card() -> bool {
    std::fs::read_to_string("/proc/asound/cards").is_ok_and(|cards| cards.contains('['))
}

fn open_null(
    settings: &Settings,
    cycle: Cycle,
    tap: Tap,
    report: Arc<AudioReport>,
    notice: Option<String>,
) -> Opened {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let clock = NullClock {
        cycle,
        tap,
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
    tap: Tap,
    report: Arc<AudioReport>,
) -> Result<Opened, DeviceError> {
    let (is_stopping, is_silent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let is_fresh = Arc::new(AtomicBool::new(false));
    let player = DevicePlayer {
        cycle,
        tap,
        is_stopping: is_stopping.clone(),
        is_silent: is_silent.clone(),
        is_fresh: is_fresh.clone(),
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
    let promotion = Promotion { wants_realtime: settings.wants_realtime, report, is_fresh };
    let device = Survivor::open(spec, player.into_render(), promotion)?;
    let (name, notice) = (device.name(), device.period_notice());
    Ok(Opened { playing: Playing::Device { device, is_stopping, is_silent }, name, notice })
}

impl Playing {
    /// Looks after the device: one that is lost is replaced by a timer and opened again when it is back.
    /// Returns what there is to say about it.
    pub fn tend(&mut self) -> Option<String> {
        match self {
            Playing::Null { .. } => None,
            Playing::Device { device, .. } => device.tend(),
        }
    }

    /// Gaps the device has noticed.
    pub fn device_xruns(&self) -> u64 {
        match self {
            Playing::Null { .. } => 0,
            Playing::Device { device, .. } => device.xruns(),
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
            Playing::Device { device, is_stopping, is_silent } => {
                is_stopping.store(true, Release);
                let until = Instant::now() + FADE_LIMIT;
                // Acquire: pairs with the callback's store.
                while !is_silent.load(Acquire) && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(1));
                }
                device.close();
            }
        }
    }
}

/// The cycle as a device's callback: any number of frames, cut into blocks.
struct DevicePlayer {
    cycle: Cycle,
    tap: Tap,
    is_stopping: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
    is_fresh: Arc<AtomicBool>,
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
        // Acquire: pairs with the store when a device or the timer begins.
        if self.is_fresh.swap(false, Acquire) {
            self.cycle.guard().fade_in();
        }
        // Acquire: pairs with control's store when it stops the clock.
        if self.is_stopping.load(Acquire) {
            self.cycle.guard().fade_out_in(0);
        }
        let frame_ns = 1e9 / f64::from(self.rate_hz);
        let mut done = 0;
        for block in out.chunks_mut(self.block_frames * 2) {
            let end = done + block.len() / 2;
            let deadline_ns = began_ns + (end as f64 * frame_ns * DEADLINE_SHARE) as u64;
            self.cycle.play_block(block, start_ns + (done as f64 * frame_ns) as u64, deadline_ns);
            done = end;
        }
        self.tap.push(out);
        if self.cycle.guard().is_silent() {
            // Release: pairs with control's Acquire load.
            self.is_silent.store(true, Release);
        }
    }
}
