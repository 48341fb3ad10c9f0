//! Step 7 of 7: the device's format, chosen once and then converted to in every callback.
//!
//! In:  what a device can do; interleaved stereo `f32` from the render function.
//! Out: the best [`Choice`] among it; frames in the device's sample format and channel count.
//! Thread: choosing is control's; [`Player::fill`] runs in the device's callback and is real-time safe.

use std::time::Duration;

use cpal::traits::DeviceTrait;
use cpal::{BufferSize, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize};
use cpal::{Stream, SupportedStreamConfigRange};
use crossbeam_channel::Sender;

use super::device::{CallbackTiming, DeviceError};

/// Sample formats we play, best first: what we compute in, then those that keep all of its 24 bits.
pub(super) const FORMATS: [SampleFormat; 6] = [
    SampleFormat::F32,
    SampleFormat::F64,
    SampleFormat::I32,
    SampleFormat::I24,
    SampleFormat::I16,
    SampleFormat::U8,
];

/// Frames converted in one go; a longer callback takes several. Small enough that a
/// conversion stays in the cache.
const SCRATCH_FRAMES: usize = 512;

/// How a device will be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) config: StreamConfig,
    pub(super) format: SampleFormat,
}

/// The best of what device `name` offers at this rate: stereo first, then the format, then few spare channels.
pub(super) fn choose(
    name: &str,
    offered: impl Iterator<Item = SupportedStreamConfigRange>,
    rate_hz: u32,
    block_frames: u32,
) -> Result<Choice, DeviceError> {
    let name = name.to_owned();
    let offered: Vec<_> = offered.collect();
    let playable: Vec<_> = offered.iter().filter(|range| FORMATS.contains(&range.sample_format())).collect();
    if playable.is_empty() {
        return Err(DeviceError::Format { name });
    }
    let at_rate = playable.iter().filter(|range| range.contains_rate(rate_hz));
    let Some(best) = at_rate.min_by_key(|range| rank(range.channels(), range.sample_format())) else {
        let offered =
            playable.iter().map(|range| (range.min_sample_rate(), range.max_sample_rate())).collect();
        return Err(DeviceError::Rate { name, asked_hz: rate_hz, offered });
    };
    let buffer_size = period(best, block_frames);
    let config = StreamConfig { channels: best.channels(), sample_rate: rate_hz, buffer_size };
    Ok(Choice { config, format: best.sample_format() })
}

/// The period asked for where the device allows it, else the device's own.
fn period(range: &SupportedStreamConfigRange, block_frames: u32) -> BufferSize {
    match *range.buffer_size() {
        SupportedBufferSize::Range { min, max } if (min..=max).contains(&block_frames) => {
            BufferSize::Fixed(block_frames)
        }
        _ => BufferSize::Default,
    }
}

/// Lower is better.
fn rank(channels: u16, format: SampleFormat) -> (u32, usize) {
    let channels_rank = match channels {
        2 => 0,
        1 => u32::from(u16::MAX),
        more => u32::from(more),
    };
    let format_rank = FORMATS.iter().position(|&known| known == format).unwrap_or(FORMATS.len());
    (channels_rank, format_rank)
}

/// The render function inside a device's callback, and the way it returns when that callback is dropped.
pub(super) struct Player<R, F> {
    /// `Some` until dropped.
    render: Option<R>,
    on_first_callback: Option<F>,
    give_back: Sender<R>,
    channels: usize,
    rate_hz: u32,
    /// Stereo, before it is converted; unused where the device takes what we compute.
    scratch: Box<[f32]>,
}

