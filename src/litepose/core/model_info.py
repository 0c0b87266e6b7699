"""ModelInfo: everything needed to use a set of weights; stored in checkpoints and ONNX files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kind, check_kinds
from litepose.core.read_text import parse_json
from litepose.core.skeleton import SKELETONS, Skeleton

METADATA_KEY = "litepose"  # of the settings inside model files
SCHEMA = 2  # 1, of litepose 0.1.0, had no views and no merging
MOST_VIEWS = 8
MOST_SIZE = 100_000  # short side of an input: a larger one is almost certainly a mistake
TagKind = Literal["learned", "positional"]


@dataclass(frozen=True)
class InputRule:
    """How an image becomes the network's input: RGB, `(pixel - mean) / std`, pixels in 0..255.

    size: short side in pixels; multiple: both sides are padded to it;
    views: short sides of the views that are merged by default, smallest first; empty means one view
    at `size`.
    """

    size: int
    multiple: int = 64
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)  # ImageNet, as the official code
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    views: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.size < 32 or self.multiple < 1:
            raise LitePoseError(
                f"an input needs a size of 32 or more and a multiple of 1 or more; got size"
                f" {self.size}, multiple {self.multiple}"
            )
        check_views(self.views)
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise LitePoseError(
                f"mean and std need 3 numbers, std above 0; got {self.mean} {self.std}"
            )


def check_views(views: tuple[int, ...]) -> None:
    """Raise LitePoseError unless these are different short sides of views."""
    check_kind("views", views, tuple[int, ...])
    possible = all(32 <= side <= MOST_SIZE for side in views)
    if not len(set(views)) == len(views) <= MOST_VIEWS or not possible:
        raise LitePoseError(
            f"views are at most {MOST_VIEWS} different short sides in pixels, 32 or more, such as"
            f" 256,512; got {', '.join(map(str, views))}"
        )


@dataclass(frozen=True)
class DecodeSettings:
    """How maps become people. Thresholds belong to the weights, so they travel with them.

    heat_threshold: a heatmap peak below this is no candidate
    tag_threshold:  a candidate joins a person whose mean tag is nearer than this
    max_candidates: strongest peaks kept per keypoint, so also the most people per image
    fill:           search each missing keypoint again, near the person's tag
    duplicate_oks:  of two people with OKS above this, one is kept; above 1 keeps all
    person_threshold: people scoring below this are not reported by default
    """

    heat_threshold: float = 0.1
    tag_threshold: float = 1.0
    max_candidates: int = 200
    fill: bool = True
    duplicate_oks: float = 0.6
    person_threshold: float = 0.0

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.max_candidates < 1:
            raise LitePoseError(f"max_candidates must be at least 1; got {self.max_candidates}")
        for name in ("heat_threshold", "tag_threshold", "duplicate_oks", "person_threshold"):
            if not getattr(self, name) >= 0:
                raise LitePoseError(f"{name} must be 0 or more; got {getattr(self, name)}")


@dataclass(frozen=True)
class MergeSettings:
    """How the people of several views become one set.

    full_trust_px: size of a person (square root of width x height, input pixels of the view) from
                   which the score counts in full; smaller people's are lowered in proportion
    same_person_oks: two people with a higher OKS are one person
    """

    full_trust_px: float = 64.0
    same_person_oks: float = 0.5

    def __post_init__(self) -> None:
        check_kinds(self)
        if not (self.full_trust_px > 0 and 0 < self.same_person_oks <= 1):
            raise LitePoseError(
                "merging views needs a full_trust_px above 0 and a same_person_oks in (0, 1]; got"
                f" {self.full_trust_px} and {self.same_person_oks}"
            )


@dataclass(frozen=True)
class ModelInfo:
    """Name, skeleton, input rule, decoding and origin of one set of weights."""

    name: str
    skeleton: Skeleton
    input: InputRule
    strides: tuple[int, ...] = (4, 2)
    tag_stride: int = 4
    tag_kind: TagKind = "learned"
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    arch: Mapping[str, Any] | None = None
    target_rounding: Literal["floor", "none"] = "floor"
    license: str = ""
    source: str = ""
    merge: MergeSettings = field(default_factory=MergeSettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        sides = (*self.strides, self.tag_stride)
        if not self.strides or not all(isinstance(s, int) and s > 0 for s in sides):
            raise LitePoseError(
                "strides are whole input pixels per map cell, 1 or more; got strides"
                f" {self.strides}, tag_stride {self.tag_stride!r}"
            )
        if self.tag_kind not in ("learned", "positional"):
            raise LitePoseError(f"tag_kind is learned or positional; got {self.tag_kind!r}")

    def with_input_size(self, size: int) -> ModelInfo:
        """The same model with one view of that short side."""
        check_kind("input_size", size, int)
        if not 32 <= size <= MOST_SIZE:
            raise LitePoseError(f"an input has a size of 32 to {MOST_SIZE} pixels; got {size}")
        return replace(self, input=replace(self.input, size=int(size), views=()))

    def to_json(self) -> str:
        """One line of JSON; `from_json` reads it back."""
        data = asdict(self)
        data["skeleton"] = self.skeleton.to_dict()
        return json.dumps({"schema": SCHEMA, **data}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ModelInfo:
        """Read what `to_json` wrote. Raises LitePoseError that names a wrong field."""
        data = parse_json(text, "the record of the model's settings")
        schema = data.pop("schema", None) if isinstance(data, dict) else None
        if schema not in (1, SCHEMA):
            newer = isinstance(schema, int) and schema > SCHEMA
            raise LitePoseError(
                f"the model's settings are of schema {schema!r}, and this litepose reads 1 and"
                f" {SCHEMA}" + ("; a newer litepose opens it" if newer else "")
            )
        if "licence" in data:  # schema 1
            data["license"] = data.pop("licence")
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise LitePoseError(f"the model's settings hold unknown fields: {sorted(unknown)}")
        try:
            skeleton = data.pop("skeleton")
            rule = dict(data.pop("input"))
            for name in ("mean", "std"):
                rule[name] = tuple(float(value) for value in rule[name])
            rule["views"] = tuple(rule.get("views", ()))
            return cls(
                skeleton=SKELETONS[skeleton]
                if isinstance(skeleton, str)
                else Skeleton.from_dict(skeleton),
                input=InputRule(**rule),
                decode=DecodeSettings(**data.pop("decode", {})),
                merge=MergeSettings(**data.pop("merge", {})),
                strides=tuple(data.pop("strides", (4, 2))),
                **data,
            )
        except LitePoseError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
            raise LitePoseError(
                f"a field of the model's settings is missing, misnamed or of the wrong kind: {exc}"
            ) from None
