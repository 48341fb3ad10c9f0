//! Computes the band-limited waves of the oscillator, harmonic by harmonic, in double precision.
//!
//! Each wave exists several times, with ever fewer harmonics (a *mip*). The oscillator reads between the
//! samples with a quadratic B-spline, which dulls a harmonic by sinc^3; each harmonic is written louder by
//! just that, so that what is read has the ideal level. Written once here, the waves are constant data that
//! all processes share and that cost nothing at start.

use std::f64::consts::PI;
use std::fmt::Write as _;
use std::path::Path;

/// Enough to fill 20 Hz up to 20 kHz.
const MOST_HARMONICS: usize = 1024;
/// Neighbouring mips differ by a quarter octave, so what is left out lies above three quarters of Nyquist.
const MIPS_PER_OCTAVE: usize = 4;
/// The rest of this many mantissa bits of the phase step chooses within an octave.
const STEP_BITS: u32 = 4;

struct Wave {
    name: &'static str,
    /// Amplitude of harmonic `k` (of its sine).
    amplitude: fn(usize) -> f64,
    /// Samples for the highest harmonic: its images fall as the cube of this, from the level it has.
    samples_per_harmonic: usize,
    shortest: usize,
    longest: usize,
}

const WAVES: [Wave; 2] = [
    Wave { name: "SAW", amplitude: saw, samples_per_harmonic: 16, shortest: 512, longest: 8192 },
    // Harmonics fall with the square here, so half the samples do.
    Wave { name: "TRI", amplitude: tri, samples_per_harmonic: 4, shortest: 512, longest: 4096 },
];

/// Rises through zero at phase 0, jumps at phase 1/2.
fn saw(harmonic: usize) -> f64 {
    let sign = if harmonic % 2 == 1 { 1.0 } else { -1.0 };
    sign * 2.0 / (PI * harmonic as f64)
}

/// Rises through zero at phase 0, peaks at phase 1/4.
fn tri(harmonic: usize) -> f64 {
    match harmonic % 4 {
        1 => 8.0 / (PI * harmonic as f64).powi(2),
        3 => -8.0 / (PI * harmonic as f64).powi(2),
        _ => 0.0,
    }
}

/// Harmonics of each mip, richest first.
fn harmonics_of_mips() -> Vec<usize> {
    let mut counts: Vec<usize> = (0..)
        .map(|mip| (MOST_HARMONICS as f64 * 2f64.powf(-(mip as f64) / MIPS_PER_OCTAVE as f64)) as usize)
        .take_while(|&count| count >= 1)
        .collect();
    counts.dedup();
    counts
}

/// All the mips of a wave that have `length` samples, from the poorest on; each adds to the one before.
fn mips_of_length(wave: &Wave, length: usize, counts: &[usize]) -> Vec<Vec<f32>> {
    let half_steps: Vec<f64> = (0..2 * length).map(|i| (PI * i as f64 / length as f64).sin()).collect();
    let mut sum = vec![0.0; length];
    let mut done = 0;
    let mut mips = Vec::new();
    for &count in counts {
        for harmonic in done + 1..=count {
            let turn = PI * harmonic as f64 / length as f64;
            let amplitude = (wave.amplitude)(harmonic) / (turn.sin() / turn).powi(3);
            for (i, sample) in sum.iter_mut().enumerate() {
                // Half a sample early, because that is where the spline's centre lies.
                *sample += amplitude * half_steps[harmonic * (2 * i + 2 * length - 1) % (2 * length)];
            }
        }
        done = count;
        mips.push(sum.iter().map(|&sample| sample as f32).collect());
    }
    mips
}

/// For each size of phase step (see `wave::mip_of`), the richest mip that stays below Nyquist.
fn mip_of_step(counts: &[usize]) -> Vec<usize> {
    (0..33 << STEP_BITS)
        .map(|bin: u32| {
            let (zeros, mantissa) = (bin >> STEP_BITS, bin & ((1 << STEP_BITS) - 1));
            let largest_step =
                (1.0 + f64::from(mantissa + 1) / f64::from(1 << STEP_BITS)) * 2f64.powi(-1 - zeros as i32);
            counts.iter().position(|&count| count as f64 * largest_step <= 0.5).unwrap_or(counts.len() - 1)
        })
        .collect()
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let counts = harmonics_of_mips();
    let mut samples: Vec<f32> = Vec::new();
    let mut source = String::new();
    for wave in &WAVES {
        let length_of = |count: usize| {
            (count * wave.samples_per_harmonic).next_power_of_two().clamp(wave.shortest, wave.longest)
        };
        let mut rows = Vec::new();
        let mut poorest_first: Vec<usize> = counts.iter().rev().copied().collect();
        while let Some(&first) = poorest_first.first() {
            let length = length_of(first);
            let group: Vec<usize> =
                poorest_first.iter().copied().take_while(|&count| length_of(count) == length).collect();
            poorest_first.drain(..group.len());
            for mip in mips_of_length(wave, length, &group) {
                rows.push(format!(
                    "    Mip {{ start: {}, length_bits: {} }},",
                    samples.len(),
                    length.ilog2()
                ));
                samples.extend(&mip);
                // Two more, so that reading between the last and the first sample needs no wrap.
                samples.extend(&mip[..2]);
            }
        }
        rows.reverse();
        writeln!(source, "static {}: [Mip; {}] = [\n{}\n];", wave.name, rows.len(), rows.join("\n"))
            .expect("a string grows");
    }
    let mip_of_step = mip_of_step(&counts);
    writeln!(source, "static MIP_OF_STEP: [u8; {}] = {mip_of_step:?};", mip_of_step.len())
        .expect("a string grows");
    writeln!(source, "const WAVE_BYTES: usize = {};", samples.len() * 4).expect("a string grows");

    let out_dir = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
    std::fs::write(Path::new(&out_dir).join("waves.bin"), bytes).expect("OUT_DIR is writable");
    std::fs::write(Path::new(&out_dir).join("waves.rs"), source).expect("OUT_DIR is writable");
}
