"""Progress on stderr: a bar or a line of status, on a terminal only."""

from __future__ import annotations

import os
import shutil
import sys
import time

from litepose.core.console import is_terminal, plain, write_to

_WIDTH = 28


class Progress:
    """A bar for several items: `step()` after each, `clear()` before other output.

    total: number of items; None if unknown, then the bar shows a count and a rate
    what: the items, such as "images"; done: items finished earlier, not counted in the rate
    The environment variable NO_COLOR is honored.
    """

    def __init__(self, total: int | None, what: str, quiet: bool = False, *, done: int = 0) -> None:
        self._total, self._what, self._done, self._begun = total, what, done, done
        self.shown = total != 1 and total != 0 and not quiet and is_terminal(sys.stderr)
        self._color = not os.environ.get("NO_COLOR")
        self._start = time.monotonic()

    def step(self, to: int | None = None, note: str = "") -> None:
        """Count one more item, or `to` items in all. note: text after the bar."""
        self._done = self._done + 1 if to is None else to
        if not self.shown:
            return
        spent = time.monotonic() - self._start
        new = max(1, self._done - self._begun)
        if self._total is None:
            rate = new / max(spent, 1e-3)
            status(f"{self._done} {self._what}, {rate:.1f} a second {note}")
            return
        self._total = max(self._total, self._done)
        left = spent / new * (self._total - self._done)
        bar = "━" * round(_WIDTH * self._done / self._total)
        track = bar.ljust(_WIDTH, "─")
        if self._color:
            track = f"\033[36m{bar}\033[2m{track[len(bar) :]}\033[0m"
        text = f"{self._done}/{self._total} {self._what}, {left:.0f} s left {note}"
        _overwrite(track + " " + _cut(text, _WIDTH + 1))

    def clear(self) -> None:
        if self.shown:
            _overwrite("")


def status(text: str) -> None:
    """Replace the last line on a terminal; an empty text clears it."""
    if is_terminal(sys.stderr):
        _overwrite(_cut(text, 0))


def _cut(text: str, used: int) -> str:
    """The text cut to the rest of the line: a longer one would wrap and stay visible."""
    return plain(text)[: max(0, shutil.get_terminal_size().columns - used - 1)]


def _overwrite(text: str) -> None:
    write_to(sys.stderr, f"\r\033[K{text}")
