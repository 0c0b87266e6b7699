"""Log a run: progress, a report per epoch, curves and sample images.

metrics.jsonl has one line per epoch, tensorboard/ the same as curves, samples/ images with the
predictions on the left and the annotations on the right. Only the first process logs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from litepose.core.console import say
from litepose.core.errors import LitePoseError
from litepose.core.progress import Progress
from litepose.core.read_text import DATA_BYTES, parse_json, read_file
from litepose.evaluation.matching import Interval
from litepose.imaging.draw import draw_poses
from litepose.training.validation import Example

PLAIN_LINE_SECONDS = 30.0
SAMPLE_THRESHOLD = 0.1


@dataclass(frozen=True)
class EpochReport:
    """One epoch. Losses by name: total, heatmap, pull, push, dense; rate: the first group's.

    validation and intervals (ap, ap50, ap75) are empty for epochs without validation.
    wait_share: of the training time spent waiting for data; seconds_left: of the whole run
    """

    epoch: int
    epochs: int
    training: dict[str, float]
    validation: dict[str, float]
    intervals: dict[str, Interval]
    rate: float
    images_per_second: float
    wait_share: float
    unreadable: int
    seconds: float
    seconds_left: float

    def to_text(self) -> str:
        """One line."""
        parts = [f"epoch {self.epoch}/{self.epochs}", f"training {_losses(self.training)}"]
        if self.validation:
            parts.append(f"validation {_losses(self.validation)}")
        if self.intervals:
            ap = self.intervals["ap"]
            parts.append(
                f"AP {ap.value:.1f} [{ap.low:.1f}, {ap.high:.1f}]"
                f" AP50 {self.intervals['ap50'].value:.1f}"
            )
        parts.append(f"{self.images_per_second:.1f} images/s, waiting {self.wait_share:.0%}")
        if self.unreadable:
            parts.append(f"{self.unreadable} images unreadable")
        parts.append(f"{duration(self.seconds)} done, {duration(self.seconds_left)} left")
        return " | ".join(parts)


class Reporter:
    """Log to stderr and to the run's folder; does nothing if silent."""

    def __init__(self, folder: Path, done_epochs: int, silent: bool) -> None:
        self.folder = folder
        self.silent = silent
        self._bar: Progress | None = None
        self._last_line = time.monotonic()
        if silent:
            return
        self.metrics = folder / "metrics.jsonl"
        self._forget_after(done_epochs)
        from torch.utils.tensorboard import SummaryWriter  # takes two seconds to import

        self._curves = SummaryWriter(str(folder / "tensorboard"), purge_step=done_epochs + 1)

    def say(self, text: str) -> None:
        if self.silent:
            return
        self.end()
        say(text)

    def begin(self, what: str, batches: int, done: int) -> None:
        """Show a bar on a terminal; elsewhere a line every 30 s."""
        self._last_line = time.monotonic()
        self._bar = Progress(batches, f"batches of {what}", self.silent, done=done)

    def advance(self, what: str, loss: float, done: int, batches: int) -> None:
        if self._bar is not None and self._bar.shown:
            self._bar.step(done, f"loss {loss:.4g}")
        elif time.monotonic() - self._last_line > PLAIN_LINE_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"{what} loss {loss:.4g} {done}/{batches}")

    def end(self) -> None:
        if self._bar is not None:
            self._bar.clear()

    def write(self, report: EpochReport, seen: Sequence[Example]) -> None:
        """Print the report and write its files. Raises LitePoseError on a full disk."""
        self.say(report.to_text())
        if self.silent:
            return
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(report)) + "\n")
            self._write_curves(report)
            self._write_samples(report.epoch, seen)
        except OSError as exc:
            raise LitePoseError(f"cannot write the report to {self.folder}: {exc}") from None

    def close(self) -> None:
        self.end()
        if not self.silent:
            self._curves.close()

    def _write_curves(self, report: EpochReport) -> None:
        for side in ("training", "validation"):
            for name, value in getattr(report, side).items():
                self._curves.add_scalar(f"{name}/{side}", value, report.epoch)
        for name, interval in report.intervals.items():
            self._curves.add_scalar(f"accuracy/{name}", interval.value, report.epoch)
        self._curves.add_scalar("speed/images_per_second", report.images_per_second, report.epoch)
        self._curves.add_scalar("speed/wait_share", report.wait_share, report.epoch)
        self._curves.add_scalar("rate", report.rate, report.epoch)
        self._curves.flush()

    def _write_samples(self, epoch: int, seen: Sequence[Example]) -> None:
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        for i, example in enumerate(seen):
            found = draw_poses(example.image, example.found, threshold=SAMPLE_THRESHOLD)
            both = np.hstack([found, draw_poses(example.image, example.truth)])
            jpeg = cv2.imencode(".jpg", cv2.cvtColor(both, cv2.COLOR_RGB2BGR))[1]
            (folder / f"epoch{epoch:04d}_{i}.jpg").write_bytes(jpeg.tobytes())

    def _forget_after(self, epochs: int) -> None:
        """Drop lines of epochs that an interrupted run reported and that are now repeated."""
        if self.metrics.exists():
            content = read_file(self.metrics, "the figures", DATA_BYTES).decode("utf-8", "replace")
            kept = [line for line in content.splitlines(keepends=True) if _is_of(line, epochs)]
            self.metrics.write_text("".join(kept), encoding="utf-8")


def _is_of(line: str, epochs: int) -> bool:
    """Whether a line is complete (the last may be cut) and of one of the first epochs."""
    try:
        figures = parse_json(line, "the line")
    except LitePoseError:
        return False
    epoch = figures.get("epoch") if isinstance(figures, dict) else None
    return line.endswith("\n") and isinstance(epoch, int) and epoch <= epochs


def duration(seconds: float) -> str:
    """45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _losses(parts: dict[str, float]) -> str:
    named = [f"{name} {value:.4g}" for name, value in parts.items() if name != "total" and value]
    return f"{parts['total']:.4g} ({', '.join(named)})"
