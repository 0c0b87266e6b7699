"""Augmentation on the device, with whole packed datasets in the device's memory.

Random choices and people come from augment.py and loader.py, so a run gets the same images as from
the loader. Only pixels are warped on the device: the batch's images are placed on one canvas, and
each is sampled through its affine (grid_sample). A mosaic is not supported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine
from litepose.data.augment import (
    MAP_STRIDE,
    AugmentSettings,
    Draw,
    draw,
    hide_under,
    move_people,
    patch_boxes,
    to_input,
)
from litepose.data.datasets import Mixture
from litepose.data.loader import (
    LoaderSettings,
    batch_places,
    collate_people,
    count_batches,
    epoch_order,
    sample_rng,
)
from litepose.data.packed import PackedDataset
from litepose.data.sample import Batch, Sample


class DeviceImages:
    """All images and masks of a packed dataset as bytes on a device."""

    def __init__(self, packed: PackedDataset, device: torch.device | str) -> None:
        self.packed = packed
        self.device = torch.device(device)
        self.sizes_wh = [record.image_wh for record in packed.records]
        sizes = [3 * w * h for w, h in self.sizes_wh]
        self.starts = np.cumsum([0, *sizes])
        try:
            self.pixels = torch.empty(int(self.starts[-1]), dtype=torch.uint8, device=self.device)
        except RuntimeError as exc:  # out of memory; the message depends on the device
            size = f"{self.starts[-1] / 2**30:.1f} GiB of images"
            raise LitePoseError(f"{size} do not fit on {self.device}: {exc}") from None
        with ThreadPoolExecutor() as pool:  # decoding needs no interpreter lock
            for _ in pool.map(self._store, range(len(packed))):
                pass
        self.mask_bits = {
            i: torch.from_numpy(bits.copy()).to(self.device)
            for i in range(len(packed))
            if len(bits := packed.mask_bits(i))
        }

    def _store(self, index: int) -> None:
        pixels = torch.from_numpy(self.packed.image(index).copy())
        self.image(index).copy_(pixels)

    def image(self, index: int) -> torch.Tensor:
        """(H, W, 3) uint8, a view"""
        w, h = self.sizes_wh[index]
        return self.pixels[self.starts[index] : self.starts[index + 1]].view(h, w, 3)

    def mask(self, index: int) -> torch.Tensor | int:
        """(H, W) uint8, or 1 where every pixel is valid"""
        w, h = self.sizes_wh[index]
        bits = self.mask_bits.get(index)
        if bits is None:
            return 1
        places = torch.arange(7, -1, -1, dtype=torch.uint8, device=self.device)
        return ((bits[:, None] >> places) & 1).reshape(-1)[: w * h].view(h, w)


Place = tuple[DeviceImages, int]  # an image: where it lies, and its index there


def canvas(places: Sequence[Place]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B, 3, H, W) float32 and masks (B, 1, H, W) float32, each in the top left."""
    width = max(images.sizes_wh[i][0] for images, i in places)
    height = max(images.sizes_wh[i][1] for images, i in places)
    shape, device = (len(places), height, width), places[0][0].device
    pixels = torch.zeros((*shape, 3), dtype=torch.uint8, device=device)
    masks = torch.zeros(shape, dtype=torch.uint8, device=device)
    for b, (images, i) in enumerate(places):
        w, h = images.sizes_wh[i]
        pixels[b, :h, :w] = images.image(i)
        masks[b, :h, :w] = images.mask(i)
    return pixels.permute(0, 3, 1, 2).float(), masks[:, None].float()


def to_device(packed: PackedDataset, device: torch.device | str) -> DeviceImages:
    """Decode every image onto the device. Raises LitePoseError where they do not fit."""
    return DeviceImages(packed, device)


@dataclass(frozen=True, eq=False)
class _Plan:
    """One batch without pixels: drawn and computed on the CPU while the device is busy."""

    size_wh: tuple[int, int]
    places: list[Place]
    people: list[Sample]
    affines: list[Affine]
    drawn: list[Draw]


