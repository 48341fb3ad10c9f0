"""Lines of JSON for the engine: what a person who waits reads, and what could not be offered."""

from __future__ import annotations

import json
import os


class Lines:
    """One descriptor to write them to."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def say(self, kind: str, what: object) -> None:
        """One line."""
        left = json.dumps({kind: what}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        while left:
            left = left[os.write(self.descriptor, left) :]

    def stage(self, words: str) -> None:
        """How far we are."""
        self.say("stage", words)

    def fault(self, name: str, reason: str) -> None:
        """Something that is no module type."""
        self.say("fault", {"name": name, "reason": reason})
