//! Modules that are not exact, each in its own way: what the conformance test must find.

use backline_dsp::catalogue::{Entry, find};
use backline_dsp::module::{Io, ModuleType, Setup};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Samples in their lines.
const LINE: usize = 64;

type Render = fn(&mut [u32], &mut Io<'_>);

/// A module with the panel of `vca` and one word of state, the frames it has played.
fn module(render: Render) -> Entry {
    let (_, vca) = find("vca").expect("the type exists");
    let panel = ModuleType { name: "careless", ..copied(&vca.panel) };
    let line_samples = |_: &Setup<'_>| LINE;
    Entry { panel, state_words: 1, line_samples, init: |_, words| words.fill(0), happen: |_, _| {}, render }
}

fn copied(panel: &ModuleType) -> ModuleType {
    ModuleType {
        name: panel.name,
        summary: panel.summary,
        inputs: panel.inputs,
        outputs: panel.outputs,
        params: panel.params,
        is_gated: panel.is_gated,
        is_sink: panel.is_sink,
    }
}

/// Calls `sample(place in the line, frame)` for every frame.
fn each_frame(words: &mut [u32], io: &mut Io<'_>, sample: impl Fn(usize, f32) -> f32) {
    for frame in 0..io.frames() {
        let heard = io.input(0, 0).map_or(0.0, |input| input[frame]);
        let place = words[0] as usize % LINE;
        io.output(0, 0)[frame] = sample(place, heard);
        words[0] = words[0].wrapping_add(1);
    }
}

/// Changes its line in place.
fn in_place(words: &mut [u32], io: &mut Io<'_>) {
    let line = io.line();
    each_frame(words, io, |place, heard| {
        line.write(place, 0.5 * line.read(place) + heard);
        line.read(place)
    });
}

/// Has a ring that is no longer than its delay: a block reads what the same block writes over.
fn too_short(words: &mut [u32], io: &mut Io<'_>) {
    let line = io.line();
    each_frame(words, io, |place, heard| {
        let echo = line.read(place);
        line.write(place, heard);
        echo
    });
}

/// Remembers something that is not in its state.
fn elsewhere(words: &mut [u32], io: &mut Io<'_>) {
    static PLAYED: AtomicU32 = AtomicU32::new(0);
    each_frame(words, io, |_, heard| heard + PLAYED.fetch_add(1, Relaxed) as f32);
}

/// Leaves the last sample of its output as it was.
fn unfinished(words: &mut [u32], io: &mut Io<'_>) {
    let last = io.frames().saturating_sub(1);
    let before = io.output(0, 0)[last];
    each_frame(words, io, |_, heard| heard);
    io.output(0, 0)[last] = before;
}

/// All of them, with what is wrong with each.
pub fn careless() -> [(&'static str, Entry); 4] {
    [
        ("changes its line in place", module(in_place)),
        ("has a ring no longer than its delay", module(too_short)),
        ("remembers something outside its state", module(elsewhere)),
        ("leaves an output sample as it was", module(unfinished)),
    ]
}
