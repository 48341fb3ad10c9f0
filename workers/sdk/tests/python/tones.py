"""Modules whose every sample a test can tell."""

import numpy as np
from scipy.signal import lfilter

from backline import Input, Module, Param


class Pulse(Module):
    """A pulse every so many frames."""

    params = [Param("every", unit="frames", min=1, max=10_000, default=100)]
    state = {"count": int}

    def render(self, inputs, params, out):
        frames = out.shape[1]
        out[:] = (self.count + np.arange(frames)) % int(params.every) == 0
        self.count += frames


class Resonator(Module):
    """Two poles."""

    inputs = [Input("in")]
    params = [Param("gain", min=0, max=2, default=1)]
    state = {"zi": np.zeros(2)}

    def render(self, inputs, params, out):
        heard, self.zi = lfilter([0.1], [1, -1.8, 0.9], inputs["in"][0], zi=self.zi)
        out[0] = heard * params.gain
