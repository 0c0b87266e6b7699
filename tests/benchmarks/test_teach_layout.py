"""Teaching a network of the published layout: the trunk stays, the head learns, stops are cheap."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import teach_layout
from litepose.data.synthetic import synthesize
from litepose.models import zoo
from litepose.models.checkpoint import load_checkpoint
from litepose.models.from_pyramid import with_trunk_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    synthesize(folder, 6, 0, "train")
    return folder


def teach(drawn: Path, output: Path, steps: int, monkeypatch, *more: str) -> dict:
    words = ["--data", f"{drawn}:train", "--output", str(output), "--teacher", "p"]
    words += ["--crops", "32", "--steps", str(steps), *more]
    monkeypatch.setattr(sys, "argv", ["teach_layout.py", *words])
    teach_layout.main()
    network, info = load_checkpoint(output / "litepose.safetensors")
    assert info.strides == (4, 2) and info.input.size == 256
    return network.state_dict()


def test_the_head_learns_and_the_trunk_stays(drawn, tmp_path, monkeypatch) -> None:
    once = teach(drawn, tmp_path, 2, monkeypatch)
    trunk = with_trunk_of(zoo.load("p")[0]).state_dict()
    learned = [name for name in once if not torch.equal(once[name], trunk[name])]
    assert all(name.startswith(("head", "stages.3.3.project")) for name in learned)
    assert any(name.startswith("head.fine") for name in learned)

    kept = tmp_path / "kept"
    before = np.load(kept / "f4.npy")
    (kept / "done").write_text("16")  # as if stopped half way
    again = teach(drawn, tmp_path, 3, monkeypatch)
    assert np.array_equal(np.load(kept / "f4.npy"), before)
    assert not torch.equal(
        once["head.coarse.deep.project.weight"], again["head.coarse.deep.project.weight"]
    )
    with pytest.raises(SystemExit, match="has 32 crops, not 16"):
        teach(drawn, tmp_path, 3, monkeypatch, "--crops", "16")


def test_labels_alone(drawn, tmp_path, monkeypatch) -> None:
    torch.manual_seed(0)
    taught = teach(drawn, tmp_path, 1, monkeypatch)
    (tmp_path / "state.pt").unlink()
    alone = teach(drawn, tmp_path, 1, monkeypatch, "--labels")
    name = "head.coarse.deep.project.weight"
    assert alone[name].shape == taught[name].shape and not torch.equal(alone[name], taught[name])
