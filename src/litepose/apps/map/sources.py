"""Sources of `litepose map`: folders of images, tar shards, Parquet files; anywhere."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from litepose.apps.map.job import Job, Part
from litepose.apps.map.storage import StorageError, file_system, is_local, storage_failures
from litepose.core.errors import LitePoseError, did_you_mean
from litepose.imaging.find_images import IMAGE_SUFFIXES
from litepose.inference.parallel import ordered_map

READ_AHEAD = 4  # files of a folder opened at once: hides the latency of a network
_KINDS = {
    **dict.fromkeys(IMAGE_SUFFIXES, "images"),
    **dict.fromkeys((".tar", ".tgz", ".tar.gz"), "tar"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
_BYTES_COLUMNS = ("bytes", "image", "image_bytes", "jpg", "jpeg", "png", "content", "data")
_ID_COLUMNS = ("image_id", "id", "__key__", "key", "path", "file_name", "url")


class Item(NamedTuple):
    """One image of a part: its bytes, or None and the sentence that says why there are none."""

    image_id: str
    source: str
    data: bytes | None
    error: str | None = None


def find_parts(source: str, images_per_part: int, job: Job) -> list[Part]:
    """The parts of a folder (and those below it), pattern or file, in order of name.

    Raises LitePoseError where there is nothing, files of several kinds, or no column of bytes.
    """
    fs, root = file_system(source)
    try:
        with storage_failures():
            found, root = _list(fs, root)
    except OSError as exc:
        raise LitePoseError(f"cannot list {source}: {exc.strerror or exc}") from None
    if found is None:
        raise LitePoseError(f"there is no {source}; give a folder, a file or a pattern")
    by_kind: dict[str, list[str]] = {}
    for path in sorted(found):
        kind = _kind(path)
        if kind is not None and not _hidden(path, root):
            by_kind.setdefault(kind, []).append(_full(fs, path))
    if not by_kind:
        raise LitePoseError(f"{source} holds no images, .tar or .parquet files")
    if len(by_kind) > 1:
        named = " and ".join(f"{len(paths)} of {kind}" for kind, paths in by_kind.items())
        raise LitePoseError(
            f"{source} holds files of several kinds ({named}); name one kind with a pattern such"
            f" as '{source.rstrip('/')}/*.tar'"
        )
    kind, paths = next(iter(by_kind.items()))
    step = images_per_part if kind == "images" else 1
    groups = [tuple(paths[i : i + step]) for i in range(0, len(paths), step)]
    if kind == "parquet":
        _check_columns(paths[0], job)
    return [Part(i, kind, group, _full(fs, root)) for i, group in enumerate(groups)]


def _list(fs: Any, root: str) -> tuple[list[str] | None, str]:
    """Files of a pattern, a folder or a file, and the folder they are in; None: it is not there."""
    if any(sign in root for sign in "*?["):
        return fs.glob(root), _parent_of_pattern(root)
    if fs.isdir(root):
        return fs.find(root), root
    return ([root] if fs.exists(root) else None), str(PurePosixPath(root).parent)


def read_part(part: Part, job: Job) -> Iterator[Item]:
    """Every image of a part, in the same order each time; few are in memory at once.

    Raises StorageError where the storage fails, LitePoseError for Parquet without the column.
    """
    if part.kind == "images":
        read_one = partial(_read_file, root=part.root, most=job.limits.max_bytes)
        yield from ordered_map(read_one, part.paths, READ_AHEAD)
        return
    read = _read_tar if part.kind == "tar" else _read_parquet
    try:
        with storage_failures():
            yield from read(part.paths[0], job)
    except OSError as exc:
        raise StorageError(f"cannot read {part.paths[0]}: {exc.strerror or exc}") from exc


def _kind(path: str) -> str | None:
    suffixes = PurePosixPath(path).suffixes
    double = "".join(suffixes[-2:]).lower()
    return _KINDS.get(double) or _KINDS.get(suffixes[-1].lower() if suffixes else "")


def _hidden(path: str, root: str) -> bool:
    below = path[len(root) :] if path.startswith(root) else path
    return any(name.startswith((".", "_map")) for name in below.split("/"))


def _full(fs: Any, path: str) -> str:
    return path if is_local(fs) else fs.unstrip_protocol(path)


def _parent_of_pattern(path: str) -> str:
    plain = []
    for name in path.split("/"):
        if any(sign in name for sign in "*?["):
            break
        plain.append(name)
    return "/".join(plain) or "."


def _read_file(path: str, root: str, most: int) -> Item:
    fs, inside = file_system(path)
    name = path[len(root) :].lstrip("/") if path.startswith(root) else path
    try:
        with storage_failures(), fs.open(inside, "rb") as file:
            data = file.read(most + 1)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as exc:
        if not _is_there(fs, root):
            raise StorageError(f"the source {root} has vanished") from None
        return Item(name, path, None, f"cannot read {path}: {exc.strerror or exc}")
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror or exc}") from exc
    if len(data) > most:
        return Item(name, path, None, f"{path} has more than the limit of {most:,} bytes")
    return Item(name, path, data)


def _is_there(fs: Any, root: str) -> bool:
    try:
        with storage_failures():
            return bool(fs.exists(file_system(root)[1]))
    except OSError:
        return False


def _read_tar(path: str, job: Job) -> Iterator[Item]:
    """Images of a tar file; a sample (members with one stem) without an image is a failure."""
    fs, inside = file_system(path)
    most, last, pending = job.limits.max_bytes, "the beginning", None
    try:
        with fs.open(inside, "rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as tar:
            for member in tar:
                if not member.isfile() or PurePosixPath(member.name).name.startswith("."):
                    continue
                folder, _, base = member.name.rpartition("/")
                key = f"{folder}/{base.partition('.')[0]}" if folder else base.partition(".")[0]
                if pending is not None and pending[0] != key and not pending[1]:
                    yield _no_image(pending[0], path)
                is_image = PurePosixPath(base).suffix.lower() in IMAGE_SUFFIXES
                had = pending is not None and pending[0] == key and pending[1]
                pending = (key, had or is_image)
                if is_image and member.size > most:
                    error = f"{member.name} has more than the limit of {most:,} bytes"
                    yield Item(member.name, path, None, error)
                elif is_image:
                    opened = tar.extractfile(member)
                    yield Item(member.name, path, opened.read() if opened else b"")
                last = member.name
        if pending is not None and not pending[1]:
            yield _no_image(pending[0], path)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, zlib.error) as exc:
        yield Item(path, path, None, f"{path} is damaged or cut off after {last}: {exc}")
    except FileNotFoundError:
        raise StorageError(f"{path} has vanished") from None


def _no_image(key: str, path: str) -> Item:
    return Item(key, path, None, f"the sample {key} of {path} has no image among its members")


def _read_parquet(path: str, job: Job) -> Iterator[Item]:
    import pyarrow
    from pyarrow import parquet

    fs, inside = file_system(path)
    row = 0
    with fs.open(inside, "rb") as raw:
        try:
            table = parquet.ParquetFile(raw)
            column, id_column = _columns(table.schema_arrow, path, job)
            wanted = [column] if id_column is None else [column, id_column]
            for batch in table.iter_batches(batch_size=32, columns=wanted):
                for values in batch.to_pylist():
                    data = values[column]
                    data = data.get("bytes") if isinstance(data, dict) else data
                    named = f"{path}#{row}" if id_column is None else str(values[id_column])
                    error = None if data else f"row {row} of {path} has no bytes in {column!r}"
                    yield Item(named, path, data or None, error)
                    row += 1
        except (pyarrow.ArrowException, ValueError, KeyError, OSError) as exc:
            if isinstance(exc, LitePoseError) or getattr(exc, "errno", None) is not None:
                raise
            yield Item(path, path, None, f"{path} is damaged after row {row}: {exc}")


def _check_columns(path: str, job: Job) -> None:
    import pyarrow
    from pyarrow import parquet

    fs, inside = file_system(path)
    try:
        with storage_failures(), fs.open(inside, "rb") as raw:
            _columns(parquet.read_schema(raw), path, job)
    except (OSError, pyarrow.ArrowException):
        return  # one damaged file is one failure, not the end of the run


def _columns(schema: Any, path: str, job: Job) -> tuple[str, str | None]:
    """Names of the column of bytes and of the one of ids (None: rows are numbered)."""
    from pyarrow import types

    def holds_bytes(name: str) -> bool:
        kind = schema.field(name).type
        if types.is_struct(kind):
            kind = next((f.type for f in kind if f.name == "bytes"), kind)
        return types.is_binary(kind) or types.is_large_binary(kind)

    names = list(schema.names)
    for given in (job.column, job.id_column):
        if given is not None and given not in names:
            raise LitePoseError(
                f"{path} has no column {given!r}{did_you_mean(given, names)}; there are"
                f" {', '.join(names)}"
            )
    usual = [name for name in _BYTES_COLUMNS if name in names and holds_bytes(name)]
    column = job.column or next(iter(usual), None)
    if column is None or not holds_bytes(column):
        raise LitePoseError(
            f"{path} has no column of image bytes{f' named {column!r}' if column else ''}; there"
            f" are {', '.join(names)}: name one of binary values with --column"
        )
    return column, job.id_column or next((name for name in _ID_COLUMNS if name in names), None)
