"""Predictor and backends: every way in, the same answer from each, and clear refusals."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.mirror import mirror_keypoints

import litepose
from litepose.core.errors import LitePoseError
from litepose.imaging.read import ReadLimits, read_image
from litepose.inference import inspection, predictor
from litepose.inference.predictor import PredictionError, PredictOptions, Predictor, divided

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
ASTRONAUT = EXAMPLES / "astronaut.jpg"
SCENE = EXAMPLES / "scene.jpg"


@pytest.fixture(scope="module")
def model() -> Predictor:
    return litepose.load("p", threads=1)


@pytest.fixture(scope="module")
def astronaut(model: Predictor) -> litepose.Poses:
    return model.predict(ASTRONAUT)


def test_the_astronaut_is_one_person_with_a_face_where_it_is(astronaut) -> None:
    assert len(astronaut) == 1 and astronaut.image_wh == (512, 512)
    nose, left, right = (astronaut.keypoint(n)[0] for n in ("nose", "left_eye", "right_eye"))
    assert np.allclose(nose[:2], (223, 121), atol=12)
    assert right[0] < nose[0] < left[0], "her right eye is on our left"
    assert astronaut.scores.max() <= 1


def test_every_kind_of_source_gives_the_same_people(model, astronaut, tmp_path) -> None:
    data = ASTRONAUT.read_bytes()
    sources = [str(ASTRONAUT), data, memoryview(data), Image.open(ASTRONAUT), read_image(ASTRONAUT)]
    for source in sources:
        assert model.predict(source).to_json() == astronaut.to_json()


@pytest.mark.slow
def test_lists_folders_and_patterns_give_lists(model, astronaut, tmp_path) -> None:
    for name in ("a1.jpg", "a2.jpg", "a10.jpg"):
        (tmp_path / name).write_bytes(ASTRONAUT.read_bytes())
    for source in ([ASTRONAUT] * 3, tmp_path, str(tmp_path / "*.jpg"), iter([ASTRONAUT] * 3)):
        found = model.predict(source)
        assert [p.to_json() for p in found] == [astronaut.to_json()] * 3


def test_a_bad_image_among_many_loses_nothing(model, astronaut, tmp_path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("not an image")
    with pytest.raises(PredictionError, match=r"1 of 3 images failed.*bad\.jpg") as caught:
        model.predict([ASTRONAUT, bad, ASTRONAUT])
    done = caught.value.predictions
    assert [p.error is None for p in done] == [True, False, True]
    assert done[2].poses.to_json() == astronaut.to_json()


@pytest.mark.slow
def test_eight_threads_give_the_sequential_results(model) -> None:
    images = [ASTRONAUT, SCENE] * 8
    alone = [model.predict(p).to_json() for p in images]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda p: model.predict(p).to_json(), images))
    assert together == alone


@pytest.mark.slow
def test_many_side_by_side_give_the_results_of_one_at_a_time(tmp_path) -> None:
    """Two workers, bad images among good ones: nothing lost, nothing swapped, nothing changed."""
    model = litepose.load("p", threads=2, input_size=256)
    bad = tmp_path / "bad.jpg"
    bad.write_text("not an image")
    sources = [ASTRONAUT, SCENE, bad, read_image(SCENE), ASTRONAUT, bad, SCENE]
    assert len(sources) >= predictor.MANY_FROM and divided(model)[1] == 2
    found = list(model.predict_many(iter(sources)))
    for source, one in zip(sources, found, strict=True):
        if source is bad:
            assert one.poses is None and "bad.jpg" in one.error
        else:
            assert one.poses.to_json() == model.predict(source).to_json()
    assert found[0].source == str(ASTRONAUT) and found[3].source == "image 3"


def test_large_inputs_run_one_by_one() -> None:
    model = litepose.load("p", threads=8)
    assert divided(model)[1] == 8
    assert divided(model, PredictOptions(scales=(1.0, 3.0)))[1] == 1
    assert divided(litepose.load("p", threads=1))[1] == 1, "the other cores are left alone"


@pytest.mark.slow
def test_limits_reach_every_worker(tmp_path) -> None:
    model = litepose.load("p", threads=2, limits=ReadLimits(max_pixels=1000))
    for _ in range(2):
        found = list(model.predict_many([ASTRONAUT] * 8))
        assert all("pixels" in str(one.error) for one in found)
    model.limits = ReadLimits()
    assert all(one.error is None for one in model.predict_many([ASTRONAUT] * 8))


def test_flip_test_mirrors_with_the_image(model) -> None:
    """With the flip test an image and its mirror image give mirrored people."""
    image = np.ascontiguousarray(read_image(SCENE)[:, :560])  # square: no padding on one side
    straight = model.predict(image, flip_test=True)
    mirrored = model.predict(np.ascontiguousarray(image[:, ::-1]), flip_test=True)
    assert len(straight) == len(mirrored) >= 3
    index = straight.skeleton.flip_index
    back = mirror_keypoints(mirrored.keypoints_xy, image.shape[1], index)
    sure = straight.scores > 0.35
    for n in range(len(straight)):
        off = np.linalg.norm(back - straight.keypoints_xy[n], axis=2)[:, sure[n]].mean(axis=1)
        assert off.min() < 0.1


@pytest.mark.slow
def test_scales_threshold_and_most_people(model) -> None:
    all_people = model.predict(SCENE, threshold=0.0)
    assert len(model.predict(SCENE, scales=(1.0, 0.75), threshold=0.0)) >= 5
    assert (
        model.predict(SCENE, scales=0.75).to_json()
        == model.predict(SCENE, scales=(0.75,)).to_json()
    )
    assert len(model.predict(SCENE, max_people=2)) == 2
    middle = float(np.median(all_people.person_scores))
    some = model.predict(SCENE, threshold=middle)
    assert 0 < len(some) < len(all_people) and some.person_scores.min() >= middle
    assert (np.diff(all_people.person_scores) <= 0).all(), "best first"


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 3, 3), (10000, 1, 3), (33, 65, 3)])
def test_odd_shapes_have_no_people_in_them(model, shape) -> None:
    poses = model.predict(np.full(shape, 90, np.uint8))
    assert len(poses) == 0 and poses.image_wh == (shape[1], shape[0])


def test_input_size_changes_what_is_seen(model) -> None:
    small = litepose.load("p", input_size=128, threads=1)
    assert small.info.input.size == 128
    assert small.predict(SCENE).to_json() != model.predict(SCENE).to_json()


def test_maps_come_with_the_people(model, astronaut) -> None:
    poses, (view,), timings, _ = model.inspect(ASTRONAUT)
    assert poses.to_json() == astronaut.to_json() == view.poses.to_json()
    assert view.maps.heat.shape == (17, 96, 96) and view.box.input_wh == (384, 384)
    assert min(timings) >= 0


def test_torch_sees_the_same(astronaut) -> None:
    pytest.importorskip("torch")
    poses = litepose.load("p", backend="torch").predict(ASTRONAUT)
    assert np.abs(poses.keypoints_xy - astronaut.keypoints_xy).max() < 0.05
    assert np.abs(poses.scores - astronaut.scores).max() < 1e-3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": "litepose-z"}, "did you mean"),
        ({"model": "xs"}, "no weights for litepose-xs"),
        ({"model": "gone.onnx"}, "no model file gone.onnx"),
        ({"backend": "tensorrt"}, "auto, onnxruntime, openvino, torch"),
        ({"providers": ("CUDAExecutionProvider",)}, "no provider CUDA"),
        ({"backend": "torch", "device": "cuda:7"}, "cannot use the device"),
        ({"device": "cuda"}, "device cuda cannot be given to onnxruntime: that is for PyTorch"),
        (
            {"backend": "torch", "providers": ("XExecutionProvider",)},
            "XExec.*that is for onnxruntime",
        ),
        ({"precision": "bfloat16"}, "that is for OpenVINO"),
        ({"precision": "float16"}, "'float32' or 'bfloat16'"),
        ({"threads": -1}, "threads"),
        ({"input_size": 3}, "size of 32"),
    ],
)
def test_what_is_missing_is_said(arguments, said) -> None:
    with pytest.raises(LitePoseError, match=said):
        litepose.load(**arguments)


def test_an_input_of_gigabytes_is_refused(model, monkeypatch) -> None:
    monkeypatch.setattr(inspection, "MAX_INPUT_PIXELS", 384 * 384)
    assert len(model.predict(ASTRONAUT)) == 1
    with pytest.raises(LitePoseError, match=r"416x416.*choose a smaller size"):
        model.predict(ASTRONAUT, scales=(1.0, 1.05))


def test_an_open_file_is_one_image_and_no_list(model) -> None:
    with ASTRONAUT.open("rb") as file:
        assert model.predict(file).to_dict() == model.predict(ASTRONAUT).to_dict()
    with pytest.raises(LitePoseError, match="range of 384 holds no images"):
        model.predict(range(384))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scales": ()}, "scales"),
        ({"scales": (0.0,)}, "scales"),
        ({"threshold": 1.5}, "threshold"),
        ({"max_people": 0}, "max_people"),
    ],
)
def test_wrong_options_are_refused(change, said) -> None:
    with pytest.raises(LitePoseError, match=said):
        PredictOptions(**change)


def test_drawing_leaves_the_image_alone(astronaut) -> None:
    image = read_image(ASTRONAUT)
    before = image.copy()
    drawn = litepose.draw(image, astronaut)
    assert drawn.size == (512, 512) and np.array_equal(image, before)
    assert (np.asarray(drawn) != before).any(axis=2).mean() > 0.005
    assert json.loads(astronaut.to_json())["people"]


def test_the_reference_decoder_finds_the_same_people() -> None:
    model = litepose.load("p", input_size=256)
    fast = model.predict(ASTRONAUT)
    reference = model.predict(ASTRONAUT, decoder="reference")
    assert len(fast) == len(reference) == 1
    both = fast.found & reference.found
    apart = np.linalg.norm(fast.keypoints_xy - reference.keypoints_xy, axis=-1)[both]
    assert both.sum() > 12 and 0 < np.median(apart) < 4, "near, and not the same arithmetic"
    with pytest.raises(LitePoseError, match="decoder must be 'fast' or 'reference'; got 'slow'"):
        model.predict(ASTRONAUT, decoder="slow")
