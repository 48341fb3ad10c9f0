//! Step 7 of 7, to the ear: the one place that knows cpal.
//!
//! In:  a render function of interleaved stereo, called by the device whenever it wants frames.
//! Out: sound; a [`DeviceReport`] of what was really opened; [`DeviceNotice`]s when the device goes away.
//! Thread: [`list`], [`open`] and [`OpenDevice`] are control's. The render function runs on the device's own
//! thread and is real-time safe around the caller's; that thread also counts xruns, without a message.
//! Refused: a device that is not there, is taken, or cannot play the rate; each error names it and the remedy.
//! The render function is handed back on failure and on [`OpenDevice::close`], so that another clock can go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use crossbeam_channel::{Receiver, Sender, bounded};

pub use super::device_error::DeviceError;
use super::device_error::explain;
use super::device_format::{Choice, Player, choose};

/// The JACK client's name, as the patch bay shows it: its ports are `backline_out:out_0` and `out_1`.
#[cfg(feature = "jack")]
const JACK_CLIENT: &str = "backline";
#[cfg(feature = "jack")]
type JackDevice = <cpal::platform::JackHost as HostTrait>::Device;
/// How long a JACK server may take to accept a client.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Which sound system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceHost {
    /// What this machine plays through unless told otherwise: ALSA's default device.
    Default,
    /// ALSA.
    Alsa,
    /// A JACK server (or PipeWire's stand-in for one).
    Jack,
}

/// What to open.
#[derive(Debug, Clone)]
pub struct DeviceSpec {
    /// Which sound system.
    pub host: DeviceHost,
    /// A device of it, by id, description or a part of either that fits one device only; for JACK, the name of
    /// our client. `None` takes the default.
    pub name: Option<String>,
    /// Sample rate.
    pub rate_hz: u32,
    /// Period asked for; the device may have another.
    pub block_frames: u32,
}

/// One device as [`list`] finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName {
    /// `ALSA` or `JACK`.
    pub host: &'static str,
    /// What `--device` takes.
    pub id: String,
    /// What a person calls it.
    pub description: String,
}

/// When the frames of one call are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackTiming {
    /// From now until the first of these frames leaves the device, as far as the device knows.
    pub until_heard: Duration,
}

/// What the caller must know about a device that was playing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceNotice {
    /// It is gone, or must be opened anew; no further callback comes.
    Lost {
        /// What the sound system said.
        reason: String,
    },
    /// It goes on, but something is not as it should be.
    Degraded {
        /// What the sound system said.
        reason: String,
    },
}

/// A failure, and the render function unharmed.
#[derive(Debug)]
pub struct OpenFailure<R> {
    /// Why.
    pub error: DeviceError,
    /// What would have been played; `None` only if the sound system hangs and holds it.
    pub render: Option<R>,
}

/// What was really opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// `ALSA` or `JACK`.
    pub host: &'static str,
    /// The device's id.
    pub name: String,
    /// Sample rate.
    pub rate_hz: u32,
    /// Channels of the device; the first two carry the sound, a single one both.
    pub channels: u16,
    /// Sample format of the device.
    pub format: String,
    /// Period asked for.
    pub asked_block_frames: u32,
    /// Period of the device, if it tells.
    pub period_frames: Option<u32>,
}

/// A device that is playing until this is dropped.
pub struct OpenDevice<R> {
    stream: cpal::Stream,
    report: DeviceReport,
    xruns: Arc<AtomicU64>,
    returned: Receiver<R>,
}

impl<R> OpenDevice<R> {
    /// What was really opened.
    pub fn report(&self) -> &DeviceReport {
        &self.report
    }

    /// Gaps the sound system has noticed so far.
    pub fn xruns(&self) -> u64 {
        self.xruns.load(Ordering::Relaxed)
    }

    /// Stops playing and hands the render function back; `None` only if it panicked.
    pub fn close(self) -> Option<R> {
        let Self { stream, returned, .. } = self;
        drop(stream);
        returned.recv_timeout(OPEN_TIMEOUT).ok()
    }
}

