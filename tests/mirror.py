"""Keypoints of the mirrored image: what tests of mirroring compare with."""

from __future__ import annotations

import numpy as np


def mirror_keypoints(keypoints_xy: np.ndarray, width: float, flip_index: np.ndarray) -> np.ndarray:
    """Keypoints (..., K, 2) of the mirrored image: x -> width - x, left and right exchanged."""
    mirrored = keypoints_xy[..., flip_index, :].copy()
    mirrored[..., 0] = width - mirrored[..., 0]
    return mirrored
