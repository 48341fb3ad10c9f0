//! How cables meet in a port: several add, a mono cable feeds every channel, and channels beyond the
//! module's are folded back onto the first ones.

/// Adds one cable to a port's planes (channel `c` at `planes[c * stride]`).
///
/// `sample(channel, frame)` is the source; `gain` scales it. The order of calls is the order of the patch's
/// connections, so a port's sum is the same bits wherever it is rendered. Real-time safe.
pub fn add_cable(
    planes: &mut [f32],
    stride: usize,
    channels: usize,
    frames: usize,
    source_channels: usize,
    gain: f32,
    sample: impl Fn(usize, usize) -> f32,
) {
    if source_channels == 1 {
        for channel in 0..channels {
            let plane = &mut planes[channel * stride..][..frames];
            for (frame, sum) in plane.iter_mut().enumerate() {
                *sum += gain * sample(0, frame);
            }
        }
        return;
    }
    for source in 0..source_channels {
        let plane = &mut planes[(source % channels) * stride..][..frames];
        for (frame, sum) in plane.iter_mut().enumerate() {
            *sum += gain * sample(source, frame);
        }
    }
}
