//! A render: the same engine and worker processes, free-running. Edits fall on their exact frame, because the
//! block in progress is cut there; so a patch with a score sounds the same at every block size.

use super::Conductor;
use super::apply::Moment;
use super::chaos::Chaos;
use crate::command::{Command, Reply, Request};
use crate::cycle::Cycle;
use backline_abi::wake::now_ns;

/// A block that is not rendered after this long never will be.
const BLOCK_LIMIT_NS: u64 = 20_000_000_000;
/// How long a block may take before somebody looks whether a worker died.
const PATIENCE_NS: u64 = 2_000_000;
/// A worker that has not rendered a block after this long hangs.
const HOPE_NS: u64 = 1_000_000_000;
/// Blocks between two looks after the pool when all goes well.
const BLOCKS_BETWEEN_LOOKS: u64 = 64;

/// Why a render ended early.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A line of the score was refused.
    #[error("at {seconds:.3} s: {reason}")]
    Score {
        /// When.
        seconds: f64,
        /// What `/fail` said.
        reason: String,
    },
    /// A block did not come.
    #[error("the workers did not render the block at {seconds:.3} s within 20 s; see the log above")]
    Stuck {
        /// When.
        seconds: f64,
    },
}

/// A command and the frame it falls on.
pub struct Cue {
    /// Frames from the start.
    pub frame: u64,
    /// The command.
    pub request: Request,
}

/// Cues still to come, in order.
pub struct Cues {
    cues: std::iter::Peekable<std::vec::IntoIter<Cue>>,
}

impl IntoIterator for Cues {
    type Item = Cue;
    type IntoIter = std::iter::Peekable<std::vec::IntoIter<Cue>>;

    fn into_iter(self) -> Self::IntoIter {
        self.cues
    }
}

impl Cues {
    /// `cues` sorted by time, those of one frame in their order.
    pub fn new(mut cues: Vec<Cue>) -> Self {
        cues.sort_by_key(|cue| cue.frame);
        Self { cues: cues.into_iter().peekable() }
    }

    /// Performs what is due in a block that begins at `frame` and would end at `end`; returns where it has to
    /// end instead, because an edit of the patch falls there.
    pub fn perform(
        &mut self,
        frame: u64,
        end: u64,
        mut perform: impl FnMut(&Cue) -> Vec<Reply>,
    ) -> Result<u64, Reply> {
        while let Some(cue) = self.cues.next_if(|cue| cue.frame < end) {
            if cue.frame > frame && !is_event(&cue.request.command) {
                let cut = cue.frame;
                let rest: Vec<Cue> = std::iter::once(cue).chain(self.cues.by_ref()).collect();
                self.cues = rest.into_iter().peekable();
                return Ok(cut);
            }
            if let Some(failure) = perform(&cue).into_iter().find(Reply::is_failure) {
                return Err(failure);
            }
        }
        Ok(end)
    }
}

/// Gates and parameters have an exact frame inside a block; everything else begins one.
fn is_event(command: &Command) -> bool {
    matches!(command, Command::Gate { .. } | Command::Set { .. })
}

/// A `/fail` in a score, in words.
pub fn refusal(reply: &Reply, frame: u64, rate_hz: u32) -> RenderError {
    let words = reply.args.iter().map(|arg| match arg {
        crate::command::Arg::Text(text) => text.clone(),
        other => format!("{other:?}"),
    });
    RenderError::Score {
        seconds: frame as f64 / f64::from(rate_hz),
        reason: words.collect::<Vec<_>>().join(": "),
    }
}

/// Renders `total_frames`, performing `cues`, and harming workers if `chaos` says so; each block's interleaved stereo
/// goes to `listen`. The last 20 ms fade out.
pub fn render(
    conductor: &mut Conductor,
    cycle: &mut Cycle,
    mut cues: Cues,
    total_frames: u64,
    mut chaos: Option<&mut Chaos>,
    mut listen: impl FnMut(&[f32]),
) -> Result<(), RenderError> {
    let block_frames = u64::from(conductor.settings().block_frames);
    let rate_hz = conductor.settings().rate_hz;
    let fade_frames = cycle.guard().fade_frames();
    cycle.guard().fade_out_in(total_frames.saturating_sub(fade_frames));
    let mut out = vec![0.0; block_frames as usize * 2];
    let mut blocks = 0_u64;
    while cycle.frame() < total_frames {
        let frame = cycle.frame();
        let end = (frame + block_frames).min(total_frames);
        let end = cues
            .perform(frame, end, |cue| {
                conductor.apply(&cue.request, Moment { frame: cue.frame, arrived_ns: now_ns() })
            })
            .map_err(|reply| refusal(&reply, frame, rate_hz))?;
        let frames = (end - frame) as usize;
        if let Some(chaos) = &mut chaos {
            chaos.strike(conductor);
        }
        cycle.begin(frames, now_ns(), u64::MAX);
        let began_ns = now_ns();
        while !cycle.wait_for_all(now_ns() + PATIENCE_NS) {
            conductor.tend_pool();
            cycle.complain(now_ns() >= began_ns + HOPE_NS);
            if now_ns() >= began_ns + BLOCK_LIMIT_NS {
                return Err(RenderError::Stuck { seconds: frame as f64 / f64::from(rate_hz) });
            }
        }
        cycle.finish(&mut out[..frames * 2]);
        listen(&out[..frames * 2]);
        blocks += 1;
        if blocks.is_multiple_of(BLOCKS_BETWEEN_LOOKS) {
            conductor.tend_pool();
        }
    }
    Ok(())
}
