"""The callbacks of the worker loop: from addresses to arrays to `render`, from exceptions to complaints.

What is kept between blocks is in the state, nowhere else. So one object plays all modules of an exact type:
its declared state is a view of wherever the loop has put that of the module in question. A class that is
not exact has an object for each module.

Thread: the render loop; for types that are rendered ahead, which are never exact, the loop's second thread.
No object has to do with both.
"""

from __future__ import annotations

import ctypes
import gc
import struct
import sys
from collections.abc import Callable
from typing import Any

from . import complaint
from .binding import JOB, SETUP
from .module import Module
from .panels import ModuleType
from .ports import Inputs, params_of
from .views import MOST_KEPT, Planes, Silence, Windows

#: First word of a state: whether `start` has been through.
STARTED = 1
RENDERED, FAILED = 0, 1


class Player:
    """A module object with everything that it needs."""

    def __init__(self, of: ModuleType, module: Module) -> None:
        self.type = of
        self.module = module
        self.fields = module.__dict__
        self.address = 0
        self.head = memoryview(b"")
        self.inputs = Inputs([port.name for port in of.inputs])
        self.params = params_of(of.params)
        self.params._cables = self.cable
        self.params_format = struct.Struct(f"@{len(of.params)}f")
        self.cables_format = struct.Struct(f"@{len(of.inputs) + len(of.params)}Q")
        self.outs: dict[tuple[int, int, int], tuple[Any, Any]] = {}
        #: Where the current call is: planes by address, channels, stride, first frame, frames.
        self.call: tuple[Planes, int, int, int, int] = (Planes(False), 1, 1, 0, 1)

    def bind(self, address: int) -> None:
        """The state is there now."""
        self.address = address
        self.fields["_views"] = self.type.layout.views(address)
        self.head = self.type.layout.head(address)

    def begin(self) -> None:
        """Declared values, then `start`. The module has not begun if that fails."""
        self.type.layout.reset(self.address)
        self.module.start()
        self.head[0] = STARTED

    def cable(self, index: int) -> Any:
        """What the cables into parameter `index` bring."""
        pointer = self.inputs._pointers[len(self.type.inputs) + index]
        if not pointer:
            return None
        planes, channels, stride, first, frames = self.call
        return planes[pointer - 4 * first, channels, stride][:, first : first + frames]

    def out(self, address: int, channels: int, stride: int, planes: Planes) -> tuple[Any, Any]:
        """All output planes, and the same as `render` wants them: one array, or a tuple of them."""
        found = self.outs.get((address, channels, stride))
        if found is None:
            if len(self.outs) >= MOST_KEPT:
                self.outs.clear()
            ports = len(self.type.outputs)
            whole = planes[address, ports * channels, stride]
            each = tuple(whole[port * channels : (port + 1) * channels] for port in range(ports))
            found = self.outs[address, channels, stride] = (whole, each[0] if ports == 1 else each)
        return found


