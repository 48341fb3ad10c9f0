//! Band-limited waves, read from tables that hold exactly the harmonics that fit below Nyquist.
//!
//! `build.rs` writes the tables and says how. A phase is a `u32`, where 2^32 is one cycle: it wraps by itself,
//! never drifts, and is the same in every process.

/// One table: `1 << length_bits` samples of one cycle and two more.
#[derive(Clone, Copy)]
struct Mip {
    start: u32,
    length_bits: u32,
}

include!(concat!(env!("OUT_DIR"), "/waves.rs"));

/// On a cache line, so that no sample lies across two.
#[repr(C, align(64))]
struct Aligned([u8; WAVE_BYTES]);

static SAMPLES: Aligned = Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/waves.bin")));

/// 2^-32, exactly.
const CYCLES_PER_UNIT: f32 = 1.0 / 4_294_967_296.0;

/// The tables of one wave.
#[derive(Clone, Copy)]
pub struct Wave(&'static [Mip]);

impl Wave {
    /// Rises from -1.0 to 1.0, through zero at phase 0.
    pub const SAW: Self = Self(&SAW);
    /// Rises through zero at phase 0, peaks at a quarter of a cycle.
    pub const TRI: Self = Self(&TRI);

    /// The number of the richest table whose harmonics all stay below Nyquist when the phase moves by `step`
    /// a frame. Real-time safe.
    #[inline]
    pub fn mip_for(step: u32) -> u8 {
        let step = step.max(1);
        let octave = step.leading_zeros();
        let sixteenth = (step << octave) >> 27 & 15;
        MIP_OF_STEP.get((octave * 16 + sixteenth) as usize).copied().unwrap_or(0)
    }

    /// Table number `mip`; one of silence if there is none. Real-time safe.
    #[inline]
    pub fn table(self, mip: u8) -> Table {
        let Some(&Mip { start, length_bits }) = self.0.get(usize::from(mip)) else {
            return Table { samples: &[], length_bits: 1 };
        };
        let start = start as usize;
        let all: &[f32] = bytemuck::try_cast_slice(&SAMPLES.0).unwrap_or_default();
        let samples = all.get(start..start + (1 << length_bits) + 2).unwrap_or_default();
        Table { samples, length_bits }
    }
}

/// One cycle with a limited number of harmonics.
#[derive(Clone, Copy)]
pub struct Table {
    samples: &'static [f32],
    length_bits: u32,
}

impl Table {
    /// The wave at `phase`. Real-time safe.
    ///
    /// A quadratic B-spline through three samples: see Unser, "Splines: a perfect fit for signal and image
    /// processing", 1999.
    #[inline]
    pub fn at(self, phase: u32) -> f32 {
        let index = (phase >> (32 - self.length_bits)) as usize;
        let Some(&[before, here, after]) =
            self.samples.get(index..index + 3).and_then(|three| three.as_array())
        else {
            return 0.0;
        };
        let between = (phase << self.length_bits >> 1) as i32 as f32 * (2.0 * CYCLES_PER_UNIT);
        let start = 0.5 * (before + here);
        let slope = here - before;
        let curve = 0.5 * (before + after) - here;
        start + between * (slope + between * curve)
    }
}
