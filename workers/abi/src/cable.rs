//! How cables meet in a port: several add, a mono cable feeds every channel, and channels beyond the
//! module's are folded back onto the first ones (channel c onto c modulo the module's channels).

/// Adds one cable to a port's planes (channel `c` starts at `planes[c * stride]`).
///
/// `plane(channel)` yields the source's samples; `gain` scales them. Calls come in the order of the patch's
/// connections, so a port's sum is the same bits wherever it is made. Real-time safe.
pub fn add_cable<Samples: Iterator<Item = f32>>(
    planes: &mut [f32],
    stride: usize,
    channels: usize,
    frames: usize,
    source_channels: usize,
    gain: f32,
    plane: impl Fn(usize) -> Samples,
) {
    let mut add = |target: usize, source: usize| {
        let target = planes.get_mut(target * stride..target * stride + frames).unwrap_or(&mut []);
        for (sum, sample) in target.iter_mut().zip(plane(source)) {
            *sum += gain * sample;
        }
    };
    if source_channels == 1 {
        (0..channels).for_each(|channel| add(channel, 0));
    } else {
        (0..source_channels).for_each(|channel| add(channel % channels.max(1), channel));
    }
}

#[cfg(test)]
mod tests {
    use super::add_cable;

    fn sum(channels: usize, source: &[[f32; 2]], gain: f32) -> Vec<f32> {
        let mut planes = vec![0.0; channels * 4];
        add_cable(&mut planes, 4, channels, 2, source.len(), gain, |c| source[c].into_iter());
        planes
    }

    #[test]
    fn a_mono_cable_feeds_every_channel() {
        assert_eq!(sum(2, &[[1.0, 2.0]], 0.5), [0.5, 1.0, 0.0, 0.0, 0.5, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn channels_beyond_the_modules_are_folded_back() {
        assert_eq!(
            sum(2, &[[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]], 1.0),
            [5.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]
        );
    }
}
