"""Read the display rotation of a video file.

Source: the matrix of ISO/IEC 14496-12 (tkhd). OpenCV reports the angle for any container, but not
whether frames are also mirrored, as those of front cameras may be.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np

TRACK_HEADER = 4 + 104  # bytes of the longest track header, box name included
_ONE = 1 << 16  # of a matrix in 16.16 fixed point


class Turn(NamedTuple):
    """Makes a stored frame upright: swap x and y first, then flip."""

    swap: bool
    flip_x: bool
    flip_y: bool

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (H, W, 3), or (W, H, 3) where x and y are swapped."""
        image = cv2.transpose(image) if self.swap else image
        if not (self.flip_x or self.flip_y):
            return image
        return cv2.flip(image, -1 if self.flip_x and self.flip_y else int(self.flip_x))


ANGLES: Mapping[int, Turn] = {  # clockwise, as in OpenCV
    90: Turn(True, True, False),
    180: Turn(False, True, True),
    270: Turn(True, False, True),
}


def mirrored_turn(header: bytes) -> Turn | None:
    """The turn of the first video track in an mp4's index, if it mirrors frames."""
    for name in re.finditer(b"tkhd[\0\1]", header):
        start = name.start() + (44 if header[name.end() - 1] == 0 else 56)
        fields = header[start : start + 44]
        if len(fields) < 44:
            continue
        a, b, _, c, d, _, _, _, unity, width, height = struct.unpack(">11i", fields)
        if unity != 1 << 30 or width <= 0 or height <= 0:  # a sound track, or no header
            continue
        if b == c == 0 and {abs(a), abs(d)} == {_ONE} and a * d < 0:
            return Turn(False, a < 0, d < 0)
        if a == d == 0 and {abs(b), abs(c)} == {_ONE} and b * c > 0:
            return Turn(True, c < 0, b < 0)
        return None
    return None
