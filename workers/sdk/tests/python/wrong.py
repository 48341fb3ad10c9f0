"""A module that does on demand what a module should not."""

import os
import subprocess
import threading
import time

from backline import Module, Param


class Wrong(Module):
    """Counts its blocks, until it does something wrong."""

    params = [
        Param(
            "what", choices=["nothing", "raises", "outside", "exits", "hangs", "child", "thread", "memory"]
        ),
    ]
    state = {"count": int, "wave": ("float32", 48)}

    def render(self, inputs, params, out):
        self.count += 1
        out[:] = self.count
        if params.what == "raises":
            self.count = 1000
            raise ValueError("as told")
        if params.what == "outside":
            self.wave[48] = 1.0
        if params.what == "exits":
            os._exit(0)
        if params.what == "hangs":
            while True:
                pass
        if params.what == "child":
            subprocess.Popen(["sleep", "600"])
        if params.what == "thread":
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        if params.what == "memory":
            bytearray(1 << 46)
