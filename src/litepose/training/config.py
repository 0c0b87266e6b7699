"""TrainConfig: every setting of a training run.

Frozen and checked when built. The whole configuration is stored in each checkpoint of its run.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from litepose.data.augment import AugmentSettings
from litepose.training.losses import LossRule
from litepose.training.section import Section, known_fields
from litepose.training.targets import Rounding

Share = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=32, multiple_of=32)]


class ModelConfig(Section):
    """What is trained and from where.

    name: a network of the zoo (tiny, p, xs, s, m, l); left out, that of `init`
    arch: fields of the architecture that shall differ from those of `name`
    init: weights to begin with: a zoo name, one of our checkpoints, an official .pth.tar;
           empty means random ones
    tags: learned or positional; empty keeps the network's own
    skeleton: coco17, crowdpose14, lsp14, a TOML file, or data: the annotations' own;
              empty means that of `init`, or of the data
    input_size: short side in pixels when the trained model predicts; None keeps the network's own
    weight_interpolation: the evaluated and saved weights lie this share of the way from those of
        `init` to the trained ones; 1 is all the way
    freeze: parts by parameter name (`stem`, `blocks.0-11`) that keep their weights and norms
    freeze_norms: batch norms keep their running mean and variance everywhere
    heat_threshold, tag_threshold: of the decoder, stored in the checkpoint; None keeps its own
    """

    RENAMED: ClassVar = {"start": "init", "blend": "weight_interpolation"}
    name: str = ""
    arch: dict[str, Any] = Field(default_factory=dict)
    init: str = ""
    tags: Literal["", "learned", "positional"] = ""
    skeleton: str = ""
    input_size: PositiveInt | None = None
    weight_interpolation: Share = 1.0
    freeze: tuple[str, ...] = ()
    freeze_norms: bool = False
    heat_threshold: NonNegativeFloat | None = None
    tag_threshold: PositiveFloat | None = None


class Source(Section):
    """Annotated images: a split in a dataset folder, a packed file, or drawn people.

    root: the folder of `split` or `packed`, relative to `data.root`
    weight: how often its images come, relative to the other sources
    image_ids: of a split, only these images
    held_out, only_held_out: of a split, all but this share of the images, or only that share: the
        same ones each time, so that a search can evaluate on images that nothing was trained on
    teacher_maps: folders written by `litepose data pseudo-label` for its images, relative to
        `root`, one for each input size: teacher heatmaps, in place of running `teacher.model` at
        every step. Each image takes those of the size in which its people were about as large as
        they are shown
    people: a file of COCO results of its images, relative to `root`: unlabeled people that score
        `people_above` are trained on too, with targets as high as each keypoint's score
    labels_only: of a pack, without the people that a model found (`litepose data pack --people`)
    synthetic: draw this many images instead of reading any, with `seed`
    """

    RENAMED: ClassVar = {"answers": "teacher_maps", "share": "weight"}
    split: str = ""
    packed: str = ""
    root: str = ""
    weight: PositiveFloat = 1.0
    image_ids: tuple[int, ...] = ()
    held_out: Share = 0.0
    only_held_out: bool = False
    teacher_maps: tuple[str, ...] = ()
    people: str = ""
    people_above: Share = 0.3
    labels_only: bool = False
    synthetic: NonNegativeInt = 0
    seed: NonNegativeInt = 0

    @field_validator("teacher_maps", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return ((value,) if value else ()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> Source:
        if bool(self.split) + bool(self.packed) + bool(self.synthetic) != 1:
            raise ValueError(
                "give one of split (a dataset's), packed (a file), synthetic (a number)"
            )
        if (self.teacher_maps or self.people) and not self.split:
            raise ValueError("teacher_maps and people belong to a split")
        if (self.image_ids or self.held_out) and not self.split:
            raise ValueError("image_ids and held_out choose from a split")
        if self.labels_only and not self.packed:
            raise ValueError("labels_only belongs to a packed source")
        if self.only_held_out and not self.held_out:
            raise ValueError("only_held_out needs a share, held_out")
        return self


class DataConfig(Section):
    """root: the folder of all sources; length: images per epoch, None means all;
    workers: processes that prepare images; max_unreadable: share of an epoch's images that may
    be skipped because they cannot be read, more stop the run; on_device: the training sources, all
    packed, live in the device's memory and are augmented there."""

    root: str = ""
    train: tuple[Source, ...]
    val: Source
    length: PositiveInt | None = None
    workers: NonNegativeInt = 2
    on_device: bool = False
    max_unreadable: Share = 0.01


