//! `backline picture IN.wav OUT.png`: a sound file as waveform over spectrogram.
//!
//! In:  a WAV file. Out: a PNG that a person can read: time in seconds, frequency on a logarithmic axis, level
//! as colour in decibels below full scale.
//! Thread: control, in a process of its own; the engine is not involved.

use super::args::PictureArgs;
use super::exit::Exit;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::spectrum::{Level, Overview};

const WIDTH: u32 = 1400;
const HEIGHT: u32 = 860;
const TITLE_HEIGHT: u32 = 64;
const WAVE_HEIGHT: u32 = 210;
/// Room for the labels left of a panel, and for the colour scale right of it.
const LEFT: u32 = 84;
const RIGHT: u32 = 104;
/// Room for the time axis below the spectrogram.
const BOTTOM: u32 = 48;
/// Between any label and the edge of the picture.
const EDGE: u32 = 14;

const LOWEST_HZ: f64 = 20.0;
const HIGHEST_HZ: f64 = 20_000.0;
/// The colours span what 16 bits can hold.
const DARKEST_DB: f32 = -96.0;

const PAPER: RGBColor = RGBColor(16, 17, 22);
const PANEL: RGBColor = RGBColor(0, 0, 4);
const INK: RGBColor = RGBColor(214, 216, 224);
const FAINT: RGBColor = RGBColor(120, 124, 138);
const LINE: RGBColor = RGBColor(58, 61, 74);
const WAVE: RGBColor = RGBColor(214, 104, 58);
const WAVE_RMS: RGBColor = RGBColor(250, 190, 90);

/// Colours from silence to full scale: the perceptually even scale known as "inferno".
const SCALE: [[u8; 3]; 10] = [
    [0, 0, 4],
    [27, 12, 65],
    [74, 12, 107],
    [120, 28, 109],
    [165, 44, 96],
    [207, 68, 70],
    [237, 105, 37],
    [251, 155, 6],
    [247, 209, 61],
    [252, 255, 164],
];

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The sound cannot be read.
    #[error("cannot read {} as a WAV file; record one with: backline run PATCH --record FILE.wav", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        #[source]
        cause: hound::Error,
    },
    /// The picture cannot be written.
    #[error("cannot write the picture {}: {reason}; name a file in a folder that may be written to", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type DrawResult = Result<(), Box<dyn std::error::Error>>;

/// Draws the picture that the command line asks for.
pub fn run(args: &PictureArgs) -> anyhow::Result<Exit> {
    draw(&args.input, &args.output)?;
    Ok(Exit::Success)
}

/// Draws the sound in `wav` into the file `png`.
pub fn draw(wav: &Path, png: &Path) -> Result<(), PictureError> {
    let columns = (WIDTH - LEFT - RIGHT) as usize;
    let view =
        Overview::of(wav, columns).map_err(|cause| PictureError::Read { path: wav.to_owned(), cause })?;
    register_fonts();
    let name = wav.file_name().unwrap_or_default().to_string_lossy();
    paint(&view, &name, png)
        .map_err(|error| PictureError::Write { path: png.to_owned(), reason: error.to_string() })
}

/// Text is drawn with a font we bring, so that pictures look alike on machines without any.
fn register_fonts() {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        let regular = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
        let bold = register_font("sans-serif", FontStyle::Bold, dejavu::sans::bold());
        regular.is_ok() && bold.is_ok()
    });
}

fn paint(view: &Overview, name: &str, png: &Path) -> DrawResult {
    let root = BitMapBackend::new(png, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&PAPER)?;
    let (title, panels) = root.split_vertically(TITLE_HEIGHT);
    let (waves, spectrogram) = panels.split_vertically(WAVE_HEIGHT);
    paint_title(&title, view, name)?;
    let lanes = waves.split_evenly((view.levels.len(), 1));
    for (channel, (lane, levels)) in lanes.iter().zip(&view.levels).enumerate() {
        paint_wave(lane, levels, channel_name(channel, view.levels.len()))?;
    }
    paint_spectrogram(&spectrogram, view)?;
    root.present()?;
    Ok(())
}

fn channel_name(channel: usize, channels: usize) -> String {
    match (channel, channels) {
        (_, 1) => "mono".to_owned(),
        (0, 2) => "left".to_owned(),
        (1, 2) => "right".to_owned(),
        _ => format!("ch {}", channel + 1),
    }
}

