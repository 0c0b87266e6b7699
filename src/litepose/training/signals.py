"""Handle SIGTERM, SIGHUP and Ctrl-C: save, then leave; a second one leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, *filter(None, [getattr(signal, "SIGHUP", None)]))
IMPATIENT_AFTER = 1.0  # seconds: some terminals and launchers send a signal twice


class Signals:
    """While open, `caught` is the number of the first stop signal, else 0."""

    def __init__(self) -> None:
        self.caught = 0
        self._caught_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():  # others cannot handle signals
            self._before = {number: signal.signal(number, self._catch) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.caught:
            self.caught, self._caught_at = number, now
            _say("saving, then leaving; once more leaves without saving")
        elif now - self._caught_at > IMPATIENT_AFTER:
            _say("leaving without saving")
            raise KeyboardInterrupt


def _say(text: str) -> None:
    """Write to stderr unbuffered: the signal may have interrupted a buffered write."""
    with contextlib.suppress(OSError):  # after SIGHUP the terminal may be gone
        os.write(2, f"\n{text}\n".encode())
