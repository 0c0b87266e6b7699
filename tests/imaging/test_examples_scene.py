"""The generated scene that the demo shows: small, repeatable, and people for a pose model."""

from __future__ import annotations

import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from litepose.core.geometry import letterbox
from litepose.imaging.preprocess import to_input
from litepose.imaging.read import read_image

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "examples" / "images"
MODEL = ROOT / "src" / "litepose" / "weights" / "litepose_p_coco17.onnx"
NOSES = ((102, 149), (184, 289), (225, 125), (423, 143), (487, 300), (557, 125), (732, 155),
         (797, 300), (855, 137))  # fmt: skip


def test_the_scene_is_small_and_its_sources_are_named() -> None:
    readme = (IMAGES / "README.md").read_text()
    for path in IMAGES.glob("*.jpg"):
        assert path.name in readme and path.stat().st_size < 200_000


@pytest.mark.slow
def test_the_script_makes_this_scene() -> None:
    made = runpy.run_path(str(ROOT / "examples" / "make_scene.py"))["make_scene"]()
    shipped = read_image(IMAGES / "scene.jpg")
    assert made.shape == shipped.shape
    assert np.abs(made.astype(int) - shipped).mean() < 4


def test_the_model_sees_a_nose_on_every_face() -> None:
    if not MODEL.exists():
        pytest.skip("the default model's ONNX file is not in this checkout")
    onnxruntime = pytest.importorskip("onnxruntime")
    image = read_image(IMAGES / "scene.jpg")
    box = letterbox((image.shape[1], image.shape[0]), 384, 32)
    inputs = np.empty((1, 3, *box.input_wh[::-1]), np.float32)
    to_input(image, box, (127.5,) * 3, (127.5,) * 3, inputs[0])
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    heatmaps = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    near = cv2.dilate(heatmaps[0, 0], np.ones((5, 5)))
    for nose in NOSES:
        x, y = (box.to_input(np.array(nose, float)) / 4).astype(int)
        assert near[y, x] > 0.3, f"no nose at {nose}"
