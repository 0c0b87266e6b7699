"""Meet a deadline: the views of an image are chosen from latencies measured on this machine.

At first use the cheapest views are timed, then more expensive ones, until one takes too long. After
that, the time of each image tells how much slower or faster the machine is now, and the choice
adapts. The time that the views leave goes to crops around people, which raise AP more than a second
view or the flip test does: those are chosen only where a few crops fit beside them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import MAX_ASPECT, Affine
from litepose.core.timing import run_seconds
from litepose.imaging.read import ImageSource, LoadedImage, load_image
from litepose.inference.inspection import add_crops, inspect
from litepose.inference.results import Inspection, PredictOptions

if TYPE_CHECKING:
    from litepose.inference.predictor import Predictor

SIZES = (128, 192, 256, 320, 384, 448, 512, 640, 768)  # short sides of single views that are tried
RUNS = 8  # of each choice, after one that is not counted
REMEMBERED = 40  # images whose slowness against the measured latency is kept
PEOPLE = 4  # with so many crops beside them more expensive views must meet the deadline
SMALL = 1.5  # a crop takes so much more for each pixel than a view
MARGIN = 1.1  # an estimate of the 95th percentile from so few images is uncertain


@dataclass(frozen=True)
class Choice:
    """Views that might be taken, and what they cost on this machine.

    seconds: median of a square image, all views whole; spread: the second slowest over the median
    """

    options: PredictOptions
    seconds: float
    spread: float


class Ladder:
    """The choices of one Predictor, cheapest first, and how slow the machine is now."""

    def __init__(self) -> None:
        self._choices: dict[PredictOptions, Choice] = {}
        self._candidates: dict[PredictOptions, list[PredictOptions]] = {}
        self._slowness: deque[float] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    def seconds(self, choice: Choice, image: np.ndarray) -> float:
        """95th percentile of the time that a choice takes with this image now."""
        return choice.seconds * self.slowness(choice) * MARGIN * _cost(image)

    def choose(
        self, predictor: Predictor, image: np.ndarray, options: PredictOptions, seconds: float
    ) -> Choice:
        """The most expensive choice whose 95th percentile is within `seconds`; times unknown ones.

        seconds: the rest of the deadline after reading. Returns the cheapest where only this image
        or the present load makes all too slow. Raises LitePoseError where, as measured, even the
        cheapest misses the deadline with a square image.
        """
        assert options.deadline_ms is not None
        chosen: Choice | None = None
        first = options.view_sizes(predictor.info.input)[0]
        with self._lock:
            any_deadline = replace(options, deadline_ms=None)
            if any_deadline not in self._candidates:
                self._candidates[any_deadline] = candidates(predictor, options)
            for one in self._candidates[any_deadline]:
                known = self._choices.get(one) or self._measure(predictor, image, one)
                least_ms = 1000 * known.seconds * known.spread * MARGIN
                if chosen is None and least_ms > options.deadline_ms:
                    raise LitePoseError(_too_short(predictor, known, least_ms, options.deadline_ms))
                beside = min(options.crops, PEOPLE) if _dear(one, first) else 0
                needed = self.seconds(known, image) + beside * self.crop_seconds(known)
                if chosen is None or needed <= seconds:
                    chosen = known
                if least_ms > options.deadline_ms:
                    break  # what is dearer need not be measured
        assert chosen is not None
        return chosen

    def crop_seconds(self, choice: Choice) -> float:
        """95th percentile of the time of one crop now."""
        crop_px = choice.options.crop_px
        pixels = sum(size**2 for size in choice.options.views or (crop_px,))
        share = SMALL * crop_px**2 / pixels
        return choice.seconds * self.slowness(choice) * MARGIN * share

    def slowness(self, choice: Choice) -> float:
        """95th percentile of the time that a choice takes now, relative to its measured median."""
        recent = [*self._slowness, choice.spread]
        return float(np.quantile(recent, 0.95))

    def note(self, choice: Choice, seconds: float, image: np.ndarray) -> None:
        """Record the time of an image, unless skipped views made it faster."""
        ratio = seconds / (choice.seconds * _cost(image))
        if len(choice.options.views or ()) <= 1 or ratio > 1:
            self._slowness.append(ratio)

    def _measure(self, predictor: Predictor, image: np.ndarray, options: PredictOptions) -> Choice:
        whole = replace(options, focus=False)
        took = np.array(run_seconds(lambda: inspect(predictor, image, whole), RUNS)) / _cost(image)
        median = float(np.median(took))
        found = Choice(options, median, float(np.sort(took)[-2]) / median)
        self._choices[options] = found
        return found


def _too_short(predictor: Predictor, cheapest: Choice, least_ms: float, deadline_ms: float) -> str:
    size = cheapest.options.view_sizes(predictor.info.input)[0]
    return (
        f"no view of {predictor.info.name} meets a deadline of {deadline_ms:g} ms on this machine:"
        f" the least it can meet is about {np.ceil(least_ms):.0f} ms (one view of {size} px); allow"
        " that, or take effort fast, or a smaller model such as litepose-p"
    )


def candidates(predictor: Predictor, options: PredictOptions) -> list[PredictOptions]:
    """Ways to view an image, worst first: one view, the model's own views, mirrored views."""
    plain = replace(options, deadline_ms=None, scales=(1.0,), flip_test=False, crops=0)
    if predictor.backend.fixed_wh is not None:
        one = replace(plain, views=None)
        return [one, replace(one, flip_test=True)]
    rule = predictor.info.input
    own = plain.view_sizes(rule)
    # One view beyond the model's size costs more and finds fewer, because large people are lost;
    # with crops, one beyond the first view: PM at 256, 320 and 384 px has AP 43.3, 42.5 and 40.4.
    largest = own[0] if options.crops else min(rule.size, own[-1])
    sizes = [size for size in SIZES if size < largest and size % rule.multiple == 0]
    single = [replace(plain, views=(size,)) for size in (*sizes, largest)]
    counts = range(1 if own[0] > largest else 2, len(own) + 1)
    several = [replace(plain, views=own[:count]) for count in counts]
    return [*single, *several, replace(plain, views=own, flip_test=True)]