class TargetConfig(Section):
    """heatmap_sigma: cells; one number, or a table by keypoint name with `default` for the rest;
    rounding: `floor` is the official Gaussian about the truncated cell, `none` the unbiased one."""

    heatmap_sigma: PositiveFloat | dict[str, PositiveFloat] = 2.0
    rounding: Rounding = "floor"


class TeacherConfig(Section):
    """A trained model that runs on the same images.

    model: a zoo name or a file; empty means none. `loss.dense_weight` is the weight of its
        heatmaps, `loss.teacher_tag_weight` that of its tags, if both have positional ones
    flip: with flip test
    ignore_above: cells hotter than this in its heatmaps, where no person is labeled, are ignored
        in images whose people are not all labeled; 0 is off
    features: layers that both networks have in equal width, as `blocks.4` or `tag`, whose outputs
        are compared; `loss.feature_weight` is their weight
    """

    model: str = ""
    flip: bool = False
    ignore_above: Share = 0.0
    features: list[str] = Field(default_factory=list)


class OptimizerConfig(Section):
    """AdamW and its schedule.

    lr: peak learning rate; lr_overrides: others by parts of parameter names (`stem`, `blocks.0-11`)
    relative_lr: rates are multiplied by the root mean square of each tensor's initial values.
        AdamW moves every weight by about the rate, whatever its size; where norms were folded into
        convolutions, some weights are a thousandth of others and the first steps would drown them
    schedule: one-cycle rises for `warmup` epochs and falls by a cosine to `final_lr_ratio` of the
        peak;
        step multiplies by `step_factor` at each epoch of `steps`
    grad_clip_norm: largest norm of all gradients together, 0 is off
    ema: decay of the averaged weights, which are evaluated and kept; 0 is off
    """

    RENAMED: ClassVar = {
        "lr_of": "lr_overrides",
        "final": "final_lr_ratio",
        "clip": "grad_clip_norm",
    }
    lr: PositiveFloat = 4e-3
    lr_overrides: dict[str, PositiveFloat] = Field(default_factory=dict)
    relative_lr: bool = False
    weight_decay: NonNegativeFloat = 0.01
    betas: tuple[Share, Share] = (0.9, 0.999)
    schedule: Literal["one-cycle", "step", "constant"] = "one-cycle"
    warmup: NonNegativeFloat = 1.0
    final_lr_ratio: Share = 1e-3
    steps: tuple[PositiveInt, ...] = ()
    step_factor: PositiveFloat = 0.1
    grad_clip_norm: NonNegativeFloat = 1.0
    ema: Share = 0.999


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


