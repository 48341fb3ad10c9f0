from backline import Input, Module, Output, Param
import numpy as np

GRAINS = 4
WINDOW = 1024


class Granulator(Module):
    """Granulator: four grains at a time, out of the last second of what came in."""

    inputs = [Input("in", "audio")]
    outputs = [Output("out", "audio")]
    params = [
        Param("grain", "length of a grain", unit="s", min=0.001, max=0.5, default=0.05),
        Param("reach", "how far back grains may lie", unit="s", min=0.0, max=0.4, default=0.2),
    ]
    state = {
        "ring": ("float32", 48000),
        "at": int,
        "starts": ("int64", GRAINS),
        "ages": ("int64", GRAINS),
        "seed": int,
    }

    def prepare(self):
        # The same in every worker, so it is no state.
        self.window = np.hanning(WINDOW).astype("float32")

    def start(self):
        # `identity` is this module's own number: the same patch always plays the same grains.
        self.seed = self.identity + 1
        self.ages = -np.arange(GRAINS) * 600

    def random(self):
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**63
        return self.seed / 2**63

    def render(self, inputs, params, out):
        sound = inputs["in"][0]
        frames, size = len(sound), len(self.ring)
        length = min(round(params.grain * self.rate_hz), size // 2)
        self.ring[(self.at + np.arange(frames)) % size] = sound

        for grain in range(GRAINS):
            first = 0
            while first < frames:
                age = int(self.ages[grain])
                if age >= length:
                    age = 0
                if age == 0:
                    back = round(params.reach * self.rate_hz * self.random())
                    self.starts[grain] = self.at + first - back
                # A grain that has not begun yet is silent.
                count = min(frames - first, -age if age < 0 else length - age)
                if age >= 0:
                    ages = age + np.arange(count)
                    loudness = self.window[ages * WINDOW // length]
                    out[0, first : first + count] += loudness * self.ring[(self.starts[grain] + ages) % size]
                self.ages[grain] = age + count
                first += count

        self.at = (self.at + frames) % size
        out /= GRAINS / 2
