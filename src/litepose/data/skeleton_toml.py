"""Read a skeleton from a COCO category or a skeleton.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.names import local_path
from litepose.core.read_text import read_toml
from litepose.core.skeleton import SKELETONS, Skeleton, canonical_name

SKELETON_FIELDS = ("name", "keypoints", "edges", "flip_pairs", "oks_sigmas", "grouping_order")


def load_skeleton(path: str | Path) -> Skeleton:
    """A skeleton from a TOML file with SKELETON_FIELDS, of which only `keypoints` is required.

    The table may be at the top level or under `[skeleton]`. Raises LitePoseError if it is invalid.
    """
    path = local_path(path)
    table = read_toml(path, "the skeleton")
    inner = table.get("skeleton")
    fields = inner if isinstance(inner, dict) else table
    for key in fields:
        if key not in SKELETON_FIELDS:
            raise LitePoseError(
                f"the skeleton {path} has no field {key!r}{did_you_mean(key, SKELETON_FIELDS)};"
                f" there are {', '.join(SKELETON_FIELDS)}"
            )
    names = fields.get("keypoints", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LitePoseError(
            f"keypoints of the skeleton {path} must be a list of names, such as"
            f' ["nose", "left_hand"]; got {names!r:.80}'
        )
    try:
        return Skeleton.from_dict({"name": path.stem, **fields})
    except ValueError as exc:  # a LitePoseError is one; so are pairs of three
        raise LitePoseError(f"the skeleton {path}: {exc}") from None


def keypoint_category(
    categories: Sequence[Mapping[str, Any]], where: str, skeleton: Skeleton | None
) -> Mapping[str, Any]:
    """The only category that names keypoints, or 'person' if several do.

    If none does and a skeleton is given: the only category, or 'person'.
    """
    named = [c for c in categories if c.get("keypoints") and isinstance(c["keypoints"], list)]
    if not named and skeleton is not None:
        named = list(categories)
    person = [c for c in named if c.get("name") == "person"]
    if len(named) != 1 and len(person) != 1:
        raise LitePoseError(
            f"{where} needs one category with keypoint names;"
            f" it has {[c.get('name') for c in named] or 'none'}"
            " (a skeleton.toml can name those of the only category, or of 'person')"
        )
    return named[0] if len(named) == 1 else person[0]


def in_category(annotation: Mapping[str, Any], category: Mapping[str, Any]) -> bool:
    """Whether an annotation belongs to a category, or names no category."""
    return bool(annotation.get("category_id", category.get("id")) == category.get("id"))


def skeleton_of(category: Mapping[str, Any]) -> Skeleton:
    """The skeleton of a COCO category: a known one if the names are the same.

    Otherwise edges come from the category, and sigmas from keypoints of that name in known
    skeletons.
    """
    names = [str(name) for name in category["keypoints"]]
    plain = [canonical_name(name) for name in names]
    for known in SKELETONS.values():
        if plain == [canonical_name(name) for name in known.keypoints]:
            return known
    sigma_of = {
        canonical_name(name): sigma
        for known in reversed(list(SKELETONS.values()))
        for name, sigma in zip(known.keypoints, known.oks_sigmas, strict=True)
    }
    try:
        edges = [(names[a - 1], names[b - 1]) for a, b in category.get("skeleton") or ()]
    except (TypeError, ValueError, IndexError):
        raise LitePoseError(
            f"the skeleton of category {category.get('name')!r} must be pairs of keypoint numbers"
            f" from 1 to {len(names)}; got {category.get('skeleton')}"
        ) from None
    return Skeleton.from_dict(
        {
            "name": str(category.get("name", "custom")),
            "keypoints": names,
            "edges": edges,
            "oks_sigmas": [sigma_of.get(name, 0.08) for name in plain],
        }
    )
