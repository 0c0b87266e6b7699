"""A Predictor in another process: the same settings and people; what cannot travel says so."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.imaging.read import ReadLimits
from litepose.inference.travel import place_of
from litepose.models import zoo

ASTRONAUT = str(Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg")


def predict(model: litepose.Predictor) -> dict:
    return model.predict(ASTRONAUT).to_dict()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_it_comes_back_with_its_settings(backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    limits = ReadLimits(max_pixels=1_000_000)
    model = litepose.load("p", backend=backend, views=(128, 256), threads=1, limits=limits)
    back = pickle.loads(pickle.dumps(model))
    assert repr(back) == repr(model) and back.limits == limits and back.defaults == model.defaults
    assert back.info == model.info and predict(back) == predict(model)
    assert predict(copy.deepcopy(model)) == predict(model)


@pytest.mark.slow
def test_worker_processes(tmp_path: Path) -> None:
    model = litepose.load("p", input_size=128, threads=1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(predict, [model]) == [predict(model)]


def test_the_model_of_a_file_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    shutil.copy(zoo.find_weights("p", ".onnx") or "", path)
    packed = pickle.dumps(litepose.load(path, threads=1))
    assert pickle.loads(packed).info.name == "litepose-p"
    path.unlink()
    with pytest.raises(LitePoseError, match=r"mine\.onnx, which is not here"):
        pickle.loads(packed)


@pytest.mark.slow
def test_networks_in_memory_stay_and_those_of_files_travel(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from litepose.inference.torch_backend import TorchBackend
    from litepose.models.checkpoint import save_checkpoint

    network, info = zoo.create("p")
    with pytest.raises(LitePoseError, match="save it"):
        pickle.dumps(litepose.Predictor(TorchBackend(network.eval(), info)))
    save_checkpoint(tmp_path / "p.safetensors", network, info)
    back = pickle.loads(pickle.dumps(litepose.load(tmp_path / "p.safetensors", input_size=64)))
    assert back.backend.name == "torch" and back.info.input.size == 64


def test_idle_models_do_not_spin() -> None:
    """No clock is entries: a busy machine would fail it."""
    import onnxruntime

    entries: dict[str, str] = {}

    class Settings(onnxruntime.SessionOptions):
        def add_session_config_entry(self, key: str, value: str) -> None:
            entries[key] = value
            super().add_session_config_entry(key, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "SessionOptions", Settings)
        litepose.load("p", threads=2)
    assert entries == {"session.intra_op.allow_spinning": "0"}


def _predict_in_a_fork(backend: str, queue: Any) -> None:
    """In a process of its own: it forks after its threads have worked, as servers do."""
    model = litepose.load("p", backend=backend, input_size=128, threads=2)
    before = [predict(model), *(poses.to_dict() for poses in model.predict([ASTRONAUT] * 5))]

    def child() -> None:
        found = [predict(model), *(poses.to_dict() for poses in model.predict([ASTRONAUT] * 5))]
        queue.put(found == before)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    process.kill()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    "backend",
    [
        "onnxruntime",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("openvino", "torch")),
    ],
)
def test_a_forked_process_predicts(backend: str) -> None:
    """Threads do not come along: waiting for them would never end."""
    pytest.importorskip(backend)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    parent = context.Process(target=_predict_in_a_fork, args=(backend, queue))
    parent.start()
    assert queue.get(timeout=90)
    parent.join()


def test_a_bundled_model_travels_by_its_place_in_the_package() -> None:
    """The package may lie elsewhere in the other process."""
    file = litepose.load("p", threads=1).backend.file
    assert place_of(file) == ("p", True, "weights/litepose_p_coco17.onnx")