impl<R, F> Player<R, F>
where
    R: FnMut(&mut [f32], CallbackTiming) + Send + 'static,
    F: FnOnce() + Send + 'static,
{
    pub(super) fn new(render: R, on_first_callback: F, give_back: Sender<R>, choice: &Choice) -> Self {
        Self {
            render: Some(render),
            on_first_callback: Some(on_first_callback),
            give_back,
            channels: usize::from(choice.config.channels),
            rate_hz: choice.config.sample_rate,
            scratch: vec![0.0; 2 * SCRATCH_FRAMES].into_boxed_slice(),
        }
    }

    /// Makes the stream that calls us.
    pub(super) fn build(
        self,
        device: &cpal::Device,
        choice: &Choice,
        on_error: impl FnMut(cpal::Error) + Send + 'static,
        timeout: Duration,
    ) -> Result<Stream, cpal::Error> {
        match choice.format {
            SampleFormat::F32 if choice.config.channels == 2 => {
                let mut player = self;
                let fill = move |frames: &mut [f32], timing: &cpal::OutputCallbackInfo| {
                    player.fill_directly(frames, heard(timing));
                };
                device.build_output_stream(choice.config, fill, on_error, Some(timeout))
            }
            SampleFormat::F32 => self.build_as::<f32>(device, choice, on_error, timeout),
            SampleFormat::F64 => self.build_as::<f64>(device, choice, on_error, timeout),
            SampleFormat::I32 => self.build_as::<i32>(device, choice, on_error, timeout),
            SampleFormat::I24 => self.build_as::<cpal::I24>(device, choice, on_error, timeout),
            SampleFormat::I16 => self.build_as::<i16>(device, choice, on_error, timeout),
            _ => self.build_as::<u8>(device, choice, on_error, timeout),
        }
    }

    fn build_as<T: SizedSample + FromSample<f32>>(
        mut self,
        device: &cpal::Device,
        choice: &Choice,
        on_error: impl FnMut(cpal::Error) + Send + 'static,
        timeout: Duration,
    ) -> Result<Stream, cpal::Error> {
        let fill = move |frames: &mut [T], timing: &cpal::OutputCallbackInfo| {
            self.fill(frames, heard(timing));
        };
        device.build_output_stream(choice.config, fill, on_error, Some(timeout))
    }

    /// Stereo `f32` devices: rendered in place. Real-time safe.
    fn fill_directly(&mut self, stereo: &mut [f32], until_heard: Duration) {
        self.before_first_frame();
        if let Some(render) = &mut self.render {
            render(stereo, CallbackTiming { until_heard });
        }
    }

    /// Fills interleaved frames of any format and channel count. Real-time safe.
    pub(super) fn fill<T: SizedSample + FromSample<f32>>(&mut self, device: &mut [T], until_heard: Duration) {
        self.before_first_frame();
        let Some(render) = &mut self.render else { return };
        let mut frames_before = 0;
        for part in device.chunks_mut(SCRATCH_FRAMES * self.channels) {
            let frames = part.len() / self.channels;
            let stereo = &mut self.scratch[..2 * frames];
            stereo.fill(0.0);
            let delay = Duration::from_secs_f64(frames_before as f64 / f64::from(self.rate_hz));
            render(stereo, CallbackTiming { until_heard: until_heard + delay });
            convert(stereo, part, self.channels);
            frames_before += frames;
        }
    }

    fn before_first_frame(&mut self) {
        if let Some(on_first_callback) = self.on_first_callback.take() {
            on_first_callback();
        }
    }
}

impl<R, F> Drop for Player<R, F> {
    fn drop(&mut self) {
        if let Some(render) = self.render.take() {
            // Nobody waits for it when the whole device was dropped rather than closed.
            let _ = self.give_back.try_send(render);
        }
    }
}

fn heard(timing: &cpal::OutputCallbackInfo) -> Duration {
    let stamp = timing.timestamp();
    stamp.playback.saturating_duration_since(stamp.callback)
}

/// Stereo to `channels` interleaved channels: one takes the mean, spare ones are silent. Real-time safe.
fn convert<T: SizedSample + FromSample<f32>>(stereo: &[f32], device: &mut [T], channels: usize) {
    // The ceiling of every integer format is a little below 1.0, and conversion saturates only at the type's
    // own width, which is wider than 24 bits for `I24`.
    const CEILING: f32 = 1.0 - f32::EPSILON / 2.0;
    let sample = |value: f32| T::from_sample(value.clamp(-1.0, CEILING));
    for (frame, pair) in device.chunks_exact_mut(channels).zip(stereo.chunks_exact(2)) {
        match frame {
            [mono] => *mono = sample((pair[0] + pair[1]) * 0.5),
            [left, right, spare @ ..] => {
                *left = sample(pair[0]);
                *right = sample(pair[1]);
                spare.fill(T::EQUILIBRIUM);
            }
            [] => {}
        }
    }
}

#[cfg(test)]
#[path = "device_format_tests.rs"]
mod tests;
