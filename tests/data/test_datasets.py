"""Annotation files in every form a user may have, and hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, CROWDPOSE14, LSP14, Skeleton
from litepose.data.datasets import CocoDataset, Mixture, UnreadableImageError
from litepose.data.layouts import find_dataset
from litepose.data.skeleton_toml import load_skeleton
from litepose.data.validate.dataset import examine

FIVE = ["tip", "left_fin", "right_fin", "tail", "eye"]


def write(folder: Path, annotations, images=None, category=None, split="train") -> Path:
    into = folder / "images" / split
    into.mkdir(parents=True, exist_ok=True)
    images = images or [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]
    for image in images:
        name = Path(image["file_name"]).name
        cv2.imwrite(str(into / name), np.full((30, 40, 3), 90, np.uint8))
    category = category or {
        "id": 1,
        "name": "fish",
        "keypoints": FIVE,
        "skeleton": [[1, 2], [1, 3]],
    }
    data = {"images": images, "annotations": annotations, "categories": [category]}
    path = folder / "annotations" / f"{split}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def person(points=(), **more):
    flat = [v for point in points for v in point] or [0] * 15
    return {"id": 1, "image_id": 1, "category_id": 1, "keypoints": flat, **more}


VISIBLE = [(5, 6, 2), (10, 11, 1), (0, 0, 0), (20, 21, 2), (30, 12, 2)]


def test_a_custom_skeleton_comes_from_the_file(tmp_path):
    write(tmp_path, [person(VISIBLE)])
    dataset = find_dataset(tmp_path, "train")
    assert dataset.skeleton.keypoints == tuple(FIVE)
    assert dataset.skeleton.flip_index.tolist() == [0, 2, 1, 3, 4]
    assert dataset.skeleton.edges == (("tip", "left_fin"), ("tip", "right_fin"))
    assert dataset.labeled.tolist() == [True, True, False, True, True]
    sample = dataset[0]
    assert sample.image.shape == (30, 40, 3)
    assert sample.visibility.tolist() == [[2, 1, 0, 2, 2]]
    assert sample.keypoints_xy[0, 3].tolist() == [20, 21]
    box = dataset.records[0].boxes_xywh[0]
    assert box.tolist() == [5, 6, 25, 15]  # around the labeled keypoints: the file had no bbox
    assert np.isclose(sample.areas[0], 0.53 * 25 * 15)


def test_a_custom_skeleton_comes_from_toml(tmp_path):
    write(tmp_path, [person(VISIBLE)])
    toml = tmp_path / "skeleton.toml"
    toml.write_text(
        'name = "fish"\nkeypoints = ["tip", "fin_a", "fin_b", "tail", "eye"]\n'
        'edges = [["tip", "tail"]]\nflip_pairs = [["fin_a", "fin_b"]]\n'
        "oks_sigmas = [0.1, 0.1, 0.1, 0.1, 0.2]\n"
    )
    dataset = find_dataset(tmp_path, "train")
    assert dataset.skeleton.flip_index.tolist() == [0, 2, 1, 3, 4]
    assert dataset.skeleton.oks_sigmas[4] == 0.2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("keypoints = 3 4", "not TOML"),
        (
            'keypoints = ["a", "b"]\nflip_pair = [["a", "b"]]',
            "'flip_pair'; did you mean 'flip_pairs'",
        ),
        ('[skeleton]\nkeypoints = ["a", "b"]\nsigmas = [0.1, 0.1]', "'sigmas'.*there are name"),
        ("skeleton = [[1, 2]]", "no field 'skeleton'"),
        ('keypoints = "nose"', "must be a list of names.*got 'nose'"),
        ("keypoints = [1, 2]", "must be a list of names"),
        ('name = "a"', "own.toml: .*needs the field 'keypoints'"),
        ('keypoints = ["a", "b", "c"]\nedges = [["a", "b", "c"]]', "own.toml: "),
        ('keypoints = ["a", "b"]\noks_sigmas = ["x", 1]', "own.toml: "),
    ],
)
def test_a_wrong_skeleton_file_is_a_sentence(tmp_path, text, says):
    toml = tmp_path / "own.toml"
    toml.write_text(text)
    with pytest.raises(LitePoseError, match=says):
        load_skeleton(toml)


def test_a_category_without_names_takes_those_of_the_skeleton(tmp_path):
    write(tmp_path, [person(VISIBLE)], category={"id": 1, "name": "fish"})
    with pytest.raises(LitePoseError, match=r"it has none .*skeleton\.toml"):
        find_dataset(tmp_path, "train")
    (tmp_path / "skeleton.toml").write_text(f"keypoints = {json.dumps(FIVE)}")
    dataset = find_dataset(tmp_path, "train")
    assert dataset.skeleton.keypoints == tuple(FIVE) and len(dataset.records[0]) == 1
    assert examine(tmp_path, "train").people == 1
    path = tmp_path / "annotations/train.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "categories": data["categories"] + [{"id": 2}]}))
    with pytest.raises(LitePoseError, match="needs one category"):
        find_dataset(tmp_path, "train")


def test_known_names_bring_their_sigmas(tmp_path):
    category = {"id": 1, "name": "body", "keypoints": ["nose", "left_knee", "x", "y", "Head Top"]}
    write(tmp_path, [person(VISIBLE)], category=category)
    assert find_dataset(tmp_path, "train").skeleton.oks_sigmas == (0.026, 0.087, 0.08, 0.08, 0.079)


def test_another_skeleton_is_mapped_by_name(drawn_folder):
    own = find_dataset(drawn_folder, "train2017")
    mapped = find_dataset(drawn_folder, "train2017", target=CROWDPOSE14)
    k = CROWDPOSE14.index("left_wrist")
    assert mapped.skeleton is CROWDPOSE14
    assert not mapped.labeled[CROWDPOSE14.index("head")] and mapped.labeled[k]
    ours, theirs = mapped.records[0], own.records[0]
    assert np.array_equal(
        ours.keypoints_xy[:, k], theirs.keypoints_xy[:, COCO17.index("left_wrist")]
    )
    assert not ours.visibility[:, CROWDPOSE14.index("neck")].any()


def test_who_loses_every_label_becomes_a_masked_region(tmp_path):
    only_head = [(12, 10, 2)] + [(0, 0, 0)] * 4
    category = {"id": 1, "name": "body", "keypoints": ["nose", "left_hip", "a", "b", "c"]}
    write(tmp_path, [person(only_head, bbox=[5, 5, 10, 10])], category=category)
    target = Skeleton("two", ("left_hip", "right_hip"), (), (0.1, 0.1))
    sample = find_dataset(tmp_path, "train", target=target)[0]
    assert len(sample.keypoints_xy) == 0
    assert not sample.valid_mask[10, 10] and sample.valid_mask[25, 35]


def test_no_common_keypoint_is_said(tmp_path):
    write(tmp_path, [person(VISIBLE)])
    with pytest.raises(LitePoseError, match="shares no keypoint name"):
        find_dataset(tmp_path, "train", target=COCO17)


def test_crowds_and_people_without_points_are_masked(tmp_path):
    crowd = np.zeros((30, 40), bool)
    crowd[2:8, 3:9] = True
    counts = np.diff(np.flatnonzero(np.diff(crowd.T.ravel().astype(int), prepend=0, append=0)))
    runs = [int(np.flatnonzero(crowd.T.ravel())[0]), *map(int, counts)]
    runs.append(30 * 40 - sum(runs))
    annotations = [
        person(VISIBLE, bbox=[5, 6, 25, 15], area=100),
        person(VISIBLE, id=2, iscrowd=1, bbox=[3, 2, 6, 6],
               segmentation={"size": [30, 40], "counts": runs}),
        person(id=3, bbox=[20, 20, 8, 8], segmentation=[[20, 20, 28, 20, 28, 28, 20, 28]]),
    ]  # fmt: skip
    write(tmp_path, annotations)
    dataset = find_dataset(tmp_path, "train")
    sample = dataset[0]
    assert len(sample.keypoints_xy) == 1 and sample.areas.tolist() == [100]
    assert np.array_equal(sample.valid_mask[:15, :15], ~crowd[:15, :15])
    assert not sample.valid_mask[24, 24]
    assert [region.is_crowd for region in dataset.records[0].ignored] == [True, False]


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/passwd", "x/../../a.png", "C:\\a.png", "..\\a.png", "", "a\0.png"]
)
def test_file_names_cannot_leave_the_folder(tmp_path, name):
    write(tmp_path, [], images=[{"id": 1, "file_name": "a.png", "width": 40, "height": 30}])
    path = tmp_path / "annotations" / "train.json"
    data = json.loads(path.read_text())
    data["images"][0]["file_name"] = name
    path.write_text(json.dumps(data))
    with pytest.raises(LitePoseError, match="outside their folder"):
        find_dataset(tmp_path, "train")


def test_a_link_cannot_lead_out_of_the_folder(tmp_path):
    write(tmp_path, [person(VISIBLE)])
    image = tmp_path / "images" / "train" / "a.png"
    outside = tmp_path / "outside.png"
    image.rename(outside)
    image.symlink_to(outside)
    with pytest.raises(LitePoseError, match="leads out of its folder"):
        find_dataset(tmp_path, "train")[0]


def test_a_linked_image_folder_is_fine(tmp_path, drawn_folder):
    (tmp_path / "annotations").symlink_to(drawn_folder / "annotations")
    (tmp_path / "images").symlink_to(drawn_folder / "images")
    assert find_dataset(tmp_path, "train2017")[0].image.shape == (64, 96, 3)


def test_missing_damaged_and_resized_images_are_unreadable(tmp_path):
    write(tmp_path, [person(VISIBLE)])
    dataset = find_dataset(tmp_path, "train")
    image = tmp_path / "images" / "train" / "a.png"
    cv2.imwrite(str(image), np.zeros((40, 30, 3), np.uint8))
    with pytest.raises(UnreadableImageError, match="is 30x40, its annotations say 40x30"):
        dataset[0]
    image.write_bytes(b"not an image")
    with pytest.raises(UnreadableImageError):
        dataset[0]
    image.unlink()
    with pytest.raises(UnreadableImageError):
        dataset[0]


def test_a_damaged_mask_makes_its_image_unreadable(tmp_path):
    write(tmp_path, [person(segmentation={"size": [30, 40], "counts": [5]}, bbox=[0, 0, 9, 9])])
    with pytest.raises(UnreadableImageError, match="annotation 1: a run-length mask"):
        find_dataset(tmp_path, "train")[0]


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (person([(1, 2, 2)]), "annotation 1 needs 5 keypoints.*has 3 numbers"),
        (person([(float("nan"), 1, 2)] * 5), "no number"),
        (person([("x", 1, 2)] * 5), "image 1"),
        (person(VISIBLE, bbox=[1, 2]), r"image 1: annotation 1 needs a bbox.*\[1, 2\]"),
        (person(VISIBLE, bbox=[1, 2, float("nan"), 4]), "annotation 1 has nan in its bbox"),
        (person(VISIBLE, area=float("nan")), "annotation 1 has nan in its area"),
        (person(VISIBLE, area="large"), "annotation 1 has 'large' in its area"),
        (person(VISIBLE, id="a7"), "annotation id 'a7' is no whole number"),
        (person(VISIBLE, id=2**70), "is no whole number"),
        (person([(10**400, 1, 2)] * 5), "image 1"),
    ],
)
def test_damaged_annotations_are_named(tmp_path, annotation, says):
    write(tmp_path, [annotation])
    with pytest.raises(LitePoseError, match=says):
        find_dataset(tmp_path, "train")


def test_what_is_not_coco_is_said(tmp_path):
    path = write(tmp_path, [])
    for text, says in (("{", "not JSON"), ("[]", "images"), ('{"images": []}', "annotations")):
        path.write_text(text)
        with pytest.raises(LitePoseError, match=says):
            find_dataset(tmp_path, "train")
    with pytest.raises(LitePoseError, match=r"searched for annotations/person_keypoints_val\.json"):
        find_dataset(tmp_path, "val")
    with pytest.raises(LitePoseError, match="no dataset folder"):
        find_dataset(tmp_path / "nowhere", "val")


def test_selection_and_people_only(tmp_path):
    images = [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in (1, 2, 3)]
    write(tmp_path, [{**person(VISIBLE), "image_id": 2}], images=images)
    assert [r.image_id for r in find_dataset(tmp_path, "train", people_only=True).records] == [2]
    chosen = find_dataset(tmp_path, "train").select([2, 0])
    assert [chosen[i].image_id for i in range(len(chosen))] == [3, 1]
    assert all(r.people_complete for r in chosen.records)
    assert not any(r.people_complete for r in chosen.incomplete().records)


def test_mixture_keeps_its_shares_and_repeats_evenly(drawn):
    few, many = drawn.select([0, 1]), drawn.select(range(2, 12))
    mixture = Mixture([(few, 1), (many, 3)], length=20)
    order = mixture.draw(seed=3, epoch=1)
    assert len(order) == 20 and (order < 2).sum() == 5
    assert np.bincount(order[order < 2]).tolist() in ([2, 3], [3, 2])
    assert np.array_equal(order, mixture.draw(seed=3, epoch=1))
    assert not np.array_equal(order, mixture.draw(seed=3, epoch=2))
    assert mixture[2].image_id == many[0].image_id == mixture.records[2].image_id
    with pytest.raises(LitePoseError, match="one skeleton"):
        Mixture([(few, 1), (lsp_like(drawn), 1)])


def lsp_like(drawn: CocoDataset) -> CocoDataset:
    return CocoDataset(drawn.annotation_json, drawn.image_folder, target=LSP14)


@pytest.mark.slow
def test_shared_datasets_are_read(shared):
    coco = find_dataset(shared / "data/coco-part", "val2017")
    assert len(coco) == 140 and coco.skeleton is COCO17
    assert sum(len(r) for r in coco.records) == 482
    assert sum(not r.people_complete for r in coco.records) == 96
    assert not all(coco[i].valid_mask.all() for i in range(10))
    lsp = find_dataset(shared / "data/lsp", "lsp", target=CROWDPOSE14)
    assert len(lsp) == 2000 and lsp.labeled.all() and not lsp.records[0].people_complete
    head = lsp.records[0].keypoints_xy[0, CROWDPOSE14.index("head")]
    assert np.allclose(head, [39.0, 15.6])
