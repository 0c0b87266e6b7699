"""Answers of a trained model: written once per image, then moved along with the image."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, CROWDPOSE14
from litepose.data.augment import AugmentSettings, augment
from litepose.data.datasets import UnreadableImageError
from litepose.data.loader import Loader, LoaderSettings
from litepose.data.mosaic import mosaic
from litepose.data.sample import Sample
from litepose.data.teacher_maps import SCALE, TeacherMaps, WithTeacherMaps, teacher_map_path
from litepose.inference.predictor import PredictOptions
from litepose.training.pseudo_labels import write_teacher_maps

FLIP, ANKLE = COCO17.flip_index, COCO17.index("left_ankle")
CHANGES = AugmentSettings(rotation=40, scale=(0.6, 1.2), shift=0.05, flip=0.5)


def sample_with_maps(at=(60.0, 44.0), wh=(120, 88)) -> Sample:
    """One person with one keypoint, and heatmaps that are hot there; their cells have 4.8 px."""
    cells_wh = (25, 18)
    x, y = (np.arange(n) + 0.5 for n in cells_wh)
    center = np.array(at) * cells_wh / wh
    heat = np.zeros((cells_wh[1], cells_wh[0], 17), np.float32)
    heat[..., ANKLE] = np.exp(
        -((x[None] - center[0]) ** 2 + (y[:, None] - center[1]) ** 2) / (2 * 1.2**2)
    )
    points = np.zeros((1, 17, 2), np.float32)
    points[0, ANKLE] = at
    visibility = np.zeros((1, 17), np.uint8)
    visibility[0, ANKLE] = 2
    return Sample(
        image=np.zeros((wh[1], wh[0], 3), np.uint8),
        keypoints_xy=points,
        visibility=visibility,
        areas=np.array([500], np.float32),
        valid_mask=np.ones((wh[1], wh[0]), bool),
        labeled=np.ones(17, bool),
        image_id=1,
        teacher_heatmaps=(np.round(SCALE * heat).astype(np.uint8),),
    )


def hottest_xy(heat: np.ndarray) -> np.ndarray:
    """Input pixels of the center of mass of heat (h, w) at stride 4."""
    y, x = np.mgrid[: heat.shape[0], : heat.shape[1]] + 0.5
    mass = heat.astype(float)
    return 4 * np.array([(x * mass).sum(), (y * mass).sum()]) / mass.sum()


@pytest.mark.parametrize("seed", range(20))
def test_teacher_maps_move_with_the_keypoint_even_mirrored(seed):
    made = augment(sample_with_maps(), np.random.default_rng(seed), CHANGES, (128, 128), FLIP)
    assert (
        made.teacher_heatmaps[0].shape == (32, 32, 17)
        and made.teacher_heatmaps[0].dtype == np.uint8
    )
    (person, k), *more = np.argwhere(made.visibility)
    assert not more and k in (ANKLE, FLIP[ANKLE])
    assert (
        np.abs(hottest_xy(made.teacher_heatmaps[0][..., k]) - made.keypoints_xy[person, k]).max()
        < 1
    )
    assert not made.teacher_heatmaps[0][..., [i for i in range(17) if i != k]].any()


def test_a_mosaic_joins_the_teacher_maps_of_its_tiles():
    rng, whole = np.random.default_rng(4), AugmentSettings.none()
    made = mosaic([sample_with_maps() for _ in range(4)], rng, whole, (128, 128), FLIP)
    assert made.teacher_heatmaps[0].shape == (32, 32, 17)
    for x, y in made.keypoints_xy[:, ANKLE] / 4:
        assert made.teacher_heatmaps[0][int(y), int(x), ANKLE] > 0.5 * SCALE
    one_without = [
        sample_with_maps(),
        *(replace(sample_with_maps(), teacher_heatmaps=()) for _ in range(3)),
    ]
    assert mosaic(one_without, rng, whole, (128, 128), FLIP).teacher_heatmaps == ()


@pytest.fixture(scope="module")
def with_maps(drawn, tmp_path_factory) -> WithTeacherMaps:
    folder = tmp_path_factory.mktemp("maps")
    predictor = litepose.load("p", input_size=96)
    how = PredictOptions(flip_test=True, scales=(1.0, 0.75))
    assert list(write_teacher_maps(predictor, "ab12", drawn, folder, how)) == [None] * len(drawn)
    return WithTeacherMaps(drawn, [TeacherMaps(folder, drawn.skeleton)])


def test_teacher_maps_are_the_merged_heatmaps_over_the_image(with_maps, drawn):
    predictor = litepose.load("p", input_size=96)
    how = PredictOptions(flip_test=True, scales=(1.0, 0.75))
    maps, box, _ = predictor.inspect(drawn[0].image, how).views[0]
    cells_w, cells_h = (side // 4 for side in box.content_wh)  # 96 px of 64: whole cells
    expected = maps.heat[:, :cells_h, :cells_w].transpose(1, 2, 0)
    (teacher_heatmaps,) = with_maps[0].teacher_heatmaps
    assert teacher_heatmaps.shape == expected.shape
    assert np.abs(teacher_heatmaps / SCALE - expected).max() <= 0.5 / SCALE + 1e-6


def test_the_loader_puts_teacher_maps_into_the_batch(with_maps):
    batch = next(Loader(with_maps, CHANGES, LoaderSettings(3, 64)).epoch(0))
    assert batch.teacher_heatmaps.shape == (3, 17, 16, 16) and batch.teacher_heatmaps.any()


def test_writing_goes_on_where_it_stopped(drawn, tmp_path):
    predictor = litepose.load("p", input_size=64)
    writing = write_teacher_maps(predictor, "ab12", drawn, tmp_path, PredictOptions())
    next(writing)
    first = teacher_map_path(tmp_path, drawn.records[0].image_id)
    stamp = first.stat().st_mtime_ns
    assert len(
        list(write_teacher_maps(predictor, "ab12", drawn, tmp_path, PredictOptions()))
    ) == len(drawn)
    assert first.stat().st_mtime_ns == stamp
    assert len(list(tmp_path.glob("*.npz"))) == len(drawn)


def test_a_folder_of_other_teacher_maps_is_refused_and_the_difference_named(drawn, tmp_path):
    predictor, usual = litepose.load("p", input_size=64), PredictOptions()
    next(write_teacher_maps(predictor, "ab12", drawn, tmp_path, usual))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    flipped = PredictOptions(flip_test=True, scales=(1.0, 0.5))
    small = litepose.load("p", input_size=96)
    for says, call in {
        "weights_sha256 ab12, now cd34": (predictor, "cd34", drawn, tmp_path, usual),
        r"flip_test False, now True; scales \[1.0\], now": (
            predictor, "ab12", drawn, tmp_path, flipped,
        ),
        "size 64, now 96": (small, "ab12", drawn, tmp_path, usual),
        "images 12, now 3": (predictor, "ab12", drawn.select([0, 1, 2]), tmp_path, usual),
    }.items():  # fmt: skip
        with pytest.raises(
            LitePoseError, match=f"holds heatmaps of other settings.*{says}.*another folder"
        ):
            next(write_teacher_maps(*call))
    other = drawn.select(range(12))
    other.records[3] = replace(other.records[3], file_name="another.jpg")
    with pytest.raises(LitePoseError, match="images_sha256"):
        next(write_teacher_maps(predictor, "ab12", other, tmp_path, usual))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_teacher_maps_of_unknown_origin_are_read_but_not_gone_on_with(drawn, tmp_path):
    predictor, usual = litepose.load("p", input_size=64), PredictOptions()
    next(write_teacher_maps(predictor, "ab12", drawn, tmp_path, usual))
    said = tmp_path / "teacher_maps.json"
    assert json.loads(said.read_text())["model"] == predictor.info.name
    said.write_text("[")
    with pytest.raises(LitePoseError, match=r"teacher_maps.json is not JSON"):
        next(write_teacher_maps(predictor, "ab12", drawn, tmp_path, usual))
    said.unlink()
    with pytest.raises(LitePoseError, match="their model is unknown"):
        next(write_teacher_maps(predictor, "ab12", drawn, tmp_path, usual))
    assert (
        WithTeacherMaps(drawn, [TeacherMaps(tmp_path, COCO17)])[0].teacher_heatmaps[0].shape[2]
        == 17
    )


def test_damaged_or_missing_teacher_maps_are_said(drawn, tmp_path):
    with pytest.raises(LitePoseError, match="no folder of teacher heatmaps"):
        TeacherMaps(tmp_path / "none", COCO17)
    maps = TeacherMaps(tmp_path, COCO17)
    with pytest.raises(UnreadableImageError, match=r"5\.npz"):
        maps[5]
    teacher_map_path(tmp_path, 5).write_bytes(b"no zip")
    with pytest.raises(UnreadableImageError, match="cannot read teacher heatmaps"):
        maps[5]
    np.savez(teacher_map_path(tmp_path, 5), heat=np.zeros((4, 4, 14), np.uint8))
    with pytest.raises(UnreadableImageError, match="17 keypoints"):
        maps[5]


def test_a_model_of_another_skeleton_is_refused(drawn):
    predictor = litepose.load("p")
    predictor.info = replace(predictor.info, skeleton=CROWDPOSE14)
    with pytest.raises(LitePoseError, match="same keypoints"):
        next(write_teacher_maps(predictor, "ab12", drawn, "nowhere", PredictOptions()))
