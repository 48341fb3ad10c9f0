"""What an author writes against: `Module`, its ports and its parameters.

A module class says what it is in class attributes, and plays in `render`. Everything here is read once,
when the file is imported (`panels`), except the guard of `Module.__setattr__`, which keeps an exact module
from keeping state that nobody else knows of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np

    from .ports import Inputs, Params


@dataclass(frozen=True)
class Input:
    """A socket that cables enter."""

    name: str
    summary: str = ""


@dataclass(frozen=True)
class Output:
    """A socket that cables leave."""

    name: str
    summary: str = ""


@dataclass(frozen=True)
class Param:
    """A knob. With `choices` it is a switch, and `render` sees the word that is chosen.

    `modulation` says how a cable into it counts: "none" (it takes none), "octaves" (value * 2**cv) or
    "full_scale" (value + cv * (max - min)).
    """

    name: str
    summary: str = ""
    unit: str = ""
    min: float = 0.0
    max: float = 1.0
    default: float | str | None = None
    modulation: str = "none"
    choices: Sequence[str] = ()


def snake_case(name: str) -> str:
    """`LowPass2` -> `low_pass2`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Undeclared(AttributeError):
    """An exact module wants to keep something that it has not declared."""


class Module:
    """A module type. The first line of its docstring is what a person reads who chooses a module.

    `render` is called for every block, and for each part of a block in which a parameter or a gate changes.
    Declared `state` is all that is kept from one call to the next: it lives in memory that another worker
    finds when this one dies, so that the module goes on bit by bit.
    """

    name: ClassVar[str]
    inputs: ClassVar[Sequence[Input | str]] = ()
    outputs: ClassVar[Sequence[Output | str]] = (Output("out", "audio"),)
    params: ClassVar[Sequence[Param]] = ()
    state: ClassVar[Mapping[str, Any]] = {}
    #: Whether the module has a gate: `self.gate`, `self.velocity`, `self.is_struck`.
    gated: ClassVar[bool] = False
    #: Channels that one module may have at most.
    channels: int = 1
    #: False for a class that keeps more than its declared state; then a take-over begins it anew.
    exact: ClassVar[bool] = True
    #: For a class that is too slow for the deadline: rendered in another thread, heard so many blocks
    #: later. Never exact.
    render_ahead: ClassVar[int] = 0

    #: Samples a second.
    rate_hz: float
    #: A number of this module alone, the same in every run: the seed of everything random.
    identity: int
    #: Frames of the longest block.
    block_frames: int
    #: True while the gate is open.
    gate: bool = False
    #: How hard the gate was struck last, 0 to 1.
    velocity: float = 0.0
    #: True if the gate was opened, or struck again, at the first frame of this call.
    is_struck: bool = False

    _is_guarded = False
    _kept: ClassVar[frozenset[str]] = frozenset()

    def prepare(self) -> None:
        """Makes what is the same in every worker, such as tables. Arrays are read-only afterwards.

        Called before anything else; `self.rate_hz`, `self.channels` and `self.block_frames` are known.
        """

    def start(self) -> None:
        """Fills the state before the first frame, where the declared values are not what is wanted."""

    def render(self, inputs: Inputs, params: Params, out: np.ndarray) -> None:
        """Fills `out`, zeros of (channels, frames); with more than one output a tuple of such arrays."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        if self._is_guarded and name not in self._kept:
            kind = type(self).__name__
            raise Undeclared(
                f"{kind} may not keep `self.{name}`: it is not declared in {kind}.state, so it would be lost "
                f'in a take-over. Declare it (state = {{"{name}": ...}}), set it in prepare() if it never '
                f"changes, or say exact = False in {kind}"
            )
        object.__setattr__(self, name, value)
