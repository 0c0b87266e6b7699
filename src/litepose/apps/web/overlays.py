"""Heatmap and tags of a view as small transparent images, for the page to lay over its image."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from litepose.core.geometry import Letterbox
from litepose.imaging.draw_maps import map_on_image, tag_colors
from litepose.inference.results import View

LONGEST = 480  # px of a layer's side; the maps have fewer cells
HEAT_COLOR = (255, 0, 200)
TAG_STRENGTH = 220  # of 255, so that the image shows through


def overlays_of(view: View) -> dict[str, str]:
    """`heatmap` and `tags` as data URLs of PNGs that cover the whole image."""
    heat, tags = view.maps.heat, view.maps.tags
    h, w = tags.shape[2:]
    at_tags = np.stack([cv2.resize(plane, (w, h), interpolation=cv2.INTER_AREA) for plane in heat])
    hottest = heat.max(axis=0).clip(0, 1)
    colors, sure = tag_colors(tags, at_tags)
    layers = {
        "heatmap": (np.full((*hottest.shape, 3), HEAT_COLOR, np.uint8), 255 * hottest),
        "tags": (colors, TAG_STRENGTH * sure),
    }
    return {name: _data_url(*layer, view.box) for name, layer in layers.items()}


def _data_url(colors: np.ndarray, alpha: np.ndarray, box: Letterbox) -> str:
    scale = min(1.0, LONGEST / max(box.image_wh))
    rgba = np.dstack([colors, alpha.astype(np.uint8)])
    bgra = cv2.cvtColor(map_on_image(rgba, box, scale=scale), cv2.COLOR_RGBA2BGRA)
    _, png = cv2.imencode(".png", bgra)
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