class DeviceLoader:
    """Like `Loader` of a `Mixture`, for images on a device: `epoch(epoch, start_batch)` yields
    Batches there. parts: images and their share of an epoch of `length` images."""

    def __init__(
        self,
        parts: Sequence[tuple[DeviceImages, float]],
        augmentation: AugmentSettings,
        settings: LoaderSettings,
        length: int | None = None,
    ) -> None:
        """Raises LitePoseError for what cannot be done on the device."""
        if augmentation.mosaic or augmentation.person_px != AugmentSettings.person_px:
            raise LitePoseError(
                "neither a mosaic nor person_px is made on the device; set mosaic to 0 and leave"
                " person_px out"
            )
        self.parts = [images for images, _ in parts]
        self.dataset = Mixture([(images.packed, share) for images, share in parts], length)
        self.augmentation = augmentation
        self.settings = settings
        self.unreadable: dict[int, str] = {}

    @property
    def batches_per_epoch(self) -> int:
        return count_batches(self.dataset, self.settings)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from `start_batch` on."""
        order = epoch_order(self.dataset, self.settings, epoch)
        with ThreadPoolExecutor(1, "litepose-loader") as pool:
            coming = pool.submit(self._plan, order, epoch, start_batch)
            for number in range(start_batch, self.batches_per_epoch):
                plan = coming.result()
                coming = pool.submit(self._plan, order, epoch, number + 1)
                yield self._batch(plan)

    def _plan(self, order: np.ndarray, epoch: int, number: int) -> _Plan:
        size_wh = self.settings.size_wh(number)
        plan = _Plan(size_wh, [], [], [], [])
        for place in batch_places(self.settings, number, len(order)):
            part, index = self.dataset.find(int(order[place]))
            images = self.parts[part]
            rng, _ = sample_rng(self.settings, self.augmentation, epoch, place)
            drawn = draw(self.augmentation, rng)
            affine = to_input(drawn, self.augmentation, images.sizes_wh[index], size_wh)
            flip_index = self.dataset.skeleton.flip_index if drawn.mirrored else None
            people = move_people(images.packed.people(index), affine, size_wh, flip_index)
            boxes = patch_boxes(drawn, size_wh)
            plan.places.append((images, index))
            plan.people.append(replace(people, visibility=hide_under(people, boxes)))
            plan.affines.append(affine)
            plan.drawn.append(drawn)
        return plan

    def _batch(self, plan: _Plan) -> Batch:
        size = plan.size_wh[0]
        k = self.dataset.skeleton.num_keypoints
        if not plan.places:
            device = self.parts[0].device
            empty = torch.zeros((0, 3, size, size), dtype=torch.uint8, device=device)
            coarse = empty[:, 0, ::MAP_STRIDE, ::MAP_STRIDE].bool()
            return collate_people([], k, empty, coarse)
        pixels, masks = canvas(plan.places)
        images = warp_batch(pixels, plan.affines, size)
        valid = warp_batch(masks, plan.affines, size)
        images = recolor(images, plan.drawn)
        for i, drawn in enumerate(plan.drawn):
            boxes = patch_boxes(drawn, plan.size_wh).tolist()
            for (left, top, right, bottom), gray in zip(boxes, drawn.gray, strict=True):
                images[i, :, top:bottom, left:right] = int(gray)
        images = images.clamp_(0, 255).round_().to(torch.uint8)
        coarse = F.avg_pool2d(valid, MAP_STRIDE)[:, 0] > 0.5
        return collate_people(plan.people, k, images, coarse)


def warp_batch(canvas: torch.Tensor, affines: list[Affine], size: int) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, size, size) float32, each image through its own affine, bilinear.

    Where an image shrinks by 2 or more, the whole batch is sampled finer and averaged.
    """
    zoom = min(abs(np.linalg.det(a.matrix[:, :2])) ** 0.5 for a in affines)
    finer = 2 ** int(np.floor(np.log2(max(1.0, 1 / max(zoom, 1e-6)))))
    height, width = canvas.shape[2:]
    # Coordinates are -1..1 over the whole side, as in grid_sample with align_corners=False.
    from_unit = Affine.scale_shift((size / 2, size / 2), (size / 2, size / 2))
    to_unit = Affine.scale_shift((2 / width, 2 / height), (-1, -1))
    back = np.stack([(to_unit @ affine.inverse() @ from_unit).matrix for affine in affines])
    theta = torch.from_numpy(back).to(canvas.device, torch.float32)  # (B, 2, 3)
    shape = [len(affines), canvas.shape[1], size * finer, size * finer]
    grid = F.affine_grid(theta, shape, align_corners=False)  # (B, size, size, 2)
    sampled = F.grid_sample(canvas, grid, padding_mode="zeros", align_corners=False)
    return F.avg_pool2d(sampled, finer) if finer > 1 else sampled


def recolor(images: torch.Tensor, drawn: list[Draw]) -> torch.Tensor:
    """(B, 3, H, W) in 0..255 through each draw's map of RGB."""
    if drawn[0].color is None:
        return images
    maps = np.stack([d.color for d in drawn if d.color is not None])
    linear = torch.from_numpy(maps).to(images.device, torch.float32)  # (B, 3, 4)
    return torch.einsum("bij,bjhw->bihw", linear[:, :, :3], images) + linear[:, :, 3, None, None]
