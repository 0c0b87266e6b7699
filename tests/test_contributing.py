"""The network family that CONTRIBUTING.md shows is built, trained and exported as it is written."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from litepose.core.model_info import ModelInfo
from litepose.models import zoo

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from litepose.models import build  # noqa: E402

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> ModelInfo:
    """The settings of a model of the family, with the family in the table."""
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    shown: dict[str, Any] = {"__name__": __name__}
    exec(example, shown)
    family = build.Family(shown["PlainArch"], shown["Plain"])
    families = MappingProxyType({**build.FAMILIES, family.arch.family: family})
    monkeypatch.setattr(build, "FAMILIES", families)
    tiny = zoo.find_model("tiny").info
    arch = shown["PlainArch"](input_size=64, width=8)
    return replace(tiny, name="plain", arch=arch.to_dict(), input=replace(tiny.input, multiple=4))


def test_the_configuration_key_it_names_exists() -> None:
    from litepose.training.config import ModelConfig

    assert 'name = "NAME"` under `[model]`' in GUIDE.read_text(encoding="utf-8")
    assert "name" in ModelConfig.model_fields


def test_the_family_keeps_the_contract(plain: ModelInfo) -> None:
    torch.manual_seed(0)
    network = build.build_network(plain).eval()
    maps = network(torch.zeros(1, 3, 32, 64))
    assert maps.heatmaps[0].shape == (1, 17, 8, 16) and maps.tags.shape == (1, 17, 2, 8, 16)
    columns = (torch.arange(16) / 8).expand(8, 16)
    torch.testing.assert_close(maps.tags[0, 0, 0], columns, atol=0.1, rtol=0)
    folded = network.deployable()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert network.output_layers() == ["project"]


def test_the_family_trains(plain: ModelInfo) -> None:
    network = build.build_network(plain).train()
    maps = network(torch.randn(2, 3, 32, 32))
    (maps.heatmaps[0].std() + maps.tags.std()).backward()
    grads = [w.grad for w in network.parameters() if w.ndim > 1]
    assert grads and all(grad is not None and grad.any() for grad in grads)


@pytest.mark.slow
def test_the_family_is_exported_and_opened(plain: ModelInfo, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import litepose
    from litepose.export.export import ExportRequest, export_model
    from litepose.models.checkpoint import save_checkpoint

    checkpoint, exported = tmp_path / "plain.safetensors", tmp_path / "plain.onnx"
    save_checkpoint(checkpoint, build.build_network(plain).eval(), plain)
    report = export_model(ExportRequest(str(checkpoint), "onnx", exported))
    assert report.difference is not None and report.difference < 1e-4
    people = litepose.load(exported).predict(np.zeros((64, 64, 3), np.uint8))
    assert people.skeleton == plain.skeleton