/// Every device that can be opened, of every sound system built in.
pub fn list() -> Vec<DeviceName> {
    let _quiet = quiet_alsa();
    let mut names = Vec::new();
    for host in [DeviceHost::Alsa, DeviceHost::Jack] {
        let Ok(host) = cpal_host(host) else { continue };
        names.extend(devices(&host).into_iter().map(|(name, _)| name));
    }
    names
}

/// Opens a device and plays what `render` renders: interleaved stereo, any number of frames a call.
///
/// `on_first_callback` runs once on the device's thread before the first frame; there the caller raises that
/// thread's priority, because the thread belongs to the sound system.
pub fn open<R>(
    spec: &DeviceSpec,
    render: R,
    on_first_callback: impl FnOnce() + Send + 'static,
    notices: Sender<DeviceNotice>,
) -> Result<OpenDevice<R>, OpenFailure<R>>
where
    R: FnMut(&mut [f32], CallbackTiming) + Send + 'static,
{
    let _quiet = quiet_alsa();
    match find(spec) {
        Ok(found) => start(spec, found, render, on_first_callback, notices),
        Err(error) => Err(OpenFailure { error, render: Some(render) }),
    }
}

/// A device, and how it will be opened.
type Found = (cpal::Device, DeviceName, Choice);

fn start<R>(
    spec: &DeviceSpec,
    (device, name, choice): Found,
    render: R,
    on_first_callback: impl FnOnce() + Send + 'static,
    notices: Sender<DeviceNotice>,
) -> Result<OpenDevice<R>, OpenFailure<R>>
where
    R: FnMut(&mut [f32], CallbackTiming) + Send + 'static,
{
    let xruns = Arc::<AtomicU64>::default();
    let (give_back, returned) = bounded(1);
    let player = Player::new(render, on_first_callback, give_back, &choice);
    let on_error = error_callback(xruns.clone(), notices);
    let started = player
        .build(&device, &choice, on_error, OPEN_TIMEOUT)
        .and_then(|stream| stream.play().map(|()| stream));
    match started {
        Ok(stream) => {
            let report = report(spec, &name, &choice, &stream);
            Ok(OpenDevice { stream, report, xruns, returned })
        }
        Err(cause) => {
            let error = explain(name.id, cause);
            // A stream that was not built drops the player, and a dropped player gives back its render.
            let render = returned.recv_timeout(OPEN_TIMEOUT).ok();
            Err(OpenFailure { error, render })
        }
    }
}

fn report(spec: &DeviceSpec, name: &DeviceName, choice: &Choice, stream: &cpal::Stream) -> DeviceReport {
    DeviceReport {
        host: name.host,
        name: name.id.clone(),
        rate_hz: choice.config.sample_rate,
        channels: choice.config.channels,
        format: choice.format.to_string(),
        asked_block_frames: spec.block_frames,
        period_frames: stream.buffer_size().ok(),
    }
}

/// What the sound system calls when something happens to the stream, sometimes on the audio thread.
fn error_callback(
    xruns: Arc<AtomicU64>,
    notices: Sender<DeviceNotice>,
) -> impl FnMut(cpal::Error) + Send + 'static {
    move |error| {
        use cpal::ErrorKind::{DeviceNotAvailable, HostUnavailable, StreamInvalidated, Xrun};
        let notice = match error.kind() {
            Xrun => {
                xruns.fetch_add(1, Ordering::Relaxed);
                return;
            }
            DeviceNotAvailable | HostUnavailable | StreamInvalidated => {
                DeviceNotice::Lost { reason: error.to_string() }
            }
            _ => DeviceNotice::Degraded { reason: error.to_string() },
        };
        // A full or closed channel loses the notice, never the time of the audio thread.
        let _ = notices.try_send(notice);
    }
}

/// Keeps ALSA from printing on stderr what our errors say better, for as long as this thread lives.
fn quiet_alsa() -> Option<impl Sized> {
    alsa::Output::local_error_handler().ok()
}

