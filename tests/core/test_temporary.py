"""Files appear whole or not at all; what killed runs left is swept by the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from litepose.core.temporary import sweep, temporary_beside, write_whole


def left_by(process: int, folder: Path, host: str | None = None) -> Path:
    own = temporary_beside(folder / "x.json").name.split("-")
    path = folder / "-".join([own[0], host or "-".join(own[1:-2]), str(process), own[-1]])
    path.write_bytes(b"half")
    return path


def test_files_of_killed_runs_are_swept(tmp_path: Path) -> None:
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = [left_by(living.pid, tmp_path), left_by(dead.pid, tmp_path, "elsewhere")]
    kept.append(tmp_path / ".litepose-notes.part")
    kept[-1].touch()
    gone = [left_by(dead.pid, tmp_path), left_by(10**18, tmp_path)]
    sweep.cache_clear()
    write_whole({tmp_path / "x.json": b"whole"})
    assert not any(path.exists() for path in gone) and all(path.exists() for path in kept)
    living.communicate(b"\n")


def test_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OSError):
        write_whole({tmp_path / "a": b"new", tmp_path / "none" / "b": b"new"})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    write_whole({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
