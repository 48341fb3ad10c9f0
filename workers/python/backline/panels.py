"""From a class to its panel: everything checked, names and numbers in range, faults in words.

In: a subclass of `Module`. Out: a `ModuleType`, and the class made ready for `render`. `c_types` writes types
as C structs.
"""

from __future__ import annotations

import ctypes
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from .binding import BacklineModuleType, BacklineParam, BacklinePort
from .module import Input, Module, Output, Param, snake_case
from .state import BadState, Layout

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
MAX_INPUTS, MAX_OUTPUTS, MAX_PARAMS, MAX_CHANNELS = 8, 4, 32, 16
MAX_RENDER_AHEAD = 64
MAX_STATE_WORDS = 1 << 24
MODULATIONS = {"none": 0, "octaves": 1, "full_scale": 2}
#: What an author may not call state: it is there already.
RESERVED = frozenset({*dir(Module), "name", "identity", "rate_hz", "block_frames"})


class Unfit(ValueError):
    """A class that is no module type, and why."""


@dataclass(frozen=True)
class ModuleType:
    """A module type."""

    cls: type[Module]
    name: str
    summary: str
    origin: str
    inputs: list[Input]
    outputs: list[Output]
    params: list[Param]
    layout: Layout
    channels: int
    is_gated: bool
    is_exact: bool
    render_ahead: int


def _named(what: str, name: object) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Unfit(
            f"{what} is called {name!r}, but a name is 1 to 32 of a-z, 0-9 and _, and begins with a letter"
        )
    return name


def _text(what: str, text: object) -> str:
    """One line that can be written as UTF-8."""
    if not isinstance(text, str):
        raise Unfit(f"{what} is {text!r}, which is no text")
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())


def _ports(what: str, of: type[Input] | type[Output], declared: object, least: int, most: int) -> list:
    if isinstance(declared, (str, bytes)) or not isinstance(declared, Sequence):
        raise Unfit(f"{what} is not a list of {of.__name__}(...)")
    ports = []
    for port in declared:
        port = of(port) if isinstance(port, str) else port
        if not isinstance(port, of):
            raise Unfit(f"{what} holds {port!r}, which is no {of.__name__}(...)")
        name = _named(f"one of {what}", port.name)
        ports.append(of(name, _text(f"the summary of {name!r}", port.summary)))
    if not least <= len(ports) <= most:
        raise Unfit(f"it has {len(ports)} {what}; {least} to {most} are possible")
    return ports


def _param(param: object) -> Param:
    if not isinstance(param, Param):
        raise Unfit(f"params holds {param!r}, which is no Param(...)")
    name = _named("a parameter", param.name)
    if param.modulation not in MODULATIONS:
        raise Unfit(
            f"parameter {name!r} has modulation {param.modulation!r}; "
            f"there are {', '.join(map(repr, MODULATIONS))}"
        )
    if param.choices:
        choices = [_choice(name, choice) for choice in param.choices]
        _differ(f"choices of parameter {name!r}", choices)
        chosen = choices[0] if param.default is None else param.default
        if isinstance(chosen, str):
            if chosen not in choices:
                raise Unfit(f"parameter {name!r} has the default {chosen!r}, which is none of its choices")
            chosen = choices.index(chosen)
        param = replace(param, min=0.0, max=len(choices) - 1.0, default=chosen, choices=tuple(choices))
    given = (param.min, param.max, param.min if param.default is None else param.default)
    if not all(isinstance(number, (int, float, np.integer, np.floating)) for number in given):
        raise Unfit(f"parameter {name!r} has min, max and default {given!r}, which are not all numbers")
    # As C will have them.
    low, high, default = (ctypes.c_float(number).value for number in given)
    if not (math.isfinite(low) and math.isfinite(high) and low <= default <= high):
        raise Unfit(
            f"parameter {name!r} goes from {low} to {high} with default {default}; "
            "the default must lie between"
        )
    summary = _text(f"the summary of {name!r}", param.summary)
    unit = _text(f"the unit of {name!r}", param.unit)
    return replace(param, summary=summary, unit=unit, min=low, max=high, default=default)


