"""A module that reaches for what a renderer does not need, and plays what came of it.

It plays 0 if it got what it wanted, the error number if it was refused, and -1 if it got something else.
"""

import ctypes
import mmap
import os
import signal
import socket
import threading

from backline import Module, Param

libc = ctypes.CDLL(None, use_errno=True)

#: Seen while warming up, when files can still be read: where the shared memory of others is, and its descriptors.
shared: list[tuple[int, int]] = []
descriptors: list[int] = []
seen: list[bool] = []


def look_around() -> None:
    if not seen:
        seen.append(True)
        with open("/proc/self/maps") as maps:
            lines = [line for line in maps if "/dev/shm/backline-test" in line and " r--s " in line]
        shared.extend((int(a, 16), int(b, 16)) for a, b in (line.split()[0].split("-") for line in lines))
        for name in os.listdir("/proc/self/fd"):
            try:
                if "/dev/shm/backline-test" in os.readlink(f"/proc/self/fd/{name}"):
                    descriptors.append(int(name))
            except OSError:
                # That of the list itself.
                pass


def called(result: int) -> int:
    return 0 if result != -1 else ctypes.get_errno()


def fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def thread() -> int:
    one = threading.Thread(target=lambda: None)
    try:
        one.start()
    except RuntimeError:
        return 1
    one.join()
    return 0


def masked() -> int:
    """Blocks all signals, as C libraries do when they start a thread, and is refused something meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    inside = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        socket.socket()
    except PermissionError:
        refused = 1
    else:
        refused = 0
    was = signal.pthread_sigmask(signal.SIG_SETMASK, before)
    is_whole = before == set() and signal.SIGUSR1 in inside and was == inside
    is_open = signal.SIGSYS not in inside if refused else signal.SIGSYS in inside
    after = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return refused if is_whole and is_open and after == before else -1


def remap() -> None:
    for descriptor in descriptors:
        mmap.mmap(descriptor, 4096).close()


def rewrite() -> int:
    for start, end in shared:
        refused = called(libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(end - start), 3))
        if refused:
            return refused
    return 0 if shared else -1


def erase() -> int:
    start, end = shared[0]
    remove = 9
    return called(libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), remove))


def executable_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def executable_later() -> int:
    memory = mmap.mmap(-1, 4096)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return called(libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(4096), 5))


def harmless() -> None:
    """What a renderer may do."""
    bytearray(64 << 20)
    os.urandom(8)
    os.kill(os.getpid(), 0)
    os.write(1, b"")
    threading.Event().wait(0.000_1)


attempts = {
    "nothing": lambda: None,
    "harmless": harmless,
    "socket": lambda: socket.socket().close(),
    "open": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
    "unlink": lambda: os.unlink("/nonexistent/file"),
    "fork": fork,
    "exec": lambda: os.execv("/nonexistent/program", ["program"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "init": lambda: os.kill(1, 0),
    "thread": thread,
    "executable": executable_memory,
    "executable_later": executable_later,
    "masked": masked,
    "handler": lambda: signal.signal(signal.SIGSYS, signal.SIG_DFL) and None,
    "remap": remap,
    "rewrite": rewrite,
    "erase": erase,
    "memory": lambda: bytearray(1 << 30) and None,
    "raises": lambda: [][1],
    "faults": lambda: ctypes.string_at(0) and None,
    "aborts": os.abort,
}


class Escapes(Module):
    """Counts its blocks, and plays what became of its attempt."""

    outputs = ["out", "blocks"]
    params = [Param("what", choices=list(attempts))]
    state = {"count": int}

    def render(self, inputs, params, outs):
        look_around()
        out, blocks = outs
        self.count += 1
        blocks[:] = self.count
        try:
            out[:] = attempts[params.what]() or 0
        except OSError as refusal:
            out[:] = refusal.errno
        except MemoryError:
            out[:] = 12


class EscapesLater(Escapes):
    """The same in a second thread."""

    render_ahead = 2
