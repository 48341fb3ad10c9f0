//! The module types of a worker in another language, as the worker loop wants them.
//!
//! A module's state in the arena is [`words`] of our own (gate, velocity, parameters: so that another worker goes on with
//! them, too) and then the author's. A block is cut where something happens ([`play`]). Whoever keeps private memory for
//! each module is told which are still ours ([`instances`]). What takes too long is rendered [`ahead`].

pub mod ahead;
pub mod instances;
pub mod play;
pub mod rehearse;
pub mod words;

use crate::c_api::functions::{Functions, Module};
use crate::c_api::reading::Offer;
use crate::c_api::voice;
use crate::rack::{Job, Outcome, Rack};
use ahead::room::Sizes;
use ahead::{Ahead, Terms};
use backline_abi::block::Event;
use backline_abi::panel::{self, Panel};
use backline_abi::plan::ModuleRecord;
use instances::Instances;
use play::Block;
use words::OwnWords;

/// The types of a checked rack.
pub struct Foreign {
    panels: Vec<Panel>,
    /// For each type how many blocks ahead it is rendered.
    ahead_blocks: Vec<usize>,
    ahead: Option<Ahead>,
    functions: Functions,
    rate_hz: f32,
    block_frames: usize,
    instances: Instances,
    /// Why it cannot play after all.
    refusal: Option<String>,
}

impl Foreign {
    /// Those of `offer`.
    pub fn new(offer: Offer) -> Self {
        Self {
            panels: offer.panels,
            ahead_blocks: offer.ahead_blocks.iter().map(|blocks| *blocks as usize).collect(),
            ahead: None,
            functions: offer.functions,
            rate_hz: 0.0,
            block_frames: 0,
            instances: Instances::with_room(),
            refusal: None,
        }
    }

    fn ahead_blocks(&self, record: &ModuleRecord) -> usize {
        self.ahead_blocks.get(record.type_index as usize).copied().unwrap_or(0)
    }

    /// The largest that any type needs that is rendered ahead, if there are such types.
    fn ahead_sizes(&self) -> Option<Sizes> {
        let ahead = self.panels.iter().zip(&self.ahead_blocks).filter(|(_, blocks)| **blocks > 0);
        let sizes = ahead.map(|(panel, blocks)| {
            let channels = panel.most_channels as usize;
            Sizes {
                input_planes: (panel.inputs.len() + panel.params.len()) * channels,
                output_planes: panel.outputs.len() * channels,
                state_words: panel.state_words as usize,
                ahead_blocks: *blocks,
            }
        });
        sizes.reduce(Sizes::or)
    }

    fn params(&self, record: &ModuleRecord) -> Option<usize> {
        self.panels.get(record.type_index as usize).map(|panel| panel.params.len())
    }
}

impl Rack for Foreign {
    fn types(&self) -> usize {
        self.panels.len()
    }

    fn panels(&self) -> Vec<Panel> {
        self.panels.clone()
    }

    fn most_state_words(&self) -> usize {
        self.panels.iter().map(|panel| panel.state_words as usize).max().unwrap_or(0)
    }

    fn fingerprint(&self) -> u64 {
        panel::fingerprint(&self.panels)
    }

    fn warm(&mut self, type_index: usize, rate_hz: f32, block_frames: usize) -> f32 {
        (self.rate_hz, self.block_frames) = (rate_hz, block_frames);
        let Some(panel) = self.panels.get(type_index) else { return 0.0 };
        if self.refusal.is_some() {
            return 0.0;
        }
        if let Err(reason) = rehearse::make_ready(&self.functions, panel, type_index, rate_hz, block_frames) {
            self.refusal = Some(reason);
            return 0.0;
        }
        rehearse::price_ns(&self.functions, panel, type_index, rate_hz, block_frames)
    }

    fn ready(&mut self, priority: Option<u32>) -> Result<(), String> {
        if let Some(reason) = self.refusal.take() {
            return Err(reason);
        }
        let Some(sizes) = self.ahead_sizes() else { return Ok(()) };
        let Self { functions, rate_hz, block_frames, .. } = *self;
        let second = Ahead::start(Terms { functions, rate_hz, block_frames, priority }, sizes)
            .map_err(|cause| format!("there is no thread to render ahead: {cause}"))?;
        self.ahead = Some(second);
        Ok(())
    }

    fn fits(&self, record: &ModuleRecord, _rate_hz: f32) -> bool {
        let Some(panel) = self.panels.get(record.type_index as usize) else { return false };
        (1..=panel.most_channels).contains(&record.channels)
            && record.state_words == panel.state_words
            && record.output_planes == panel.outputs.len() as u32 * record.channels
            && record.line_words == 0
    }

    fn init(&mut self, record: &ModuleRecord, rate_hz: f32, state: &mut [u32]) {
        let Some(params) = self.params(record) else { return };
        self.instances.begin(record.instance);
        let (mut own, authors) = OwnWords::split(state, params);
        own.begin(&record.params);
        authors.fill(0);
        if self.ahead_blocks(record) > 0 {
            // The second thread begins it, with the first block.
            own.mark_unbegun();
            self.ahead.iter_mut().for_each(|ahead| ahead.begin(record.instance));
            return;
        }
        let block_frames = self.block_frames;
        self.functions.init(Module { record, rate_hz, block_frames, params: own.params() }, authors);
    }

    fn render(&mut self, mut job: Job<'_>) -> Outcome {
        let Some(params) = self.params(job.record) else { return Outcome::Rendered };
        self.instances.render(job.record.instance);
        if let (ahead_blocks @ 1.., Some(ahead)) = (self.ahead_blocks(job.record), &mut self.ahead) {
            return ahead.render(&mut job, params, ahead_blocks);
        }
        voice::clear();
        let code = play::play(
            &self.functions,
            Block {
                record: job.record,
                rate_hz: self.rate_hz,
                block_frames: self.block_frames,
                params,
                state: job.state,
                inputs: job.inputs,
                outputs: job.outputs,
                stride: job.stride,
                frames: job.frames,
                events: job.events,
                first_frame: job.first_frame,
            },
        );
        if code == 0 {
            return Outcome::Rendered;
        }
        voice::tell(job.complaint, "render", code);
        Outcome::Failed
    }

    fn hear(&mut self, record: &ModuleRecord, events: &[Event], state: &mut [u32]) {
        let Some(params) = self.params(record) else { return };
        if let (1.., Some(ahead)) = (self.ahead_blocks(record), &self.ahead) {
            return ahead.note(record.instance, state, events, params);
        }
        let (mut own, _) = OwnWords::split(state, params);
        events.iter().for_each(|event| own.happen(event));
    }

    fn rest(&mut self, plays: &dyn Fn(u32) -> bool) {
        let ours = self.instances.rest(plays);
        self.ahead.iter_mut().for_each(|ahead| ahead.keep(ours));
        self.functions.rest(ours);
    }
}
