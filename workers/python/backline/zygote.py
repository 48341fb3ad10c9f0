"""The process that workers are forked from: everything is loaded once, and a new worker costs a fork, which is
made before anybody asks: one worker is always there to spare.

In: lines from the engine on a socket, each asking for a worker. Out: the same socket, one answer each,
after a worker is the engine's child. One thread, so that a fork copies all there is. Gone with the engine:
at the end of the socket, or by its death.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from . import process
from .lines import Lines

NAME = "backline-zygote"
SPARE_NAME = "backline-spare"
#: How long a new worker waits to be inherited by the engine.
PARENT_LIMIT_S = 1.0
#: After an order, before the next worker to spare is forked.
REST_AFTER_S = 0.02
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


def orders(descriptor: int, rest: Callable[[], None]) -> Iterator[bytes]:
    """Lines until the engine is gone. `rest` is called when there has been none for a while."""
    with socket.socket(fileno=os.dup(descriptor)) as engine:
        process.private.append(engine.fileno())
        heard = b""
        while True:
            line, end, others = heard.partition(b"\n")
            if end:
                heard = others
                yield line
                continue
            if not select.select([engine], [], [], REST_AFTER_S)[0]:
                rest()
            piece = engine.recv(65536)
            if not piece:
                return
            heard += piece


def serve(to: Lines, run: Run | None, refusal: str = "") -> NoReturn:
    """Hands out workers that `run`, until the engine is gone. Without `run` it says that it cannot, and why."""
    nursery = Nursery(run, refusal)
    nursery.fill()
    try:
        for line in orders(to.descriptor, nursery.fill):
            try:
                words, mark = _order(line)
                to.say("forked", nursery.begin(words, mark))
            except NotForked as error:
                to.say("not_forked", str(error))
    except OSError:
        # The engine is gone in the middle of a line.
        pass
    os._exit(0)


class Spare:
    """A worker that is the engine's child already and waits to be told its words. It ends with the zygote."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._pipe = pipe

    def begin(self, words: list[str], mark: str) -> bool:
        """Tells it. False if it is dead."""
        order = json.dumps({"words": words, "mark": mark}).encode() + b"\n"
        try:
            return os.write(self._pipe, order) == len(order)
        except OSError:
            return False
        finally:
            os.close(self._pipe)


class Nursery:
    """The worker to spare, if there is one."""

    def __init__(self, run: Run | None, refusal: str) -> None:
        self._run, self._refusal = run, refusal
        self._spare: Spare | None = None

    def fill(self) -> None:
        """Has one to spare: not while a new worker joins, for which every core is wanted."""
        if self._spare is None and self._run is not None:
            # Whoever needs one and finds none will hear why.
            with contextlib.suppress(NotForked):
                self._spare = fork_spare(self._run)

    def begin(self, words: list[str], mark: str) -> int:
        """A worker begins; its process."""
        if self._run is None:
            raise NotForked(self._refusal)
        _check_mark(mark)
        spare, self._spare = self._spare, None
        if spare is None or not spare.begin(words, mark):
            spare = fork_spare(self._run)
            if not spare.begin(words, mark):
                raise NotForked("the new worker has died before it began")
        return spare.pid


def _order(line: bytes) -> tuple[list[str], str]:
    try:
        fork = json.loads(line)["fork"]
        words, mark = fork["words"], fork["mark"]
        if len(words) == 4 and all(isinstance(word, str) for word in (*words, mark)) and words[3].isdecimal():
            return words, mark
    except (ValueError, KeyError, TypeError):
        pass
    raise NotForked(f"{line[:200]!r} is no order; NAME SLOT CORE ENGINE_PID and a mark were expected")


def _check_mark(mark: str) -> None:
    room = process.mark_room()
    if not 0 < len(mark.encode()) <= room:
        raise NotForked(
            f"a mark of {len(mark.encode())} bytes does not fit into the {room} of {process.MARK}"
        )


def fork_spare(run: Run) -> Spare:
    """A new worker that is the engine's child. Twice forked: who is in between leaves it an orphan."""
    heard, said = os.pipe()
    told, tell = os.pipe()
    try:
        middle = os.fork()
    except OSError as error:
        for descriptor in (heard, said, told, tell):
            os.close(descriptor)
        raise NotForked(f"fork: {error.strerror}") from None
    if middle == 0:
        os.close(heard)
        os.close(tell)
        _be_middle(run, said, told)
    os.close(said)
    os.close(told)
    answer = b""
    while not answer.endswith(b"\n") and (piece := os.read(heard, 512)):
        answer += piece
    os.close(heard)
    os.waitpid(middle, 0)
    if not answer.strip().isdigit():
        os.close(tell)
        raise NotForked(answer.decode("utf-8", "replace").strip() or "the process in between has died")
    return Spare(int(answer), tell)


def _be_middle(run: Run, said: int, told: int) -> NoReturn:
    try:
        worker = os.fork()
        if worker == 0:
            os.close(said)
            _be_spare(run, told)
        # It has done so itself, or is dead.
        with contextlib.suppress(OSError):
            os.setpgid(worker, worker)
        os.write(said, b"%d\n" % worker)
    except OSError as error:
        os.write(said, f"fork: {error.strerror}\n".encode())
    finally:
        os._exit(0)


def _be_spare(run: Run, told: int) -> NoReturn:
    code = REFUSED
    try:
        process.close_private()
        process.reset_signals()
        process.own_group()
        process.name_self(SPARE_NAME)
        with os.fdopen(told, "rb") as pipe:
            order = pipe.readline()
        if not order.endswith(b"\n"):
            # The zygote is gone, and nobody will ever tell us.
            os._exit(0)
        told_all = json.loads(order)
        words, mark = told_all["words"], told_all["mark"]
        code = _be_worker(words, mark, run)
    except BaseException as error:
        print(f"worker: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        try:
            sys.stderr.flush()
        finally:
            # Nothing that the zygote has registered for its own end is for us.
            os._exit(code)


def _be_worker(words: list[str], mark: str, run: Run) -> int:
    if not process.await_parent(int(words[3]), PARENT_LIMIT_S):
        print(f"worker {words[1]}: process {words[3]} has not become its parent", file=sys.stderr)
        return REFUSED
    process.write_mark(mark)
    # What is shared with the zygote stays so until it is written.
    os.environ["BACKLINE_FORKED"] = "1"
    return run(words)
