"""What a Python process costs until its libraries are usable: peers of `backline bench warmup`.

    peers.py probe               this interpreter and its libraries; exit code 1 if it will not do
    peers.py N WORKERS           every step, with pools of WORKERS processes
    peers.py N WORKERS STEP      one step only

Prints lines of JSON: {"name": ROW, "ms": [...]} with every sample, or {"name": ROW, "kib":
{"pss": .., "private": ..}}. Needs Python 3.10, numpy and scipy. Each step runs in an interpreter
of its own, so that none finds what another has loaded. All times are of CLOCK_MONOTONIC, which all
processes share: whoever gets there reads the clock itself.
"""

from __future__ import annotations

import multiprocessing
import sys
import time

# Whatever else is needed is imported where it is needed: spawned children import this file before
# their first line.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.pool import Pool
    from typing import Any, TypeVar

    Result = TypeVar("Result")
    Row = tuple[str, dict[str, Any]]

OLDEST_PYTHON = (3, 10)
PACKAGES = ("numpy", "scipy")
# Most runs of a step that takes half a second or more.
RARE = 20
# Most runs of a step that takes a few milliseconds.
FREQUENT = 1_000
# Whoever takes longer than this for one run hangs.
PATIENCE_S = 60
# Pauses between tasks, the same as between the creates of the bench: a pool that never sleeps
# answers sooner than one on stage.
PAUSES_US = (1_100, 1_730, 2_190, 1_390, 2_470, 1_510, 1_970)


def now_ns() -> int:
    """Time on the clock that all processes share."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def use_libraries() -> None:
    """Imports the libraries and lets each work once: from then on they are usable."""
    import numpy
    import scipy.fft
    import scipy.signal

    block = numpy.ones(64)
    scipy.signal.lfilter([1.0], [1.0, -0.5], block)
    scipy.fft.rfft(block)


def are_loaded() -> bool:
    """Whether this process has got the libraries already."""
    return "scipy.signal" in sys.modules and "scipy.fft" in sys.modules


# What runs in children.


def report(writer: Connection) -> None:
    """Tells when it began, when the libraries were usable, and whether it had had them before."""
    first_ns, were_loaded = now_ns(), are_loaded()
    use_libraries()
    writer.send((first_ns, now_ns(), were_loaded))


def join_pool(arrivals: Any) -> None:
    """Begins the life of a pool worker: makes the libraries usable and tells who and when."""
    import os

    use_libraries()
    arrivals.put((os.getpid(), now_ns()))


def identity(number: int) -> int:
    """A task that takes no time."""
    return number


# What measures.


def repeat(n: int, once: Callable[[], Result]) -> list[Result]:
    """What `n` runs of `once` give.

    One before them does not count: it fills disk caches and starts servers.
    """
    import signal

    signal.signal(signal.SIGALRM, give_up)
    results = []
    for _ in range(n + 1):
        signal.alarm(PATIENCE_S)
        results.append(once())
    signal.alarm(0)
    return results[1:]


def give_up(_signal: int, _frame: object) -> None:
    """Ends whatever is waited for."""
    raise TimeoutError(f"one run took longer than {PATIENCE_S} s")


def ms(start_ns: int, end_ns: int) -> float:
    """Milliseconds from one to the other."""
    return (end_ns - start_ns) / 1e6


def run_child(context: BaseContext, is_preloaded: bool) -> tuple[float, float]:
    """Starts a child; milliseconds to its first line, and to its libraries being usable."""
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=report, args=(writer,), daemon=True)
    start_ns = now_ns()
    child.start()
    writer.close()
    first_ns, usable_ns, were_loaded = reader.recv()
    child.join()
    reader.close()
    if were_loaded != is_preloaded:
        raise RuntimeError(f"libraries there at the first line: {were_loaded}, not {is_preloaded}")
    return ms(start_ns, first_ns), ms(start_ns, usable_ns)


def start_pool(context: BaseContext, workers: int) -> tuple[Pool, list[int], int]:
    """A pool whose workers are all usable, their process ids, and when the last of them was."""
    arrivals = context.SimpleQueue()
    pool = context.Pool(workers, initializer=join_pool, initargs=(arrivals,))
    arrived = [arrivals.get() for _ in range(workers)]
    return pool, [pid for pid, _ in arrived], max(usable_ns for _, usable_ns in arrived)


def end_pool(pool: Pool) -> None:
    """Lets all workers of a pool leave."""
    pool.close()
    pool.join()


def memory_kib(pid: int) -> dict[str, int]:
    """Proportional and private memory of a process (proc_pid_smaps(5))."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        fields = dict(line.split(":", 1) for line in rollup.readlines()[1:])
    kib = {name: int(text.split()[0]) for name, text in fields.items()}
    return {"pss": kib["Pss"], "private": kib["Private_Clean"] + kib["Private_Dirty"]}


def largest_memory_kib(pids: list[int]) -> dict[str, int]:
    """Memory of that process of `pids` that has most of its own."""
    return max((memory_kib(pid) for pid in pids), key=lambda kib: kib["private"])


