"""Skeletons as data: keypoint names, edges, OKS sigmas and grouping order.

Source: COCO 2017 person keypoints; CrowdPose (Li et al., CVPR 2019); Leeds Sports Pose (Johnson and
Everingham, BMVC 2010). Flip index, edge indices and mappings between skeletons are derived from
the names and checked when a skeleton is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.kinds import check_kinds

# Names of keypoints in datasets -> the names used here.
ALIASES: Mapping[str, str] = {
    "head_top": "head",
    "top_head": "head",
    "upper_neck": "neck",
    "thorax": "neck",
}


def canonical_name(name: str) -> str:
    """`Left Shoulder`, `left-shoulder`, `head_top` -> the spelling that skeletons compare."""
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    return ALIASES.get(plain, plain)


def mirrored_name(name: str) -> str:
    """The name of the keypoint on the other side of the body: `left_knee` <-> `right_knee`."""
    for side, other in (("left", "right"), ("right", "left")):
        if name.startswith(f"{side}_"):
            return f"{other}_{name[len(side) + 1 :]}"
        if name.endswith(f"_{side}"):
            return f"{name[: -len(side) - 1]}_{other}"
    return name


@dataclass(frozen=True)
class Skeleton:
    """K named keypoints and how they are connected. Immutable; checked when built.

    edges: pairs of names; oks_sigmas: (K,) spread of each keypoint in COCO's OKS
    grouping_order: order in which the decoder joins keypoints, most reliable first
    flip_pairs: only needed where names do not contain left and right

    Raises LitePoseError where names repeat, an edge or pair names nothing, or lengths differ.
    """

    name: str
    keypoints: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    oks_sigmas: tuple[float, ...]
    grouping_order: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        check_kinds(self)
        names = self.keypoints
        if not names:
            raise LitePoseError(f"skeleton {self.name!r} has no keypoints")
        if len(set(map(canonical_name, names))) != len(names):
            raise LitePoseError(f"skeleton {self.name!r} names a keypoint twice: {list(names)}")
        if len(self.oks_sigmas) != len(names) or min(self.oks_sigmas) <= 0:
            raise LitePoseError(
                f"skeleton {self.name!r} needs {len(names)} OKS sigmas above 0,"
                f" one per keypoint; got {list(self.oks_sigmas)}"
            )
        if not self.grouping_order:
            object.__setattr__(self, "grouping_order", names)
        if sorted(self.grouping_order) != sorted(names):
            raise LitePoseError(
                f"grouping order of skeleton {self.name!r} must hold each name once"
            )
        for pair in (*self.edges, *self.flip_pairs):
            for end in pair:
                if end not in names:
                    hint = did_you_mean(end, names)
                    raise LitePoseError(f"skeleton {self.name!r} has no keypoint {end!r}{hint}")
        flip = self.flip_index
        if not np.array_equal(flip[flip], np.arange(len(names))):
            raise LitePoseError(
                f"flip pairs of skeleton {self.name!r} do not mirror back onto itself"
            )

    @property
    def num_keypoints(self) -> int:
        return len(self.keypoints)

    def index(self, name: str) -> int:
        """Position of a keypoint by any of its names; an unknown one raises LitePoseError."""
        wanted = canonical_name(name)
        for position, own in enumerate(self.keypoints):
            if canonical_name(own) == wanted:
                return position
        hint = did_you_mean(wanted, self.keypoints)
        raise LitePoseError(f"skeleton {self.name!r} has no keypoint {name!r}{hint}")

    @cached_property
    def flip_index(self) -> np.ndarray:
        """(K,) int: index of each keypoint's mirror image; its own index for central keypoints."""
        mirror = dict(self.flip_pairs) | {b: a for a, b in self.flip_pairs}
        index = {name: i for i, name in enumerate(self.keypoints)}
        return np.array(
            [index.get(mirror.get(n, mirrored_name(n)), i) for i, n in enumerate(self.keypoints)]
        )

    @cached_property
    def edge_index(self) -> np.ndarray:
        """(E, 2) int: the edges by keypoint position."""
        index = {name: i for i, name in enumerate(self.keypoints)}
        return np.array([(index[a], index[b]) for a, b in self.edges], dtype=int).reshape(-1, 2)

    @cached_property
    def sigmas(self) -> np.ndarray:
        """(K,) float32: `oks_sigmas` as an array."""
        return np.array(self.oks_sigmas, dtype=np.float32)

    @cached_property
    def grouping_index(self) -> np.ndarray:
        """(K,) int: `grouping_order` by keypoint position."""
        return np.array([self.keypoints.index(name) for name in self.grouping_order])

    def mapping_from(self, source: Skeleton) -> np.ndarray:
        """(K,) int: position in `source` of each keypoint of this skeleton, -1 if absent."""
        index = {canonical_name(name): i for i, name in enumerate(source.keypoints)}
        return np.array([index.get(canonical_name(name), -1) for name in self.keypoints])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` reads them back."""
        out: dict[str, Any] = {
            "name": self.name,
            "keypoints": list(self.keypoints),
            "edges": [list(edge) for edge in self.edges],
            "oks_sigmas": list(self.oks_sigmas),
            "grouping_order": list(self.grouping_order),
        }
        if self.flip_pairs:
            out["flip_pairs"] = [list(pair) for pair in self.flip_pairs]
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Skeleton:
        """Read what `to_dict` wrote, or a TOML table of the same shape.

        Sigmas left out become 0.08 (between COCO's shoulder and hip).
        Raises LitePoseError where a field is missing or of the wrong kind.
        """
        try:
            names = tuple(str(name) for name in data["keypoints"])
            return cls(
                name=str(data["name"]),
                keypoints=names,
                edges=tuple((str(a), str(b)) for a, b in data.get("edges", ())),
                oks_sigmas=tuple(float(s) for s in data.get("oks_sigmas", [0.08] * len(names))),
                grouping_order=tuple(str(n) for n in data.get("grouping_order", ())),
                flip_pairs=tuple((str(a), str(b)) for a, b in data.get("flip_pairs", ())),
            )
        except KeyError as missing:
            raise LitePoseError(
                f"a skeleton needs the field {missing}; got {sorted(data)}"
            ) from None
        except LitePoseError:
            raise
        except (TypeError, ValueError, AttributeError, OverflowError) as exc:
            raise LitePoseError(f"a field of the skeleton has the wrong kind: {exc}") from None


_LIMBS = (
    ("left_ankle", "left_knee"),
    ("left_knee", "left_hip"),
    ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
)  # fmt: skip

COCO17 = Skeleton(
    name="coco17",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    edges=(
        *_LIMBS,
        ("left_shoulder", "right_shoulder"),
        ("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye"),
        ("left_eye", "left_ear"), ("right_eye", "right_ear"),
        ("left_ear", "left_shoulder"), ("right_ear", "right_shoulder"),
    ),
    oks_sigmas=(
        .026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062,
        .107, .107, .087, .087, .089, .089,
    ),
    grouping_order=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_hip", "right_hip",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
)  # fmt: skip

CROWDPOSE14 = Skeleton(
    name="crowdpose14",
    keypoints=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
        "head", "neck",
    ),
    edges=(*_LIMBS, ("head", "neck"), ("neck", "left_shoulder"), ("neck", "right_shoulder")),
    oks_sigmas=(
        .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089, .079, .079,
    ),
    grouping_order=(
        "head", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
)  # fmt: skip

LSP14 = Skeleton(
    name="lsp14",
    keypoints=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
        "neck", "head_top",
    ),
    edges=(
        *_LIMBS, ("head_top", "neck"), ("neck", "left_shoulder"), ("neck", "right_shoulder"),
    ),
    oks_sigmas=(
        .089, .087, .107, .107, .087, .089, .062, .072, .079, .079, .072, .062, .079, .079,
    ),
    grouping_order=(
        "head_top", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
)  # fmt: skip

SKELETONS: Mapping[str, Skeleton] = {s.name: s for s in (COCO17, CROWDPOSE14, LSP14)}
