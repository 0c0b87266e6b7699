"""The same run with any number of workers, ranks and interruptions."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.augment import AugmentSettings
from litepose.data.datasets import Mixture, UnreadableImageError
from litepose.data.loader import Loader, LoaderSettings, coarse_mask

CHANGES = AugmentSettings(color=0.3, cutout=2, mosaic=0.3)


def batches(dataset, epoch=1, start=0, changes=CHANGES, **settings):
    wanted = LoaderSettings(**{"batch_size": 3, "size": 64, "seed": 5, **settings})
    return list(Loader(dataset, changes, wanted).epoch(epoch, start))


def same(one, other) -> bool:
    pairs = [pair for a, b in zip(one, other, strict=True) for pair in zip(a, b, strict=True)]
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


def test_a_batch_is_what_the_trainer_expects(drawn):
    batch = next(Loader(drawn, CHANGES, LoaderSettings(3, 64)).epoch(0))
    people = batch.keypoints_xy.shape[1]
    assert batch.images.shape == (3, 3, 64, 64) and batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.keypoints_xy.shape == (3, people, 17, 2)
    assert batch.visibility.shape == (3, people, 17) and batch.visibility.dtype == torch.uint8
    assert batch.valid_mask.shape == (3, 16, 16) and batch.valid_mask.dtype == torch.bool
    assert batch.labeled.shape == (3, 17) and batch.image_ids.dtype == torch.int64
    seen = batch.keypoints_xy[batch.visibility > 0]
    assert (seen >= 0).all() and (seen < 64).all() and torch.isfinite(batch.keypoints_xy).all()


def test_workers_do_not_change_the_run(drawn):
    alone = batches(drawn, workers=0)
    assert len(alone) == 4
    assert same(alone, batches(drawn, workers=1))
    assert same(alone, batches(drawn, workers=4))


def test_a_resume_in_mid_epoch_goes_on_as_if_nothing_happened(drawn):
    assert same(batches(drawn)[2:], batches(drawn, start=2, workers=2))


def test_batches_take_turns_among_several_sizes(drawn):
    sides = [batch.images.shape[-1] for batch in batches(drawn, size=(64, 96, 128), workers=2)]
    assert sides == [64, 96, 128, 64]
    resumed = batches(drawn, size=(64, 96, 128), start=2)
    assert same(batches(drawn, size=(64, 96, 128))[2:], resumed)


def test_epochs_and_seeds_differ(drawn):
    first = batches(drawn, epoch=0)
    assert not same(first, batches(drawn, epoch=1))
    assert not same(first, batches(drawn, epoch=0, seed=6))
    one = drawn.select([3])
    assert not same(batches(one, epoch=0, batch_size=1), batches(one, epoch=1, batch_size=1))


def test_ranks_share_one_global_batch(drawn):
    whole = batches(drawn, batch_size=4)
    halves = [batches(drawn, batch_size=2, world=2, rank=rank) for rank in (0, 1)]
    for i, batch in enumerate(whole):
        assert torch.equal(batch.images, torch.cat([halves[0][i].images, halves[1][i].images]))


def test_every_image_once_in_order_without_shuffling(drawn):
    found = batches(drawn, batch_size=5, shuffle=False, changes=AugmentSettings.none())
    assert [len(b.images) for b in found] == [5, 5, 2]
    assert torch.cat([b.image_ids for b in found]).tolist() == [r.image_id for r in drawn.records]


def test_a_small_dataset_still_fills_a_batch(drawn):
    few = drawn.select([0, 1])
    assert sorted(batches(few, batch_size=5)[0].image_ids.tolist())[0] == 1
    assert len(batches(few, batch_size=5)[0].images) == 5


def test_a_mixture_is_drawn_by_its_shares(drawn):
    mixture = Mixture([(drawn.select([0]), 1), (drawn.select([1, 2, 3]), 3)], length=8)
    ids = torch.cat([b.image_ids for b in batches(mixture, batch_size=4)]).tolist()
    assert ids.count(1) == 2 and len(ids) == 8
    repeated = batches(mixture, batch_size=8)[0]
    where = (repeated.image_ids == 1).nonzero().flatten().tolist()
    assert not torch.equal(repeated.images[where[0]], repeated.images[where[1]])


class Damaged:
    """A dataset whose images of the given places cannot be read."""

    skeleton = COCO17

    def __init__(self, dataset, places):
        self.dataset, self.places, self.records = dataset, set(places), dataset.records

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        if index in self.places:
            raise UnreadableImageError(f"image {index} is damaged")
        return self.dataset[index]


def test_an_unreadable_image_is_replaced_by_the_next_and_counted(drawn):
    wanted = LoaderSettings(4, 64, shuffle=False, max_unreadable=0.1)
    loader = Loader(Damaged(drawn, [5]), AugmentSettings.none(), wanted)
    ids = torch.cat([b.image_ids for b in loader.epoch(0)]).tolist()
    assert ids == [1, 2, 3, 4, 5, 7, 7, 8, 9, 10, 11, 12]
    assert loader.unreadable == {5: "image 5 is damaged"}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("places", [[1, 2], range(12)])
def test_too_many_unreadable_images_stop_the_run(drawn, workers, places):
    wanted = LoaderSettings(4, 64, workers=workers, max_unreadable=0.1)
    loader = Loader(Damaged(drawn, places), AugmentSettings.none(), wanted)
    with pytest.raises(LitePoseError, match=r"of 12 images cannot be read.*is damaged"):
        list(loader.epoch(0))


def test_leaving_early_stops_the_workers(drawn):
    iterator = Loader(drawn, CHANGES, LoaderSettings(2, 64, workers=3)).epoch(0)
    next(iterator)
    iterator.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("litepose-loader")]


def test_a_coarse_cell_is_valid_by_majority():
    mask = np.ones((8, 8), bool)
    mask[0, :2] = False
    mask[4:, :2] = False
    mask[4, 2] = False
    mask[4:, 5:7] = False
    mask[7, 5] = True
    assert coarse_mask(mask).tolist() == [[True, True], [False, True]]


def test_impossible_settings_are_refused(drawn):
    for wrong in (
        {"batch_size": 0},
        {"size": 66},
        {"size": ()},
        {"size": (64, 66)},
        {"workers": -1},
        {"rank": 2, "world": 2},
    ):
        with pytest.raises(LitePoseError):
            LoaderSettings(**{"batch_size": 2, "size": 64, **wrong})
    with pytest.raises(LitePoseError, match="no images"):
        Loader(drawn.select([]), CHANGES, LoaderSettings(2, 64))
