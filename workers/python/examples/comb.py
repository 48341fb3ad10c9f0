from backline import Input, Module, Output, Param
import numpy as np


class Comb(Module):
    """Comb filter: rings at one pitch and all its overtones."""

    inputs = [Input("in", "audio")]
    outputs = [Output("out", "audio")]
    params = [
        Param("freq", "the pitch it rings at", unit="Hz", min=20, max=2000, default=110),
        Param("ring", "how much comes back each time round", min=0, max=0.99, default=0.9),
    ]
    state = {"line": ("float32", 16384), "at": int}

    def render(self, inputs, params, out):
        sound = inputs["in"][0]
        delay = round(self.rate_hz / params.freq)
        size = len(self.line)

        # What comes back must have been written before: at most one delay at a time.
        for first in range(0, len(sound), delay):
            piece = sound[first : first + delay]
            now = (self.at + np.arange(len(piece))) % size
            ringing = piece + params.ring * self.line[(now - delay) % size]
            self.line[now] = ringing
            out[0, first : first + delay] = ringing
            self.at = (self.at + len(piece)) % size
