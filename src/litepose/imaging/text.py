"""Draw text on images: labels above people, titles above panels.

Uses the font bundled with Pillow, so that text is the same everywhere.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def text_mask(text: str, size: int) -> np.ndarray:
    """(h, w) uint8: coverage of each pixel by the text; h depends on `size` only."""
    font = _font(size)
    width = max(1, round(font.getlength(text)))
    mask = Image.new("L", (width, round(size * 1.3)))
    ImageDraw.Draw(mask).text((0, size * 1.02), text, fill=255, font=font, anchor="ls")
    return np.asarray(mask)


def draw_label(image: np.ndarray, text: str, tip_xy: tuple[float, float]) -> None:
    """Draw white text on a dark rounded label, its lower middle just above `tip_xy`, in place.

    A label that would leave the image is moved inside, or not drawn if it does not fit.
    """
    size = max(11, round(0.026 * min(image.shape[:2])))
    words = text_mask(text, size)
    pad = round(0.4 * size)
    h, w = words.shape[0] + pad // 2, words.shape[1] + 2 * pad
    if h > image.shape[0] or w > image.shape[1]:
        return
    x = int(np.clip(tip_xy[0] - w / 2, 0, image.shape[1] - w))
    y = int(np.clip(tip_xy[1] - h - size * 0.6, 0, image.shape[0] - h))
    chip = _rounded(w, h, h / 2.6)
    part = image[y : y + h, x : x + w]
    part[:] = part + (np.array((24, 22, 30)) - part) * (chip * 0.85)[..., None]
    inner = part[pad // 4 : pad // 4 + words.shape[0], pad : pad + words.shape[1]]
    inner[:] = inner + (255.0 - inner) * (words / 255.0)[..., None]


def _rounded(w: int, h: int, radius: float) -> np.ndarray:
    """(h, w) in [0, 1]: a rectangle with round corners, anti-aliased."""
    x = np.maximum(np.abs(np.arange(w) + 0.5 - w / 2) - (w / 2 - radius), 0)
    y = np.maximum(np.abs(np.arange(h) + 0.5 - h / 2) - (h / 2 - radius), 0)
    return np.clip(radius + 0.5 - np.hypot(x[None], y[:, None]), 0, 1)
