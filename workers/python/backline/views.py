"""Memory of the worker loop as numpy arrays.

The loop uses the same few addresses for the whole set, so an array is made when an address is seen first, and kept.
Nothing is copied.
"""

from __future__ import annotations

import ctypes

import numpy as np

#: More addresses than a worker loop has; a loop that has more makes its arrays anew.
MOST_KEPT = 2048
#: Longest block, most channels.
MAX_FRAMES, MAX_CHANNELS = 1024, 16
#: What an input without a cable carries.
SILENCE = np.zeros((MAX_CHANNELS, MAX_FRAMES), np.float32)
SILENCE.flags.writeable = False


class Windows(dict):
    """By address: bytes to unpack a struct from. How many are read is up to the reader."""

    BYTES = 512

    def __missing__(self, address: int) -> ctypes.Array[ctypes.c_char]:
        if len(self) >= MOST_KEPT:
            self.clear()
        window = self[address] = (ctypes.c_char * self.BYTES).from_address(address)
        return window


class Planes(dict):
    """By (address, planes, stride): samples as an array of (planes, stride), which can be written if `is_writable`."""

    def __init__(self, is_writable: bool) -> None:
        super().__init__()
        self._is_writable = is_writable

    def __missing__(self, key: tuple[int, int, int]) -> np.ndarray:
        if len(self) >= MOST_KEPT:
            self.clear()
        address, planes, stride = key
        memory = memoryview((ctypes.c_float * (planes * stride)).from_address(address)).cast("B").cast("f")
        if not self._is_writable:
            # An array over memory that is read-only cannot be made writable again.
            memory = memory.toreadonly()
        made = self[key] = np.frombuffer(memory, np.float32).reshape(planes, stride)
        return made
