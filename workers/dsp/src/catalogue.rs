//! Every module type in one table; the only place where a type is named in code.
//!
//! ```
//! use backline_dsp::catalogue;
//! use backline_dsp::line::Line;
//! use backline_dsp::module::{Input, Io, Setup};
//!
//! let (_, vco) = catalogue::find("vco").expect("there is an oscillator");
//! let params: Vec<f32> = vco.panel.params.iter().map(|param| param.default).collect();
//! let setup = Setup { rate_hz: 48_000.0, channels: 1, identity: 1, params: &params };
//! let mut state = vec![0; vco.state_words];
//! (vco.init)(&setup, &mut state);
//!
//! let unpatched = [Input::UNPATCHED; 6];
//! let mut sound = [0.0; 64];
//! (vco.render)(&mut state, &mut Io::new(&unpatched, &mut sound, 64, 1, (0, 64), Line::new(&[])));
//! assert_eq!(sound[0], 0.0, "an oscillator starts at its rising zero");
//! assert!(sound[63] > 0.5);
//! ```

use crate::module::{Happening, Io, Module, ModuleType, Setup};
use crate::{
    adsr::Adsr, delay::Delay, lfo::Lfo, mix::Mix, noise::Noise, out::Out, vca::Vca, vcf::Vcf, vco::Vco,
};

/// One row: a module type and its functions on plain words. Words (`u32`), because that is how state is kept
/// and copied in shared memory.
pub struct Entry {
    /// The panel.
    pub panel: ModuleType,
    /// Words of state.
    pub state_words: usize,
    /// Samples of line for this setup.
    pub line_samples: fn(&Setup<'_>) -> usize,
    /// Writes the state before the first frame.
    pub init: fn(&Setup<'_>, &mut [u32]),
    /// Something happens just before the next frame. Real-time safe.
    pub happen: fn(&mut [u32], Happening),
    /// Renders a stretch. Real-time safe.
    pub render: fn(&mut [u32], &mut Io<'_>),
}

/// The state behind `words`, which came from an [`Entry`] of the same type and so have its size.
fn state<M: Module>(words: &mut [u32]) -> &mut M {
    bytemuck::from_bytes_mut(&mut bytemuck::cast_slice_mut(words)[..size_of::<M>()])
}

const fn entry<M: Module>() -> Entry {
    assert!(align_of::<M>() <= align_of::<u32>() && size_of::<M>().is_multiple_of(4), "state is whole words");
    assert!(size_of::<M>() / 4 <= crate::module::MAX_STATE_WORDS, "state fits a cell");
    assert!(
        M::TYPE.params.len() <= crate::module::MAX_PARAMS && M::TYPE.inputs.len() <= crate::module::MAX_PORTS
    );
    Entry {
        panel: M::TYPE,
        state_words: size_of::<M>() / 4,
        line_samples: M::line_samples,
        init: |setup, words| *state::<M>(words) = M::new(setup),
        happen: |words, happening| state::<M>(words).happen(happening),
        render: |words, io| state::<M>(words).render(io),
    }
}

/// Every type, in the order they are listed to users. A type's place in this table is its number in shared
/// memory; engine and workers are built together, and the build id in the segment header says so.
pub static CATALOGUE: &[Entry] = &[
    entry::<Vco>(),
    entry::<Lfo>(),
    entry::<Noise>(),
    entry::<Vcf>(),
    entry::<Vca>(),
    entry::<Adsr>(),
    entry::<Mix>(),
    entry::<Delay>(),
    entry::<Out>(),
];

/// The row and number of a type.
pub fn find(name: &str) -> Option<(usize, &'static Entry)> {
    CATALOGUE.iter().enumerate().find(|(_, entry)| entry.panel.name == name)
}