_LADDERS: WeakKeyDictionary[Predictor, Ladder] = WeakKeyDictionary()


def inspect_within(
    predictor: Predictor, source: ImageSource, options: PredictOptions
) -> Inspection:
    """`Predictor.inspect` within `options.deadline_ms`, reading included; `poses.used` says how.

    The first call measures, and takes seconds. Raises LitePoseError where the deadline cannot be
    met, and as `inspect` does.
    """
    assert options.deadline_ms is not None
    began = time.perf_counter()
    loaded: LoadedImage = load_image(source, predictor.limits, min_short_side=2 * SIZES[-1])
    read = time.perf_counter() - began
    ladder = _LADDERS.setdefault(predictor, Ladder())
    left = max(options.deadline_ms / 1000 - read, 0)
    choice = ladder.choose(predictor, loaded.image, options, left)
    began = time.perf_counter()
    found = inspect(predictor, loaded.image, choice.options)
    ladder.note(choice, time.perf_counter() - began, loaded.image)
    if options.crops:
        rest = began + left - time.perf_counter()
        most = max(0, min(options.crops, int(rest / ladder.crop_seconds(choice))))
        how = replace(choice.options, crops=most)
        found = add_crops(predictor, loaded.image, found, how)
    poses = found.poses
    scale = np.array(loaded.image_wh) / (loaded.image.shape[1], loaded.image.shape[0])
    if (scale != 1).any():
        poses = poses.moved(Affine.scale_shift((scale[0], scale[1])), loaded.image_wh)
    used = {
        "deadline_ms": options.deadline_ms,
        "views": list(choice.options.view_sizes(predictor.info.input)),
        "flip_test": choice.options.flip_test,
        "crops": len(found.crops),
    }
    return found._replace(
        poses=replace(poses, used=used), timings=found.timings._replace(read=read)
    )


def _dear(options: PredictOptions, first: int) -> bool:
    """Whether these are more than one view of at most the size of the first."""
    return options.flip_test or max(options.views or (first,)) > first


def _cost(image: np.ndarray) -> float:
    """Pixels of the input against a square image's."""
    short, long = sorted(image.shape[:2])
    return min(long / short, MAX_ASPECT)
