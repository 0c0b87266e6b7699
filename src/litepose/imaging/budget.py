"""Limit the cost of decoding: scans of a JPEG, memory of all images being read.

A small file can cost much: a progressive JPEG of thousands of empty scans processes all its pixels
once per scan, and 34 bytes of WebP are a hundred million pixels.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from litepose.core.errors import LitePoseError

FREE_SCANS = 32  # that an image of the most pixels may have; smaller ones may have more
PILLOW_BYTES = 16  # a pixel, measured: its own copies, the decoder's and ours
_JPEG_BYTES = 6  # a pixel: decoded, and once more where it is turned
_COEFFICIENT_BYTES = 6  # a pixel of JPEGs in several scans, of which all are kept to the end
_waiting = threading.Condition()
_taken = 0


def check_scans(data: bytes, size_wh: tuple[int, int], name: str, max_pixels: int) -> int:
    """The scans of a JPEG. Raises LitePoseError where going through them takes too long.

    Between its marks a JPEG has no such two bytes, so none is overlooked; a thumbnail's count too.
    """
    scans = data.count(b"\xff\xda")
    w, h = size_wh
    if scans * w * h > FREE_SCANS * max_pixels:
        raise LitePoseError(
            f"{name} is a JPEG of {w}x{h} pixels in {scans:,} scans, each of which goes through all"
            " of them: it is refused; save it again, or raise ReadLimits.max_pixels (--max-pixels"
            " on the command line) if it is meant"
        )
    return scans


def jpeg_bytes(size_wh: tuple[int, int], reduced: int, scans: int) -> int:
    """About the memory that decoding a JPEG takes, `reduced` times smaller each way."""
    pixels = size_wh[0] * size_wh[1]
    return pixels * _JPEG_BYTES // reduced**2 + (pixels * _COEFFICIENT_BYTES if scans > 1 else 0)


@contextlib.contextmanager
def memory(needed: int, most: int, name: str) -> Iterator[None]:
    """Room for `needed` bytes of the `most` that all images being read may take together.

    Waits for it where others have it. Raises LitePoseError where it is more than all there is.
    """
    global _taken
    if needed > most:
        raise LitePoseError(
            f"{name} needs about {needed / 1e6:,.0f} MB to be read, more than the limit of"
            f" {most / 1e6:,.0f} MB; if it is meant, raise ReadLimits.max_memory (--max-memory on"
            " the command line)"
        )
    with _waiting:
        _waiting.wait_for(lambda: not _taken or _taken + needed <= most)
        _taken += needed
    try:
        yield
    finally:
        with _waiting:
            _taken -= needed
            _waiting.notify_all()
