from backline import Module, Param
import numpy as np
from scipy.signal import lfilter


class LadderVoice(Module):
    """A whole voice: saw, four-pole ladder filter, envelope."""

    gated = True
    params = [
        Param("freq", "pitch", unit="Hz", min=20, max=4000, default=110, modulation="octaves"),
        Param("cutoff", "where the filter closes", unit="Hz", min=20, max=8000, default=900),
        Param("res", "resonance", min=0, max=0.95, default=0.4),
        Param("attack", "until it is loud", unit="s", min=0.001, max=2, default=0.01),
        Param("release", "until it is silent", unit="s", min=0.001, max=5, default=0.3),
    ]
    state = {"phase": 0.0, "ladder": np.zeros(4), "loudness": np.zeros(1)}

    def render(self, inputs, params, out):
        frames = out.shape[1]

        # Saw. A cable into `freq` makes it an array.
        freq = np.broadcast_to(params.swept("freq"), (1, frames))[0]
        phase = self.phase + np.cumsum(freq / self.rate_hz, dtype="float64")
        self.phase = phase[-1] % 1.0
        saw = 2.0 * (phase % 1.0) - 1.0

        # Four equal low-passes in a row, whose output goes back to the beginning, upside down.
        pole = np.exp(-2 * np.pi * min(params.cutoff, 0.15 * self.rate_hz) / self.rate_hz)
        gain = (1 - pole) ** 4
        poles = pole ** np.arange(5) * [1, -4, 6, -4, 1]
        poles[1] += 4 * params.res * gain
        filtered, self.ladder = lfilter([gain], poles, saw, zi=self.ladder)

        # The envelope is a low-pass too: of the gate.
        time_s = params.attack if self.gate else params.release
        slowness = np.exp(-1 / (time_s * self.rate_hz))
        loudness, self.loudness = lfilter(
            [1 - slowness], [1, -slowness], np.full(frames, self.velocity * self.gate), zi=self.loudness
        )
        out[0] = filtered * loudness