fn paint_title(area: &Area<'_>, view: &Overview, name: &str) -> DrawResult {
    let peak = match 20.0 * view.peak.log10() {
        db if db.is_finite() => format!("peak {db:+.1} dBFS"),
        _ => "silence".to_owned(),
    };
    let rate_khz = f64::from(view.rate_hz) / 1000.0;
    let facts = format!("{rate_khz} kHz   ·   {peak}   ·   {:.2} s", view.seconds());
    let large = TextStyle::from(("sans-serif", 24, FontStyle::Bold).into_font()).color(&INK);
    area.draw(&Text::new(name.to_owned(), (LEFT as i32, 18), large))?;
    let small = TextStyle::from(("sans-serif", 17).into_font()).color(&FAINT);
    let (facts_width, _) = area.estimate_text_size(&facts, &small)?;
    let right_edge = (WIDTH - RIGHT) as i32;
    area.draw(&Text::new(facts, (right_edge - facts_width as i32, 24), small))?;
    Ok(())
}

fn paint_wave(area: &Area<'_>, levels: &[Level], name: String) -> DrawResult {
    let mut chart = ChartBuilder::on(area)
        .margin_right(RIGHT)
        .margin_top(6)
        .margin_bottom(6)
        .set_label_area_size(LabelAreaPosition::Left, LEFT - EDGE)
        .margin_left(EDGE)
        .build_cartesian_2d(0.0..levels.len() as f64, -1.0_f32..1.0)?;
    chart.plotting_area().fill(&PANEL)?;
    for (column, level) in levels.iter().enumerate() {
        let x = column as f64;
        let (low, high) = (level.low.max(-1.0), level.high.min(1.0));
        let outline = [(x, low), (x, high)];
        chart.draw_series(std::iter::once(PathElement::new(outline, WAVE)))?;
        let body = [(x, (-level.rms).max(low)), (x, level.rms.min(high))];
        chart.draw_series(std::iter::once(PathElement::new(body, WAVE_RMS)))?;
    }
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_labels(3)
        .y_desc(name)
        .y_label_formatter(&|level| {
            if *level == 0.0 { "0".to_owned() } else { format!("{level:+.0}") }
        })
        .axis_style(LINE)
        .bold_line_style(LINE)
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 14).into_font().color(&FAINT))
        .axis_desc_style(("sans-serif", 15).into_font().color(&INK))
        .draw()?;
    Ok(())
}

fn paint_spectrogram(area: &Area<'_>, view: &Overview) -> DrawResult {
    const LABELLED_HZ: [f64; 10] =
        [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0];
    let frequencies = (LOWEST_HZ..HIGHEST_HZ).log_scale().with_key_points(LABELLED_HZ.to_vec());
    let mut chart = ChartBuilder::on(area)
        .margin_right(RIGHT)
        .margin_top(12)
        .set_label_area_size(LabelAreaPosition::Left, LEFT - EDGE)
        .margin_left(EDGE)
        .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
        .margin_bottom(EDGE)
        .build_cartesian_2d(0.0..view.seconds().max(1e-3), frequencies)?;
    let (x_pixels, y_pixels) = chart.plotting_area().get_pixel_range();
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(11)
        .x_desc("time in s")
        .y_desc("frequency in Hz")
        .x_label_formatter(&|seconds| time_label(*seconds, view.seconds()))
        .y_label_formatter(&|hz| frequency_label(*hz))
        .axis_style(LINE)
        .label_style(("sans-serif", 14).into_font().color(&FAINT))
        .axis_desc_style(("sans-serif", 15).into_font().color(&INK))
        .draw()?;
    let (_, top) = area.get_base_pixel();
    let y_inside = y_pixels.start - top..y_pixels.end - top;
    paint_spectra(area, view, x_pixels.clone(), y_inside.clone())?;
    paint_scale(area, x_pixels.end, y_inside)
}

/// One pixel for each column and band of frequencies.
fn paint_spectra(area: &Area<'_>, view: &Overview, x_pixels: Range<i32>, y_pixels: Range<i32>) -> DrawResult {
    let rows = y_pixels.len() as f64;
    let octaves = (HIGHEST_HZ / LOWEST_HZ).log2();
    let columns = x_pixels.len();
    for (row, y) in y_pixels.clone().enumerate() {
        let frequency = |row: f64| HIGHEST_HZ * (-octaves * row / rows).exp2();
        let (low_hz, high_hz) = (frequency(row as f64 + 1.0), frequency(row as f64));
        for (pixel, x) in x_pixels.clone().enumerate() {
            let column = pixel * view.powers.len() / columns;
            area.draw_pixel((x, y), &colour(view.level_db(column, low_hz, high_hz)))?;
        }
    }
    Ok(())
}

