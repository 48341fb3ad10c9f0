"""The worker loop's side of a render, made of numpy arrays."""

from __future__ import annotations

import ctypes
import os
import tempfile
import textwrap
import unittest
from pathlib import Path

import numpy as np

from backline import panels
from backline.binding import BacklineJob, BacklineSetup
from backline.library import Library, add_file
from backline.module import Module
from backline.panels import ModuleType
from backline.render import Renderer

FOLDER = Path(__file__).resolve().parents[1]
EXAMPLES = FOLDER / "examples"
RATE_HZ, BLOCK_FRAMES = 48_000.0, 64


def a_type(cls: type[Module]) -> ModuleType:
    """The panel of a class of a test."""
    return panels.describe(cls, __file__)


def types_of(path: Path) -> list[ModuleType]:
    """The types in a file, which has no fault."""
    library = Library()
    add_file(str(path), library, {})
    assert not library.faults, library.faults
    return library.types


def aligned(words: int) -> np.ndarray:
    """Words that begin at a cache line."""
    memory = np.zeros(words + 16, np.uint32)
    skip = (-memory.ctypes.data % 64) // 4
    return memory[skip : skip + words]


class Stand:
    """One module of one type, in memory as the worker loop has it."""

    def __init__(
        self, of: ModuleType, channels: int = 1, identity: int = 7, instance: int = 100, **params: float
    ) -> None:
        self.type = of
        self.channels, self.identity, self.instance = channels, identity, instance
        self.complaints: list[str] = []
        self.renderer = Renderer([of], lambda job, words: self.complaints.append(words.decode()))
        self.words = aligned(of.layout.words)
        self.params = np.array(
            [params.get(param.name, param.default) for param in of.params] or [0], np.float32
        )
        self.sockets = len(of.inputs) + len(of.params)
        self.heard = np.zeros((max(self.sockets, 1), channels, BLOCK_FRAMES), np.float32)
        self.cables: set[int] = set()
        self.played = np.full((len(of.outputs), channels, BLOCK_FRAMES), 99, np.float32)
        self.velocity, self.is_open = 0.0, False
        self.init()

    def setup(self) -> BacklineSetup:
        """What the module is."""
        return BacklineSetup(
            self.instance, 0, self.channels, self.identity, RATE_HZ, BLOCK_FRAMES, self.params.ctypes.data
        )

    def init(self) -> None:
        """State before the first frame."""
        setup = self.setup()
        self.renderer.init(None, ctypes.addressof(setup), self.words.ctypes.data)

    def patch(self, socket: int, signal: np.ndarray | float) -> None:
        """A cable into an input, or a parameter, which brings this from now on."""
        self.cables.add(socket)
        self.heard[socket] = signal

    def render(self, first: int = 0, frames: int = BLOCK_FRAMES, is_struck: bool = False) -> int:
        """One call; 0 if it went well."""
        pointers = np.zeros(self.sockets + 1, np.uint64)
        for socket in self.cables:
            pointers[socket] = self.heard[socket].ctypes.data + 4 * first
        job = BacklineJob(
            self.setup(), self.words.ctypes.data, pointers.ctypes.data, self.played.ctypes.data + 4 * first,
            BLOCK_FRAMES, frames, first, self.is_open, is_struck, self.velocity, first,
        )  # fmt: skip
        return self.renderer.render(None, ctypes.addressof(job))

    def block(self) -> np.ndarray:
        """A whole block of the first output, which must go well."""
        assert self.render() == 0, self.complaints[-1]
        return self.played[0].copy()


class FolderTest(unittest.TestCase):
    """A test with a folder of an author."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name: str, text: str) -> Path:
        """A file in it."""
        path = self.folder / name
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def load(self, name: str, text: str) -> Library:
        """What comes of a file."""
        library = Library()
        add_file(str(self.write(name, text)), library, {})
        return library

    def fault(self, name: str, text: str) -> str:
        """The one fault of a file that has no type."""
        library = self.load(name, text)
        self.assertEqual(library.types, [])
        self.assertEqual(len(library.faults), 1, library.faults)
        return library.faults[0].reason


def descriptors() -> list[str]:
    """Open files of this process."""
    return sorted(os.listdir("/proc/self/fd"))
