//! Choosing a format, and converting to it bit by bit.

use super::*;

type PlainPlayer = Player<fn(&mut [f32], CallbackTiming), fn()>;

fn offer(channels: u16, rates: (u32, u32), format: SampleFormat) -> SupportedStreamConfigRange {
    let buffer_size = SupportedBufferSize::Range { min: 64, max: 1024 };
    SupportedStreamConfigRange::new(channels, rates.0, rates.1, buffer_size, format)
}

fn chosen(offers: &[SupportedStreamConfigRange], block_frames: u32) -> Choice {
    choose("card", offers.iter().copied(), 48_000, block_frames).unwrap()
}

/// A player for a device of so many channels that plays left 0.5, right -0.25.
fn player(channels: u16) -> PlainPlayer {
    let config = StreamConfig { channels, sample_rate: 48_000, buffer_size: BufferSize::Default };
    let render: fn(&mut [f32], CallbackTiming) = |stereo, _| {
        for pair in stereo.chunks_exact_mut(2) {
            pair.copy_from_slice(&[0.5, -0.25]);
        }
    };
    let (give_back, _) = crossbeam_channel::bounded(1);
    let on_first_callback: fn() = || {};
    Player::new(render, on_first_callback, give_back, &Choice { config, format: SampleFormat::I16 })
}

#[test]
fn stereo_comes_before_a_finer_format_and_a_finer_format_before_a_coarse_one() {
    let all = (8_000, 96_000);
    let offers = [
        offer(8, all, SampleFormat::F32),
        offer(2, all, SampleFormat::I16),
        offer(2, all, SampleFormat::I32),
        offer(1, all, SampleFormat::F32),
    ];
    let choice = chosen(&offers, 128);
    assert_eq!((choice.config.channels, choice.format), (2, SampleFormat::I32));
    assert_eq!(chosen(&offers[3..], 128).config.channels, 1);
    assert_eq!(chosen(&[offers[3], offers[0]], 128).config.channels, 8);
}

#[test]
fn the_period_asked_for_is_fixed_where_the_device_allows_it() {
    let offers = [offer(2, (48_000, 48_000), SampleFormat::F32)];
    assert_eq!(chosen(&offers, 128).config.buffer_size, BufferSize::Fixed(128));
    assert_eq!(chosen(&offers, 16).config.buffer_size, BufferSize::Default);
}

#[test]
fn a_rate_the_device_does_not_play_is_answered_with_one_it_does() {
    let offers =
        [offer(2, (44_100, 44_100), SampleFormat::F32), offer(2, (96_000, 96_000), SampleFormat::I16)];
    let error = choose("card", offers.into_iter(), 48_000, 128).unwrap_err();
    assert!(error.to_string().contains("--rate 44100"), "{error}");
    assert!(!error.is_absent());
}

#[test]
fn a_device_of_unknown_formats_is_refused_by_name() {
    let offers = [offer(2, (48_000, 48_000), SampleFormat::DsdU8)];
    let error = choose("dsd box", offers.into_iter(), 48_000, 128).unwrap_err();
    assert!(error.to_string().contains("'dsd box'"), "{error}");
}

#[test]
fn every_format_gets_the_same_levels() {
    let mut words = [0_i16; 8];
    player(2).fill(&mut words, Duration::ZERO);
    assert_eq!(words, [16_384, -8_192, 16_384, -8_192, 16_384, -8_192, 16_384, -8_192]);
    let mut long_words = [0_i32; 2];
    player(2).fill(&mut long_words, Duration::ZERO);
    assert_eq!(long_words, [1 << 30, -(1 << 29)]);
    let mut packed = [cpal::I24::new(0).unwrap(); 2];
    player(2).fill(&mut packed, Duration::ZERO);
    assert_eq!(packed.map(|sample| sample.inner()), [1 << 22, -(1 << 21)]);
    let mut bytes = [0_u8; 2];
    player(2).fill(&mut bytes, Duration::ZERO);
    assert_eq!(bytes, [192, 96]);
    let mut doubles = [0.0_f64; 2];
    player(2).fill(&mut doubles, Duration::ZERO);
    assert_eq!(doubles, [0.5, -0.25]);
}

#[test]
fn spare_channels_are_silent_and_mono_is_the_mean() {
    let mut six = [9_i16; 6];
    player(6).fill(&mut six, Duration::ZERO);
    assert_eq!(six, [16_384, -8_192, 0, 0, 0, 0]);
    let mut mono = [0.0_f32; 3];
    player(1).fill(&mut mono, Duration::ZERO);
    assert_eq!(mono, [0.125; 3]);
}

#[test]
fn full_scale_and_beyond_saturate_and_never_wrap() {
    for loud in [1.0, 1.5, f32::INFINITY] {
        let mut words = [0_i16; 2];
        convert(&[loud, -loud], &mut words, 2);
        assert_eq!(words, [i16::MAX, i16::MIN]);
        let mut packed = [cpal::I24::new(0).unwrap(); 2];
        convert(&[loud, -loud], &mut packed, 2);
        assert_eq!(packed.map(|sample| sample.inner()), [(1 << 23) - 1, -(1 << 23)]);
        let mut long_words = [0_i32; 2];
        convert(&[loud, -loud], &mut long_words, 2);
        assert!(long_words[0] > i32::MAX - 256 && long_words[1] == i32::MIN, "{long_words:?}");
    }
}

#[test]
fn a_callback_of_any_size_is_filled_to_the_last_frame_without_allocating() {
    let mut player = player(3);
    for frames in [1, 7, SCRATCH_FRAMES, SCRATCH_FRAMES + 1, 5 * SCRATCH_FRAMES + 13] {
        let mut device = vec![0_i16; 3 * frames];
        assert_no_alloc::assert_no_alloc(|| player.fill(&mut device, Duration::ZERO));
        assert!(device.chunks_exact(3).all(|frame| frame == [16_384, -8_192, 0]), "{frames} frames");
    }
}

#[test]
fn a_dropped_player_gives_its_render_function_back() {
    let config = StreamConfig { channels: 2, sample_rate: 48_000, buffer_size: BufferSize::Default };
    let choice = Choice { config, format: SampleFormat::F32 };
    let (give_back, returned) = crossbeam_channel::bounded(1);
    let render = |stereo: &mut [f32], _: CallbackTiming| stereo.fill(0.5);
    drop(Player::new(render, || {}, give_back, &choice));
    let render = returned.try_recv().expect("it came back");
    let mut frame = [0.0; 2];
    render(&mut frame, CallbackTiming { until_heard: Duration::ZERO });
    assert_eq!(frame, [0.5; 2]);
}
