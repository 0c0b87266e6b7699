"""Print text for people: escape control characters, tolerate closed streams.

File names, status lines of servers and fields of model files are untrusted: printed as they are,
they could move the cursor, recolor the terminal or fill it with a megabyte of text.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import unicodedata
from typing import TextIO

MOST_IN_LINE = 1000
MOST_LINES = 400
# Unicode categories that are escaped: controls, formats (invisible, or changing the direction of
# text), halves of surrogate pairs, and separators of lines and paragraphs.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # they join letters in some scripts, and emoji
_PLAIN = re.compile(r"[\x20-\x7e]*")


def plain(text: object, most: int = MOST_IN_LINE) -> str:
    """Text for one line: escape control characters, leave out the middle of a long text."""
    shown = str(text)
    half = (most - 40) // 2
    if len(shown) <= most:
        shown = _escape(shown)
        return shown if len(shown) <= most else _joined(shown, half, shown[:half], shown[-half:])
    return _joined(shown, half, _escape(shown[:half])[:half], _escape(shown[-half:])[-half:])


def _joined(text: str, half: int, first: str, last: str) -> str:
    return f"{first}... ({len(text) - 2 * half:,} characters) ...{last}"


def _escape(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_escaped(c) if _is_unseen(c) else c for c in text)


def plain_lines(text: object) -> str:
    """Like `plain`, for text of several lines."""
    lines = str(text).split("\n")
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"... ({len(lines) - MOST_LINES:,} more lines)"]
    return "\n".join(map(plain, lines))


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN and character not in _JOINERS


def _escaped(character: str) -> str:
    return (
        character.encode("ascii", "backslashreplace").decode()
        if ord(character) > 127
        else (repr(character)[1:-1])
    )


def say(text: object) -> None:
    """Print a line on stderr; does nothing where stderr is closed."""
    write_to(sys.stderr, plain_lines(text) + "\n")


def tell(text: object) -> None:
    """Print lines on stdout, such as a table. Raises OSError where stdout cannot be written.

    Characters that its encoding lacks are escaped.
    """
    if sys.stdout is not None:
        print(_encodable(plain_lines(text), sys.stdout))


def write_to(stream: TextIO | None, text: str) -> None:
    """Write text unchanged; does nothing where the stream is closed, full or missing."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed in this process
            stream.write(_encodable(text, stream))
            stream.flush()


def is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def open_missing_streams() -> None:
    """Open the null device as stdin, stdout or stderr where the caller has closed them.

    Otherwise the first file that is opened gets their number, and native libraries write their
    messages into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
