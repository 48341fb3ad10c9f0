"""A child process tries what an author's file does before the zygote does it.

A file may exit, crash, run for ever or eat all memory when it is imported or when it plays its first block.
In a child that is a sentence about the file; in the zygote it would be the end of all Python modules.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

import numpy as np

from . import complaint, process
from .binding import BacklineJob, BacklineSetup
from .panels import ModuleType

#: Longest import of a file, and longest beginning of a module.
IMPORT_LIMIT_S = 10.0
#: For all files together: the engine waits a minute for all of us, and many that hang are not worth it.
PATIENCE_S, LEAST_LIMIT_S = 40.0, 1.0
#: What a child may take beyond what is there already.
MEMORY_BYTES = 4 << 30
#: After the alarm has rung in the child, until it is killed.
GRACE_S = 1.0
RATE_HZ, BLOCK_FRAMES, BLOCKS = 48_000.0, 64, 4


class DoesNotEnd(BaseException):
    """Not through in time. No Exception, so that hardly anybody catches it."""


def limit_after(spent_s: float) -> float:
    """How long the next one may take when so much time has gone already."""
    return min(IMPORT_LIMIT_S, max(LEAST_LIMIT_S, PATIENCE_S - spent_s))


@contextlib.contextmanager
def alarm(limit_s: float) -> Iterator[None]:
    """Raises `DoesNotEnd` in the middle of what takes longer. Main thread only."""

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise DoesNotEnd(f"not through after {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def in_child(act: Callable[[], str | None], limit_s: float) -> str | None:
    """What `act` says in a child process, or what became of that. None: it has nothing to say."""
    ours, theirs = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_child(act, limit_s, theirs, parent)
    os.close(theirs)
    said = _hear(ours, limit_s + GRACE_S)
    os.close(ours)
    if said is None or not said.endswith(b"\n"):
        # It is dead or dying, or does not end; then this does.
        if said is None:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        _end_group(pid)
        return f"does not end: stopped after {limit_s:g} s" if said is None else _ending(status)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    _end_group(pid)
    return said.decode("utf-8", "replace").strip() or None


def _limit_memory() -> None:
    with open("/proc/self/statm", encoding="ascii") as statm:
        have = int(statm.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = have + MEMORY_BYTES
    resource.setrlimit(
        resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
    )
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _be_child(act: Callable[[], str | None], limit_s: float, answer: int, parent: int) -> None:
    code = 1
    try:
        process.own_group()
        process.reset_signals()
        process.die_with_parent(parent)
        process.close_private()
        # What the file prints is printed when it is imported in earnest.
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        _limit_memory()
        try:
            with alarm(limit_s):
                said = act() or ""
        except DoesNotEnd as error:
            said = f"does not end: {complaint.reason(error)}"
        os.write(answer, " ".join(said.split()).encode("utf-8", "replace") + b"\n")
        code = 0
    finally:
        os._exit(code)


def _hear(pipe: int, limit_s: float) -> bytes | None:
    """What comes until it ends, or until the end of a line; None if it takes too long."""
    until, said = time.monotonic() + limit_s, b""
    while not said.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return None
        piece = os.read(pipe, 4096)
        if not piece:
            break
        said += piece
    return said


def _end_group(group: int) -> None:
    """Ends what the child may have started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"ends the process: {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ends the process: exit code {os.WEXITSTATUS(status)}"


def of_import(path: str, limit_s: float) -> str | None:
    """What is wrong with the import of a file, if anything."""

    def act() -> str | None:
        from .library import import_file

        before = process.threads()
        try:
            import_file(path)
        except DoesNotEnd as error:
            return f"does not end: {complaint.reason(error, path)}"
        except BaseException as error:
            return complaint.reason(error, path)
        if process.threads() > before:
            return "its import starts a thread, which workers would not have; prepare() might start it"
        return None

    return in_child(act, limit_s)


def of_first_blocks(of: ModuleType, limit_s: float) -> str | None:
    """Why a type would take every worker with it, if it would.

    An exception is no such reason: it is told when the module plays, and its block is concealed.
    """

    def act() -> str | None:
        for error in play_silence(of, BLOCKS):
            if isinstance(error, DoesNotEnd):
                return f"its first block does not end: {complaint.reason(error, of.origin)}"
            if isinstance(error, MemoryError):
                return (
                    f"its first block takes more memory than there is: {complaint.reason(error, of.origin)}"
                )
        return None

    said = in_child(act, limit_s)
    return said if said is None or said.startswith("its ") else f"its first block {said}"


def play_silence(of: ModuleType, blocks: int) -> list[BaseException]:
    """Plays a type for some blocks as the worker loop would, with no cable anywhere and its gate struck.
    What it raises comes back."""
    from .render import Renderer

    caught: list[BaseException] = []
    renderer = Renderer([of], lambda job, words: None)
    renderer.on_error = caught.append
    state = np.zeros(of.layout.words + 16, np.uint32)
    state_at = -(-state.ctypes.data // 64) * 64
    params = np.array([param.default for param in of.params] or [0.0], np.float32)
    inputs = np.zeros(len(of.inputs) + len(of.params) + 1, np.uint64)
    outputs = np.zeros((len(of.outputs), BLOCK_FRAMES), np.float32)
    setup = BacklineSetup(1, 0, 1, 1, RATE_HZ, BLOCK_FRAMES, params.ctypes.data)
    renderer.warm(None, 0, RATE_HZ, BLOCK_FRAMES)
    renderer.init(None, ctypes.addressof(setup), state_at)
    for block in range(blocks):
        if any(isinstance(error, DoesNotEnd) for error in caught):
            break
        job = BacklineJob(
            setup, state_at, inputs.ctypes.data, outputs.ctypes.data, BLOCK_FRAMES, BLOCK_FRAMES, 0,
            1, block == 0, 1.0, block * BLOCK_FRAMES,
        )  # fmt: skip
        renderer.render(None, ctypes.addressof(job))
    return caught
