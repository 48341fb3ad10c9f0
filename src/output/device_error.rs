//! Step 7 of 7: why a device cannot be opened, on which device, and what to do about it.
//!
//! In:  cpal's error kinds. Out: [`DeviceError`], whose text is for the performer.
//! Thread: control.

use super::device_format::FORMATS;

/// Why no device was opened.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device of that name.
    #[error(
        "no audio device is called '{name}'; there {}. See `backline doctor`, or use --audio null",
        known_devices(known)
    )]
    NoSuchDevice {
        /// The name asked for.
        name: String,
        /// Ids that exist.
        known: Vec<String>,
    },
    /// No device at all.
    #[error("'{name}' is no usable audio device here ({detail}); connect one, or use --audio null")]
    NoDevice {
        /// The device tried.
        name: String,
        /// What the sound system said.
        detail: String,
    },
    /// JACK asked for, but not built in.
    #[error("this backline was built without JACK; build it with: cargo build --release --features jack")]
    JackNotBuilt,
    /// No JACK server answers.
    #[error(
        "no JACK server{} answers; start one (for example: jackd -d alsa -r {rate_hz} -p {block_frames}) or use --audio auto",
        server.as_ref().map(|name| format!(" '{name}' (JACK_DEFAULT_SERVER)")).unwrap_or_default()
    )]
    NoJackServer {
        /// Server named in the environment.
        server: Option<String>,
        /// Rate asked for.
        rate_hz: u32,
        /// Period asked for.
        block_frames: u32,
    },
    /// Somebody else plays there.
    #[error(
        "audio device '{name}' is in use; see by whom with: fuser -v /dev/snd/*, or choose another with --device"
    )]
    Busy {
        /// The device.
        name: String,
        /// What the sound system said.
        #[source]
        cause: cpal::Error,
    },
    /// Not allowed.
    #[error(
        "not allowed to open audio device '{name}'; add yourself to its group: sudo usermod -aG audio $USER, then log in again"
    )]
    Permission {
        /// The device.
        name: String,
        /// What the sound system said.
        #[source]
        cause: cpal::Error,
    },
    /// The device cannot play that rate.
    #[error("audio device '{name}' does not play {asked_hz} Hz; start with --rate {}", nearest_rate(*asked_hz, offered))]
    Rate {
        /// The device.
        name: String,
        /// Rate asked for.
        asked_hz: u32,
        /// Lowest and highest rate of each range it plays.
        offered: Vec<(u32, u32)>,
    },
    /// The device speaks no sample format that we do.
    #[error(
        "audio device '{name}' takes none of the sample formats {}; try --device plughw:0 or --audio jack",
        format_names()
    )]
    Format {
        /// The device.
        name: String,
    },
    /// Anything else.
    #[error("cannot open audio device '{name}'; see `backline doctor`, or use --audio null")]
    Open {
        /// The device.
        name: String,
        /// What the sound system said.
        #[source]
        cause: cpal::Error,
    },
}

impl DeviceError {
    /// True when there is nothing to open, which ends the engine with code 69 if it was asked for by name.
    pub fn is_absent(&self) -> bool {
        use DeviceError::{JackNotBuilt, NoDevice, NoJackServer, NoSuchDevice};
        matches!(self, NoSuchDevice { .. } | NoDevice { .. } | NoJackServer { .. } | JackNotBuilt)
    }
}

fn known_devices(known: &[String]) -> String {
    if known.is_empty() { "are none".to_owned() } else { format!("are: {}", known.join(", ")) }
}

fn nearest_rate(asked_hz: u32, offered: &[(u32, u32)]) -> u32 {
    let nearest = offered.iter().map(|&(low, high)| asked_hz.clamp(low, high));
    nearest.min_by_key(|rate| rate.abs_diff(asked_hz)).unwrap_or(asked_hz)
}

fn format_names() -> String {
    FORMATS.map(|format| format.to_string()).join(", ")
}

/// The error behind what cpal says about device `name`.
pub(super) fn explain(name: String, cause: cpal::Error) -> DeviceError {
    use cpal::ErrorKind::{DeviceBusy, DeviceNotAvailable, HostUnavailable, PermissionDenied};
    match cause.kind() {
        DeviceNotAvailable | HostUnavailable => DeviceError::NoDevice { name, detail: cause.to_string() },
        DeviceBusy => DeviceError::Busy { name, cause },
        PermissionDenied => DeviceError::Permission { name, cause },
        _ => DeviceError::Open { name, cause },
    }
}
