"""Drawn people to train on, and a run that nothing disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.training.runs import config

from litepose.data.synthetic import SceneSettings, synthesize
from litepose.training.trainer import train


@pytest.fixture(scope="session")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    settings = SceneSettings(size_wh=(96, 80), people=(1, 2))
    synthesize(folder, 12, seed=1, split="train", settings=settings)
    synthesize(folder, 3, seed=2, split="val", settings=settings)
    return folder


@pytest.fixture
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def undisturbed(people, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "undisturbed"
    before = torch.get_num_threads()
    assert train(config(people, output)).finished
    torch.set_num_threads(before)
    return output
