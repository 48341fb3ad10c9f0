"""What a process says of itself to the kernel: its name, its parent, its mark, its signals."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

#: A worker has one core, and a process with more than one thread cannot be forked.
ONE_THREAD = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
MARK = "BACKLINE_WARD"

#: Descriptors that are no business of what is forked from us.
private: list[int] = []

_libc = ctypes.CDLL(None, use_errno=True)


def close_private() -> None:
    """In a child that does not exec: lets go of them."""
    for descriptor in private:
        os.close(descriptor)
    private.clear()


def stay_one_thread() -> None:
    """Libraries of linear algebra start no threads. To be called before numpy is imported."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))


def threads() -> int:
    """Threads of this process."""
    return len(os.listdir("/proc/self/task"))


def name_self(name: str) -> None:
    """What `ps` shows, at most 15 bytes."""
    _libc.prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """The kernel kills us when our parent dies; if it is dead already, this is the end."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def await_parent(parent: int, limit_s: float) -> bool:
    """Waits until `parent` has inherited us."""
    until = time.monotonic() + limit_s
    while os.getppid() != parent:
        if time.monotonic() >= until:
            return False
        time.sleep(0.000_2)
    return True


def own_group() -> None:
    """Into a process group of our own."""
    # The leader of a session has one.
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)


def reset_signals() -> None:
    """Signals do again what they do in a new process."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # Two or three belong to the C library.
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def stdout_is_for_lines() -> int:
    """What anybody prints goes to standard error from now on; the real standard output comes back."""
    lines = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return lines


def _environment_block() -> tuple[int, int]:
    """Where the environment lies that we were started with; /proc/PID/environ shows these bytes."""
    with open("/proc/self/stat", encoding="ascii", errors="replace") as stat:
        numbers = stat.read().rpartition(")")[2].split()
    # Fields 50 and 51 of proc(5); the first number here is field 3.
    return int(numbers[47]), int(numbers[48])


class NoMark(Exception):
    """A mark that cannot be written."""


def mark_room() -> int:
    """Bytes of the mark that we were started with."""
    return len(os.environ.get(MARK, "").encode())


def write_mark(mark: str) -> None:
    """Writes `mark` over the old one, where the kernel looks and where children copy it from."""
    written, room = mark.encode(), mark_room()
    if not 0 < len(written) <= room:
        raise NoMark(f"a mark of {len(written)} bytes does not fit into {MARK}, which has {room}")
    start, end = _environment_block()
    block = ctypes.string_at(start, end - start)
    entry = b"\0" + MARK.encode() + b"="
    at = (b"\0" + block).find(entry)
    if at < 0:
        raise NoMark(f"{MARK} is not where it was when this process began")
    ctypes.memmove(start + at + len(entry) - 1, written.ljust(room, b"\0"), room)
    os.environ[MARK] = mark
