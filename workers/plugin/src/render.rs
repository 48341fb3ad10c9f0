//! A sound file through a plug-in, in blocks as they come live.
//!
//! In:  a WAV file of any depth. Out: a WAV file of 32-bit floats, as long, with a channel for each output.
//! Channel `n` goes to input `n`; channels beyond the inputs are left out, inputs beyond the channels are unpatched.
//! A plug-in that takes notes has its gate open for the first half. Latency is not taken out.

use crate::description::{Description, Param};
use crate::host::{Host, HostError, Instance, Plugin};
use crate::nearest::nearest;
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::path::{Path, PathBuf};

/// Frames of a block.
pub const BLOCK_FRAMES: usize = 64;
/// How hard the note of a plug-in that takes notes is struck.
const VELOCITY: f32 = 0.8;

/// Why nothing was rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The plug-in.
    #[error("{name} cannot be hosted")]
    Host {
        /// Its name.
        name: String,
        /// Why not.
        #[source]
        cause: HostError,
    },
    /// A sound file.
    #[error("{} cannot be read or written", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why not.
        #[source]
        cause: hound::Error,
    },
    /// A setting without `=`.
    #[error("'{text}' is no setting; write param=value")]
    NoSetting {
        /// What was given.
        text: String,
    },
    /// A parameter it does not have.
    #[error("it has no parameter '{param}'{hint}")]
    UnknownParam {
        /// What was given.
        param: String,
        /// What was probably meant.
        hint: String,
    },
    /// A value its parameter does not take.
    #[error("{param} takes {range}, not '{value}'")]
    BadValue {
        /// Which parameter.
        param: String,
        /// What it takes.
        range: String,
        /// What was given.
        value: String,
    },
}

/// A sound in memory: planes of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Sample rate.
    pub rate_hz: u32,
    /// One plane of samples for each channel.
    pub channels: Vec<Vec<f32>>,
}

impl Sound {
    /// Frames.
    pub fn frames(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Reads a WAV file; whole numbers become -1.0..1.0.
    pub fn read(file: &Path) -> Result<Self, RenderError> {
        let failed = |cause| RenderError::File { file: file.to_owned(), cause };
        let mut reader = WavReader::open(file).map_err(failed)?;
        let spec = reader.spec();
        let full_scale = (1_u64 << (spec.bits_per_sample.max(1) - 1)) as f32;
        let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
            SampleFormat::Float => reader.samples::<f32>().collect(),
            SampleFormat::Int => {
                reader.samples::<i32>().map(|sample| Ok(sample? as f32 / full_scale)).collect()
            }
        };
        let samples = samples.map_err(failed)?;
        let count = usize::from(spec.channels);
        let plane = |channel| samples.iter().skip(channel).step_by(count).copied().collect();
        Ok(Self { rate_hz: spec.sample_rate, channels: (0..count).map(plane).collect() })
    }

    /// Writes a WAV file of 32-bit floats.
    pub fn write(&self, file: &Path) -> Result<(), RenderError> {
        let failed = |cause| RenderError::File { file: file.to_owned(), cause };
        let spec = WavSpec {
            channels: self.channels.len() as u16,
            sample_rate: self.rate_hz,
            bits_per_sample: 32,
            sample_format: SampleFormat::Float,
        };
        let mut writer = WavWriter::create(file, spec).map_err(failed)?;
        for frame in 0..self.frames() {
            for plane in &self.channels {
                writer.write_sample(plane[frame]).map_err(failed)?;
            }
        }
        writer.finalize().map_err(failed)
    }
}

/// Renders `input` through plug-in `name` of `origin` with `settings` (`param=value`).
pub fn render(name: &str, origin: &Path, input: &Sound, settings: &[String]) -> Result<Sound, RenderError> {
    let unhosted = |cause| RenderError::Host { name: name.to_owned(), cause };
    let host = Host::new(input.rate_hz as f32, BLOCK_FRAMES);
    let plugin = host.open(name, origin).map_err(unhosted)?;
    let settings: Result<Vec<(usize, f32)>, RenderError> =
        settings.iter().map(|text| setting(plugin.description(), text)).collect();
    let settings = settings?;
    let mut instance = plugin.start().map_err(unhosted)?;
    Ok(play(&*plugin, &mut *instance, input, &settings))
}

/// Renders `input` through an instance of `plugin` after setting `settings`.
pub fn play(
    plugin: &dyn Plugin,
    instance: &mut dyn Instance,
    input: &Sound,
    settings: &[(usize, f32)],
) -> Sound {
    let description = plugin.description();
    let frames = input.frames();
    let mut output = vec![vec![0.0; frames]; description.outputs.len()];
    settings.iter().for_each(|&(param, value)| instance.set(param, value));
    instance.gate(true, VELOCITY);
    let mut is_open = true;
    for start in (0..frames).step_by(BLOCK_FRAMES) {
        let end = (start + BLOCK_FRAMES).min(frames);
        if is_open && start >= frames / 2 {
            is_open = false;
            instance.gate(false, 0.0);
        }
        let inputs: Vec<Option<&[f32]>> = (0..description.inputs.len())
            .map(|index| input.channels.get(index).map(|plane| &plane[start..end]))
            .collect();
        let mut outputs: Vec<&mut [f32]> = output.iter_mut().map(|plane| &mut plane[start..end]).collect();
        instance.run(&inputs, &mut outputs, end - start);
    }
    Sound { rate_hz: input.rate_hz, channels: output }
}

/// `param=value` as index and value.
pub fn setting(description: &Description, text: &str) -> Result<(usize, f32), RenderError> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| RenderError::NoSetting { text: text.to_owned() })?;
    let index = description.params.iter().position(|param| param.name == name);
    let index = index.ok_or_else(|| unknown(description, name))?;
    let param = &description.params[index];
    let by_word = param.choices.iter().position(|word| word == value).map(|index| index as f32);
    let by_number = || value.parse().ok().filter(|value| (param.min..=param.max).contains(value));
    let value = by_word.or_else(by_number).ok_or_else(|| RenderError::BadValue {
        param: name.to_owned(),
        range: range(param),
        value: value.to_owned(),
    })?;
    Ok((index, value))
}

fn unknown(description: &Description, name: &str) -> RenderError {
    let names: Vec<String> = description.params.iter().map(|param| param.name.clone()).collect();
    let guess = nearest(name, &names).map(|guess| format!("; did you mean '{guess}'?"));
    let hint = guess.unwrap_or_else(|| format!("; it has: {}", names.join(" ")));
    RenderError::UnknownParam { param: name.to_owned(), hint }
}

fn range(param: &Param) -> String {
    if param.choices.is_empty() {
        format!("{} to {} {}", param.min, param.max, param.unit).trim_end().to_owned()
    } else {
        param.choices.join(", ")
    }
}
