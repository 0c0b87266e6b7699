"""LitePoseError, the one exception for what a user can fix, and hints for misspelled names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from litepose.core.console import plain_lines


class LitePoseError(ValueError):
    """Wrong input, file or option. The message says what is wrong, what it got, what to do.

    The command line prints it without a traceback; any other exception that escapes is a bug.
    Messages often quote untrusted text, so control characters are escaped and long texts are cut.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(plain_lines(message))


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean 'lr'?`, or nothing where no name is similar."""
    near = get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""
