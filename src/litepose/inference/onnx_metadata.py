"""Read the metadata of an ONNX file and refuse weights outside its folder.

Source: the protobuf encoding and field numbers of onnx.proto. The inference install has no `onnx`
package. Weights may be in other files, and runtimes read any path that the file names; so this
check runs first. It reads only the fields it needs and refuses paths outside the file's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from litepose.core.errors import LitePoseError

# Field numbers on the path from ModelProto to the locations of external tensors.
_GRAPH, _METADATA, _FUNCTIONS = 7, 14, 25  # of ModelProto
_INSIDE = {  # kind of message -> {field: kind of message inside}
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata properties of an ONNX file, after a check of where its weights are.

    Raises LitePoseError if the file cannot be read, is not ONNX, or names weights in a file that is
    missing or outside its folder.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as exc:
        raise LitePoseError(f"cannot read {path}: {exc.strerror}") from None
    properties: dict[str, str] = {}
    locations: set[str] = set()
    graphs = 0
    try:
        for field, part in _fields(content):
            if field == _METADATA:
                name, value = _entry(part)
                properties[name] = value
            elif field == _GRAPH:
                locations.update(_external(part, "graph"))
                graphs += 1
            elif field == _FUNCTIONS:
                locations.update(_external(part, "function"))
    except (ValueError, IndexError, RecursionError):
        graphs = 0
    if graphs != 1:
        raise LitePoseError(
            f"{path} is not an ONNX file; get it or export it again (`litepose export`)"
        )
    for location in sorted(locations):
        _check_inside(path, location)
    return properties


def _check_inside(path: Path, location: str) -> None:
    folder = path.resolve().parent
    try:
        target = (folder / location).resolve()
        exists = target.is_file()
    except (OSError, ValueError) as exc:  # too long, a zero byte
        raise LitePoseError(
            f"{path} has its weights in a file with an impossible name: {exc}"
        ) from None
    if not target.is_relative_to(folder):
        raise LitePoseError(
            f"{path} refers to weights in {location}, outside its folder: it is refused; export the"
            " model again, or put its weights beside it"
        )
    if not exists:
        raise LitePoseError(f"{path} has its weights in {location}, which is not beside it")


def _external(message: memoryview, kind: str) -> Iterator[str]:
    """Locations of external tensors anywhere inside a message."""
    for field, part in _fields(message):
        inner = _INSIDE[kind].get(field)
        if inner == "external":
            name, value = _entry(part)
            if name == "location":
                yield value
        elif inner is not None:
            yield from _external(part, inner)


def _entry(message: memoryview) -> tuple[str, str]:
    parts = {field: bytes(part).decode("utf-8") for field, part in _fields(message)}
    return parts.get(1, ""), parts.get(2, "")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(field, content) of each length-delimited field; numbers are skipped."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        key &= 0xFFFFFFFF  # as protobuf reads it; higher bits could hide a field
        wire = key & 7
        if wire == 0:
            _, at = _varint(message, at)
        elif wire == 2:
            size, at = _varint(message, at)
            if size > len(message) - at:
                raise ValueError("a field reaches beyond its message")
            yield key >> 3, message[at : at + size]
            at += size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"no wire type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
