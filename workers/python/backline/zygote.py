"""The process that workers are forked from: everything is loaded once, and a new worker costs a fork.

In: lines from the engine on a socket, each asking for a worker. Out: the same socket, one answer each,
after a worker is the engine's child. One thread, so that a fork copies all there is. Gone with the engine:
at the end of the socket, or by its death.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from . import process
from .lines import Lines

NAME = "backline-zygote"
#: How long a new worker waits to be inherited by the engine.
PARENT_LIMIT_S = 1.0
REFUSED = 78

Run = Callable[[list[str]], int]


class NotForked(Exception):
    """There is no new worker, and why."""


def take_socket() -> int:
    """Descriptor 0, under a number that nobody reads from by accident."""
    own = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    process.private.append(own)
    return own


def begin() -> None:
    """Before anything is loaded."""
    process.die_with_parent(os.getppid())
    process.name_self(NAME)
    # Ctrl-C is meant for the engine, which then closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def orders(descriptor: int) -> Iterator[bytes]:
    """Lines until the engine is gone."""
    with socket.socket(fileno=os.dup(descriptor)) as engine, engine.makefile("rb") as lines:
        process.private.append(engine.fileno())
        yield from lines


def serve(to: Lines, run: Run | None, refusal: str = "") -> NoReturn:
    """Forks workers that `run`, until the engine is gone. Without `run` it says that it cannot, and why."""
    try:
        for line in orders(to.descriptor):
            try:
                if run is None:
                    raise NotForked(refusal)
                words, mark = _order(line)
                to.say("forked", fork_worker(words, mark, run))
            except NotForked as error:
                to.say("not_forked", str(error))
    except OSError:
        # The engine is gone in the middle of a line.
        pass
    os._exit(0)


def _order(line: bytes) -> tuple[list[str], str]:
    try:
        fork = json.loads(line)["fork"]
        words, mark = fork["words"], fork["mark"]
        if len(words) == 4 and all(isinstance(word, str) for word in (*words, mark)) and words[3].isdecimal():
            return words, mark
    except (ValueError, KeyError, TypeError):
        pass
    raise NotForked(f"{line[:200]!r} is no order; NAME SLOT CORE ENGINE_PID and a mark were expected")


def fork_worker(words: list[str], mark: str, run: Run) -> int:
    """A new worker that is the engine's child; its process. Twice forked: who is in between leaves it an
    orphan."""
    room = process.mark_room()
    if not 0 < len(mark.encode()) <= room:
        raise NotForked(
            f"a mark of {len(mark.encode())} bytes does not fit into the {room} of {process.MARK}"
        )
    heard, said = os.pipe()
    try:
        middle = os.fork()
    except OSError as error:
        os.close(heard)
        os.close(said)
        raise NotForked(f"fork: {error.strerror}") from None
    if middle == 0:
        os.close(heard)
        _be_middle(words, mark, run, said)
    os.close(said)
    answer = b""
    while not answer.endswith(b"\n") and (piece := os.read(heard, 512)):
        answer += piece
    os.close(heard)
    os.waitpid(middle, 0)
    if not answer.strip().isdigit():
        raise NotForked(answer.decode("utf-8", "replace").strip() or "the process in between has died")
    return int(answer)


def _be_middle(words: list[str], mark: str, run: Run, said: int) -> NoReturn:
    try:
        worker = os.fork()
        if worker == 0:
            os.close(said)
            _be_worker(words, mark, run)
        # It has done so itself, or is dead.
        with contextlib.suppress(OSError):
            os.setpgid(worker, worker)
        os.write(said, b"%d\n" % worker)
    except OSError as error:
        os.write(said, f"fork: {error.strerror}\n".encode())
    finally:
        os._exit(0)


def _be_worker(words: list[str], mark: str, run: Run) -> NoReturn:
    code = REFUSED
    try:
        process.close_private()
        process.reset_signals()
        process.own_group()
        if process.await_parent(int(words[3]), PARENT_LIMIT_S):
            process.write_mark(mark)
            code = run(words)
        else:
            print(f"worker {words[1]}: process {words[3]} has not become its parent", file=sys.stderr)
    except BaseException as error:
        print(f"worker {words[1]}: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        try:
            sys.stderr.flush()
        finally:
            # Nothing that the zygote has registered for its own end is for us.
            os._exit(code)
