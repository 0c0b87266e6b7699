"""Output of `litepose predict`: names of its files, lines of JSON, and what it says at the end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from litepose.core.console import say

MARK = ".pose"  # photo.jpg -> photo.pose.jpg


class OutputPaths:
    """Paths of annotated images and videos: beside each source, or all in one folder.

    None of the `sources` is overwritten.
    """

    def __init__(self, folder: str | None, sources: Sequence[str]) -> None:
        from litepose.core.names import local_path

        self._folder = None if folder is None else local_path(folder)
        self._taken = {os.path.realpath(source) for source in sources}

    def check(self, sources: Sequence[str]) -> None:
        """Make the folder and see that it can be written, before work starts."""
        from litepose.core.errors import LitePoseError
        from litepose.imaging.write import check_writable

        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise LitePoseError(
                    f"cannot make the folder {self._folder}: {exc.strerror}"
                ) from None
        for folder in {self._beside(source) for source in sources}:
            try:
                check_writable(folder / f"image{MARK}.jpg")
            except LitePoseError as exc:
                raise LitePoseError(f"{exc}; name another folder with --output") from None

    def name(self, source: str, mark: str, suffix: str = ".jpg") -> Path:
        """A path that nothing else of this run has: photo.pose.jpg, photo-2.pose.jpg, ..."""
        from litepose.core.names import is_url, without_password
        from litepose.imaging.video_open import is_camera

        shown = without_password(source).partition("?")[0] if is_url(source) else source
        path = Path(shown.rstrip("/"))
        if "*" in path.name:  # the frames of a video, by a pattern
            path = path.parent
        stem = path.stem or "image"
        if suffix == ".webm" and is_camera(source):
            stem = f"camera{stem}"
        folder, number = self._beside(source), 1
        path = folder / f"{stem}{mark}{suffix}"
        while os.path.realpath(path) in self._taken:
            number += 1
            path = folder / f"{stem}-{number}{mark}{suffix}"
        self._taken.add(os.path.realpath(path))
        return path

    def _beside(self, source: str) -> Path:
        from litepose.core.names import is_url, local_path

        if self._folder is not None:
            return self._folder
        return Path() if is_url(source) else local_path(source).parent


class Report:
    """The file of JSON lines. If writing fails, this is reported once, `failed` is set and the work
    goes on."""

    def __init__(self, file: TextIO) -> None:
        self._file, self.failed = file, False

    def write(self, line: str) -> None:
        """A line, whole even where we are interrupted."""
        if not self.failed:
            self._try(lambda: (self._file.write(line), self._file.flush()))

    def close(self) -> None:
        self._try(self._file.close)

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except OSError as exc:
            if not self.failed:
                say(f"failed: cannot write {self._file.name}: {exc.strerror or exc}")
            self.failed = True


def open_report(path: str | None, sources: Sequence[str]) -> Report | None:
    """The file of JSON lines. Raises LitePoseError where it would replace a source."""
    from litepose.core.errors import LitePoseError
    from litepose.core.names import local_path
    from litepose.imaging.find_images import IMAGE_SUFFIXES
    from litepose.imaging.video_open import VIDEO_SUFFIXES

    if path is None:
        return None
    suffix = Path(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES:  # as `--json *.jpg` would have it
        raise LitePoseError(
            f"--json {path} names an image or a video; give a name such as people.jsonl"
        )
    if os.path.realpath(path) in map(os.path.realpath, sources):
        raise LitePoseError(f"--json {path} is one of the sources; give another name")
    try:
        return Report(local_path(path).open("w", encoding="utf-8"))
    except OSError as exc:
        raise LitePoseError(f"cannot write {path}: {exc.strerror}") from None


def print_record(record: dict[str, Any], report: Report | None, shown: bool = True) -> None:
    """One line on stdout (where `shown`) and in the report."""
    line = json.dumps(record, separators=(",", ":")) + "\n"
    if report is not None:
        report.write(line)
    if shown and sys.stdout is not None:
        sys.stdout.write(line)
        sys.stdout.flush()


def sum_up(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The last line of JSON, of all images' records."""
    failed = [r for r in records if "error" in r]
    return {
        "images": len(records),
        "failed": len(failed),
        "people": sum(len(r.get("people", ())) for r in records),
        "errors": {r["source"]: r["error"] for r in failed},
    }


def report_outcome(records: list[dict[str, Any]], quiet: bool) -> int:
    """Say on stderr where images were drawn and which failed; returns the exit code."""
    failed = [r for r in records if "error" in r]
    drawn = [r for r in records if "drawn" in r and "error" not in r]
    if not quiet:
        for record in drawn[:10]:
            people = len(record["people"])
            who = "no people" if not people else "1 person" if people == 1 else f"{people} people"
            say(f"{record['source']}: {who} -> {record['drawn']}")
        if len(drawn) > 10:
            say(f"... and {len(drawn) - 10} more images")
    for record in failed:
        source, error = record["source"], record["error"]
        named = "" if source in error else f"{source}: "
        say(f"failed: {named}{error}")
    return 1 if failed else 0
