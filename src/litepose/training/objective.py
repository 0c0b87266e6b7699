"""Batch to losses: combine images, targets, teacher and network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose.core.maps import Maps
from litepose.core.model_info import InputRule, ModelInfo
from litepose.core.skeleton import Skeleton
from litepose.data.sample import Batch
from litepose.data.teacher_maps import SCALE as TEACHER_SCALE
from litepose.training.config import TargetConfig, TeacherConfig, TrainConfig
from litepose.training.features import FeatureTap, feature_loss
from litepose.training.losses import (
    SEEN,
    Losses,
    LossRule,
    cell_weights,
    pose_losses,
    teacher_tag_loss,
    unlabeled_cells,
)
from litepose.training.targets import Targets, make_targets

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself, not by way of float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # no public function
    return supported is not None and bool(supported())


class TeacherOutputs(NamedTuple):
    """What a teacher says of a batch: heatmaps (B, K, H, W) of each size asked for, the outputs
    (B, C, ...) of each layer compared, and tags (B, K, T, H, W)."""

    heatmaps: tuple[Tensor, ...]
    features: tuple[Tensor, ...]
    tags: Tensor


class Teacher:
    """A trained network whose heatmaps and features of the same images are targets."""

    def __init__(self, model: nn.Module, info: ModelInfo, config: TeacherConfig) -> None:
        """Raises LitePoseError where it has no layer of `config.features`."""
        self.model = model.eval().requires_grad_(False)
        self.info = info
        self.config = config
        self.tap = FeatureTap(model, config.features, f"the teacher {info.name}")

    @torch.no_grad()
    def __call__(self, images: Tensor, sizes: Sequence[tuple[int, int]]) -> TeacherOutputs:
        """images: uint8. Heatmaps in 0..1, (B, K, H, W) for each (H, W): the teacher's own where
        it has one of that size, else its finest resized. Features and tags are without flip test.
        """
        pixels = normalized(images, self.info.input)
        maps = self.model(pixels)
        found, tags = [heat.float() for heat in maps.heatmaps], maps.tags.float()
        features = self.tap.take()
        if not sizes:
            return TeacherOutputs((), features, tags)
        if self.config.flip:
            flip_index = torch.from_numpy(self.info.skeleton.flip_index).to(images.device)
            mirrored = [heat.float() for heat in self.model(pixels.flip(-1)).heatmaps]
            found = [
                (a + b[:, flip_index].flip(-1)) / 2 for a, b in zip(found, mirrored, strict=True)
            ]
        own = {tuple(heat.shape[-2:]): heat.clamp(0, 1) for heat in found}
        finest = found[-1].clamp(0, 1)
        heatmaps = tuple(
            own[size] if size in own else _resized(finest, [size])[0] for size in sizes
        )
        return TeacherOutputs(heatmaps, features, tags)


class Expected(NamedTuple):
    """Targets of a batch; heatmaps and weights (B, K, H, W), one for each stride.

    teacher_heatmaps, trusted: None without a teacher
    features: of the teacher, one (B, C, ...) for each layer compared; empty without
    teacher_tags: (B, K, 2, H, W); None where they are no targets
    """

    targets: Targets
    weights: tuple[Tensor, ...]
    teacher_heatmaps: tuple[Tensor, ...] | None
    trusted: tuple[Tensor, ...] | None
    features: tuple[Tensor, ...] = ()
    teacher_tags: Tensor | None = None


class Objective:
    """Losses of a network on batches, by one configuration.

    network: the one that is trained, where its features are compared with the teacher's.
    """

    def __init__(
        self,
        config: TrainConfig,
        info: ModelInfo,
        teacher: Teacher | None,
        network: nn.Module | None = None,
    ) -> None:
        """Raises LitePoseError where the network has no layer of `teacher.features`."""
        self.config = config
        names = config.teacher.features
        self.tap = FeatureTap(network, names, info.name) if names and network is not None else None
        self.info = info
        self.teacher = teacher
        self.sigma = sigma_of(config.targets, info.skeleton)

    def __call__(self, model: Callable[[Tensor], Maps], batch: Batch) -> Losses:
        """batch: on the device of the model."""
        return self.losses(self.maps(model, batch), self.expected(batch))

    def maps(self, model: Callable[[Tensor], Maps], batch: Batch) -> Maps:
        """What the network says of a batch. Autocast covers it; losses are float32."""
        pixels = normalized(batch.images, self.info.input)
        with self._autocast(pixels):
            return model(pixels)

    def _autocast(self, images: Tensor) -> torch.autocast:
        precision = PRECISIONS[self.config.run.precision]
        return torch.autocast(images.device.type, precision, enabled=precision != torch.float32)

    def expected(self, batch: Batch) -> Expected:
        """What it should say: of the labels, and of the teacher if there is one."""
        targets = self.targets(batch)
        sizes = [(h.shape[2], h.shape[3]) for h in targets.heatmaps]
        weights = [cell_weights(batch.valid_mask, batch.labeled, s) for s in sizes]
        teacher_heatmaps: tuple[Tensor, ...] | None = None
        features: tuple[Tensor, ...] = ()
        tags: Tensor | None = None
        if batch.teacher_heatmaps is not None:
            teacher_heatmaps = _resized(batch.teacher_heatmaps.float() / TEACHER_SCALE, sizes)
        with_tags = self.config.loss.teacher_tag_weight > 0
        cached = teacher_heatmaps is not None
        if self.teacher is not None and (not cached or self.tap is not None or with_tags):
            with self._autocast(batch.images):
                found = self.teacher(batch.images, () if cached else sizes)
            features, tags = found.features, found.tags if with_tags else None
            teacher_heatmaps = teacher_heatmaps if cached else found.heatmaps
        trusted = None
        if teacher_heatmaps is not None:
            trusted = self._teacher_weights(teacher_heatmaps, targets, batch)
            if self.config.teacher.ignore_above:
                weights = self._without_unlabeled(weights, teacher_heatmaps, targets, batch)
        return Expected(targets, tuple(weights), teacher_heatmaps, trusted, features, tags)

    def losses(self, maps: Maps, expected: Expected, rule: LossRule | None = None) -> Losses:
        """rule: in place of the configuration's."""
        targets, weights, teacher, trusted, teacher_features, teacher_tags = expected
        rule = rule or self.config.loss
        found = pose_losses(maps, targets, weights, rule, teacher, trusted)
        if teacher_tags is not None and teacher is not None:
            apart = teacher_tag_loss(maps.tags, teacher_tags, teacher[0]).mean()
            total = found.total + rule.teacher_tag_weight * apart
            found = found._replace(total=total, teacher_tags=apart)
        own = self.tap.take() if self.tap is not None else ()
        if not (own and teacher_features):  # another network than the trained one, as in validation
            return found
        apart = feature_loss(own, teacher_features)
        return found._replace(total=found.total + rule.feature_weight * apart, features=apart)

    def targets(self, batch: Batch) -> Targets:
        height, width = batch.images.shape[-2:]
        return make_targets(
            batch.keypoints_xy,
            batch.visibility,
            (height, width),
            self.info.strides,
            self.sigma,
            self.config.targets.rounding,
            batch.confidence,
        )

    def _teacher_weights(
        self, teacher_heatmaps: tuple[Tensor, ...], targets: Targets, batch: Batch
    ) -> tuple[Tensor, ...]:
        """Weights of the teacher's heatmaps; 0 where only the labels have a person."""
        every = torch.ones_like(batch.labeled)
        return tuple(
            cell_weights(batch.valid_mask, every, (seen.shape[2], seen.shape[3]))
            * ~((target > SEEN) & (seen < SEEN))  # labeled, and missed by the teacher
            for seen, target in zip(teacher_heatmaps, targets.heatmaps, strict=True)
        )

    def _without_unlabeled(
        self,
        weights: list[Tensor],
        teacher_heatmaps: tuple[Tensor, ...],
        targets: Targets,
        batch: Batch,
    ) -> list[Tensor]:
        incomplete = ~batch.people_complete[:, None, None, None]
        limit = self.config.teacher.ignore_above
        return [
            weight * ~(unlabeled_cells(seen, target, limit) & incomplete)
            for weight, seen, target in zip(
                weights, teacher_heatmaps, targets.heatmaps, strict=True
            )
        ]


