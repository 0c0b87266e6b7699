"""Read JSON and TOML files that may be damaged or hostile.

Python's parsers raise many kinds of errors for thousands of nested brackets or digits, and pass on
values that crash later code. Here such a file raises LitePoseError; results have limited nesting
and whole numbers of at most 64 bits.
"""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path
from typing import Any

from litepose.core.errors import LitePoseError

MOST_NESTED = 64  # COCO's annotations are nested five deep, our settings four
MOST_BITS = 64  # of a whole number
SETTINGS_BYTES = 16 << 20  # no configuration, skeleton or settings of a model is larger
DATA_BYTES = 4 << 30  # annotations of a million images


def read_json(
    path: str | Path, what: str, most_bytes: int = DATA_BYTES, any_number: bool = False
) -> Any:
    """A file's JSON. what: its name in messages, such as "the annotations"; any_number: allow
    whole numbers of more than 64 bits; the caller checks them.

    Raises LitePoseError if the file is missing, not regular, too large or invalid JSON.
    """
    return parse_json(read_file(path, what, most_bytes), f"{what} {path}", any_number)


def read_toml(path: str | Path, what: str) -> dict[str, Any]:
    """A file's TOML. Raises LitePoseError like `read_json`."""
    content = read_file(path, what, SETTINGS_BYTES)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise LitePoseError(f"{what} {path} is not TOML: {exc}") from None
    return parse_toml(text, f"{what} {path}")


def read_file(path: str | Path, what: str, most_bytes: int) -> bytes:
    """All bytes of a file. Raises LitePoseError like `read_json`.

    Only a regular file is opened: a pipe or a device could block or never end.
    """
    path = Path(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _no_file(path, what, found.st_mode)
        if found.st_size > most_bytes:
            raise LitePoseError(
                f"{what} {path} has {found.st_size:,} bytes, more than the limit of {most_bytes:,}"
            )
        with path.open("rb") as file:
            return file.read(most_bytes + 1)[:most_bytes]
    except OSError as exc:
        raise LitePoseError(f"cannot read {what} {path}: {exc.strerror or exc}") from None
    except LitePoseError:
        raise
    except ValueError as exc:  # a zero byte, or half a surrogate pair, in the name
        raise LitePoseError(f"cannot read {what} {str(path)!r}: {exc}") from None


def check_regular(path: Path, what: str) -> None:
    """Raise LitePoseError if the path is no regular file; a pipe would block other libraries."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # the reader reports it
        return
    if not stat.S_ISREG(mode):
        raise _no_file(path, what, mode)


def _no_file(path: Path, what: str, mode: int) -> LitePoseError:
    kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
    return LitePoseError(f"cannot read {what} {path}: it is {kind}")


def parse_json(text: str | bytes, what: str, any_number: bool = False) -> Any:
    """Parse JSON. Raises LitePoseError if it is invalid or exceeds a limit."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_nested(what) from None
    except (ValueError, TypeError) as exc:
        raise LitePoseError(f"{what} is not JSON: {_reason(exc)}") from None
    return _checked(value, what, any_number)


def parse_toml(text: str, what: str) -> dict[str, Any]:
    """Parse TOML. Raises LitePoseError if it is invalid or exceeds a limit."""
    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise _too_nested(what) from None
    except ValueError as exc:
        raise LitePoseError(f"{what} is not TOML: {_reason(exc)}") from None
    checked: dict[str, Any] = _checked(value, what, any_number=False)
    return checked


def _checked(value: Any, what: str, any_number: bool) -> Any:
    """Check a value layer by layer; deep nesting would exhaust a recursion."""
    layer, depth = [[value]], 0
    while layer:
        if depth > MOST_NESTED:
            raise _too_nested(what)
        below: list[Any] = []
        for part in layer:
            for inner in part.values() if type(part) is dict else part:
                kind = type(inner)
                if kind is dict or kind is list:
                    below.append(inner)
                elif kind is int and not any_number and inner.bit_length() > MOST_BITS:
                    raise LitePoseError(
                        f"{what} holds a whole number of more than {MOST_BITS} bits"
                    )
        layer, depth = below, depth + 1
    return value


def _too_nested(what: str) -> LitePoseError:
    return LitePoseError(f"{what} is nested more than {MOST_NESTED} levels deep")


def _reason(exc: Exception) -> str:
    """The reason without Python's advice to programmers on numbers of thousands of digits."""
    text = str(exc)
    return "a number has thousands of digits" if "integer string conversion" in text else text
