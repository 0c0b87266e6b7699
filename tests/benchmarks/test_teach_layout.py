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
    words += ["--crops", "32", "--steps", str(steps), *(more or ("--targets", "both"))]
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
    for other in (["--crops", "16"], ["--teacher", "pm"]):
        with pytest.raises(SystemExit, match=f"begun with other {other[0]}; name another --output"):
            teach(drawn, tmp_path, 3, monkeypatch, *other)


def test_targets_differ(drawn, tmp_path, monkeypatch) -> None:
    learned = []
    for targets in ("both", "labels", "teacher"):
        state = teach(drawn, tmp_path, 1, monkeypatch, "--targets", targets)
        learned.append(state["head.coarse.deep.project.weight"])
        assert learned[-1].isfinite().all()
    assert not torch.equal(learned[0], learned[1]) and not torch.equal(learned[1], learned[2])


def test_widened_peaks_are_those_of_labels() -> None:
    def peak(sigma: float) -> torch.Tensor:
        along = torch.exp(-((torch.arange(32.0) - 15) ** 2) / (2 * sigma**2))
        return 0.5 * along[:, None] * along

    heat = torch.stack((peak(teach_layout.TEACHER_SIGMA), torch.zeros(32, 32)))[None]
    wide = teach_layout.widened(heat, 2.0)
    assert torch.allclose(wide[0, 0], peak(2.0), atol=1e-3) and not wide[0, 1].any()
    assert teach_layout.widened(heat, 2.0, finer=2) is heat
