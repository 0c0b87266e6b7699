"""Predictor options and results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypedDict

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Letterbox
from litepose.core.kinds import check_kinds
from litepose.core.model_info import MOST_SIZE, InputRule, check_views
from litepose.core.poses import Poses
from litepose.decode.crops import CROP_PX
from litepose.decode.merge import MergedMaps

DecoderName = Literal["fast", "reference"]


@dataclass(frozen=True)
class PredictOptions:
    """Options of one prediction.

    flip_test: average with the maps of the mirrored image (more accurate, twice the time)
    scales:    average the maps at these multiples of the input size, such as (1.0, 0.5, 2.0), as in
               the paper; tags and positions come from the first
    threshold: drop people scoring below; None means the model's own threshold
    max_people: keep only the best so many; None keeps all
    views:     run at these input sizes (short sides) and merge the people found; None means the
               model's own views, or one view at its size if `scales` are given
    focus:     later views cover only the part where earlier ones found people too small for them
    crops:     run at crops around the best so many people, too, and merge what is found there; not
               with `scales`, the reference decoder, or a file of one input size
    crop_px:   side of the crops in input pixels, a multiple of the network's
    crop_gain: only crops that show a person so many times as large as the first view; 0 takes all
    decoder:   "fast", or "reference": the official decoder, to reproduce published figures
    deadline_ms: time for an image, reading included; views, flip_test and the number of crops are
               then chosen so that 95 of 100 images meet it (see inference/deadline.py). None: no
               deadline
    """

    flip_test: bool = False
    scales: tuple[float, ...] = (1.0,)
    threshold: float | None = None
    max_people: int | None = None
    views: tuple[int, ...] | None = None
    focus: bool = True
    crops: int = 0
    crop_px: int = CROP_PX
    crop_gain: float = 0.0
    decoder: DecoderName = "fast"
    deadline_ms: float | None = None

    def __post_init__(self) -> None:
        check_kinds(self)
        if not self.scales or not all(0.1 <= s <= 8 for s in self.scales):
            raise LitePoseError(f"scales must be numbers from 0.1 to 8; got {list(self.scales)}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise LitePoseError(f"the threshold must lie in [0, 1]; got {self.threshold}")
        if self.max_people is not None and self.max_people < 1:
            raise LitePoseError(f"max_people must be 1 or more; got {self.max_people}")
        if self.crops < 0:
            raise LitePoseError(f"crops is a number of people, 0 or more; got {self.crops}")
        if not 32 <= self.crop_px <= MOST_SIZE:
            raise LitePoseError(f"crop_px must lie in [32, {MOST_SIZE}]; got {self.crop_px}")
        if not 0 <= self.crop_gain < float("inf"):
            raise LitePoseError(f"crop_gain must be a number, 0 or more; got {self.crop_gain}")
        if self.deadline_ms is not None and not 0 < self.deadline_ms < float("inf"):
            raise LitePoseError(
                f"a deadline is a number of milliseconds above 0; got {self.deadline_ms}"
            )
        if self.views is not None:
            if not self.views:
                raise LitePoseError("views need one input size at least, such as 256,512")
            check_views(self.views)

    @property
    def crops_taken(self) -> int:
        """`crops`, or 0 where scales or the decoder reproduce published results."""
        as_published = self.scales != (1.0,) or self.decoder == "reference"
        return 0 if as_published else self.crops

    def view_sizes(self, rule: InputRule) -> tuple[int, ...]:
        """Short sides of the views, smallest first."""
        if self.views is not None:
            return tuple(sorted(self.views))
        averaged = self.scales != (1.0,)
        return (rule.size,) if averaged or not rule.views else tuple(sorted(rule.views))


class How(TypedDict, total=False):
    """Keywords of `predict`, `predict_many` and `stream`: fields of PredictOptions, None for the
    predictor's default."""

    flip_test: bool | None
    scales: float | Sequence[float] | None
    views: int | Sequence[int] | None
    threshold: float | None
    max_people: int | None
    focus: bool | None
    crops: int | None
    decoder: DecoderName | None
    deadline_ms: float | None


DEFAULT_OPTIONS = PredictOptions()


class Timings(NamedTuple):
    """Seconds spent on one image."""

    read: float
    pre: float
    net: float
    decode: float


class View(NamedTuple):
    """Results of one view: merged maps, position of the image in the input, and the people found in
    this view alone."""

    maps: MergedMaps
    box: Letterbox
    poses: Poses


class Inspection(NamedTuple):
    """A prediction with its intermediate results. crops: views of single people's crops"""

    poses: Poses
    views: list[View]
    timings: Timings
    crops: Sequence[View] = ()


class Prediction(NamedTuple):
    """Result of one of several images: `poses`, or None and the `error`."""

    source: str
    poses: Poses | None
    error: str | None


class PredictionError(LitePoseError):
    """Some of several images failed; `predictions` has the results of all."""

    def __init__(self, predictions: list[Prediction]) -> None:
        bad = [p for p in predictions if p.error is not None]
        shown = "; ".join(f"{p.source}: {p.error}" for p in bad[:3])
        super().__init__(
            f"{len(bad)} of {len(predictions)} images failed ({shown}"
            f"{'; ...' if len(bad) > 3 else ''}); all results are in this error's .predictions"
        )
        self.predictions = predictions
