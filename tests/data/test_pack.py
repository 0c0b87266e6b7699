"""Packing and reading back; damaged packs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, LSP14, Skeleton
from litepose.data.datasets import Mixture, UnreadableImageError
from litepose.data.pack import MAGIC, PackSettings, pack, shrink_sample
from litepose.data.packed import PackedDataset
from litepose.data.pseudo_people import WithPseudoPeople


def same_people(one, other):
    for name in ("keypoints_xy", "visibility", "areas", "valid_mask", "labeled"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert (one.image_id, one.people_complete) == (other.image_id, other.people_complete)


def test_a_plain_pack_returns_the_same_samples(drawn, tmp_path):
    report = pack(drawn, tmp_path / "a.lpc", PackSettings(short_side=48))
    packed = PackedDataset(tmp_path / "a.lpc")
    assert report.images == len(packed) == 12 and packed.skeleton == COCO17
    assert report.bytes == (tmp_path / "a.lpc").stat().st_size
    for i in range(12):
        wanted = shrink_sample(drawn[i], 48)
        assert wanted.image.shape == (48, 72, 3)
        assert np.array_equal(packed[i].image, wanted.image)
        same_people(packed[i], wanted)
    assert not all(packed[i].valid_mask.all() for i in range(12))
    assert [p.name for p in tmp_path.iterdir()] == ["a.lpc"]


def test_people_found_by_a_model_are_kept_with_their_confidence(drawn, tmp_path):
    at = next(i for i in range(12) if len(drawn[i].areas))
    pose = np.concatenate([drawn[at].keypoints_xy[0] + 500, np.full((17, 1), 0.4)], axis=1)
    pose[3, 2] = 0
    people = WithPseudoPeople(drawn, {drawn.records[at].image_id: pose[None].astype(np.float32)})
    pack(people, tmp_path / "a.lpc", PackSettings(short_side=48))
    packed, labeled = PackedDataset(tmp_path / "a.lpc"), len(drawn[at].areas)
    same_people(packed[at], shrink_sample(people[at], 48))
    confidence = packed[at].confidence
    assert (confidence[:labeled] == 1).all()
    assert confidence[labeled] == pytest.approx(pose[:, 2])
    assert packed.records[at].annotation_ids[labeled] == -1
    without = PackedDataset(tmp_path / "a.lpc", labels_only=True)
    assert [len(r) for r in without.records] == [len(r) for r in drawn.records]
    assert without[at].confidence is None
    assert all(packed[i].confidence is None for i in range(12) if i != at)
    mapped = PackedDataset(tmp_path / "a.lpc", LSP14)[at].confidence
    known = LSP14.mapping_from(COCO17)
    assert np.array_equal(mapped[:, known >= 0], confidence[:, known[known >= 0]])


def test_packs_without_confidence_open_as_before(drawn, tmp_path):
    path = tmp_path / "a.lpc"
    pack(drawn, path, PackSettings(short_side=48))
    data = path.read_bytes()
    header_at = int.from_bytes(data[8:16], "little")
    header = json.loads(data[header_at:])
    del header["arrays"]["confidence"]
    path.write_bytes(data[:header_at] + json.dumps(header).encode())
    assert PackedDataset(path)[0].confidence is None


def test_records_are_kept_for_evaluation(drawn, tmp_path):
    pack(drawn, tmp_path / "a.lpc", PackSettings(short_side=32))
    for ours, theirs in zip(PackedDataset(tmp_path / "a.lpc").records, drawn.records, strict=True):
        assert (ours.file_name, ours.image_id) == (theirs.file_name, theirs.image_id)
        assert ours.image_wh == (48, 32)
        assert np.allclose(ours.boxes_xywh, theirs.boxes_xywh / 2)
        assert np.allclose(ours.areas, theirs.areas / 4)
        assert np.array_equal(ours.annotation_ids, theirs.annotation_ids)
        assert len(ours.ignored) == len(theirs.ignored)
        for a, b in zip(ours.ignored, theirs.ignored, strict=True):
            assert (a.is_crowd, a.annotation_id) == (b.is_crowd, b.annotation_id)
            assert np.allclose(np.array(a.box_xywh) * 2, b.box_xywh)


def test_keypoints_are_mapped_by_name_as_those_of_a_folder_are(drawn, tmp_path):
    pack(drawn, tmp_path / "a.lpc", PackSettings(short_side=64))
    packed = PackedDataset(tmp_path / "a.lpc", LSP14)
    assert packed.skeleton == LSP14
    mapping = LSP14.mapping_from(COCO17)
    assert not packed[0].labeled[mapping < 0].any()
    for i in range(12):
        wanted = drawn[i]
        for k, at in enumerate(mapping):
            if at >= 0:
                assert packed[i].labeled[k] == wanted.labeled[at]
                assert np.array_equal(packed[i].keypoints_xy[:, k], wanted.keypoints_xy[:, at])
            else:
                assert not packed[i].visibility[:, k].any()
    strange = Skeleton("strange", ("tail", "fin"), (("tail", "fin"),), (0.1, 0.1))
    with pytest.raises(LitePoseError, match="shares no keypoint name with strange"):
        PackedDataset(tmp_path / "a.lpc", strange)


def test_images_without_labels_are_left_out_on_request(drawn, tmp_path):
    few = drawn.select(range(6))
    no_people = slice(0, 0)
    for i in (0, 3):
        few.records[i] = replace(
            few.records[i],
            **{
                name: getattr(few.records[i], name)[no_people]
                for name in ("keypoints_xy", "visibility", "areas", "boxes_xywh", "annotation_ids")
            },
        )
    pack(few, tmp_path / "a.lpc", PackSettings(short_side=48, piece_bytes=30_000))
    packed = PackedDataset(tmp_path / "a.lpc", people_only=True)
    assert len(PackedDataset(tmp_path / "a.lpc")) == 6
    assert [packed[i].image_id for i in range(len(packed))] == [2, 3, 5, 6]
    for i, wanted in enumerate((1, 2, 4, 5)):
        assert np.array_equal(packed[i].image, shrink_sample(drawn[wanted], 48).image)
        assert np.array_equal(packed.records[i].areas, packed[i].areas)


@pytest.mark.parametrize("encoding", ["jpeg", "webp"])
def test_pieces_for_carrying(drawn, tmp_path, encoding):
    settings = PackSettings(short_side=64, encoding=encoding, piece_bytes=10_000)
    report = pack(drawn, tmp_path / "a.lpc", settings)
    assert len(report.paths) > 2 and report.paths[1].name == "a-001.lpc"
    packed = PackedDataset(tmp_path / "a.lpc")
    assert len(packed) == 12
    for i in (0, 5, 11):
        same_people(packed[i], drawn[i])
        assert np.abs(packed[i].image.astype(int) - drawn[i].image).mean() < 8
    report.paths[1].unlink()
    with pytest.raises(LitePoseError, match="are missing"):
        PackedDataset(tmp_path / "a.lpc")


def test_a_mixture_keeps_who_labels_what(drawn, tmp_path):
    other = drawn.select([3, 4])
    other.labeled = drawn.labeled & (np.arange(17) > 4)
    pack(Mixture([(drawn.select([0]), 1), (other, 1)]), tmp_path / "a.lpc")
    packed = PackedDataset(tmp_path / "a.lpc")
    assert packed[0].labeled.all() and not packed[1].labeled[:5].any()


class Broken:
    def __init__(self, dataset):
        self.dataset, self.skeleton, self.records = dataset, dataset.skeleton, dataset.records

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        if index % 2:
            raise UnreadableImageError(f"no {index}")
        return self.dataset[index]


def test_unreadable_images_are_left_out_and_said(drawn, tmp_path):
    report = pack(Broken(drawn), tmp_path / "a.lpc")
    assert report.images == 6 and report.unreadable[3] == "no 3"
    ids = [r.image_id for r in PackedDataset(tmp_path / "a.lpc").records]
    assert ids == [r.image_id for r in drawn.records[::2]]


def test_a_failed_pack_leaves_the_old_one(drawn, tmp_path, monkeypatch):
    path = tmp_path / "a.lpc"
    pack(drawn, path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("litepose.data.pack.os.fsync", full)
    with pytest.raises(LitePoseError, match="No space left"):
        pack(drawn.select([0]), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(LitePoseError, match=r"named with \.lpc"):
        pack(drawn, tmp_path / "a.bin")


def test_every_damage_is_a_sentence(drawn, tmp_path):
    path = tmp_path / "a.lpc"
    pack(drawn.select(range(3)), path, PackSettings(short_side=32))
    whole = path.read_bytes()
    at = int.from_bytes(whole[8:16], "little")
    header = json.loads(whole[at:])

    def refuse(data: bytes):
        path.write_bytes(data)
        with pytest.raises(LitePoseError):
            PackedDataset(path)

    def changed(**arrays):
        edited = {**header, "arrays": {**header["arrays"], **arrays}}
        return whole[:at] + json.dumps(edited).encode()

    refuse(b"")
    refuse(b"something else")
    refuse(whole[:-20])
    refuse(whole[: at // 2])
    refuse(MAGIC + (2**63).to_bytes(8, "little"))
    places = header["arrays"]
    refuse(changed(areas={**places["areas"], "offset": -8}))
    refuse(changed(areas={**places["areas"], "offset": 2**70}))
    refuse(changed(areas={**places["areas"], "shape": [10**9]}))
    refuse(changed(areas={**places["areas"], "dtype": "object"}))
    refuse(changed(pixels_starts={**places["people_starts"]}))
    refuse(changed(keypoints_xy={**places["keypoints_xy"], "shape": [1, 16, 2]}))
    sizes = places["sizes_wh"]["offset"]
    refuse(whole[:sizes] + (7).to_bytes(4, "little") + whole[sizes + 4 :])
    rng = np.random.default_rng(0)
    for _ in range(30):  # damage anywhere behind the images: a sentence, or still readable
        data = bytearray(whole)
        place = int(rng.integers(places["pixels"]["shape"][0] + 64, len(whole)))
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(data))
        try:
            packed = PackedDataset(path)
            _ = [packed[i] for i in range(len(packed))]
        except LitePoseError:
            pass
    with pytest.raises(LitePoseError, match="cannot read the packed dataset"):
        PackedDataset(tmp_path / "nowhere.lpc")
