"""Files: write whole or not at all, and hash."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from litepose.core.errors import LitePoseError
from litepose.core.temporary import write_whole

SPARE_BYTES = 1 << 20  # left free on the disk


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a whole file or nothing: a temporary file beside it, synced, then renamed.

    Raises LitePoseError if the file cannot be written; an old file then stays as it was.
    """
    path = Path(path)
    try:
        free = shutil.disk_usage(path.parent).free
        if free < len(content) + SPARE_BYTES:
            raise LitePoseError(
                f"cannot write {path}: it needs {len(content) / 1e6:.1f} MB and the disk has"
                f" {free / 1e6:.1f} MB free; nothing was overwritten"
            )
        write_whole({path: content})
    except OSError as exc:
        raise LitePoseError(f"cannot write {path}: {exc}; nothing was overwritten") from None


def sha256_of(*paths: Path) -> str:
    """Hex digest of the bytes of all files in order. Raises LitePoseError if one is unreadable."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as exc:
            raise LitePoseError(f"cannot read {path}: {exc.strerror}") from None
    return digest.hexdigest()
