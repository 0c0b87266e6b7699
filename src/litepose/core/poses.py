"""Poses: the people of one image, their JSON form and COCO results form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine
from litepose.core.packages import need
from litepose.core.read_text import parse_json
from litepose.core.skeleton import SKELETONS, Skeleton

SCHEMA = 2  # schema 1 (litepose 0.1.0) has "centre" for "center"; it is still read


@dataclass(frozen=True, eq=False)
class Poses:
    """N people with K keypoints each, best first, in pixels of the image they were found in.

    keypoints_xy:  (N, K, 2) float32; pixel centers are at .5
    keypoint_scores: (N, K) float32 in [0, 1]; 0 for keypoints not found, which are at the mean of
                   the person's found ones, never NaN and never in a corner
    person_scores: (N,) float32 in [0, 1]
    image_wh:      size of the image, or None where unknown
    track_ids:     (N,) int64 from the tracker, or None
    centers_xy:    (N, 2) float32, each person's center by the tags; None for models without
                   positional tags
    used:          views chosen for a deadline: deadline_ms, views (short sides in pixels),
                   flip_test; None without a deadline

    `len(poses)`, `poses[0]`, `poses[:3]`, `poses[mask]` and iteration (Poses of one) work.
    Raises LitePoseError where shapes differ, or a number is not finite or a score not in [0, 1].
    """

    keypoints_xy: np.ndarray
    keypoint_scores: np.ndarray
    person_scores: np.ndarray
    skeleton: Skeleton
    image_wh: tuple[int, int] | None = None
    track_ids: np.ndarray | None = None
    centers_xy: np.ndarray | None = None
    used: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        points = np.asarray(self.keypoints_xy, dtype=np.float32)
        scores = np.asarray(self.keypoint_scores, dtype=np.float32)
        people = np.asarray(self.person_scores, dtype=np.float32)
        n, k = len(people), self.skeleton.num_keypoints
        if points.shape != (n, k, 2) or scores.shape != (n, k) or people.shape != (n,):
            raise LitePoseError(
                f"{n} people with {self.skeleton.name} need keypoints ({n}, {k}, 2) and scores"
                f" ({n}, {k}); got {points.shape}, {scores.shape}, {people.shape}"
            )
        if not np.isfinite(points).all():
            raise LitePoseError("keypoints must be finite numbers; absent ones have score 0")
        for values in (scores, people):
            if not ((values >= 0) & (values <= 1)).all():
                raise LitePoseError("scores must lie in [0, 1]")
        object.__setattr__(self, "keypoints_xy", points)
        object.__setattr__(self, "keypoint_scores", scores)
        object.__setattr__(self, "person_scores", people)
        if self.track_ids is not None:
            ids = np.asarray(self.track_ids, dtype=np.int64)
            if ids.shape != (n,):
                raise LitePoseError(f"{n} people need {n} ids; got shape {ids.shape}")
            object.__setattr__(self, "track_ids", ids)
        if self.centers_xy is not None:
            centers = np.asarray(self.centers_xy, dtype=np.float32)
            if centers.shape != (n, 2) or not np.isfinite(centers).all():
                raise LitePoseError(
                    f"{n} people need centers ({n}, 2) of finite numbers; got shape {centers.shape}"
                )
            object.__setattr__(self, "centers_xy", centers)

    @classmethod
    def empty(cls, skeleton: Skeleton, image_wh: tuple[int, int] | None = None) -> Poses:
        k = skeleton.num_keypoints
        return cls(np.zeros((0, k, 2)), np.zeros((0, k)), np.zeros(0), skeleton, image_wh)

    def __len__(self) -> int:
        return len(self.person_scores)

    def __getitem__(self, which: Any) -> Poses:
        index = np.arange(len(self))[which]
        index = np.atleast_1d(index)
        return replace(
            self,
            keypoints_xy=self.keypoints_xy[index],
            keypoint_scores=self.keypoint_scores[index],
            person_scores=self.person_scores[index],
            track_ids=None if self.track_ids is None else self.track_ids[index],
            centers_xy=None if self.centers_xy is None else self.centers_xy[index],
        )

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    @property
    def scores(self) -> np.ndarray:
        """The same as `keypoint_scores`."""
        return self.keypoint_scores

    @property
    def found(self) -> np.ndarray:
        """(N, K) bool: which keypoints were found."""
        return self.keypoint_scores > 0

    def keypoint(self, name: str) -> np.ndarray:
        """(N, 3): x, y and score of one keypoint, by name, for all people."""
        k = self.skeleton.index(name)
        return np.column_stack([self.keypoints_xy[:, k], self.keypoint_scores[:, k]])

    @property
    def boxes_xyxy(self) -> np.ndarray:
        """(N, 4): the box around each person's found keypoints (around all where none is found)."""
        if not len(self):
            return np.zeros((0, 4), np.float32)
        use = (self.found | ~self.found.any(axis=1, keepdims=True))[..., None]
        low = np.where(use, self.keypoints_xy, np.inf).min(axis=1)
        high = np.where(use, self.keypoints_xy, -np.inf).max(axis=1)
        return np.concatenate([low, high], axis=1)

    def moved(self, affine: Affine, image_wh: tuple[int, int] | None = None) -> Poses:
        """The same people in the coordinates of another image."""
        centers = None if self.centers_xy is None else affine(self.centers_xy)
        points = affine(self.keypoints_xy)
        return replace(self, keypoints_xy=points, centers_xy=centers, image_wh=image_wh)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, schema 2 (docs/poses.schema.json): pixels to 0.01, scores to 0.0001."""
        people = []
        boxes = self.boxes_xyxy
        for i in range(len(self)):
            person: dict[str, Any] = (
                {} if self.track_ids is None else {"id": int(self.track_ids[i])}
            )
            person["score"] = round(float(self.person_scores[i]), 4)
            person["box_xyxy"] = [round(float(v), 2) for v in boxes[i]]
            if self.centers_xy is not None:
                person["center"] = [round(float(v), 2) for v in self.centers_xy[i]]
            person["keypoints"] = [
                [round(float(x), 2), round(float(y), 2), round(float(s), 4)]
                for (x, y), s in zip(self.keypoints_xy[i], self.keypoint_scores[i], strict=True)
            ]
            people.append(person)
        known = SKELETONS.get(self.skeleton.name) == self.skeleton
        used = {} if self.used is None else {"used": dict(self.used)}
        return {
            "schema": SCHEMA,
            "image_wh": None if self.image_wh is None else list(self.image_wh),
            "skeleton": self.skeleton.name if known else self.skeleton.to_dict(),
            "keypoint_names": list(self.skeleton.keypoints),
            "people": people,
            **used,
        }

    def to_supervision(self) -> Any:
        """`supervision.KeyPoints` of the same people. Needs the package supervision."""
        need("to_supervision", "supervision")
        import supervision

        return supervision.KeyPoints(
            xy=self.keypoints_xy, confidence=self.keypoint_scores, class_id=np.zeros(len(self), int)
        )

    def to_dataframe(self) -> Any:
        """A pandas table, one row per person and keypoint: person, track_id, person_score,
        keypoint, x, y, score. Needs the package pandas."""
        need("to_dataframe", "pandas")
        import pandas

        n, k = self.keypoint_scores.shape
        columns = {
            "person": np.repeat(np.arange(n), k),
            "person_score": np.repeat(self.person_scores, k),
            "keypoint": list(self.skeleton.keypoints) * n,
            "x": self.keypoints_xy[..., 0].reshape(-1),
            "y": self.keypoints_xy[..., 1].reshape(-1),
            "score": self.keypoint_scores.reshape(-1),
        }
        if self.track_ids is not None:
            columns["track_id"] = np.repeat(self.track_ids, k)
        return pandas.DataFrame(columns)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Poses:
        """Read what `to_dict` wrote. Raises LitePoseError for anything else."""
        if not isinstance(data, Mapping) or data.get("schema") not in (1, SCHEMA):
            raise LitePoseError(f"this is not a poses record of schema 1 or {SCHEMA}")
        center = "centre" if data["schema"] == 1 else "center"
        try:
            named = data["skeleton"]
            skeleton = SKELETONS[named] if isinstance(named, str) else Skeleton.from_dict(named)
            k = skeleton.num_keypoints
            people = data["people"]
            flat = np.array([p["keypoints"] for p in people], np.float32).reshape(-1, k, 3)
            size = data.get("image_wh")
            tracked = any("id" in p for p in people)
            centerd = any(center in p for p in people)
            return cls(
                keypoints_xy=flat[..., :2],
                keypoint_scores=flat[..., 2],
                person_scores=np.array([p["score"] for p in people], np.float32),
                skeleton=skeleton,
                image_wh=None if size is None else (int(size[0]), int(size[1])),
                track_ids=np.array([p["id"] for p in people]) if tracked else None,
                centers_xy=np.array([p[center] for p in people]) if centerd else None,
                used=data.get("used"),
            )
        except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as exc:
            raise LitePoseError(f"a field of the poses record is missing or wrong: {exc}") from None
        except LitePoseError:
            raise
        except ValueError as exc:
            raise LitePoseError(
                f"keypoints of the poses record have a wrong shape: {exc}"
            ) from None

    @classmethod
    def from_json(cls, text: str) -> Poses:
        return cls.from_dict(parse_json(text, "the poses record"))

    def to_coco(self, image_id: int, category_id: int = 1) -> list[dict[str, Any]]:
        """COCO results entries: keypoints as flat x, y, score triples; person score as score."""
        triples = np.concatenate(
            [self.keypoints_xy, self.keypoint_scores[..., None]], axis=2
        )  # (N, K, 3)
        return [
            {
                "image_id": int(image_id),
                "category_id": category_id,
                "keypoints": [round(float(v), 3) for v in triples[i].reshape(-1)],
                "score": round(float(self.person_scores[i]), 6),
            }
            for i in range(len(self))
        ]

    @classmethod
    def from_coco(cls, results: Sequence[Mapping[str, Any]], skeleton: Skeleton) -> Poses:
        """Read the COCO results entries of one image, as `to_coco` writes them."""
        if results is None or not all(isinstance(entry, Mapping) for entry in results):
            raise LitePoseError("COCO results are a list of records with keypoints and a score")
        if len({entry.get("image_id") for entry in results}) > 1:
            raise LitePoseError("these COCO results belong to several images; give one image's")
        k = skeleton.num_keypoints
        try:
            flat = [np.asarray(entry["keypoints"], np.float32).reshape(k, 3) for entry in results]
            scores = [float(entry["score"]) for entry in results]
        except (KeyError, ValueError, TypeError) as exc:
            raise LitePoseError(
                f"a COCO result needs a score and {k} keypoints of x, y, score: {exc}"
            ) from None
        if not flat:
            return cls.empty(skeleton)
        triples = np.stack(flat)
        return cls(triples[..., :2], triples[..., 2], np.array(scores), skeleton)