def _choice(param: str, choice: object) -> str:
    is_word = isinstance(choice, str) and choice.isprintable() and " " not in choice
    if not is_word or not 1 <= len(choice) <= 128:
        raise Unfit(f"parameter {param!r} has the choice {choice!r}, but a choice is one word")
    return choice


def _differ(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise Unfit(f"two of its {what} are called {name!r}")


def _whole(cls: type[Module], name: str, least: int, most: int) -> int:
    number = getattr(cls, name)
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise Unfit(f"{name} is {number!r}; whole numbers from {least} to {most} are possible")
    return number


def describe(cls: type[Module], origin: str, ahead: Mapping[str, int] = MappingProxyType({})) -> ModuleType:
    """The panel of `cls`; from now on its state is `self.NAME`. `Unfit` if it has none.

    `ahead` says for some types by name how many blocks ahead they are rendered, whatever the class says.
    """
    try:
        inspect.signature(cls.render).bind(None, None, None, None)
    except TypeError:
        raise Unfit("render must take exactly (self, inputs, params, out)") from None
    declared = vars(cls).get("name")
    name = _named("the type", snake_case(cls.__name__) if declared is None else declared)
    inputs = _ports("inputs", Input, cls.inputs, 0, MAX_INPUTS)
    outputs = _ports("outputs", Output, cls.outputs, 1, MAX_OUTPUTS)
    if isinstance(cls.params, Param) or not isinstance(cls.params, Sequence):
        raise Unfit("params is not a list of Param(...)")
    params = [_param(param) for param in cls.params]
    if len(params) > MAX_PARAMS:
        raise Unfit(f"it has {len(params)} params; {MAX_PARAMS} are possible")
    _differ("inputs and params", [entry.name for entry in (*inputs, *params)])
    _differ("outputs", [port.name for port in outputs])
    try:
        layout = Layout(cls.state, RESERVED)
    except BadState as error:
        raise Unfit(str(error)) from None
    if layout.words > MAX_STATE_WORDS:
        raise Unfit(
            f"its state takes {layout.words * 4 / 2**20:.1f} MiB; {MAX_STATE_WORDS * 4 >> 20} are possible"
        )
    channels = _whole(cls, "channels", 1, MAX_CHANNELS)
    render_ahead = min(ahead.get(name, _whole(cls, "render_ahead", 0, MAX_RENDER_AHEAD)), MAX_RENDER_AHEAD)
    for entry, cell in layout.cells().items():
        setattr(cls, entry, cell)
    cls._kept = frozenset(layout.entries)
    docstring = inspect.cleandoc(vars(cls).get("__doc__") or "").splitlines()
    summary = _text("the docstring", docstring[0] if docstring else "")
    return ModuleType(
        cls, name, summary, origin, inputs, outputs, params, layout,
        channels, bool(cls.gated), bool(cls.exact) and render_ahead == 0, render_ahead,
    )  # fmt: skip


def c_types(types: list[ModuleType]) -> ctypes.Array[BacklineModuleType]:
    """The types as C structs, which keep what they point to."""

    def ports(of: list) -> ctypes.Array[BacklinePort]:
        return (BacklinePort * len(of))(
            *(BacklinePort(port.name.encode(), port.summary.encode()) for port in of)
        )

    def param(of: Param) -> BacklineParam:
        choices = (ctypes.c_char_p * len(of.choices))(*(choice.encode() for choice in of.choices))
        return BacklineParam(
            of.name.encode(), of.summary.encode(), of.unit.encode(), of.min, of.max, of.default,
            MODULATIONS[of.modulation], choices, len(of.choices),
        )  # fmt: skip

    def kind(of: ModuleType) -> BacklineModuleType:
        params = (BacklineParam * len(of.params))(*map(param, of.params))
        return BacklineModuleType(
            of.name.encode(), of.summary.encode(), of.origin.encode(),
            ports(of.inputs), len(of.inputs), ports(of.outputs), len(of.outputs), params, len(of.params),
            of.is_gated, of.channels, of.layout.words, of.is_exact, of.render_ahead,
        )  # fmt: skip

    return (BacklineModuleType * len(types))(*map(kind, types))
