"""What went wrong, for a person: the author's part of a traceback, then error, file and line."""

from __future__ import annotations

import os
import traceback

#: Where our own code lies, which is of no interest to an author.
OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
#: Of a message that is longer, the beginning is told: somebody has put an array into it.
MOST_MESSAGE = 400


def _authors_part(error: BaseException) -> traceback.StackSummary:
    """The traceback without our own frames before and after the author's."""
    frames = traceback.extract_tb(error.__traceback__)
    is_ours = [frame.filename.startswith(OWN_FOLDER) for frame in frames]
    if all(is_ours):
        return traceback.StackSummary()
    return traceback.StackSummary(frames[is_ours.index(False) : len(frames) - is_ours[::-1].index(False)])


def _where(error: BaseException, origin: str | None) -> str:
    """The innermost line of the author's file; of another one if it is not in there."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({os.path.basename(error.filename)}, line {error.lineno})"
    frames = _authors_part(error)
    own = [frame for frame in frames if frame.filename == origin] or frames
    return f" ({os.path.basename(own[-1].filename)}, line {own[-1].lineno})" if own else ""


def reason(error: BaseException, origin: str | None = None) -> str:
    """One line: error, message, file and line. `origin` is the author's file."""
    message = str(error)
    if isinstance(error, SyntaxError):
        message = error.msg
    elif isinstance(error, KeyError) and len(error.args) == 1 and isinstance(error.args[0], str):
        # Whose text would be its repr.
        message = error.args[0]
    message = " ".join(str(message).split())
    if len(message) > MOST_MESSAGE:
        message = message[:MOST_MESSAGE] + " ..."
    kind = type(error).__name__
    return (f"{kind}: {message}" if message else kind) + _where(error, origin)


def text(error: BaseException, origin: str | None = None) -> str:
    """The traceback, and `reason` as its last line."""
    frames = _authors_part(error)
    head = ["Traceback (most recent call last):\n", *frames.format()] if frames else []
    return "".join(head) + reason(error, origin)
