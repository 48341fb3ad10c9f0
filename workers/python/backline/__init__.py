"""Write a module for Backline in Python.

    from backline import Input, Module, Output, Param

Names are imported when they are first used, so that whoever only starts this package can say in words that
numpy is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .module import Input, Module, Output, Param

__all__ = ["Input", "Module", "Output", "Param"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'backline' has no attribute {name!r}")
    from . import module

    return getattr(module, name)
