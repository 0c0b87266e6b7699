"""Write files whole or not at all; remove temporary files of killed runs.

A file is written under a temporary name beside its target, then renamed. The name contains the
process id, so the next run in the folder can remove files of processes that have ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_NAME = re.compile(r"\.litepose-(.+)-(\d+)-[0-9a-f]{12}\.part")


def temporary_beside(path: Path) -> Path:
    """An unused name in the same folder. Removes files of killed runs there."""
    folder = path.parent
    sweep(folder.resolve())
    return folder / f".litepose-{_host()}-{os.getpid()}-{secrets.token_hex(6)}.part"


@cache  # once per process: a folder may hold a hundred thousand images
def sweep(folder: Path) -> None:
    """Remove the temporary files of ended processes of this machine from a folder."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".litepose-*.part"):
            match = _NAME.fullmatch(path.name)
            if match and match[1] == _host() and not _is_running(int(match[2])):
                with contextlib.suppress(OSError):
                    path.unlink()


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write several files; none is replaced before all are on the disk.

    Raises OSError if one cannot be written; the old files then stay as they were.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            written[path] = temporary_beside(path)
            with written[path].open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in written.items():
            temporary.replace(path)
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)


@cache
def _host() -> str:
    return re.sub(r"[^\w.]", "_", socket.gethostname(), flags=re.ASCII)[:40] or "here"


def _is_running(process: int) -> bool:
    if os.name != "posix":  # on Windows, os.kill would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # the process of another user
        return True
    return True
