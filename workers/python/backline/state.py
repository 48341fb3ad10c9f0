"""Declared state: where each entry lies in the words of the arena, and what `self.NAME` means.

    state = {"phase": 0.0, "count": int, "ring": ("float32", 48000), "zi": np.zeros((1, 4))}

A number or array is the value before the first frame, a type or a dtype stands for zero, and (dtype, shape)
for zeros. `float`, `int` and `bool` are numbers of 64, 64 and 8 bits. Reading a number gives a Python
number; setting an array copies into it.

The first word says whether `start` has been through: see `render`.
"""

from __future__ import annotations

import ctypes
import keyword
from collections.abc import Mapping
from typing import Any

import numpy as np

#: Bytes before the first entry: a cache line, of which the first word says whether the module has started.
HEAD_BYTES = 64
#: Arrays begin at multiples of this.
ALIGNMENT = 64


class BadState(ValueError):
    """A declaration that cannot be laid out."""


def _initial(name: str, declared: Any) -> np.ndarray:
    """The value before the first frame."""
    try:
        if isinstance(declared, (np.ndarray, bool, int, float, complex, np.generic)):
            value = np.array(declared)
        elif isinstance(declared, tuple):
            dtype, shape = declared
            value = np.zeros(shape, dtype)
        else:
            value = np.zeros((), declared)
    except (TypeError, ValueError, MemoryError) as error:
        raise BadState(
            f"state {name!r} is declared as {declared!r}, which is neither a number, nor a type, "
            f'nor an array, nor (dtype, shape) as in ("float32", 48000): {error}'
        ) from None
    if value.dtype.kind not in "biufc":
        raise BadState(
            f"state {name!r} is of {value.dtype}, but only numbers can be kept: bool, int, float, complex"
        )
    return np.ascontiguousarray(value).reshape(value.shape)


class Cell:
    """`self.NAME` for one entry of the state."""

    __slots__ = ("name", "is_number")

    def __init__(self, name: str, is_number: bool) -> None:
        self.name = name
        self.is_number = is_number

    def __get__(self, module: Any, owner: type | None = None) -> Any:
        if module is None:
            return self
        kept = module._views[self.name]
        return kept[0] if self.is_number else kept

    def __set__(self, module: Any, value: Any) -> None:
        kept = module._views[self.name]
        if self.is_number:
            kept[0] = value
        elif kept is not value:
            kept[...] = value


class Layout:
    """Where the entries of one class lie."""

    def __init__(self, state: Mapping[str, Any], taken: frozenset[str]) -> None:
        if not isinstance(state, Mapping):
            raise BadState('state is not a dict of names and values, as in state = {"phase": 0.0}')
        self.entries: dict[str, tuple[int, np.ndarray]] = {}
        end = HEAD_BYTES
        for name, declared in state.items():
            if (
                not isinstance(name, str)
                or not name.isidentifier()
                or keyword.iskeyword(name)
                or name.startswith("_")
            ):
                raise BadState(f"state {name!r} is no name that `self.NAME` could have")
            if name in taken:
                raise BadState(
                    f"state {name!r} has the name of something that every module has; choose another"
                )
            value = _initial(name, declared)
            step = ALIGNMENT if value.ndim else 8
            offset = -(-end // step) * step
            self.entries[name] = (offset, value)
            end = offset + max(value.nbytes, 1)
        self.words = -(-end // 4)
        self.template = np.zeros(self.words * 4, np.uint8)
        for offset, value in self.entries.values():
            self.template[offset : offset + value.nbytes] = np.frombuffer(value.tobytes(), np.uint8)

    def cells(self) -> dict[str, Cell]:
        """What stands for the entries in the class."""
        return {name: Cell(name, value.ndim == 0) for name, (_, value) in self.entries.items()}

    def views(self, address: int) -> dict[str, Any]:
        """The entries of a state at `address`, as `Cell` wants them."""
        memory = (ctypes.c_uint8 * (self.words * 4)).from_address(address)
        found: dict[str, Any] = {}
        for name, (offset, value) in self.entries.items():
            view = (
                np.frombuffer(memory, value.dtype, max(value.size, 1), offset)
                if value.size
                else value.ravel()
            )
            if value.ndim:
                found[name] = view.reshape(value.shape)
            else:
                # Through a memoryview a number comes as Python's own, and in half the time.
                found[name] = view if value.dtype.kind == "c" else memoryview(view)
        return found

    def head(self, address: int) -> memoryview:
        """The first word, as a list of one."""
        return memoryview((ctypes.c_uint32 * 1).from_address(address)).cast("B").cast("I")

    def reset(self, address: int) -> None:
        """Puts the declared values there."""
        ctypes.memmove(address, self.template.ctypes.data, self.template.nbytes)
