"""Drawn people: labels true to the pixels, files that others can read."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools.coco import COCO

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.synthetic import SceneSettings, draw_scene, synthesize


def test_the_same_seed_draws_the_same_files(tmp_path, drawn_folder):
    settings = SceneSettings(size_wh=(96, 64), people=(1, 3), crowd=0.3)
    synthesize(tmp_path, 3, seed=7, settings=settings)
    for i in (1, 2, 3):
        name = f"images/train2017/{i:012d}.jpg"
        assert (tmp_path / name).read_bytes() == (drawn_folder / name).read_bytes()
    other = draw_scene(np.random.default_rng(1), settings).image
    assert not np.array_equal(other, draw_scene(np.random.default_rng(2), settings).image)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools and numpy 2
def test_pycocotools_reads_the_annotations(drawn_folder):
    coco = COCO(str(drawn_folder / "annotations/person_keypoints_train2017.json"))
    assert len(coco.imgs) == 12
    crowds = [a for a in coco.anns.values() if a["iscrowd"]]
    assert crowds and all(coco.annToMask(crowd).sum() == crowd["area"] for crowd in crowds)
    for annotation in coco.anns.values():
        triples = np.reshape(annotation["keypoints"], (17, 3))
        assert (triples[:, 2] > 0).sum() == annotation["num_keypoints"]
        seen = triples[triples[:, 2] > 0]
        assert (seen[:, :2] >= 0).all() and (seen[:, :2] < (96, 64)).all()
        x, y, w, h = annotation["bbox"]
        assert 0 <= x < x + w <= 96 and 0 <= y < y + h <= 64
        visible = triples[triples[:, 2] == 2]
        assert (visible[:, :2] >= (x - 1, y - 1)).all()
        assert (visible[:, :2] <= (x + w + 1, y + h + 1)).all()
        assert 0 < annotation["area"] <= w * h


def test_hidden_keypoints_are_said_to_be_hidden():
    settings = SceneSettings(people=(6, 6), furniture=1.0)
    scenes = [draw_scene(np.random.default_rng(i), settings) for i in range(5)]
    values = np.concatenate([
        np.reshape(a["keypoints"], (17, 3))[:, 2] for s in scenes for a in s.annotations
    ])  # fmt: skip
    assert 0.1 < (values == 1).sum() / (values > 0).sum() < 0.6
    no_people = draw_scene(np.random.default_rng(0), SceneSettings(people=(0, 0), crowd=0))
    assert not no_people.annotations


def test_left_and_right_differ_in_tone():
    """A network can only learn sides that can be told apart."""
    lighter = []
    for i in range(30):
        scene = draw_scene(
            np.random.default_rng(i), SceneSettings(people=(1, 1), furniture=0, crowd=0)
        )
        triples = np.reshape(scene.annotations[0]["keypoints"], (17, 3))
        tones = []
        for side in ("left", "right"):
            ends = [triples[COCO17.index(f"{side}_{part}")] for part in ("hip", "knee")]
            if all(end[2] == 2 for end in ends):
                x, y = ((ends[0] + ends[1]) / 2)[:2].astype(int)
                tones.append(scene.image[y, x].mean())
        if len(tones) == 2:
            lighter.append(tones[0] > tones[1])
    assert len(lighter) > 10 and np.mean(lighter) > 0.85


def test_impossible_scenes_are_refused(tmp_path):
    for wrong in ({"size_wh": (8, 64)}, {"people": (3, 2)}, {"height": (0, 1)}):
        with pytest.raises(LitePoseError):
            SceneSettings(**wrong)
    (tmp_path / "images").write_text("in the way")
    with pytest.raises(LitePoseError, match="cannot write"):
        synthesize(tmp_path, 1)


@pytest.mark.parametrize(
    "there",
    [
        "annotations/person_keypoints_train.json",
        "annotations/train.json",
        "train.json",
        "train/_annotations.coco.json",
        "images/train/photo.jpg",
    ],
)
def test_an_existing_dataset_is_left_alone(tmp_path, there):
    path = tmp_path / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(LitePoseError, match=f"{there.removesuffix('/photo.jpg')}.*another folder"):
        synthesize(tmp_path, 1, split="train")
    assert path.read_text() == "mine"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_another_split_has_room_in_the_same_folder(tmp_path):
    for split in ("train", "val"):
        synthesize(tmp_path, 1, split=split, settings=SceneSettings(size_wh=(32, 32)))
    assert len(list((tmp_path / "annotations").iterdir())) == 2
