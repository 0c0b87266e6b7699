"""Correct people by a small learned network: their keypoints' places and their scores.

Source: PoseFix (Moon et al., CVPR 2019) learns the errors that a pose estimator makes, the scoring
network of DEKR (Geng et al., CVPR 2021) how accurate a pose is. Ours is one perceptron that does
both from the pose alone: it learns where a model's keypoints are off in the same way again and
again, and which poses are unlikely. Each person is corrected as it is and mirrored, and the mean
taken. benchmarks/fit_corrector.py trains it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.skeleton import Skeleton
from litepose.decode.merge_views import person_boxes, person_sides

FAINT = 0.02  # keypoints scoring less say nothing by their place
SIDE_PX = 64.0  # a person of this side has size 0 in the features
FAR = 2.0  # sides; keypoints farther from a person's middle count as so far
FARTHEST = 0.1  # sides that a keypoint is moved
STEP = 0.1  # sides of a person per unit of the network's output
POWER = 0.75  # of score x expected OKS: about as many people as before score 0.15 and more
LAYERS = 3


@dataclass(frozen=True, eq=False)
class Corrector:
    """Weights (inputs, outputs) and biases (outputs,) of the layers, float32."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, 2 K + 1)."""
        x = features
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.maximum(x @ weight + bias, 0)
        return x @ self.weights[-1] + self.biases[-1]


def correct(people: Poses, corrector: Corrector) -> Poses:
    """The same people, best first: keypoints moved, scored by score x expected OKS."""
    if not len(people):
        return people
    flip, sides = people.skeleton.flip_index, person_sides(people)
    placed = places(people, sides)
    out = corrector(features(people, sides, placed))
    mirrored = corrector(features(people, sides, mirror(placed, flip), flip))
    moves, again = (o[:, :-1].reshape(placed.shape) for o in (out, mirrored))
    moves = (STEP * (moves + mirror(again, flip)) / 2).clip(-FARTHEST, FARTHEST)
    expected = (1 + np.tanh((out[:, -1] + mirrored[:, -1]) / 4)) / 2  # mean logit -> probability
    found = people.found[..., None]
    corrected = replace(
        people,
        keypoints_xy=people.keypoints_xy + np.where(found, moves * sides[:, None, None], 0),
        person_scores=(people.person_scores * expected) ** POWER,
    )
    return corrected[np.argsort(-corrected.person_scores, kind="stable")]


def places(people: Poses, sides: np.ndarray) -> np.ndarray:
    """(N, K, 2) keypoints from the middle of each person's box, in `sides` (N,) of the person."""
    low, high = person_boxes(people)
    return (people.keypoints_xy - (low + high)[:, None] / 2) / sides[:, None, None]


def mirror(placed: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """(N, K, 2) places or moves of the mirrored person."""
    return placed[:, flip] * np.array([-1, 1], dtype=placed.dtype)


def features(
    people: Poses, sides: np.ndarray, placed: np.ndarray, flip: np.ndarray | None = None
) -> np.ndarray:
    """(N, 3 K + 2) float32 inputs of the network: places, keypoint scores, person score, size.

    flip: the order (K,) of the keypoints of `placed` where they are mirrored
    """
    scores = people.scores if flip is None else people.scores[:, flip]
    seen = np.where((scores > FAINT)[..., None], placed.clip(-FAR, FAR), 0)
    size = np.log(sides / SIDE_PX)
    rest = (np.sqrt(scores), np.sqrt(people.person_scores)[:, None], size[:, None])
    return np.concatenate((seen.reshape(len(seen), -1), *rest), axis=1, dtype=np.float32)


def read_corrector(path: Path, skeleton: Skeleton) -> Corrector:
    """Read `weight0`, `bias0`, ... of an .npz file.

    Raises LitePoseError if the file is damaged or of another skeleton.
    """
    try:
        # From bytes: of a damaged file numpy leaves the handle open.
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as file:
            weights = tuple(file[f"weight{i}"].astype(np.float32) for i in range(LAYERS))
            biases = tuple(file[f"bias{i}"].astype(np.float32) for i in range(LAYERS))
    except Exception as exc:  # numpy raises many kinds for damaged files
        raise LitePoseError(f"{path} holds no corrector of poses: {exc}") from None
    k = skeleton.num_keypoints
    widths = [3 * k + 2, *(bias.size for bias in biases)]
    shapes = list(pairwise(widths))
    if [weight.shape for weight in weights] != shapes or widths[-1] != 2 * k + 1:
        raise LitePoseError(f"{path} corrects other skeletons than {skeleton.name}")
    return Corrector(weights, biases)
