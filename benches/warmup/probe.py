"""A module for measuring: what it costs to have numpy and scipy warm in a process of one's own."""

from backline import Module, Param
import numpy as np
from scipy.signal import lfilter


class Probe(Module):
    """Low-passed sine: without an offset, so that nothing of it is left when it is freed."""

    params = [Param("freq", "its pitch", unit="Hz", min=1, max=8000, default=4000)]
    state = {"phase": 0.0, "memory": np.zeros(1)}

    def render(self, inputs, params, out):
        phase = self.phase + np.cumsum(np.full(out.shape[1], params.freq / self.rate_hz))
        self.phase = phase[-1] % 1.0
        out[0], self.memory = lfilter([0.5], [1, -0.5], np.sin(2 * np.pi * phase), zi=self.memory)