/// What the colours mean.
fn paint_scale(area: &Area<'_>, right_edge: i32, y_pixels: Range<i32>) -> DrawResult {
    let (left, right) = (right_edge + 18, right_edge + 34);
    let decibels_a_pixel = DARKEST_DB / y_pixels.len() as f32;
    for (row, y) in y_pixels.clone().enumerate() {
        let shade = colour(row as f32 * decibels_a_pixel);
        area.draw(&PathElement::new([(left, y), (right, y)], shade))?;
    }
    let style = TextStyle::from(("sans-serif", 14).into_font()).color(&FAINT);
    for db in [0, -12, -24, -36, -48, -60, -72, -84, -96] {
        let y = y_pixels.start + (db as f32 / decibels_a_pixel) as i32;
        area.draw(&Text::new(format!("{db}"), (right + 6, y - 6), style.clone()))?;
    }
    let unit = TextStyle::from(("sans-serif", 15).into_font()).color(&INK);
    area.draw(&Text::new("dBFS", (left - 2, y_pixels.end + 12), unit))?;
    Ok(())
}

fn colour(db: f32) -> RGBColor {
    let place = (1.0 - db / DARKEST_DB).clamp(0.0, 1.0) * (SCALE.len() - 1) as f32;
    let below = (place as usize).min(SCALE.len() - 2);
    let fraction = place - below as f32;
    let part = |channel: usize| {
        let (from, to) = (f32::from(SCALE[below][channel]), f32::from(SCALE[below + 1][channel]));
        (from + (to - from) * fraction).round() as u8
    };
    RGBColor(part(0), part(1), part(2))
}

fn frequency_label(hz: f64) -> String {
    if hz >= 1000.0 { format!("{} k", hz / 1000.0) } else { format!("{hz}") }
}

/// As many digits as tell the labels of so long a sound apart.
fn time_label(seconds: f64, length: f64) -> String {
    let digits = if length >= 8.0 { 0 } else { (-(length / 8.0).log10()).ceil() as usize };
    format!("{seconds:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::record::{WavShape, write_wav};

    #[test]
    fn a_picture_of_a_sound_is_a_png_of_the_promised_size_with_light_where_the_sound_is() {
        let folder = tempfile::tempdir().unwrap();
        let (wav, png) = (folder.path().join("a.wav"), folder.path().join("a.png"));
        let sine = |n: usize| (std::f32::consts::TAU * 632.5 * n as f32 / 48_000.0).sin();
        let samples: Vec<f32> = (0..48_000).flat_map(|n| [sine(n), 0.5 * sine(n)]).collect();
        write_wav(&wav, WavShape::new(48_000, 2), [samples]).unwrap();
        draw(&wav, &png).unwrap();
        let bytes = std::fs::read(&png).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((word(16), word(20)), (WIDTH, HEIGHT));
    }

    #[test]
    fn colours_run_from_dark_to_light_and_stay_in_the_scale() {
        let brightness = |db: f32| {
            let RGBColor(red, green, blue) = colour(db);
            u32::from(red) + u32::from(green) + u32::from(blue)
        };
        let shades: Vec<u32> = (-96..=0).map(|db| brightness(db as f32)).collect();
        assert!(shades[0] < 10 && shades[96] > 600 && shades[48] > shades[0]);
        assert_eq!(brightness(f32::NEG_INFINITY), shades[0]);
        assert_eq!(brightness(20.0), shades[96]);
    }

    #[test]
    fn a_file_that_is_no_sound_and_a_place_that_takes_no_picture_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("song.txt");
        std::fs::write(&text, "la la la").unwrap();
        let error = draw(&text, &folder.path().join("x.png")).unwrap_err();
        assert!(error.to_string().contains("song.txt"), "{error}");
        let wav = folder.path().join("a.wav");
        write_wav(&wav, WavShape::new(48_000, 1), [[0.0; 64]]).unwrap();
        let error = draw(&wav, Path::new("/nonexistent-folder/x.png")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent-folder/x.png"), "{error}");
    }

    #[test]
    fn labels_carry_as_many_digits_as_they_need() {
        assert_eq!(time_label(5.0, 20.0), "5");
        assert_eq!(time_label(0.25, 1.0), "0.2");
        assert_eq!(time_label(0.025, 0.1), "0.03");
        assert_eq!((frequency_label(50.0), frequency_label(5000.0)), ("50".to_owned(), "5 k".to_owned()));
    }
}
