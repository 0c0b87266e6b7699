"""The device sees what the loader shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.augment import AugmentSettings
from litepose.data.augment_gpu import DeviceLoader, to_device
from litepose.data.datasets import Mixture
from litepose.data.loader import Loader, LoaderSettings
from litepose.data.pack import PackSettings, pack
from litepose.data.packed import PackedDataset
from litepose.data.sample import Sample

CHANGES = AugmentSettings(color=0.4, cutout=3)


class Dots:
    """Black images with one keypoint each, a white dot on it."""

    skeleton = COCO17

    def __init__(self, dataset):
        one = (np.ones((1, 4), np.float32), np.ones(1, np.int64))
        self.records = [
            replace(r, boxes_xywh=one[0], annotation_ids=one[1]) for r in dataset.records
        ]

    def __len__(self):
        return 12

    def __getitem__(self, index):
        wh = (96, 64) if index % 2 else (64, 80)
        at = np.array([30.5 + 2 * index, 34.5])
        yy, xx = np.mgrid[: wh[1], : wh[0]] + 0.5
        dot = ((xx - at[0]) ** 2 + (yy - at[1]) ** 2 <= 9).astype(np.uint8) * 255
        points = np.zeros((1, 17, 2), np.float32)
        points[0, 9] = at
        return Sample(
            image=np.repeat(dot[..., None], 3, axis=2),
            keypoints_xy=points,
            visibility=np.eye(1, 17, 9, dtype=np.uint8) * 2,
            areas=np.ones(1, np.float32),
            valid_mask=np.ones(dot.shape, bool),
            labeled=np.ones(17, bool),
            image_id=index,
        )


@pytest.fixture(scope="module")
def packed(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "a.lpc"
    pack(drawn, path, PackSettings(short_side=64))
    return PackedDataset(path)


def both(packed, changes, settings):
    parts = [(packed, 1), (PackedDataset(packed.pieces[0].path), 2)]
    one = list(Loader(Mixture(parts, 20), changes, settings).epoch(2, 1))
    stored = [(to_device(part, "cpu"), share) for part, share in parts]
    other = list(DeviceLoader(stored, changes, settings, 20).epoch(2, 1))
    assert len(one) == len(other) > 0
    return zip(one, other, strict=True)


@pytest.mark.parametrize("size", [96, 32])
def test_the_same_images_as_the_loader(packed, size):
    for cpu, device in both(packed, CHANGES, LoaderSettings(4, size, seed=3)):
        for name in ("keypoints_xy", "visibility", "labeled", "image_ids", "people_complete"):
            assert torch.equal(getattr(cpu, name), getattr(device, name)), name
        assert cpu.images.shape == device.images.shape and device.images.dtype == torch.uint8
        difference = (cpu.images.float() - device.images.float()).abs()
        assert difference.mean() < (2 if size == 96 else 6)
        assert (cpu.valid_mask == device.valid_mask).float().mean() > 0.97


def test_geometry_agrees_within_half_a_pixel(packed, tmp_path):
    """A white dot at each first keypoint, found again where the keypoint went."""
    path = tmp_path / "dots.lpc"
    pack(Dots(packed), path, PackSettings(short_side=64))
    settings = LoaderSettings(6, 80, seed=1)
    found = 0
    for cpu, device in both(PackedDataset(path), AugmentSettings(), settings):
        for i in range(len(cpu.images)):
            seen = device.visibility[i].nonzero()
            if not len(seen) or device.images[i].max() < 200:
                continue
            person, k = seen[0].tolist()
            place = device.keypoints_xy[i, person, k].numpy()
            if (np.abs(place - 40) > 34).any():
                continue
            for batch in (cpu, device):
                weight = batch.images[i, 0].double().numpy()
                yy, xx = np.mgrid[:80, :80] + 0.5
                center = np.array([(xx * weight).sum(), (yy * weight).sum()]) / weight.sum()
                assert np.abs(center - place).max() < 0.5
            found += 1
    assert found >= 3


def test_the_last_small_batch_and_ranks(packed):
    settings = LoaderSettings(5, 64, shuffle=False)
    images = [(to_device(packed, "cpu"), 1)]
    loader = DeviceLoader(images, AugmentSettings.none(), settings)
    assert [len(b.images) for b in loader.epoch(0)] == [5, 5, 2]
    beyond = DeviceLoader(images, AugmentSettings.none(), replace(settings, world=3, rank=2))
    assert [len(b.images) for b in beyond.epoch(0)] == [2]
    fourth = DeviceLoader(images, AugmentSettings.none(), replace(settings, world=4, rank=3))
    assert [len(b.images) for b in fourth.epoch(0)] == [0]


def test_a_mosaic_is_refused(packed):
    with pytest.raises(LitePoseError, match="mosaic"):
        DeviceLoader(
            [(to_device(packed, "cpu"), 1)], AugmentSettings(mosaic=0.5), LoaderSettings(2, 64)
        )