def _resized(heat: Tensor, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
    """(B, K, H, W) heatmaps at each (H, W)."""
    return tuple(
        heat
        if heat.shape[-2:] == size
        else F.interpolate(heat, size=size, mode="bilinear", antialias=True)
        for size in sizes
    )


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch's tensors on a device, in the memory order they had."""
    if device.type == "cpu":
        return batch
    return Batch(
        *(
            t if t is None or t.is_cuda else t.pin_memory().to(device, non_blocking=True)
            for t in batch
        )
    )


def normalized(images: Tensor, rule: InputRule) -> Tensor:
    """(B, 3, H, W) float32 from uint8, in the same memory order."""
    mean = torch.tensor(rule.mean, device=images.device).view(1, 3, 1, 1)
    scale = 1 / torch.tensor(rule.std, device=images.device).view(1, 3, 1, 1)
    return (images.float() - mean) * scale


def sigma_of(config: TargetConfig, skeleton: Skeleton) -> float | list[float]:
    """Heatmap sigmas in cells: one number, or one per keypoint.

    Raises LitePoseError where the table names a keypoint that the skeleton has not.
    """
    if not isinstance(config.heatmap_sigma, dict):
        return config.heatmap_sigma
    table = dict(config.heatmap_sigma)
    sigmas = [table.pop("default", 2.0)] * skeleton.num_keypoints
    for name, sigma in table.items():
        sigmas[skeleton.index(name)] = sigma
    return sigmas
