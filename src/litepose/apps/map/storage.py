"""Storage by fsspec: local folders, object stores, and their failures as one kind of exception."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litepose.core.errors import LitePoseError


class StorageError(Exception):
    """The storage of the source failed: its part is not finished and is tried again."""


def file_system(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URI, and the path in it.

    Raises LitePoseError for an unknown scheme, or one whose package is not installed.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(uri)
    except ImportError as exc:
        raise LitePoseError(f"{uri}: this kind of storage needs one more package: {exc}") from None
    except Exception as exc:  # each file system raises its own for what it cannot reach
        raise LitePoseError(f"cannot open the storage of {uri}: {exc}") from None


def is_local(fs: Any) -> bool:
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


@contextmanager
def storage_failures() -> Iterator[None]:
    """What object stores raise, as OSError: each package has exceptions of its own."""
    try:
        yield
    except (OSError, LitePoseError, StorageError):
        raise
    except Exception as exc:
        raise OSError(errno.EIO, f"{type(exc).__name__}: {exc}") from exc
