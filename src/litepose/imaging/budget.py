"""Limit the cost of decoding: scans of a JPEG, memory of all images being read.

A small file can be expensive: a progressive JPEG may have thousands of empty scans, each of which
processes all pixels, and 34 bytes of WebP can be a hundred million pixels.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from litepose.core.errors import LitePoseError

FREE_SCANS = 32  # scans allowed at the largest number of pixels; smaller images may have more
PILLOW_BYTES = 16  # bytes per pixel, measured: copies of Pillow, the decoder and this package
_JPEG_BYTES = 6  # per pixel: decoded, and a copy when rotated
_COEFFICIENT_BYTES = 6  # per pixel of JPEGs with several scans, which are all kept until the end
_waiting = threading.Condition()
_taken = 0


def check_scans(data: bytes, size_wh: tuple[int, int], name: str, max_pixels: int) -> int:
    """The number of scans of a JPEG. Raises LitePoseError if processing them takes too long.

    The two bytes counted here occur in a JPEG only as markers. Scans of a thumbnail count too.
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
    """Estimated memory of decoding a JPEG, `reduced` times smaller each way."""
    pixels = size_wh[0] * size_wh[1]
    return pixels * _JPEG_BYTES // reduced**2 + (pixels * _COEFFICIENT_BYTES if scans > 1 else 0)


@contextlib.contextmanager
def memory(needed: int, most: int, name: str) -> Iterator[None]:
    """Reserve `needed` of the `most` bytes that all images being read may take together.

    Waits until other images release enough. Raises LitePoseError if `needed` exceeds `most`.
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
