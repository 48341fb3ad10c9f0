"""The author's files: found, imported each under a name of its own, looked through for module classes.

In: BACKLINE_MODULES, folders or files. Out: module types, and faults in words with file and line. A file is
imported here only after `trial` has seen a child process survive it.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType as PythonModule

from . import complaint, process, trial
from .module import Module
from .panels import ModuleType, Unfit, describe

#: Debian's name of what a preload needs, where it is not `python3-NAME`.
PACKAGES = {"PIL": "python3-pil", "sklearn": "python3-sklearn", "yaml": "python3-yaml"}
MOST_TYPES = 256

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Fault:
    """A file, or a name, that gives no module type, and why."""

    name: str
    reason: str


@dataclass
class Library:
    """What was found."""

    types: list[ModuleType] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def refuse(self, name: str, reason: str) -> None:
        """Notes a fault."""
        self.faults.append(Fault(name, reason))


def listed(text: str | None) -> list[str]:
    """Words with ':' between."""
    return [word for word in (text or "").split(":") if word]


def ahead_of(text: str | None) -> dict[str, int]:
    """`TYPE=BLOCKS,...`; what is no such pair is passed over."""
    pairs = (pair.partition("=") for pair in (text or "").split(","))
    return {name.strip(): int(blocks) for name, _, blocks in pairs if blocks.strip().isdigit()}


def preload(names: list[str], into: Library, tell: Tell) -> None:
    """Imports what modules will want, so that no worker has to."""
    for name in names:
        if name not in sys.modules:
            tell(f"importing {name}")
        threads = process.threads()
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = (error.name or name).partition(".")[0]
            package = PACKAGES.get(missing, f"python3-{missing.replace('_', '-')}")
            into.refuse(
                name, f"{missing} is not there for {sys.executable}; install it: apt install {package}"
            )
        except BaseException as error:
            into.refuse(name, complaint.reason(error))
        if process.threads() > threads:
            into.refuse(name, "its import has started a thread, which workers will not have")


def files(paths: list[str], into: Library) -> Iterator[str]:
    """Python files in `paths`, by name; those that begin with `_` or `.` are for others to import."""
    for path in paths:
        if os.path.isfile(path):
            yield os.path.abspath(path)
        elif os.path.isdir(path):
            try:
                names = sorted(os.listdir(path))
            except OSError as error:
                into.refuse(path, f"cannot be read: {error.strerror}")
                continue
            for name in names:
                file = os.path.join(path, name)
                if name.endswith(".py") and name[0] not in "_." and os.path.isfile(file):
                    yield os.path.abspath(file)
        else:
            into.refuse(path, "there is no such file or folder")


def import_file(path: str) -> PythonModule:
    """Imports one file. From its source, never from a cache: who edits twice in a second means the second."""
    stem = os.path.splitext(os.path.basename(path))[0]
    name, number = f"backline_files.{stem}", 1
    while name in sys.modules:
        number += 1
        name = f"backline_files.{stem}_{number}"
    folder = os.path.dirname(path)
    if folder not in sys.path:
        # Last, so that a file called `random.py` is not taken for Python's.
        sys.path.append(folder)
    module = PythonModule(name)
    module.__file__ = path
    sys.modules[name] = module
    try:
        with open(path, "rb") as source:
            code = compile(source.read(), path, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def classes(module: PythonModule) -> list[type[Module]]:
    """Module classes that `module` itself defines and that render, in the order in which they stand there."""
    found = []
    for value in vars(module).values():
        is_own = isinstance(value, type) and issubclass(value, Module) and value.__module__ == module.__name__
        if is_own and value.render is not Module.render and not value.__name__.startswith("_"):
            found.append(value)
    return list(dict.fromkeys(found))


def add_file(path: str, into: Library, ahead: dict[str, int], spent_s: float = 0.0) -> None:
    """Imports one file and takes its types. `spent_s` is what other files have taken."""
    name = os.path.basename(path)
    limit_s = trial.limit_after(spent_s)
    died_of = trial.of_import(path, limit_s)
    if died_of is not None:
        into.refuse(name, died_of)
        return
    try:
        with trial.alarm(limit_s):
            found = classes(import_file(path))
    except BaseException as error:
        into.refuse(name, complaint.reason(error, path))
        return
    if not found:
        into.refuse(name, "no class in it is a backline.Module with a render(self, inputs, params, out)")
    for cls in found:
        add_class(cls, path, into, ahead, limit_s)


def add_class(cls: type[Module], path: str, into: Library, ahead: dict[str, int], limit_s: float) -> None:
    """Takes one type, if it is one and survives its first blocks."""
    name = f"{os.path.basename(path)}: {cls.__name__}"
    try:
        described = describe(cls, path, ahead)
    except Unfit as error:
        into.refuse(name, str(error))
        return
    except BaseException as error:
        into.refuse(name, complaint.reason(error, path))
        return
    same = [known.origin for known in into.types if known.name == described.name]
    if same:
        into.refuse(name, f"there is a type {described.name!r} already, in {same[0]}")
    elif len(into.types) == MOST_TYPES:
        into.refuse(name, f"there are {MOST_TYPES} types already")
    else:
        died_of = trial.of_first_blocks(described, limit_s)
        if died_of is None:
            into.types.append(described)
        else:
            into.refuse(name, died_of)


def load(tell: Tell = lambda words: None) -> Library:
    """Everything that the environment asks for."""
    library = Library()
    preload(listed(os.environ.get("BACKLINE_PRELOAD")), library, tell)
    ahead = ahead_of(os.environ.get("BACKLINE_RENDER_AHEAD"))
    started_s = time.monotonic()
    for path in files(listed(os.environ.get("BACKLINE_MODULES")), library):
        tell(f"importing {os.path.basename(path)}")
        add_file(path, library, ahead, time.monotonic() - started_s)
    return library
