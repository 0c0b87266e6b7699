"""Images for the tests of the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ASTRONAUT = Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg"


@pytest.fixture
def shots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two good images and a damaged one; its parent is the working folder."""
    folder = tmp_path / "shots"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(ASTRONAUT, folder / name)
    (folder / "broken.jpg").write_bytes(ASTRONAUT.read_bytes()[:300])
    monkeypatch.chdir(tmp_path)
    return folder
