"""A small drawn dataset, the same for all tests of the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from litepose.data.datasets import CocoDataset
from litepose.data.layouts import find_dataset
from litepose.data.synthetic import SceneSettings, synthesize


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    settings = SceneSettings(size_wh=(96, 64), people=(1, 3), crowd=0.3)
    synthesize(folder, 12, seed=7, split="train2017", settings=settings)
    return folder


@pytest.fixture(scope="session")
def drawn(drawn_folder: Path) -> CocoDataset:
    return find_dataset(drawn_folder, "train2017")
