"""Read what a stopped evaluation left on disk: a header and one line of JSON per image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litepose.core.errors import LitePoseError
from litepose.core.read_text import DATA_BYTES, parse_json, read_file


def read_stopped_run(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The complete lines, header first, and their size in bytes. Raises LitePoseError."""
    content = read_file(path, "the stopped run", DATA_BYTES)
    size = content.rfind(b"\n") + 1
    lines = []
    for number, text in enumerate(content[:size].split(b"\n")[:-1], 1):
        try:
            lines.append(parse_json(text, "the line"))
        except LitePoseError:
            lines.append(None)
        if not _is_line(lines[-1], header=number == 1):
            raise LitePoseError(
                f"{path} is damaged in line {number}, so the run cannot be resumed; start without"
                " resuming"
            )
    return lines, size


def _is_line(line: Any, header: bool) -> bool:
    if header or not isinstance(line, dict):
        return isinstance(line, dict)
    has_people = isinstance(line.get("people"), list) and isinstance(line.get("seconds"), float)
    return isinstance(line.get("image"), int) and (has_people or "unreadable" in line)