class Phase(Section):
    """From epoch `start` on images have `size` pixels a side, `batch_size` of them a process.

    size: of several, batches take turns; the last phase's largest is that of validation losses
    sources: numbers, from 0, of the `data.train` sources to use; empty means all
    mosaic: in place of `augment.mosaic`
    """

    start: NonNegativeInt = 0
    size: Annotated[tuple[Side, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    batch_size: PositiveInt
    sources: tuple[NonNegativeInt, ...] = ()
    mosaic: Share | None = None


class RunConfig(Section):
    """How the run executes; no effect on the result beyond rounding.

    precision: of the network's arithmetic; weights and losses stay float32
    channels_last: memory order of images and weights; faster on most CPUs and GPUs
    accumulate: batches per optimizer step
    threads: of torch on a CPU, 0 leaves its own choice
    save_minutes: between checkpoints; evaluate_every: epochs between measurements of AP
    samples: validation images drawn with predicted and true skeletons after each measurement
    """

    device: str = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    accumulate: PositiveInt = 1
    threads: NonNegativeInt = 0
    save_minutes: PositiveFloat = 10.0
    evaluate_every: PositiveInt = 1
    samples: NonNegativeInt = 4


class SupernetConfig(Section):
    """Train all architectures of a space at once; a section that is there asks for it.

    widths, fewer_blocks, kernels, expansions: the space below the network that is named, as
        `litepose.models.space.Space` takes them; input sizes are those of the phases
    samples: random architectures of each batch, beside the largest and the smallest
    distill_weight: weight of the largest's heatmaps as a target for the others
    sort: begin by sorting channels by importance, so that smaller networks get those that matter
    """

    widths: tuple[Share, ...] = (1.0, 0.75, 0.5, 0.25)
    fewer_blocks: NonNegativeInt = 0
    kernels: tuple[PositiveInt, ...] = ()
    expansions: tuple[PositiveInt, ...] = ()
    samples: NonNegativeInt = 2
    distill_weight: NonNegativeFloat = 1.0
    sort: bool = True


class TrainConfig(Section):
    """One training run. `output`: the folder for checkpoints and reports."""

    name: str
    output: str
    seed: NonNegativeInt = 0
    epochs: PositiveInt
    phases: tuple[Phase, ...]
    model: ModelConfig
    data: DataConfig
    augment: Annotated[AugmentSettings, known_fields(AugmentSettings)] = AugmentSettings()
    targets: TargetConfig = TargetConfig()
    loss: Annotated[LossRule, known_fields(LossRule)] = LossRule()
    teacher: TeacherConfig = TeacherConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    run: RunConfig = RunConfig()
    supernet: SupernetConfig | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> TrainConfig:
        if not (self.phases and self.data.train):
            raise ValueError("a run needs one phase and one data.train source at least")
        starts = [phase.start for phase in self.phases]
        if starts[0] != 0 or sorted(set(starts)) != starts:
            raise ValueError(f"phases must start at epoch 0 and ascend; got {starts}")
        if not (self.model.name or self.model.init):
            raise ValueError("model needs a name (random weights) or an init (trained ones)")
        if self.model.arch and self.model.init:
            raise ValueError("model.arch changes a network of random weights; leave model.init out")
        if self.model.weight_interpolation < 1 and not self.model.init:
            raise ValueError(
                "model.weight_interpolation mixes with the weights of model.init; name one"
            )
        if any(number >= len(self.data.train) for p in self.phases for number in p.sources):
            raise ValueError(f"phases.sources are numbers from 0 to {len(self.data.train) - 1}")
        if self.data.on_device:
            if not all(source.packed for source in self.data.train):
                raise ValueError("data.on_device needs packed training sources and no others")
            if self.augment.mosaic or any(phase.mosaic for phase in self.phases):
                raise ValueError("data.on_device takes no mosaic")
            if self.augment.person_px != AugmentSettings.person_px:
                raise ValueError("data.on_device takes no augment.person_px")
        with_maps = [bool(source.teacher_maps) for source in self.data.train]
        if any(with_maps) and not all(with_maps):
            raise ValueError("give teacher_maps for every data.train source, or for none")
        needs_teacher = self.loss.dense_weight > 0 or self.teacher.ignore_above > 0
        if needs_teacher and not (self.teacher.model or all(with_maps)):
            raise ValueError(
                "loss.dense_weight and teacher.ignore_above need a teacher.model or data.train"
                " sources with teacher_maps"
            )
        if self.loss.teacher_tag_weight > 0 and not self.teacher.model:
            raise ValueError("loss.teacher_tag_weight needs a teacher.model")
        compared = self.loss.feature_weight > 0
        if compared != bool(self.teacher.features) or (compared and not self.teacher.model):
            raise ValueError(
                "to compare features give teacher.model, teacher.features and loss.feature_weight"
            )
        return self

    def phase(self, epoch: int) -> Phase:
        """The phase an epoch (from 0) belongs to."""
        return [phase for phase in self.phases if phase.start <= epoch][-1]
