"""`python -m backline`: the command line of the Python worker. Started by `backline run`, never by hand.

--zygote                      load everything, then fork workers as the engine asks on descriptor 0
--describe                    say what there is, as lines of JSON
NAME SLOT CORE ENGINE_PID     be a worker
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import process, zygote
from .lines import Lines

if TYPE_CHECKING:
    from .worker import Worker

USAGE, REFUSED = 64, 78


class NoWorker(Exception):
    """What is missing, and what to do."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


def load(tell: Callable[[str], None] = lambda words: None) -> Worker:
    """Everything. `NoWorker` in words if numpy or the SDK is missing."""
    process.stay_one_thread()
    tell("importing numpy")
    try:
        from . import binding
        from .worker import Worker
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("backline"):
            raise
        missing = error.name or "numpy"
        remedy = f"{missing} is not there for {sys.executable}; install it: apt install python3-{missing}"
        raise NoWorker(missing, remedy) from None
    try:
        return Worker(tell)
    except binding.NoSdk as error:
        raise NoWorker("libbackline_sdk.so", str(error)) from None


def be_zygote() -> None:
    """Never returns."""
    zygote.begin()
    lines = Lines(zygote.take_socket())
    process.stdout_is_for_lines()
    try:
        worker = load(lines.stage)
    except NoWorker as error:
        lines.fault(error.name, error.reason)
        lines.say("ready", 0)
        zygote.serve(lines, None, str(error))
    if not worker.describe(lines):
        refusal = "the SDK does not take the module types; its reason is on standard error"
        lines.fault("libbackline_sdk.so", refusal)
        lines.say("ready", 0)
        zygote.serve(lines, None, refusal)
    if process.threads() > 1:
        lines.fault("python", "an import has started a thread, which workers will not have")
    worker.settle()
    lines.say("ready", len(worker.library.types))
    zygote.serve(lines, worker.run)


def describe() -> int:
    """Lines on standard output."""
    lines = Lines(process.stdout_is_for_lines())
    try:
        return 0 if load(lines.stage).describe(lines) else REFUSED
    except NoWorker as error:
        lines.fault(error.name, error.reason)
        return 0


def main(words: list[str]) -> int:
    """The exit code."""
    if words == ["--zygote"]:
        be_zygote()
    if words == ["--describe"]:
        return describe()
    if len(words) != 4:
        print(__doc__, file=sys.stderr)
        return USAGE
    process.stdout_is_for_lines()
    try:
        worker = load()
    except NoWorker as error:
        print(f"backline-python: {error}", file=sys.stderr)
        return REFUSED
    worker.settle()
    code = worker.run(words)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
