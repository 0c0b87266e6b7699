"""Files are written whole or not at all, and hashed; missing packages are a sentence."""

from __future__ import annotations

import hashlib
from collections import namedtuple
from pathlib import Path

import pytest

from litepose.core import files
from litepose.core.errors import LitePoseError
from litepose.core.files import sha256_of, write_atomically
from litepose.core.packages import missing, need


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(LitePoseError, match=r"needs 0\.0 MB and the disk has 0\.0 MB free"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(LitePoseError, match=r"cannot write .*nothing was overwritten"):
        write_atomically(tmp_path / "none" / "a.bin", b"new")


def test_hash_of_one_file_and_of_two_together(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"a" * (3 << 20))
    two.write_bytes(b"b")
    assert sha256_of(one) == hashlib.sha256(one.read_bytes()).hexdigest()
    assert sha256_of(one, two) == hashlib.sha256(one.read_bytes() + b"b").hexdigest()
    with pytest.raises(LitePoseError, match="cannot read"):
        sha256_of(tmp_path / "none")


def test_missing_packages_and_how_to_install_them() -> None:
    assert missing(("json", "no_such_package_xyz")) == ["no_such_package_xyz"]
    need("this", "json")
    with pytest.raises(LitePoseError, match=r"this needs no_such_xyz, .*pip install no_such_xyz$"):
        need("this", "no_such_xyz")
    with pytest.raises(LitePoseError, match=r"pip install 'litepose\[train\]'"):
        need("this", "no_such_xyz", extra="train")
