"""What `render` is given beside `out`: inputs and parameters, by name.

`inputs["in"]` is an array of (channels, frames) that cannot be written; all zeros where no cable is.
`params.cutoff` is the value now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .module import Param


class Inputs:
    """Inputs of one call: `inputs["in"]`, `inputs[0]`, `inputs.side`."""

    __slots__ = ("_index", "_views", "_pointers")

    def __init__(self, names: list[str]) -> None:
        #: By name, and by number as in a list.
        self._index: dict[Any, int] = {name: index for index, name in enumerate(names)}
        self._index.update({index: index % len(names) for index in range(-len(names), len(names))})
        self._views: Any = ()
        self._pointers: tuple[int, ...] = ()

    def __getitem__(self, key: str | int) -> np.ndarray:
        try:
            return self._views[self._index[key]]
        except KeyError:
            raise KeyError(f"there is no input {key!r}; there are {self._names()}") from None

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self._views[self._index[name]]
        except KeyError:
            raise AttributeError(f"there is no input {name!r}; there are {self._names()}") from None

    def __len__(self) -> int:
        return len(self._views)

    def is_patched(self, key: str | int) -> bool:
        """Whether there is a cable."""
        if key not in self._index:
            raise KeyError(f"there is no input {key!r}; there are {self._names()}")
        return self._pointers[self._index[key]] != 0

    def _names(self) -> str:
        return ", ".join(repr(name) for name in self._index if isinstance(name, str)) or "none"


class Params:
    """Parameters of one call: `params.cutoff`; a switch gives its word. Made by `params_of`."""

    __slots__ = ("_params", "_index", "_values", "_cables")

    def __init__(self, params: list[Param]) -> None:
        self._params = params
        self._index = {param.name: index for index, param in enumerate(params)}
        self._values: tuple[float, ...] = ()
        #: Gives the cable into a parameter by its index, or None.
        self._cables: Any = None

    def _of(self, name: str) -> int:
        try:
            return self._index[name]
        except KeyError:
            raise KeyError(self._unknown(name)) from None

    def _unknown(self, name: str) -> str:
        return f"there is no parameter {name!r}; there are {', '.join(map(repr, self._index)) or 'none'}"

    def __getitem__(self, name: str) -> Any:
        return _value(self, self._of(name), self._params[self._of(name)].choices)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(self._unknown(name))

    def cv(self, name: str) -> np.ndarray | None:
        """What the cables into a parameter bring, (channels, frames); None without a cable."""
        return self._cables(self._of(name))

    def swept(self, name: str) -> np.ndarray | float:
        """The value as a cable sweeps it, (channels, frames); the plain value without a cable."""
        index = self._of(name)
        value, cv = self._values[index], self._cables(index)
        if cv is None:
            return value
        param = self._params[index]
        if param.modulation == "octaves":
            moved = value * np.exp2(cv)
        else:
            moved = value + cv * np.float32(param.max - param.min)
        return np.clip(moved, param.min, param.max)


def _value(params: Params, index: int, choices: Sequence[str]) -> Any:
    value = params._values[index]
    return choices[min(int(value + 0.5), len(choices) - 1)] if choices else value


def params_of(params: list[Param]) -> Params:
    """Parameters of one type: each is a property, which is found in a third of the time."""

    def knob(index: int, choices: Sequence[str]) -> property:
        if choices:
            return property(lambda self: _value(self, index, choices))
        return property(lambda self: self._values[index])

    knobs = {param.name: knob(index, param.choices) for index, param in enumerate(params)}
    known = {name: made for name, made in knobs.items() if not hasattr(Params, name)}
    return type("Params", (Params,), {"__slots__": (), **known})(params)