fn cpal_host(host: DeviceHost) -> Result<cpal::Host, DeviceError> {
    let open = |name: &str, cause| DeviceError::Open { name: name.to_owned(), cause };
    match host {
        DeviceHost::Default | DeviceHost::Alsa => {
            cpal::host_from_id(cpal::HostId::Alsa).map_err(|cause| open("ALSA", cause))
        }
        #[cfg(feature = "jack")]
        DeviceHost::Jack => cpal::host_from_id(cpal::HostId::Jack).map_err(|cause| open("JACK", cause)),
        #[cfg(not(feature = "jack"))]
        DeviceHost::Jack => Err(DeviceError::JackNotBuilt),
    }
}

fn devices(host: &cpal::Host) -> Vec<(DeviceName, cpal::Device)> {
    let Ok(devices) = host.output_devices() else {
        return Vec::new();
    };
    devices.filter_map(|device| Some((device_name(&device)?, device))).collect()
}

fn device_name(device: &cpal::Device) -> Option<DeviceName> {
    let id = device.id().ok()?;
    Some(DeviceName { host: id.host().name(), id: id.id().to_owned(), description: device.to_string() })
}

fn find(spec: &DeviceSpec) -> Result<Found, DeviceError> {
    let device = match spec.host {
        DeviceHost::Jack => jack_device(spec)?,
        DeviceHost::Default | DeviceHost::Alsa => alsa_device(spec)?,
    };
    let name = device_name(&device).unwrap_or(DeviceName {
        host: "ALSA",
        id: "default".to_owned(),
        description: String::new(),
    });
    let ranges = device.supported_output_configs().map_err(|cause| explain(name.id.clone(), cause))?;
    let choice = choose(&name.id, ranges, spec.rate_hz, spec.block_frames)?;
    Ok((device, name, choice))
}

#[cfg(feature = "jack")]
fn jack_device(spec: &DeviceSpec) -> Result<cpal::Device, DeviceError> {
    let no_server = || DeviceError::NoJackServer {
        server: std::env::var("JACK_DEFAULT_SERVER").ok(),
        rate_hz: spec.rate_hz,
        block_frames: spec.block_frames,
    };
    // Not through a cpal host: that looks for the server only once, and names its client after the process.
    let client = spec.name.as_deref().unwrap_or(JACK_CLIENT);
    JackDevice::default_output_device(client, true, false).map(cpal::Device::from).map_err(|_| no_server())
}

#[cfg(not(feature = "jack"))]
fn jack_device(_spec: &DeviceSpec) -> Result<cpal::Device, DeviceError> {
    Err(DeviceError::JackNotBuilt)
}

fn alsa_device(spec: &DeviceSpec) -> Result<cpal::Device, DeviceError> {
    let host = cpal_host(spec.host)?;
    let Some(wanted) = &spec.name else {
        return host
            .default_output_device()
            .ok_or_else(|| DeviceError::NoSuchDevice { name: "default".to_owned(), known: Vec::new() });
    };
    let mut all = devices(&host);
    match position(wanted, all.iter().map(|(name, _)| name)) {
        Some(place) => Ok(all.swap_remove(place).1),
        None => {
            let known = all.into_iter().map(|(name, _)| name.id).collect();
            Err(DeviceError::NoSuchDevice { name: wanted.clone(), known })
        }
    }
}

/// The device called `wanted`: by id, else by description, else the only one that contains it in either.
fn position<'a>(wanted: &str, names: impl Iterator<Item = &'a DeviceName> + Clone) -> Option<usize> {
    let wanted = wanted.to_lowercase();
    let exactly = |text: &str| text.to_lowercase() == wanted;
    let contains = |text: &str| text.to_lowercase().contains(&wanted);
    let mut partly = names
        .clone()
        .enumerate()
        .filter(|(_, name)| contains(&name.id) || contains(&name.description))
        .map(|(place, _)| place);
    let only_part = partly.next().filter(|_| partly.next().is_none());
    names
        .clone()
        .position(|name| exactly(&name.id))
        .or_else(|| names.clone().position(|name| exactly(&name.description)))
        .or(only_part)
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
