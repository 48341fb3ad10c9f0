"""A worker: all types, their callbacks, and the loop of the SDK that calls them.

In: the environment (`library`, `binding`). `Worker.run` is the life of the process.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

from . import binding, library, panels
from .lines import Lines
from .render import Renderer

PROCESS = "backline-python"
#: If an author has started threads: how long one of them may keep the render loop from its interpreter.
SWITCH_S = 0.000_02


class Worker:
    """Everything that is needed to run, loaded."""

    def __init__(self, tell: Callable[[str], None] = lambda words: None) -> None:
        self.sdk = binding.load()
        self.library = library.load(tell)
        self.types = panels.c_types(self.library.types)
        self.renderer = Renderer(self.library.types, self.sdk.backline_complain)
        self.rack = binding.BacklineRack(
            binding.ABI_VERSION,
            ctypes.sizeof(binding.BacklineRack),
            ctypes.sizeof(binding.BacklineModuleType),
            ctypes.sizeof(binding.BacklineParam),
            ctypes.sizeof(binding.BacklineJob),
            PROCESS.encode(),
            self.types,
            len(self.types),
            None,
            binding.InitCall(self.renderer.init),
            binding.RenderCall(self.renderer.render),
            binding.WarmCall(self.renderer.warm),
            binding.RestCall(self.renderer.rest),
        )

    def describe(self, to: Lines) -> bool:
        """Says what there is and what there is not. False if the SDK does not take it; the reason is on
        standard error."""
        for fault in self.library.faults:
            to.fault(fault.name, fault.reason)
        return self.sdk.backline_describe(ctypes.byref(self.rack), to.descriptor) == 0

    def settle(self) -> None:
        """What is there now is never looked through for garbage again, and from now on nothing is of its
        own accord."""
        sys.setswitchinterval(SWITCH_S)
        gc.collect()
        gc.disable()
        gc.freeze()

    def run(self, words: list[str]) -> int:
        """A worker's whole life; the exit code."""
        return self.sdk.backline_worker_run(len(words), binding.words(words), ctypes.byref(self.rack))
