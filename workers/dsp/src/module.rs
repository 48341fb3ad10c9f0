//! What a module is: its panel ([`ModuleType`]), its state ([`Module`]), and one stretch of rendering ([`Io`]).

use crate::line::Line;
use std::ops::Range;

/// Channels a cable may carry.
pub const MAX_CHANNELS: usize = 16;
/// Parameters a module may have.
pub const MAX_PARAMS: usize = 32;
/// Audio and control input ports a module may have, parameters not counted.
pub const MAX_PORTS: usize = 8;
/// Words (`u32`) of state a module may have.
pub const MAX_STATE_WORDS: usize = 4096;
/// The longest stretch rendered in one go, in frames.
pub const MAX_FRAMES: usize = 1024;

/// The front panel of a module: what `backline modules` and `/schema` print.
#[derive(Debug)]
pub struct ModuleType {
    /// The name in `/create NAME`.
    pub name: &'static str,
    /// One line for a person choosing a module.
    pub summary: &'static str,
    /// Input ports; the first is the main one.
    pub inputs: &'static [Port],
    /// Output ports; the first is the main one. Empty for `out`, whose two channels go to the mix.
    pub outputs: &'static [Port],
    /// Parameters, all of which also accept cables.
    pub params: &'static [Param],
    /// Whether `/gate` means something to it.
    pub is_gated: bool,
    /// Whether it ends in the mix: it then has one hidden output of two channels, left and right.
    pub is_sink: bool,
}

/// One input or output.
#[derive(Debug)]
pub struct Port {
    /// The name in `id.NAME`.
    pub name: &'static str,
    /// What it carries, with its unit and range.
    pub summary: &'static str,
}

/// One parameter.
#[derive(Debug)]
pub struct Param {
    /// The name in `/set id NAME value`.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// `Hz`, `s`, `cents`, or empty for a plain number.
    pub unit: &'static str,
    /// Smallest value accepted.
    pub min: f32,
    /// Largest value accepted.
    pub max: f32,
    /// Value when `/create` does not name it.
    pub default: f32,
    /// How a cable into this parameter counts.
    pub modulation: Modulation,
    /// For a parameter that chooses by word (`saw`), the words; the value is the index.
    pub choices: &'static [&'static str],
}

/// How a cable into a parameter counts: a control voltage of 1.0 is one octave, or full scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modulation {
    /// value x 2^cv, for frequencies and times.
    Octaves,
    /// value + cv x (max - min).
    FullScale,
    /// Takes no cable: set once, or a choice.
    None,
}

/// What a module is built from. `params` has one value for each of the type's parameters, already checked.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Sample rate.
    pub rate_hz: f32,
    /// Channels of each of its outputs, 1..=[`MAX_CHANNELS`]; what an input carries is folded to this. For a
    /// sink it only counts for its inputs, as its output always has two: give it 2, and stereo stays stereo.
    pub channels: usize,
    /// Different for every id, the same for the same id: what noise is seeded from when its `seed` is 0.
    pub identity: u32,
    /// Values of the parameters, in the order of [`ModuleType::params`].
    pub params: &'a [f32],
}

/// Something that happens to a module at an exact frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Happening {
    /// A parameter's new value (the module glides there if a jump would click).
    Param {
        /// Index into [`ModuleType::params`].
        index: usize,
        /// Already in range.
        value: f32,
    },
    /// A gate opens, or is struck again.
    GateOn {
        /// 0.0..=1.0.
        velocity: f32,
    },
    /// The gate closes.
    GateOff,
}

/// A module's state: plain bytes that can be copied to another process and go on there.
pub trait Module: bytemuck::Pod {
    /// Its panel.
    const TYPE: ModuleType;

    /// Samples of line it needs for life; 0 for most.
    fn line_samples(_setup: &Setup<'_>) -> usize {
        0
    }

    /// The state before the first frame.
    fn new(setup: &Setup<'_>) -> Self;

    /// Something happens just before the next frame. Real-time safe.
    fn happen(&mut self, happening: Happening);

    /// Renders `io.frames()` frames. Real-time safe.
    fn render(&mut self, io: &mut Io<'_>);
}

/// One input for a stretch: `channels` planes, each `stride` samples apart.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    planes: Option<&'a [f32]>,
    stride: usize,
}

impl<'a> Input<'a> {
    /// An input with no cable.
    pub const UNPATCHED: Input<'static> = Input { planes: None, stride: 0 };

    /// An input whose channel `c` starts at `planes[c * stride]`.
    pub fn patched(planes: &'a [f32], stride: usize) -> Self {
        Self { planes: Some(planes), stride }
    }
}

/// Everything a module sees of one stretch. Inputs are the ports, then the parameters (a cable into parameter
/// `p` is input `inputs.len() + p`), already summed and folded to the module's channels.
pub struct Io<'a> {
    inputs: &'a [Input<'a>],
    outputs: &'a mut [f32],
    output_stride: usize,
    channels: usize,
    start: usize,
    end: usize,
    line: Line<'a>,
}

impl<'a> Io<'a> {
    /// A stretch `start..end` of a block. Output port `p`, channel `c` starts at
    /// `outputs[(p * channels + c) * output_stride]`; a sink has two channels whatever `channels` says.
    pub fn new(
        inputs: &'a [Input<'a>],
        outputs: &'a mut [f32],
        output_stride: usize,
        channels: usize,
        (start, end): (usize, usize),
        line: Line<'a>,
    ) -> Self {
        Self { inputs, outputs, output_stride, channels, start, end, line }
    }

    /// Frames to render.
    pub fn frames(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Channels of the module: of each input and, but for a sink, of each output.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples of one channel of one input for this stretch, or `None` if nothing is patched there.
    /// Its lifetime is that of the block, so it can be held while an output is written.
    pub fn input(&self, input: usize, channel: usize) -> Option<&'a [f32]> {
        let input = self.inputs.get(input)?;
        let base = channel * input.stride;
        input.planes?.get(base + self.start..base + self.end)
    }

    /// Frames `range` of what [`Io::input`] gives. Real-time safe.
    pub fn input_part(&self, input: usize, channel: usize, range: &Range<usize>) -> Option<&'a [f32]> {
        self.input(input, channel)?.get(range.clone())
    }

    /// Frames `range` of the cable into parameter `param` of an `M`, if there is one. Real-time safe.
    pub fn param_cable<M: Module>(
        &self,
        param: usize,
        channel: usize,
        range: &Range<usize>,
    ) -> Option<&'a [f32]> {
        self.input_part(M::TYPE.inputs.len() + param, channel, range)
    }

    /// Samples of one channel of one output port for this stretch; none if there is no such channel.
    /// Real-time safe.
    pub fn output(&mut self, port: usize, channel: usize) -> &mut [f32] {
        let base = (port * self.channels + channel) * self.output_stride;
        self.outputs.get_mut(base + self.start..base + self.end).unwrap_or_default()
    }

    /// The module's delay memory.
    pub fn line(&self) -> Line<'a> {
        self.line
    }
}
