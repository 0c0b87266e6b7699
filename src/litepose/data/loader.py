"""Samples to batches: shuffled, augmented, in order, the same for any number of workers.

The random state of a sample depends on (seed, epoch, place in the epoch), and every rank takes its
slice of one global batch. So a run is the same with any number of workers, after a resume within an
epoch, and (except batch norm) with any number of processes. Workers are threads: OpenCV decodes and
warps without the interpreter lock, nothing is copied between processes, and start-up is fast.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from litepose.core.errors import LitePoseError
from litepose.data.augment import MAP_STRIDE, AugmentSettings, augment
from litepose.data.datasets import Mixture, PoseDataset, UnreadableImageError
from litepose.data.mosaic import mosaic
from litepose.data.reasons import sum_up
from litepose.data.sample import Batch, Sample

# This many unreadable images in a row mean a missing folder, not damaged files.
MOST_IN_A_ROW = 100


@dataclass(frozen=True)
class LoaderSettings:
    """How samples become batches.

    batch_size: images per batch and process
    size: side of the square input, a multiple of 4; batches alternate between several sizes
    workers: threads that prepare batches ahead; 0 prepares each batch on request
    rank, world: index of this process, number of processes
    shuffle: a new order every epoch, without an incomplete last batch; False: all, in order
    max_unreadable: share of the dataset's images that may be unreadable before the run stops
    """

    batch_size: int
    size: int | tuple[int, ...]
    seed: int = 0
    workers: int = 0
    rank: int = 0
    world: int = 1
    shuffle: bool = True
    max_unreadable: float = 0.05

    def __post_init__(self) -> None:
        wrong_size = not self.sizes or any(s < 32 or s % MAP_STRIDE for s in self.sizes)
        if self.batch_size < 1 or wrong_size or self.workers < 0:
            raise LitePoseError(
                "a loader needs a batch size of 1 or more, sizes of 32 or more that 4 divides and"
                f" 0 or more workers; got {self.batch_size}, {self.size}, {self.workers}"
            )
        if not 0 <= self.rank < self.world:
            raise LitePoseError(f"rank must lie in 0..{self.world - 1}; got {self.rank}")

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.size,) if isinstance(self.size, int) else self.size

    def size_wh(self, number: int) -> tuple[int, int]:
        """Width and height of the images in batch `number`."""
        side = self.sizes[number % len(self.sizes)]
        return side, side


class Loader:
    """Batches of a dataset, epoch by epoch; `unreadable` has the images that were replaced."""

    def __init__(
        self, dataset: PoseDataset, augmentation: AugmentSettings, settings: LoaderSettings
    ) -> None:
        if not len(dataset):
            raise LitePoseError("the dataset has no images to load")
        self.dataset = dataset
        self.augmentation = augmentation
        self.settings = settings
        self.unreadable: dict[int, str] = {}

    @property
    def batches_per_epoch(self) -> int:
        return count_batches(self.dataset, self.settings)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from `start_batch` on.

        Raises LitePoseError if more images than `max_unreadable` cannot be read.
        """
        order = epoch_order(self.dataset, self.settings, epoch)
        numbers = range(start_batch, self.batches_per_epoch)
        if not self.settings.workers:
            for number in numbers:
                yield self._batch(order, epoch, number)
            return
        yield from self._ahead(order, epoch, numbers)

    def _ahead(self, order: np.ndarray, epoch: int, numbers: range) -> Iterator[Batch]:
        waiting: deque[Future[Batch]] = deque()
        remaining = iter(numbers)
        pool = ThreadPoolExecutor(self.settings.workers, "litepose-loader")
        try:
            for number in remaining:
                waiting.append(pool.submit(self._batch, order, epoch, number))
                if len(waiting) > 2 * self.settings.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _batch(self, order: np.ndarray, epoch: int, number: int) -> Batch:
        size_wh = self.settings.size_wh(number)
        places = batch_places(self.settings, number, len(order))
        samples = [self._sample(int(order[place]), epoch, place, size_wh) for place in places]
        return collate(samples, size_wh, self.dataset.skeleton.num_keypoints)

    def _sample(self, index: int, epoch: int, place: int, size_wh: tuple[int, int]) -> Sample:
        rng, of_four = sample_rng(self.settings, self.augmentation, epoch, place)
        flip_index = self.dataset.skeleton.flip_index
        sample = self._read(index)
        if of_four:
            others = [self._read(int(i)) for i in rng.integers(len(self.dataset), size=3)]
            return mosaic([sample, *others], rng, self.augmentation, size_wh, flip_index)
        return augment(sample, rng, self.augmentation, size_wh, flip_index)

    def _read(self, index: int) -> Sample:
        """An image, or the first readable one after it."""
        total = len(self.dataset)
        for at in range(index, index + min(total, MOST_IN_A_ROW)):
            try:
                return self.dataset[at % total]
            except UnreadableImageError as exc:
                self.unreadable[at % total] = str(exc)
                if len(self.unreadable) > self.settings.max_unreadable * total:
                    break
        raise UnreadableImageError(
            f"{len(self.unreadable)} of {total} images cannot be read so far, and"
            f" {self.settings.max_unreadable:.0%} may be (data.max_unreadable); `litepose data"
            f" check` lists all, among them: {sum_up(self.unreadable.values())}"
        )


