"""Each illness is found, and a healthy dataset is called healthy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.layouts import find_dataset
from litepose.data.synthetic import SceneSettings, synthesize
from litepose.data.validate.dataset import examine

NAN, INFINITE = float("nan"), float("inf")
LEFT, RIGHT = (COCO17.index(f"{side}_knee") for side in ("left", "right"))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("healthy")
    settings = SceneSettings(size_wh=(64, 64), people=(2, 3), furniture=0, crowd=0.1)
    synthesize(folder, 40, seed=1, split="train", settings=settings)
    return folder


@pytest.fixture
def ill(healthy, tmp_path):
    """`ill(change)` applies `change` to a copy of the annotations and returns what was found."""
    (tmp_path / "images").symlink_to(healthy / "images")
    (tmp_path / "annotations").mkdir()
    source = healthy / "annotations/person_keypoints_train.json"

    def examined(change, **options):
        data = json.loads(source.read_text())
        change(data)
        target = tmp_path / "annotations/person_keypoints_train.json"
        target.write_text(json.dumps(data))
        return examine(tmp_path, "train", **options)

    return examined


def said(report, words):
    found = [f for f in report.findings if words in f.what]
    assert found, report.text()
    return found[0]


def exchange(annotation, a, b):
    points = annotation["keypoints"]
    points[3 * a : 3 * a + 3], points[3 * b : 3 * b + 3] = (
        points[3 * b : 3 * b + 3],
        points[3 * a : 3 * a + 3],
    )


def test_a_healthy_dataset_has_only_notes(healthy):
    report = examine(healthy, "train")
    assert report.ok and all(found.level == "note" for found in report.findings)
    assert (report.images, report.skeleton) == (40, "coco17")
    assert "40 images" in report.text()
    assert json.loads(json.dumps(report.to_dict()))["ok"] is True


def test_one_exchanged_pair_is_named(ill):
    def change(data):
        for annotation in data["annotations"]:
            exchange(annotation, LEFT, RIGHT)

    found = said(ill(change), "pairs with left and right exchanged")
    assert found.count == 1 and found.examples[0].startswith("left_knee and right_knee")


def test_everything_exchanged_is_seen_by_the_faces(ill):
    def change(data):
        for annotation in data["annotations"]:
            rows = np.reshape(annotation["keypoints"], (17, 3))[COCO17.flip_index]
            annotation["keypoints"] = rows.ravel().tolist()

    report = ill(change)
    assert said(report, "exchanged everywhere").level == "error" and not report.ok


def test_a_wrong_flip_pair_and_names_without_partner(ill, tmp_path):
    names = [n.replace("left_", "l").replace("right_", "r") for n in COCO17.keypoints]
    toml = tmp_path / "own.toml"
    toml.write_text(f'name = "own"\nkeypoints = {json.dumps(names)}\n')
    report = ill(lambda data: None, skeleton=toml)
    assert said(report, "without a mirrored partner").count == 16
    toml.write_text(toml.read_text() + 'flip_pairs = [["lshoulder", "rknee"], ["lhip", "rhip"]]\n')
    found = said(ill(lambda data: None, skeleton=toml), "different heights")
    assert found.examples == ("lshoulder and rknee",)


def test_a_skeleton_in_another_order_than_the_file_is_an_error(ill, tmp_path):
    toml = tmp_path / "skeleton.toml"
    names = list(COCO17.keypoints)
    toml.write_text(f"keypoints = {json.dumps(names)}")
    assert ill(lambda data: None).ok
    names[0], names[4] = names[4], names[0]
    toml.write_text(f"keypoints = {json.dumps(names)}")
    found = said(ill(lambda data: None), "at another place")
    assert found.level == "error" and found.examples[0] == "right_ear is number 5, not 1"


def test_a_skeleton_without_sides_is_reported(ill, tmp_path):
    toml = tmp_path / "skeleton.toml"
    toml.write_text(f"keypoints = {json.dumps([f'p{i}' for i in range(17)])}")
    found = said(ill(lambda data: None), "give flip_pairs")
    assert (found.level, found.count) == ("warning", 17)
    toml.write_text(toml.read_text() + '\nflip_pairs = [["p0", "p1"]]')
    assert "none with a mirrored" not in ill(lambda data: None).text()


def test_a_twisted_person_is_named(ill):
    culprit = []

    def change(data):
        shoulders = [COCO17.index(f"{side}_shoulder") for side in ("left", "right")]
        for annotation in data["annotations"]:
            rows = np.reshape(annotation["keypoints"], (17, 3))
            wide = abs(rows[shoulders[0], 0] - rows[shoulders[1], 0]) > 0.12 * np.ptp(rows[:, 1])
            if annotation["num_keypoints"] == 17 and wide:
                exchange(annotation, *shoulders)
                culprit.append(str(annotation["id"]))
                return

    assert said(ill(change), "face opposite ways").examples == tuple(culprit)


def first_person(data):
    return next(a for a in data["annotations"] if a["num_keypoints"] > 3)


def crowd(data):
    return next(a for a in data["annotations"] if a["iscrowd"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["images"].append(d["images"][0]), "image ids that are used twice"),
        (lambda d: d["images"][3].update(file_name="../x.jpg"), "file name inside the folder"),
        (lambda d: d["images"][3].pop("width"), "without width and height"),
        (lambda d: d["images"][3].update(file_name="gone.jpg"), "images that are missing"),
        (lambda d: d["images"][3].update(width=63), "another size"),
        (lambda d: d["annotations"].append(d["annotations"][0]), "annotation ids"),
        (lambda d: d["annotations"][0].update(image_id=999), "not listed"),
        (lambda d: first_person(d).update(bbox=[1, 1, 0, 5]), "boxes without"),
        (lambda d: first_person(d).update(bbox=[1, 1, None, 5]), "not four numbers"),
        (lambda d: first_person(d).update(bbox=5), "not four numbers"),
        (lambda d: first_person(d).update(bbox=[1, 1, NAN, 5]), "not four numbers"),
        (lambda d: first_person(d).update(area="large"), "areas that are no numbers"),
        (lambda d: first_person(d).update(area=NAN), "areas that are no numbers"),
        (lambda d: first_person(d).update(id="a7"), "no whole numbers"),
        (lambda d: first_person(d).update(id=2**70), "no whole numbers"),
        (lambda d: first_person(d).update(category_id="1"), "category_id is no category's"),
        (lambda d: d["images"][3].update(id="x"), "without id, size"),
        (lambda d: d["images"][3].update(width=INFINITE), "without id, size"),
        (lambda d: d["images"][3].update(crowdIndex="x"), "crowdIndex"),
        (lambda d: d["images"][3].update(file_name=["a"]), "missing"),
        (lambda d: first_person(d).update(keypoints=5), "without 17 keypoints"),
        (lambda d: first_person(d).update(keypoints=[10**400] * 51), "no numbers"),
        (lambda d: first_person(d).update(num_keypoints=[1]), "num_keypoints is not"),
        (lambda d: first_person(d).update(keypoints=[0.5, 0.25, 2] * 17), "within 0 and 1"),
        (lambda d: first_person(d).update(area=0), "areas that are not above 0"),
        (lambda d: first_person(d).update(keypoints=[1, 2]), "without 17 keypoints"),
        (lambda d: first_person(d).update(keypoints=[None] * 51), "no numbers"),
        (lambda d: first_person(d).update(keypoints=[[1, 2, 2]] * 51), "no numbers"),
        (lambda d: first_person(d).update(num_keypoints=99), "num_keypoints is not"),
        (lambda d: first_person(d).update(keypoints=[900, 5, 2] * 17), "outside the image"),
        (lambda d: first_person(d).update(keypoints=[0, 0, 2] * 17), "at (0, 0)"),
        (lambda d: first_person(d).update(keypoints=[5, 5, 7] * 17), "visibilities other"),
        (lambda d: first_person(d).update(keypoints=[0] * 51), "without a labeled keypoint"),
        (lambda d: d["annotations"].append({**first_person(d), "id": 10**6}), "annotated twice"),
        (lambda d: crowd(d)["segmentation"].update(counts=[3]), "segmentation cannot be read"),
        (lambda d: crowd(d).update(segmentation=[[1, 2, 3]]), "segmentation cannot be read"),
        (lambda d: d["annotations"].clear(), "without annotated people"),
        (lambda d: [a.update(keypoints=[]) for a in d["annotations"]], "nothing to train on"),
    ],
)
def test_every_illness_is_found(ill, tmp_path, change, words):
    report = ill(change)
    found = said(report, words)
    assert found.count >= 1 and (found.examples or "nothing" in words)
    try:
        find_dataset(tmp_path, "train")
    except LitePoseError as refused:
        assert not report.ok, refused


def test_another_category_is_reported_and_a_missing_one_is_the_keypoints_own(ill, tmp_path):
    def change(data):
        data["categories"].append({"id": 7, "name": "dog"})
        first_person(data)["category_id"] = 7

    before = ill(lambda data: None)
    report = ill(change)
    assert said(report, "other than 'person'").level == "note"
    assert report.ok and report.people == before.people - 1

    report = ill(lambda data: [a.pop("category_id") for a in data["annotations"]])
    records = find_dataset(tmp_path, "train").records
    assert report.ok and report.people == before.people == sum(map(len, records))


def test_a_image_cut_off_behind_its_header_is_found(healthy, tmp_path, monkeypatch):
    (tmp_path / "annotations").symlink_to(healthy / "annotations")
    shutil.copytree(healthy / "images", tmp_path / "images")
    cut = next((tmp_path / "images/train").iterdir())
    cut.write_bytes(cut.read_bytes()[:-500])
    assert said(examine(tmp_path, "train"), "cannot be read").examples == (cut.name,)
    monkeypatch.setattr("litepose.data.validate.dataset.DECODE_AT_MOST", 39)
    report = examine(tmp_path, "train")
    assert report.ok and said(report, "not decoded, only their headers").count == 40


def test_damaged_and_linked_images_are_found(healthy, tmp_path):
    (tmp_path / "annotations").symlink_to(healthy / "annotations")
    images = tmp_path / "images/train"
    images.mkdir(parents=True)
    for i, image in enumerate(sorted((healthy / "images/train").iterdir())):
        if i == 0:
            (images / image.name).write_bytes(b"damaged")
        elif i == 1:
            (images / image.name).symlink_to(image)
        elif i == 2:
            Image.open(image).resize((70, 70)).save(images / image.name)
        elif i > 3:
            (images / image.name).write_bytes(image.read_bytes())
    report = examine(tmp_path, "train")
    for words in ("cannot be read", "link leads out", "another size", "missing"):
        assert said(report, words).count == 1
    assert examine(tmp_path, "train", images="none").ok


def test_what_is_no_dataset_is_said(ill):
    with pytest.raises(LitePoseError, match="'annotations'"):
        ill(lambda data: data["annotations"].append([1]))
    with pytest.raises(LitePoseError, match="is missing"):
        ill(lambda data: data.pop("images"))


def test_real_datasets_are_healthy(shared):
    for folder, split in (("coco-part", "val2017"), ("lsp", "lsp")):
        assert examine(shared / "data" / folder, split, images="none").ok
