//! One module of a rack, played without a process: what the worker loop does around a render, and nothing else.

use super::BLOCK_FRAMES;
use assert_no_alloc::assert_no_alloc;
use backline_abi::block::Event;
use backline_abi::commit::{FIRST, next_block};
use backline_abi::complaint::Complaint;
use backline_abi::plan::{MAX_CHANNELS, ModuleRecord};
use backline_sdk::aligned::AlignedWords;
use backline_sdk::rack::{Input, Job, Outcome, Rack};
use backline_sdk::source::MAX_INPUTS;

/// Sample rate.
pub const RATE_HZ: f32 = 48_000.0;

/// One module.
pub struct Played {
    /// What it is.
    pub record: ModuleRecord,
    /// Its state.
    pub state: AlignedWords,
    before: Vec<u32>,
    outputs: Vec<f32>,
    complaint: Complaint,
    /// The block that is played next.
    pub block: u32,
    frame: u64,
    /// Whether there is no deadline.
    pub is_free_running: bool,
}

impl Played {
    /// A module that begins in `rack`.
    pub fn begun(rack: &mut impl Rack, record: ModuleRecord) -> Self {
        let mut played = Self::brought(record, &vec![0xdead; record.state_words as usize], FIRST);
        assert_no_alloc(|| rack.init(&played.record, RATE_HZ, &mut played.state));
        played
    }

    /// A module that comes with its state from somewhere else, to be played from `block` on.
    pub fn brought(record: ModuleRecord, words: &[u32], block: u32) -> Self {
        let mut state = AlignedWords::filled(0, words.len());
        state.copy_from_slice(words);
        Self {
            record,
            state,
            before: words.to_vec(),
            outputs: vec![7.0; MAX_CHANNELS * BLOCK_FRAMES],
            complaint: Complaint::default(),
            block,
            frame: 0,
            is_free_running: false,
        }
    }

    /// Plays a block with these inputs, each as long as the block: what is heard, plane after plane, or why nothing is.
    /// Allocates nothing before that.
    pub fn play(
        &mut self,
        rack: &mut impl Rack,
        frames: usize,
        events: &[Event],
        heard: &[Option<&[f32]>],
    ) -> Result<&[f32], &str> {
        self.before.copy_from_slice(&self.state);
        let mut inputs = [Input { planes: None, stride: BLOCK_FRAMES }; MAX_INPUTS];
        inputs.iter_mut().zip(heard).for_each(|(input, heard)| input.planes = *heard);
        let outputs = &mut self.outputs[..self.record.output_planes as usize * BLOCK_FRAMES];
        let outcome = rack.render(Job {
            record: &self.record,
            state: &mut self.state,
            inputs: &inputs,
            outputs,
            stride: BLOCK_FRAMES,
            frames,
            events,
            line: &[],
            stamps: &[],
            block: self.block,
            first_frame: self.frame,
            is_free_running: self.is_free_running,
            complaint: &mut self.complaint,
        });
        self.block = next_block(self.block);
        self.frame += frames as u64;
        if outcome == Outcome::Rendered {
            return Ok(outputs);
        }
        self.state.copy_from_slice(&self.before);
        rack.hear(&self.record, events, &mut self.state);
        // What is concealed without a word has none.
        Err(if outcome == Outcome::Failed { self.complaint.text() } else { "" })
    }

    /// Something happens to it.
    pub fn event(&self, offset_frames: usize, kind: u32, value: f32) -> Event {
        Event { instance: self.record.instance, offset_frames: offset_frames as u32, kind, value }
    }
}
