"""Small drawn images as a folder, tar shards and Parquet, and a fast job to map them with."""

from __future__ import annotations

import io
import tarfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from litepose.apps.map.job import Job
from litepose.data.synthetic import SceneSettings, draw_scene
from litepose.inference.backend import RuntimeOptions

MISSING = [name for name in ("pyarrow", "fsspec") if find_spec(name) is None]
collect_ignore_glob = ["test_*"] if MISSING else []


def drawn(i: int) -> bytes:
    """A JPEG of 96x96 pixels with a person or two."""
    settings = SceneSettings(size_wh=(96, 96), people=(1, 2))
    file = io.BytesIO()
    Image.fromarray(draw_scene(np.random.default_rng(i), settings).image).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="session")
def images() -> list[bytes]:
    return [drawn(i) for i in range(12)]


@pytest.fixture
def folder(tmp_path: Path, images: list[bytes]) -> Path:
    """Twelve images, two of them in a folder below."""
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    for i, data in enumerate(images):
        (source / ("below" if i > 9 else ".") / f"{i:03d}.jpg").write_bytes(data)
    return source


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(output=str(tmp_path / "out"), model="p", size=96, runtime=RuntimeOptions(threads=1))


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path