class Renderer:
    """All callbacks of a worker."""

    def __init__(self, types: list[ModuleType], complain: Any) -> None:
        self.types = types
        self.complain = complain
        #: Told of every exception, beside the complaint.
        self.on_error: Callable[[BaseException], object] = lambda error: None
        self.windows = Windows()
        self.heard = Planes(is_writable=False)
        self.played = Planes(is_writable=True)
        self.silence = Silence()
        self.prepared: dict[tuple[int, int], dict[str, Any]] = {}
        #: By type, channels, and the instance if each has an object of its own.
        self.players: dict[tuple[int, int, int], Player] = {}

    def _module(self, type_index: int, channels: int, rate_hz: float, block_frames: int) -> Module:
        """An object, prepared."""
        of = self.types[type_index]
        module = object.__new__(of.cls)
        known = self.prepared.get((type_index, channels))
        if known is None:
            module.__dict__.update(rate_hz=rate_hz, channels=channels, block_frames=block_frames)
            module.__init__()
            module.prepare()
            if of.is_exact:
                for kept in module.__dict__.values():
                    if hasattr(kept, "setflags"):
                        kept.setflags(write=False)
                self.prepared[type_index, channels] = dict(module.__dict__)
        else:
            module.__dict__.update(known)
        module.__dict__["_is_guarded"] = of.is_exact
        return module

    def _player(self, key: tuple[int, int, int], rate_hz: float, block_frames: int) -> Player:
        module = self._module(key[0], key[1], rate_hz, block_frames)
        player = self.players[key] = Player(self.types[key[0]], module)
        return player

    def _key(self, type_index: int, channels: int, instance: int) -> tuple[int, int, int]:
        return type_index, channels, 0 if self.types[type_index].is_exact else instance

    def warm(self, _user: int | None, type_index: int, rate_hz: float, block_frames: int) -> int:
        """Prepares a type. One that cannot be prepared says so when it plays: no worker is lost for that."""
        try:
            for channels in {1, self.types[type_index].channels}:
                self._module(type_index, channels, rate_hz, block_frames)
        except BaseException as error:
            self.on_error(error)
            print(self._text(type_index, error), file=sys.stderr, flush=True)
        return 0

    def init(self, _user: int | None, setup_at: int, state_at: int) -> None:
        """State before the first frame. If it cannot be made, `render` tries again, and says why."""
        try:
            instance, type_index, channels, identity, rate_hz, block_frames, _ = SETUP.unpack_from(
                self.windows[setup_at]
            )
            self.types[type_index].layout.reset(state_at)
            key = self._key(type_index, channels, instance)
            if key[2]:
                self.players.pop(key, None)
            player = self.players.get(key) or self._player(key, rate_hz, block_frames)
            player.bind(state_at)
            player.fields["identity"] = identity
            player.begin()
        except BaseException as error:
            self.types[type_index].layout.reset(state_at)
            self.on_error(error)

    def render(self, _user: int | None, job_at: int) -> int:
        """One call of `render`. 0, or the complaint is made."""
        type_index = 0
        try:
            (
                instance, type_index, channels, identity, rate_hz, block_frames, params_at,
                state_at, inputs_at, outputs_at, stride, frames, first, gate, is_struck, velocity, _,
            ) = JOB.unpack_from(self.windows[job_at])  # fmt: skip
            key = self._key(type_index, channels, instance)
            player = self.players.get(key)
            is_new = player is None
            if player is None:
                player = self._player(key, rate_hz, block_frames)
            if player.address != state_at:
                player.bind(state_at)
            fields = player.fields
            fields["identity"] = identity
            if player.type.is_gated:
                fields["gate"], fields["is_struck"], fields["velocity"] = gate != 0, is_struck != 0, velocity
            if player.head[0] != STARTED or (is_new and key[2]):
                player.begin()

            player.params._values = player.params_format.unpack_from(self.windows[params_at])
            heard = self.heard
            inputs = player.inputs
            inputs._pointers = pointers = player.cables_format.unpack_from(self.windows[inputs_at])
            player.call = (heard, channels, stride, first, frames)
            whole, out = player.out(outputs_at - 4 * first, channels, stride, self.played)
            ports = pointers[: len(player.type.inputs)]
            if frames == stride:
                inputs._views = [
                    heard[pointer, channels, stride] if pointer else self.silence[channels, frames]
                    for pointer in ports
                ]
                whole.fill(0)
            else:
                end = first + frames
                inputs._views = [
                    heard[pointer - 4 * first, channels, stride][:, first:end]
                    if pointer
                    else self.silence[channels, frames]
                    for pointer in ports
                ]
                whole[:, first:end] = 0
                out = tuple(port[:, first:end] for port in out) if type(out) is tuple else out[:, first:end]

            if player.module.render(inputs, player.params, out) is not None:
                raise TypeError(
                    "render returned something, which nobody hears; write it into `out`: out[:] = ..."
                )
            return RENDERED
        except BaseException as error:
            self.on_error(error)
            self.complain(
                job_at, self._text(type_index, error).encode("utf-8", "replace").replace(b"\0", b" ")
            )
            return FAILED

    def _text(self, type_index: int, error: BaseException) -> str:
        try:
            return complaint.text(error, self.types[type_index].origin)
        except BaseException:
            return f"{type(error).__name__} (and its traceback cannot be told)"

    def rest(self, _user: int | None, instances: Any, count: int) -> None:
        """Nothing is to be done for now: objects of modules that have gone go, and garbage with them."""
        try:
            mine = set(ctypes.cast(instances, ctypes.POINTER(ctypes.c_uint32))[:count]) if count else set()
            gone = [key for key in list(self.players) if key[2] and key[2] not in mine]
            for key in gone:
                del self.players[key]
            gc.collect()
        except BaseException as error:
            print(complaint.text(error), file=sys.stderr, flush=True)
