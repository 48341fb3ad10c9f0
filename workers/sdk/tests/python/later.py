"""A module that is too slow for the deadline."""

from backline import Module


class Later(Module):
    """Counts its blocks, in an attribute of its own."""

    render_ahead = 2

    def start(self):
        self.count = 0

    def render(self, inputs, params, out):
        self.count += 1
        out[:] = self.count