def sample_rng(
    settings: LoaderSettings, augmentation: AugmentSettings, epoch: int, place: int
) -> tuple[np.random.Generator, bool]:
    """Random state of one place in one epoch, and whether the sample is a mosaic."""
    rng = np.random.default_rng((settings.seed, epoch, place))
    return rng, bool(rng.uniform() < augmentation.mosaic)


def epoch_order(dataset: PoseDataset, settings: LoaderSettings, epoch: int) -> np.ndarray:
    """Indices of one epoch in order; if shuffled, at least one whole global batch."""
    if not settings.shuffle:
        return np.arange(len(dataset))
    if isinstance(dataset, Mixture):
        order = dataset.draw(settings.seed, epoch)
    else:
        order = np.random.default_rng((settings.seed, epoch)).permutation(len(dataset))
    return np.resize(order, max(len(order), settings.batch_size * settings.world))


def count_batches(dataset: PoseDataset, settings: LoaderSettings) -> int:
    """Batches of one epoch, the same on every rank."""
    wanted = len(epoch_order(dataset, settings, epoch=0))
    step = settings.batch_size * settings.world
    return wanted // step if settings.shuffle else -(-wanted // step)


def batch_places(settings: LoaderSettings, number: int, total: int) -> range:
    """This rank's slice of global batch `number`, as places in the epoch's order."""
    first = (number * settings.world + settings.rank) * settings.batch_size
    return range(min(first, total), min(first + settings.batch_size, total))


def collate(samples: list[Sample], size_wh: tuple[int, int], num_keypoints: int) -> Batch:
    """Samples of one size -> Batch. Images are uint8, in channels_last memory order."""
    (w, h), b = size_wh, len(samples)
    images = np.empty((b, h, w, 3), np.uint8)
    valid = np.empty((b, h // MAP_STRIDE, w // MAP_STRIDE), bool)
    for i, sample in enumerate(samples):
        images[i] = sample.image
        valid[i] = coarse_mask(sample.valid_mask)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)  # (B, 3, H, W)
    return collate_people(samples, num_keypoints, pixels, torch.from_numpy(valid))


def collate_people(
    samples: list[Sample], num_keypoints: int, images: torch.Tensor, valid_mask: torch.Tensor
) -> Batch:
    """Batch of these images and masks with the people of the samples, on the images' device."""
    b, people = len(samples), max((len(s.keypoints_xy) for s in samples), default=0)
    points = np.zeros((b, people, num_keypoints, 2), np.float32)
    visibility = np.zeros((b, people, num_keypoints), np.uint8)
    labeled = np.zeros((b, num_keypoints), bool)
    for i, sample in enumerate(samples):
        points[i, : len(sample.keypoints_xy)] = sample.keypoints_xy
        visibility[i, : len(sample.visibility)] = sample.visibility
        labeled[i] = sample.labeled
    ids = np.array([s.image_id for s in samples], np.int64)
    complete = np.array([s.people_complete for s in samples], bool)
    teacher_heatmaps = [
        s.teacher_heatmaps[0].transpose(2, 0, 1) for s in samples if s.teacher_heatmaps
    ]
    confidence = None
    if any(s.confidence is not None for s in samples):
        confidence = np.ones((b, people, num_keypoints), np.float32)
        for i, sample in enumerate(samples):
            if sample.confidence is not None:
                confidence[i, : len(sample.confidence)] = sample.confidence

    def on_device(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(images.device, non_blocking=True)

    return Batch(
        images=images,
        keypoints_xy=on_device(points),
        visibility=on_device(visibility),
        valid_mask=valid_mask,
        labeled=on_device(labeled),
        image_ids=on_device(ids),
        people_complete=on_device(complete),
        teacher_heatmaps=on_device(np.stack(teacher_heatmaps))
        if teacher_heatmaps and len(teacher_heatmaps) == b
        else None,
        confidence=None if confidence is None else on_device(confidence),
    )


def coarse_mask(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (H / 4, W / 4): a cell is valid where more than half of its pixels are."""
    small = (mask.shape[1] // MAP_STRIDE, mask.shape[0] // MAP_STRIDE)
    share = cv2.resize(mask.view(np.uint8) * 255, small, interpolation=cv2.INTER_AREA)
    return share > 127
