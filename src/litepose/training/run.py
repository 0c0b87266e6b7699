"""Run: the objects of one training run, and their state on disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import prod
from pathlib import Path

import torch
from torch import nn

from litepose.core.errors import LitePoseError
from litepose.data.augment import AugmentSettings
from litepose.data.augment_gpu import DeviceImages, DeviceLoader, to_device
from litepose.data.corner_boxes import warning_of
from litepose.data.loader import Loader, LoaderSettings
from litepose.data.packed import PackedDataset
from litepose.data.sample import Batch
from litepose.models import zoo
from litepose.models.channel_order import sort_channels
from litepose.models.checkpoint import save_checkpoint
from litepose.models.network import Network
from litepose.models.renorm import with_norms
from litepose.models.supernet import Supernet, save_supernet
from litepose.training.config import SupernetConfig, TrainConfig
from litepose.training.datasets import (
    check_known,
    mixture,
    named_skeleton,
    open_source,
    training_data,
)
from litepose.training.distributed import Processes
from litepose.training.init_weights import Start, make_start
from litepose.training.logger import duration
from litepose.training.losses import Losses
from litepose.training.objective import Objective, Teacher, computes_bf16, normalized
from litepose.training.optimizer import average_weights, interpolate_weights, make_optimizer
from litepose.training.run_checkpoint import Progress, load_state, restore, save_state
from litepose.training.sandwich import sandwich, space_of

NORM_BATCHES = 8  # that a folded network's norms are measured on
RESULTS = ("best.safetensors", "last.safetensors", "metrics.jsonl")  # never overwritten by another


class Run:
    """Data, network, optimizer and progress of a run, in the processes of `group`.

    model: bare, for its weights; trained: the same, wrapped and compiled as wanted, for its steps;
    average: its averaged weights or None; notes: sentences about what was set up.
    Raises LitePoseError where configuration, data, weights and machine do not fit each other.
    """

    def __init__(self, config: TrainConfig, group: Processes) -> None:
        self.config, self.group = config, group
        self.folder = Path(config.output)
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        if group.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # sizes repeat, so the search pays
        torch.manual_seed(config.seed)
        self._open_data()
        start = make_start(config, self.val_data.skeleton)
        if config.supernet is not None:
            start = self._elastic(start, config.supernet)
        self.info, self.notes = start.info, [*start.notes, *self._box_notes()]
        self.model = start.model.to(group.device)
        self.objective = Objective(config, start.info, self._teacher(), self.model)
        self.start_weights = None
        if config.model.weight_interpolation < 1:
            self.start_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self.average = average_weights(self.model) if config.optimizer.ema else None
        fp16 = config.run.precision == "fp16"
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=fp16)
        self.channels_last = config.run.channels_last
        self.progress = Progress()

    @property
    def eval_model(self) -> nn.Module:
        """The network that is validated and kept; of a supernet, the largest."""
        trained = self.model if self.average is None else self.average.module
        if isinstance(trained, Supernet):
            return trained.network
        if self.start_weights is None:
            return trained
        return interpolate_weights(
            trained, self.start_weights, self.config.model.weight_interpolation
        )

    @property
    def state_file(self) -> Path:
        return self.folder / "resume.pt"

    def open_folder(self, resume: bool) -> None:
        """Resume from the state in the output folder, or make sure that nothing is overwritten."""
        has_state = self.state_file.exists()
        if has_state and not resume:
            raise LitePoseError(
                f"{self.folder} holds a run already; go on with it (--resume) or give another"
                " output"
            )
        left = [name for name in RESULTS if (self.folder / name).exists()]
        if left and not has_state:
            raise LitePoseError(
                f"{self.folder} holds {' and '.join(left)} of a run, but no {self.state_file.name}"
                " to go on from; give another output, or move them away to start again"
            )
        self._check_room()
        if has_state:
            state = load_state(self.state_file, self.config)
            self.channels_last = state["parts"]["channels_last"]
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        for module in filter(None, (self.model, self.average)):
            module.to(memory_format=order)  # type: ignore[call-overload]
        if has_state:
            self.progress = restore(state, self._parts(), self.group)
            at = f"epoch {self.progress.epoch + 1} after {self.progress.batch} batches"
            self.notes.append(f"going on in {at}, {duration(self.progress.seconds)} done before")
        layout = "channels last" if self.channels_last else "channels first"
        processes = f"{self.group.world} process(es) on {self.group.device.type}"
        self.notes.append(f"{processes}, {self.config.run.precision}, {layout}")
        if self.config.run.precision == "fp32" and computes_bf16(self.group.device):
            self.notes.append("this machine computes bfloat16: run.precision=bf16 trains faster")
        if self.config.run.compile:
            self.model.compile()
        self.trained = self.group.wrap(self.model)

    def losses(self, batch: Batch) -> Iterator[Losses]:
        """Of one batch: the network's, or those of each network that a supernet samples."""
        if self.config.supernet is None:
            yield self.objective(self.trained, batch)
        else:
            assert isinstance(self.model, Supernet)
            at = f"{self.config.seed} {self.progress.epoch} {self.progress.batch}"
            yield from sandwich(self.model, self.objective, batch, self.config.supernet, at)

    def save(self) -> None:
        """Write the state; all processes call this at the same batch."""
        save_state(self.state_file, self.config, self.progress, self._parts(), self.group)

    def save_weights(self, name: str, ap: float | None) -> Path:
        """Write the evaluated weights as a checkpoint that the predictor takes."""
        path = self.folder / name
        extra = {
            "training": self.config.model_dump_json(),
            "epochs": str(self.progress.epoch + (self.progress.batch > 0)),
            "validation_ap": "" if ap is None else f"{ap:.3f}",
        }
        save_checkpoint(path, self.eval_model, self.info, extra)
        kept = self.model if self.average is None else self.average.module
        if isinstance(kept, Supernet):
            save_supernet(self.folder / f"{Path(name).stem}.supernet.safetensors", kept, extra)
        return path

    def training_loader(self, epoch: int) -> Loader | DeviceLoader:
        phase = self.config.phase(epoch)
        settings = self._loader_settings(phase.size, phase.batch_size)
        if self.device_images:
            sources = phase.sources or range(len(self.device_images))
            parts = [(self.device_images[i], self.config.data.train[i].weight) for i in sources]
            return DeviceLoader(parts, self.config.augment, settings, self.config.data.length)
        augment = self.config.augment
        if phase.mosaic is not None:
            augment = replace(augment, mosaic=phase.mosaic)
        return Loader(mixture(self.train_data, self.config.data, phase), augment, settings)

    def validation_loader(self) -> Loader:
        """Whole images in squares of the last phase's size, in order."""
        phase = self.config.phases[-1]
        size = (max(phase.size),)
        settings = replace(self._loader_settings(size, phase.batch_size), shuffle=False)
        return Loader(self.val_data, AugmentSettings.none(), settings)

    def _loader_settings(self, size: tuple[int, ...], batch_size: int) -> LoaderSettings:
        return LoaderSettings(
            batch_size=batch_size,
            size=size,
            seed=self.config.seed,
            workers=self.config.data.workers,
            rank=self.group.rank,
            world=self.group.world,
            max_unreadable=self.config.data.max_unreadable,
        )

    def _open_data(self) -> None:
        """Training and validation images; the first process draws people before others read."""
        data, drawn = self.config.data, self.folder / "drawn"
        if not self.group.first:
            self.group.gather(None)
        target = named_skeleton(self.config.model.skeleton)
        if not self.config.model.skeleton and self.config.model.init:
            target = zoo.load(self.config.model.init)[1].skeleton
            own = open_source(data.val, data.root, None, drawn).skeleton
            check_known(own, target)
        self.val_data = open_source(data.val, data.root, target, drawn)
        self.train_data = training_data(data, self.val_data.skeleton, drawn)
        if not any((record.visibility > 0).any() for record in self.val_data.records):
            raise LitePoseError(
                f"none of the {len(self.val_data)} validation images shows anybody with a"
                " labeled keypoint, so nothing can be evaluated; change data.val"
            )
        self.device_images: list[DeviceImages] = []
        if data.on_device:
            for packed in self.train_data:
                assert isinstance(packed, PackedDataset)
                self.device_images.append(to_device(packed, self.group.device))
        if self.group.first:
            self.group.gather(None)

    def _box_notes(self) -> list[str]:
        """A sentence for each dataset whose boxes seem to be corners."""
        datasets = dict.fromkeys((*self.train_data, self.val_data))
        warnings = (warning_of(dataset.records, "AP") for dataset in datasets)
        return list(dict.fromkeys(text for text in warnings if text))

    def _teacher(self) -> Teacher | None:
        if not self.config.teacher.model:
            return None
        model, info = zoo.load(self.config.teacher.model)
        if info.skeleton != self.info.skeleton:
            raise LitePoseError(
                f"teacher {info.name} knows {info.skeleton.name}, the trained network"
                f" {self.info.skeleton.name}; a teacher needs the same keypoints"
            )
        if self.config.loss.teacher_tag_weight and not (
            info.tag_kind == self.info.tag_kind == "positional"
            and info.tag_stride == self.info.tag_stride
        ):
            raise LitePoseError(
                "loss.teacher_tag_weight needs positional tags of one stride on both sides; the"
                f" teacher {info.name} has {info.tag_kind} ones at stride {info.tag_stride},"
                f" {self.info.name} {self.info.tag_kind} ones at stride {self.info.tag_stride}"
            )
        self.notes.append(f"taught by {info.name}")
        return Teacher(model.to(self.group.device), info, self.config.teacher)

    def _elastic(self, start: Start, config: SupernetConfig) -> Start:
        """The supernet whose largest network was to be trained."""
        network, info = start.model, start.info
        assert isinstance(network, Network)
        if self.group.world > 1 or self.config.model.weight_interpolation < 1:
            raise LitePoseError(
                "a supernet is trained by one process, and model.weight_interpolation must be 1"
            )
        sizes = (size for phase in self.config.phases for size in phase.size)
        space = space_of(config, network.arch, sizes)
        notes = [f"a supernet of {prod(map(len, space.genes().values())):.3g} architectures"]
        if not getattr(network.arch, "norm", True):  # smaller ones need theirs measured again
            batches = islice(self.training_loader(0).epoch(0), NORM_BATCHES)
            images = (normalized(batch.images.cpu(), info.input) for batch in batches)
            network, info = with_norms(network, info, images)
            space = replace(space, largest=network.arch)
            notes.append("its batch norms, folded into convolutions, were measured again")
        if config.sort:
            sort_channels(network, info)
        return Start(Supernet(network, info, space), info, (*start.notes, *notes))

    def _parts(self) -> dict[str, object]:
        parts: dict[str, object] = {
            "model": self.model,
            "optimizer": self.optimizer,
            "scaler": self.scaler,
            "channels_last": self.channels_last,
        }
        return parts if self.average is None else {**parts, "average": self.average}

    def _check_room(self) -> None:
        """Raises LitePoseError where the folder or the disk cannot hold this run's files."""
        weights = 4 * sum(p.numel() for p in self.model.parameters())
        needed = 12 * weights + (10 << 20)  # two states of four times, best and last, and reports
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as exc:
            raise LitePoseError(f"cannot write to {self.folder}: {exc.strerror}") from None
        if free < needed:
            raise LitePoseError(
                f"this run needs {needed / 1e6:.0f} MB in {self.folder} and the disk has"
                f" {free / 1e6:.0f} MB free; nothing was written"
            )
