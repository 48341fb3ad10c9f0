"""Memory of the worker loop as numpy arrays.

The loop uses the same few addresses for the whole set, so an array is made when an address is seen first,
and kept. Nothing is copied.
"""

from __future__ import annotations

import ctypes

import numpy as np

#: More addresses than a worker loop has; a loop that has more makes its arrays anew.
MOST_KEPT = 2048
#: Longest block, most channels.
MAX_FRAMES, MAX_CHANNELS = 1024, 16


class Windows(dict):
    """By address: bytes to unpack a struct from. How many are read is up to the reader."""

    BYTES = 512

    def __missing__(self, address: int) -> ctypes.Array[ctypes.c_char]:
        if len(self) >= MOST_KEPT:
            self.clear()
        window = self[address] = (ctypes.c_char * self.BYTES).from_address(address)
        return window


class Silence(dict):
    """By (channels, frames): what an input without a cable carries."""

    def __init__(self) -> None:
        super().__init__()
        # Of bytes, so that nobody can make it writable.
        self._whole = np.frombuffer(bytes(4 * MAX_CHANNELS * MAX_FRAMES), np.float32).reshape(
            MAX_CHANNELS, MAX_FRAMES
        )

    def __missing__(self, key: tuple[int, int]) -> np.ndarray:
        channels, frames = key
        made = self[key] = self._whole[:channels, :frames]
        return made


class Planes(dict):
    """By (address, planes, stride): samples as an array of (planes, stride), which can be written if
    `is_writable`."""

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
