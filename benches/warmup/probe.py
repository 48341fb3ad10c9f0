"""A module for measuring: what it costs to have numpy and scipy warm in a process of one's own."""

from backline import Module, Param
import numpy as np
from scipy.signal import lfilter


class Probe(Module):
    """Low-passed ramp."""

    params = [Param("freq", "how often it rises", unit="Hz", min=1, max=1000, default=100)]
    state = {"phase": 0.0, "memory": np.zeros(1)}

    def render(self, inputs, params, out):
        phase = self.phase + np.cumsum(np.full(out.shape[1], params.freq / self.rate_hz))
        self.phase = phase[-1] % 1.0
        out[0], self.memory = lfilter([0.1], [1, -0.9], phase % 1.0, zi=self.memory)
