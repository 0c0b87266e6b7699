"""Each folder's face: the names that programs import, without the rest of the folder."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

FOLDERS = ("data", "decode", "evaluation", "export", "inference", "models", "search", "training")


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_of_a_face_is_there(folder: str) -> None:
    face = import_module(f"litepose.{folder}")
    assert face.__all__
    for name in face.__all__:
        assert getattr(face, name).__name__ == name
    with pytest.raises(AttributeError, match=f"litepose.{folder}.*'nothing'"):
        _ = face.nothing


def test_faces_import_nothing_heavy() -> None:
    faces = "; ".join(f"import litepose.{folder}" for folder in FOLDERS)
    code = f"{faces}; import sys; sys.exit(any(m in sys.modules for m in ('numpy', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
