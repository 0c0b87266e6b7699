"""What /openapi.json says of POST /v1/poses: parameters, body, an example of each response."""

from __future__ import annotations

from typing import Any

import numpy as np

from litepose.apps.web.parameters import FORMATS
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17
from litepose.inference.effort import EFFORTS, USUAL

STATUSES = {
    400: "no image in the request: send one as the body or as `file`",
    401: "this server asks for its token: Authorization: Bearer TOKEN",
    403: "this server fetches nothing from the web; it was started without --allow-urls",
    408: "the body took more than 30 s",
    413: "the body is larger than 20 MB",
    415: "an image is sent as image/jpeg (or another image/*), ...; got text/plain",
    422: "the given bytes are no image that we read",
    429: "too many images are waiting; try again",
    502: "https://example.org/a.jpg answered 404",
    503: "the default model is being opened",
}


def _example() -> dict[str, Any]:
    """One person, a stick figure, in the form of `Poses.to_dict`."""
    heights = (20, 18, 18, 19, 19, 40, 40, 60, 60, 78, 78, 80, 80, 110, 110, 140, 140)
    sides = [(name.startswith("left") - name.startswith("right")) * 8 for name in COCO17.keypoints]
    points = np.array([[[100 + side, y] for side, y in zip(sides, heights, strict=True)]])
    return Poses(points, np.full((1, 17), 0.71), np.array([0.64]), COCO17, (200, 160)).to_dict()


def _parameter(name: str, text: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema, "example": example}


POSES: dict[str, Any] = {
    "requestBody": {
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    },
    "parameters": [
        _parameter(
            "effort",
            "How much work is spent on an image.",
            {"enum": [*EFFORTS], "default": USUAL},
            "fast",
        ),
        _parameter(
            "model", "In place of effort: see /v1/models.", {"type": "string"}, "litepose-p"
        ),
        _parameter(
            "url",
            "An image on the web in place of a body; where the server allows it.",
            {"type": "string", "format": "uri"},
            "https://example.org/photo.jpg",
        ),
        _parameter(
            "threshold",
            "People scoring below are left out; without it, the model's own.",
            {"type": "number", "minimum": 0, "maximum": 1},
            0.15,
        ),
        _parameter("flip_test", "Average with the mirrored image.", {"type": "boolean"}, False),
        _parameter(
            "overlays",
            "Also `overlays` in the JSON: `heatmap` and `tags` of the first view, as data URLs of"
            " transparent PNGs that cover the image.",
            {"type": "boolean", "default": False},
            False,
        ),
        _parameter(
            "format",
            "People as JSON, or the image with them drawn in.",
            {"enum": [*FORMATS], "default": FORMATS[0]},
            "json",
        ),
    ],
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The people; with format=image a JPEG.",
        "content": {
            "application/json": {"example": _example()},
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
        },
    },
    **{
        status: {
            "description": "A sentence that says what is wrong.",
            "content": {"application/json": {"example": {"error": sentence}}},
        }
        for status, sentence in STATUSES.items()
    },
}
