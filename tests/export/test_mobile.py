"""Formats for phones, where their converter is installed: see docs/export.md, which says how."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.export.export import ExportRequest, export_model
from litepose.export.exportable import Source

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # the converters warn
SIZE = (256, 192)


@pytest.mark.parametrize("network", ["p", "tiny"])
@pytest.mark.parametrize("half", [False, True])
def test_core_ml_has_the_form_the_weights_and_the_settings(
    network: str, half: bool, request, tmp_path: Path
) -> None:
    pytest.importorskip("coremltools", reason="coremltools is not installed")
    from litepose.export import coreml

    source = replace(request.getfixturevalue(network), size_wh=SIZE, half=half)
    path = tmp_path / "net.mlpackage"
    coreml.write(source, path)
    coreml.check_form(source, path)
    inside = ModelInfo.from_json(coreml.read_properties(path)["litepose"])
    assert inside == source.info.with_input_size(min(SIZE))
    with pytest.raises(LitePoseError, match=r"inputs \{'images': \(1, 3, 192, 256\)\}"):
        coreml.check_form(replace(source, size_wh=(256, 256)), path)


def test_core_ml_with_other_weights_is_refused(tiny: Source) -> None:
    pytest.importorskip("coremltools", reason="coremltools is not installed")
    from litepose.export import coreml

    kept = {
        name.replace(".", "_"): weight.detach().numpy().copy()
        for name, weight in tiny.module.named_parameters()
    }
    coreml.check_weights(tiny, kept)
    last = max(kept, key=lambda name: np.abs(kept[name]).max())
    kept[last] *= 1.01
    with pytest.raises(LitePoseError, match="is not among the weights of the Core ML file"):
        coreml.check_weights(tiny, kept)


@pytest.mark.timeout(900)
def test_litert_finds_the_same_people(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="litert-torch is not installed")
    report = export_model(ExportRequest("p", "litert", tmp_path / "p.tflite", SIZE))
    assert report.parity is not None and report.parity.ok and report.parity.people
    assert report.difference is not None and report.difference <= 1e-4
    settings = json.loads((tmp_path / "p.tflite.json").read_text())
    assert settings["outputs"] == ["heatmaps_4", "tags"]
    assert ModelInfo.from_json(settings["litepose"]).input.size == min(SIZE)


@pytest.mark.timeout(900)
def test_executorch_finds_the_same_people(tmp_path: Path) -> None:
    pytest.importorskip("executorch", reason="executorch is not installed")
    from litepose.export import executorch

    path = tmp_path / "p.pte"
    report = export_model(ExportRequest("p", "executorch", path, SIZE))
    assert report.parity is not None and report.parity.ok and report.parity.people
    assert report.difference is not None and report.difference <= 1e-4
    inside = executorch.read_properties(path)
    assert ModelInfo.from_json(inside["litepose"]).input.size == min(SIZE)
    assert len(inside["litepose_weights_sha256"]) == 64