# Steps: each yields its rows.


def cold(n: int, _workers: int) -> Iterator[Row]:
    """A new interpreter, from exec to usable libraries."""
    import inspect
    import subprocess

    program = f"import time\n{inspect.getsource(now_ns)}\n{inspect.getsource(use_libraries)}\n"
    command = [sys.executable, "-c", program + "use_libraries()\nprint(now_ns())"]

    def once() -> float:
        start_ns = now_ns()
        ended = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return ms(start_ns, int(ended.stdout))

    yield "cold", {"ms": repeat(min(n, RARE), once)}


def spawn(n: int, _workers: int) -> Iterator[Row]:
    """multiprocessing's `spawn`: a new interpreter for each child."""
    context = multiprocessing.get_context("spawn")
    samples = repeat(min(n, RARE), lambda: run_child(context, is_preloaded=False))
    yield "spawn_first_line", {"ms": [first for first, _ in samples]}
    yield "spawn_usable", {"ms": [usable for _, usable in samples]}


def forkserver(n: int, _workers: int) -> Iterator[Row]:
    """multiprocessing's `forkserver`, running, without the libraries."""
    context = multiprocessing.get_context("forkserver")
    samples = repeat(min(n, RARE), lambda: run_child(context, is_preloaded=False))
    yield "forkserver", {"ms": [usable for _, usable in samples]}


def forkserver_preload(n: int, _workers: int) -> Iterator[Row]:
    """multiprocessing's `forkserver`, running, with the libraries."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "numpy", "scipy.signal", "scipy.fft"])
    samples = repeat(min(n, FREQUENT), lambda: run_child(context, is_preloaded=True))
    yield "forkserver_preload", {"ms": [usable for _, usable in samples]}


def fork(n: int, workers: int) -> Iterator[Row]:
    """A plain fork of a parent that has the libraries."""
    use_libraries()
    context = multiprocessing.get_context("fork")
    samples = repeat(min(n, FREQUENT), lambda: run_child(context, is_preloaded=True))
    yield "fork", {"ms": [usable for _, usable in samples]}
    pool, pids, _ = start_pool(context, workers)
    yield "fork_memory", {"kib": largest_memory_kib(pids)}
    end_pool(pool)


def pool_start(n: int, workers: int) -> Iterator[Row]:
    """A spawned pool, from its constructor to all workers being usable."""
    context = multiprocessing.get_context("spawn")

    def once() -> float:
        start_ns = now_ns()
        pool, _, usable_ns = start_pool(context, workers)
        end_pool(pool)
        return ms(start_ns, usable_ns)

    yield "pool_start", {"ms": repeat(min(n, RARE), once)}


def pool_assign(n: int, workers: int) -> Iterator[Row]:
    """A spawned pool that stands: what a worker weighs; a task assigned and its result got."""
    import itertools

    pool, pids, _ = start_pool(multiprocessing.get_context("spawn"), workers)
    yield "pool_memory", {"kib": largest_memory_kib(pids)}
    pauses_us = itertools.cycle(PAUSES_US)

    def once() -> float:
        time.sleep(next(pauses_us) / 1e6)
        start_ns = now_ns()
        pool.apply(identity, (start_ns,))
        return ms(start_ns, now_ns())

    yield "pool_assign", {"ms": repeat(n, once)}
    end_pool(pool)


STEPS: dict[str, Callable[[int, int], Iterator[Row]]] = {
    "cold": cold,
    "spawn": spawn,
    "forkserver": forkserver,
    "forkserver_preload": forkserver_preload,
    "fork": fork,
    "pool_start": pool_start,
    "pool_assign": pool_assign,
}


def probe() -> int:
    """Tells what this interpreter has, without importing it; exit code 1 if it will not do."""
    import importlib.metadata
    import importlib.util
    import json
    import platform

    has_packages = all(importlib.util.find_spec(name) is not None for name in PACKAGES)
    if sys.version_info < OLDEST_PYTHON or not has_packages:
        return 1
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    python = {"executable": sys.executable, "python": platform.python_version()}
    print(json.dumps({**python, **versions}))
    return 0


def run_step(step: str, n: int, workers: int) -> None:
    """Runs one step in this process and prints its rows."""
    import json

    for name, values in STEPS[step](n, workers):
        print(json.dumps({"name": name, **values}), flush=True)


def run_steps(n: int, workers: int) -> None:
    """Runs every step, each in an interpreter of its own."""
    import subprocess

    for step in STEPS:
        subprocess.run([sys.executable, __file__, str(n), str(workers), step], check=True)


def main(words: list[str]) -> int:
    """Does what the command line says; returns the exit code."""
    import os

    # One thread a process: more would measure the machine's cores. Children inherit it.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    match words:
        case ["probe"]:
            return probe()
        case [n, workers]:
            run_steps(int(n), int(workers))
        case [n, workers, step] if step in STEPS:
            run_step(step, int(n), int(workers))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
