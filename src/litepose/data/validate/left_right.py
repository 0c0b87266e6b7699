"""Dataset checks of left and right: missing partners, swapped sides.

Assumptions: a person whose nose and both eyes are visible has the left eye on the image's right;
both keypoints of a pair are at similar heights of the body; and the left keypoints of most pairs of
a person are on the same side. People may be twisted, so a pair is reported only if most people show
it, and a single person only if shoulders and hips clearly contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from litepose.core.skeleton import Skeleton, canonical_name
from litepose.data.validate.findings import Finding, finding

# Fewer observations than this are not evaluated.
FEWEST = 20
# Horizontal distances below this share of a person's size do not determine a side.
MARGIN = 0.06
# Limbs often cross, these pairs rarely: only they are checked for a single person.
TRUNK = (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"))
SIDES = (("left", "right"), ("right", "left"), ("l", "r"), ("r", "l"))


def sides_findings(triples: np.ndarray, ids: Sequence[str], skeleton: Skeleton) -> list[Finding]:
    """Findings on left and right in (N, K, 3) annotations of people with these ids."""
    pairs = flip_pairs(skeleton)
    scale = _sizes(triples)
    return [
        *_no_pairs(skeleton, pairs),
        *_names_without_partner(skeleton),
        *_unlike_pairs(triples, scale, skeleton, pairs),
        *_swapped_pairs(triples, scale, skeleton, pairs),
        *_swapped_everywhere(triples, skeleton),
        *_twisted_people(triples, scale, ids, skeleton),
    ]


def flip_pairs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """(left or first, right or second) indices of every pair that a mirror exchanges."""
    flip = skeleton.flip_index
    pairs = [(i, int(j)) for i, j in enumerate(flip) if i < j]
    return [(b, a) if "right" in skeleton.keypoints[a].lower() else (a, b) for a, b in pairs]


def _sizes(triples: np.ndarray) -> np.ndarray:
    """(N,) extent of each person's labeled keypoints, 1 for fewer than two."""
    labeled = (triples[..., 2] > 0)[..., None]
    points = triples[..., :2]
    low = np.where(labeled, points, np.inf).min(axis=1, initial=np.inf)
    high = np.where(labeled, points, -np.inf).max(axis=1, initial=-np.inf)
    extent = np.where(np.isfinite(high - low), high - low, 0).max(axis=1, initial=0)
    return np.maximum(extent, 1.0)


def _no_pairs(skeleton: Skeleton, pairs: list[tuple[int, int]]) -> list[Finding]:
    message = (
        "keypoints, none with a mirrored partner: if they have a left and a right, give flip_pairs"
        " in a skeleton.toml"
    )
    return [] if pairs else [Finding("warning", message, skeleton.num_keypoints)]


def _names_without_partner(skeleton: Skeleton) -> list[Finding]:
    """Names such as `lknee` and `rknee`: sides for a reader, but unknown to the flip index."""
    names = [name.lower() for name in skeleton.keypoints]
    alone = [
        skeleton.keypoints[i]
        for i, name in enumerate(names)
        if skeleton.flip_index[i] == i
        and any(
            (name.startswith(side) and other + name[len(side) :] in names)
            or (name.endswith(side) and name[: -len(side)] + other in names)
            for side, other in SIDES
        )
    ]
    return finding(
        "error",
        "keypoints named for a side but without a mirrored partner: give flip_pairs in a"
        " skeleton.toml",
        alone,
    )


def _unlike_pairs(
    triples: np.ndarray, scale: np.ndarray, skeleton: Skeleton, pairs: list[tuple[int, int]]
) -> list[Finding]:
    """Pairs whose ends are at different heights in nearly all people are no mirror pairs."""
    unlike = []
    for a, b in pairs:
        both = (triples[:, (a, b), 2] > 0).all(axis=1)
        drop = (triples[both, a, 1] - triples[both, b, 1]) / scale[both]
        if (
            len(drop) >= FEWEST
            and abs(np.median(drop)) > 2 * np.median(np.abs(drop - np.median(drop))) + 0.02
        ):
            unlike.append(f"{skeleton.keypoints[a]} and {skeleton.keypoints[b]}")
    return finding(
        "error",
        "flip pairs whose ends are at different heights in most people: wrong pair?",
        unlike,
    )


def _signs(triples: np.ndarray, scale: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """(N, pairs): 1 where the left end is on the image's right, -1 the other way, 0 unknown."""
    if not pairs:
        return np.zeros((len(triples), 0))
    left, right = np.array(pairs).T
    known = (triples[:, left, 2] > 0) & (triples[:, right, 2] > 0)
    apart = (triples[:, left, 0] - triples[:, right, 0]) / scale[:, None]
    return np.where(known & (np.abs(apart) > MARGIN), np.sign(apart), 0)


def _swapped_pairs(
    triples: np.ndarray, scale: np.ndarray, skeleton: Skeleton, pairs: list[tuple[int, int]]
) -> list[Finding]:
    """Pairs that contradict the sum of the others in most people."""
    signs = _signs(triples, scale, pairs)
    others = np.sign(signs.sum(axis=1, keepdims=True) - signs)
    agreement = signs * others
    swapped = []
    for p, (a, b) in enumerate(pairs):
        known = agreement[:, p] != 0
        if known.sum() >= FEWEST and (agreement[known, p] > 0).mean() < 0.4:
            share = (agreement[known, p] < 0).mean()
            names = f"{skeleton.keypoints[a]} and {skeleton.keypoints[b]}"
            swapped.append(f"{names} ({share:.0%} of {int(known.sum())} people)")
    return finding("error", "pairs with left and right exchanged, by all other pairs", swapped)


def _swapped_everywhere(triples: np.ndarray, skeleton: Skeleton) -> list[Finding]:
    """People with visible nose and eyes face the camera: the left eye is on the image's right."""
    names = [canonical_name(name) for name in skeleton.keypoints]
    face = ("nose", "left_eye", "right_eye")
    if not set(face) <= set(names):
        return []
    places = [names.index(name) for name in face]
    seen = (triples[:, places, 2] == 2).all(axis=1)
    apart = triples[seen, places[1], 0] - triples[seen, places[2], 0]
    apart = apart[apart != 0]
    if len(apart) < FEWEST or (apart > 0).mean() > 0.5:
        return []
    return [
        Finding(
            "error",
            f"left and right seem exchanged everywhere: of {len(apart)} people who face the camera"
            f" only {(apart > 0).mean():.0%} have the left eye on the image's right",
            int((apart < 0).sum()),
        )
    ]


def _twisted_people(
    triples: np.ndarray, scale: np.ndarray, ids: Sequence[str], skeleton: Skeleton
) -> list[Finding]:
    names = [canonical_name(name) for name in skeleton.keypoints]
    if not all(end in names for pair in TRUNK for end in pair):
        return []
    pairs = [(names.index(a), names.index(b)) for a, b in TRUNK]
    shoulders, hips = _signs(triples, scale, pairs).T
    twisted = np.flatnonzero(shoulders * hips < 0)
    return finding(
        "warning",
        "people whose shoulders and hips face opposite ways: left and right exchanged?",
        [str(ids[i]) for i in twisted.tolist()],
    )
