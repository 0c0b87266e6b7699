"""Progress bar on stderr: only for several items, only on a terminal."""

from __future__ import annotations

import os
import sys
import time

from litepose.core.console import is_terminal, write_to

_WIDTH = 28


class Progress:
    """`step()` after each item; `clear()` before other output. Honors NO_COLOR.

    total: None where nobody knows: then it counts and tells the pace.
    """

    def __init__(self, total: int | None, what: str, quiet: bool = False) -> None:
        self._total, self._what, self._done = total, what, 0
        self._shown = total != 1 and total != 0 and not quiet and is_terminal(sys.stderr)
        self._color = not os.environ.get("NO_COLOR")
        self._start = time.monotonic()

    def step(self, to: int | None = None) -> None:
        """One more is done, or as many as `to`."""
        self._done = self._done + 1 if to is None else to
        if not self._shown:
            return
        spent = time.monotonic() - self._start
        if self._total is None:
            pace = self._done / max(spent, 1e-3)
            text = f"\r{self._done} {self._what}, {pace:.1f} a second \033[K"
            write_to(sys.stderr, text)
            return
        self._total = max(self._total, self._done)
        left = spent / self._done * (self._total - self._done)
        bar = "━" * round(_WIDTH * self._done / self._total)
        track = bar.ljust(_WIDTH, "─")
        if self._color:
            track = f"\033[36m{bar}\033[2m{track[len(bar) :]}\033[0m"
        text = f"\r{track} {self._done}/{self._total} {self._what}, {left:.0f} s left \033[K"
        write_to(sys.stderr, text)

    def clear(self) -> None:
        if self._shown:
            write_to(sys.stderr, "\r\033[K")
