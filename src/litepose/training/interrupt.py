"""SIGTERM and Ctrl-C ask a run to save and leave; a second one leaves at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

ASKING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """While open, `caught` is the number of the first signal that asked to stop, else 0."""

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():  # only there may one listen
            self._before = {number: signal.signal(number, self._catch) for number in ASKING}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            raise KeyboardInterrupt
        self.caught = number
