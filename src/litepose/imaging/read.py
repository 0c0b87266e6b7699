"""Read an image from a path, URL, bytes, Pillow image or array: (H, W, 3) uint8 RGB.

Pillow reads the header, which is checked before a pixel is decoded. OpenCV decodes plain JPEG, 2 to
5 times as fast; Pillow decodes everything else, because it reports errors that OpenCV prints or
ignores. EXIF orientation is applied in `_decode` only. Transparent images are put on white, 16-bit
images keep their high byte, animations their first frame.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kinds
from litepose.core.names import is_url, local_path
from litepose.imaging.budget import PILLOW_BYTES, check_scans, jpeg_bytes, memory
from litepose.imaging.find_images import missing_message
from litepose.imaging.given import plain_source
from litepose.imaging.url import FetchLimits, fetch

_FORMATS: Mapping[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"RIFF": WebPImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
}
_ORIENTATION = 0x0112  # EXIF tag; its eight values:
_TURNS: Mapping[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: cv2.flip(image, 1),
    3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    4: lambda image: cv2.flip(image, 0),
    5: lambda image: cv2.transpose(image),
    6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.flip(cv2.transpose(image), -1),
    8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
_REDUCED_JPEG: Mapping[int, int] = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
_STRIP = 256  # rows converted at a time, to avoid a second copy of a large image

# Also a torch tensor, whose type is unknown without torch.
ImageSource = str | Path | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray


@dataclass(frozen=True)
class ReadLimits:
    """Limits of reading an image. The last four are for URLs.

    max_pixels:    a larger image is refused before it is decoded
    max_memory:    approximate bytes of all images being read at once; large images wait for others
    max_bytes:     size of the largest response
    seconds:       time limit, redirects included
    redirects:     number of redirects followed
    allow_private: also read from private, loopback, link-local and reserved addresses
    """

    max_pixels: int = 100_000_000
    max_bytes: int = 50_000_000
    max_memory: int = 2_000_000_000
    seconds: float = 20.0
    redirects: int = 5
    allow_private: bool = False

    def __post_init__(self) -> None:
        check_kinds(self)
        if (
            min(self.max_pixels, self.max_bytes, self.max_memory) < 1
            or self.seconds <= 0
            or self.redirects < 0
        ):
            raise LitePoseError(f"limits of reading are above 0, redirects 0 or more; got {self}")


class LoadedImage(NamedTuple):
    """image: (H, W, 3) uint8 RGB, possibly reduced; image_wh: size of the upright original."""

    image: np.ndarray
    image_wh: tuple[int, int]


def read_image(source: ImageSource, limits: ReadLimits = ReadLimits()) -> np.ndarray:
    """(H, W, 3) uint8 RGB, upright, from a path, http(s) URL, bytes, open file, Pillow image,
    array or torch tensor ((H, W, 3) uint8, or (3, H, W) of floats in 0..1).

    Arrays are (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, of uint8 or uint16; an array
    (H, W, 3) uint8 is returned itself, without a copy.
    Raises LitePoseError, naming the source, if it cannot be read or exceeds a limit.
    """
    return load_image(source, limits).image


def load_image(
    source: ImageSource,
    limits: ReadLimits = ReadLimits(),
    min_short_side: int | None = None,
) -> LoadedImage:
    """Like `read_image`; a JPEG may be reduced by 2, 4 or 8, its short side >= `min_short_side`.

    For a 4000x3000 photograph and an input of 384 pixels, reading and resizing take a third of the
    time. A `Letterbox` made from `image_wh` maps keypoints to the original.
    """
    source = plain_source(source)
    if isinstance(source, np.ndarray):
        image = _from_array(source)
        return LoadedImage(image, (image.shape[1], image.shape[0]))
    if isinstance(source, Image.Image):
        return _from_pillow(source, "the given Pillow image", limits)
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(io.BytesIO(source), "the given bytes", limits, min_short_side)
    if isinstance(source, str) and is_url(source):
        web = FetchLimits(limits.max_bytes, limits.seconds, limits.redirects, limits.allow_private)
        return _decode(io.BytesIO(fetch(source, web)), source, limits, min_short_side)
    if isinstance(source, str | Path):
        return _from_path(local_path(source), limits, min_short_side)
    raise LitePoseError(
        "an image is a path, an http(s) URL, bytes, an open file, a Pillow image, a numpy array"
        f" or a torch tensor; got {type(source).__name__}"
    )


def read_size(path: str | Path) -> tuple[int, int]:
    """(width, height) of the upright image, from its header. Raises like `read_image`."""
    path = local_path(path)
    try:
        if not path.is_file():
            raise LitePoseError(missing_message(path))
        with path.open("rb") as file:
            header = _read_header(file, str(path))
            w, h = header.size
            return (h, w) if _orientation(header) in (5, 6, 7, 8) else (w, h)
    except OSError as exc:
        raise LitePoseError(f"cannot read {path}: {exc.strerror or exc}") from None


def _from_path(path: Path, limits: ReadLimits, min_short_side: int | None) -> LoadedImage:
    try:
        if path.is_dir():
            raise LitePoseError(f"{path} is a folder, but an image is expected here")
        if not path.exists():
            raise LitePoseError(missing_message(path))
        if not path.is_file():
            raise LitePoseError(f"{path} is not a regular file")
        with path.open("rb") as file:
            return _decode(file, str(path), limits, min_short_side)
    except OSError as exc:
        raise LitePoseError(f"cannot read {path}: {exc.strerror or exc}") from None


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise LitePoseError(
            f"an image array holds uint8 (or uint16) values; got {array.dtype}. Scale it to"
            " 0..255 and convert it: (255 * array).astype(numpy.uint8), if it is in 0..1"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise LitePoseError(
            f"an image array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); got shape {array.shape}"
        )
    if array.size == 0:
        raise LitePoseError(f"the image array is empty: shape {array.shape}")
    if array.dtype.itemsize == 2:
        array = (array >> 8).astype(np.uint8)
    array = np.ascontiguousarray(array)
    channels = 1 if array.ndim == 2 else array.shape[2]
    if channels == 1:
        return cv2.cvtColor(array, cv2.COLOR_GRAY2RGB)
    return _on_white(array) if channels == 4 else array


def _decode(
    file: BinaryIO, name: str, limits: ReadLimits, min_short_side: int | None
) -> LoadedImage:
    header = _read_header(file, name)
    data, scans = b"", 1
    if header.format in ("JPEG", "MPO"):  # MPO: several JPEGs in a file; the first is read
        _check_size(header.size, name, limits)
        file.seek(0)
        data = file.read()
        scans = check_scans(data, header.size, name, limits.max_pixels)
    plain_jpeg = header.format == "JPEG" and header.mode in ("L", "RGB")
    if not plain_jpeg:
        return _from_pillow(header, name, limits)
    fits = [
        f for f in _REDUCED_JPEG if f * (min_short_side or max(header.size)) <= min(header.size)
    ]
    reduced = max(fits, default=1)
    with memory(jpeg_bytes(header.size, reduced, scans), limits.max_memory, name):
        image = _decode_jpeg(data, _REDUCED_JPEG[reduced])
        if image is not None:
            return _upright(image, header.size, header)
    return _from_pillow(header, name, limits)


def _read_header(file: BinaryIO, name: str) -> ImageFile:
    first = file.read(16)
    if not first:
        raise LitePoseError(f"{name} is empty (0 bytes)")
    kind = next((kind for magic, kind in _FORMATS.items() if first.startswith(magic)), None)
    if kind is None or (kind is WebPImageFile and first[8:12] != b"WEBP"):  # AVI and WAV are RIFF
        hint = "" if first[4:8] != b"ftyp" else "; it may be HEIC, AVIF or a video"
        raise LitePoseError(
            f"{name} is not a JPEG, PNG, WebP, BMP, GIF or TIFF image: it begins with"
            f" {first!r}{hint}"
        )
    file.seek(0)
    try:
        return kind(file)
    except Exception as exc:  # Pillow's parsers raise many kinds of errors for broken headers
        raise LitePoseError(f"{name} has a broken header: {exc}") from None


def _check_size(size_wh: tuple[int, int], name: str, limits: ReadLimits) -> None:
    w, h = size_wh
    if w < 1 or h < 1:
        raise LitePoseError(f"{name} is empty: {w}x{h} pixels")
    if w * h > limits.max_pixels:
        raise LitePoseError(
            f"{name} has {w}x{h} pixels, more than the limit of {limits.max_pixels:,}; if it is"
            " meant, raise ReadLimits.max_pixels (--max-pixels on the command line)"
        )


def _decode_jpeg(data: bytes, flag: int) -> np.ndarray | None:
    """RGB as stored, orientation not applied; None if the data are incomplete."""
    if data.rfind(b"\xff\xd9") < _start_of_scan(data):
        return None  # no end marker: OpenCV may silently fill missing data with gray
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _start_of_scan(data: bytes) -> int:
    """Position of the image data, after a thumbnail that has markers of its own."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xDA:
            return at
        fill = data[at + 1] == 0xFF
        at += 1 if fill else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data)


def _from_pillow(pillow: Image.Image, name: str, limits: ReadLimits) -> LoadedImage:
    _check_size(pillow.size, name, limits)
    needed = pillow.width * pillow.height * PILLOW_BYTES
    with memory(needed, limits.max_memory, name):
        return _loaded(pillow, name)


def _loaded(pillow: Image.Image, name: str) -> LoadedImage:
    try:
        pillow.load()
        image = np.empty((pillow.height, pillow.width, 3), np.uint8)
        for top in range(0, pillow.height, _STRIP):
            bottom = min(top + _STRIP, pillow.height)
            image[top:bottom] = _to_rgb(pillow.crop((0, top, pillow.width, bottom)))
        return _upright(image, pillow.size, pillow)
    except LitePoseError as exc:
        raise LitePoseError(f"{name}: {exc}") from None
    except Exception as exc:  # Pillow's decoders raise many kinds of errors for broken data
        raise LitePoseError(f"{name} is damaged or cut off: {exc}") from None


def _to_rgb(pillow: Image.Image) -> np.ndarray:
    if pillow.mode == "F":
        raise LitePoseError("images of floating-point values cannot be read; convert it to 8 bits")
    if pillow.mode == "I" or pillow.mode.startswith("I;16"):
        return _from_array(np.asarray(pillow).clip(0, 65535).astype(np.uint16))
    if pillow.has_transparency_data:
        return _on_white(np.asarray(pillow.convert("RGBA")))
    return np.asarray(pillow.convert("RGB"))


def _on_white(rgba: np.ndarray) -> np.ndarray:
    alpha = cv2.merge([rgba[..., 3]] * 3)
    covered = cv2.multiply(np.ascontiguousarray(rgba[..., :3]), alpha, scale=1 / 255)
    return cv2.add(covered, cv2.bitwise_not(alpha))


def _upright(image: np.ndarray, stored_wh: tuple[int, int], header: Image.Image) -> LoadedImage:
    orientation = _orientation(header)
    w, h = stored_wh
    turn = _TURNS.get(orientation)
    return LoadedImage(
        turn(image) if turn else image, (h, w) if orientation in (5, 6, 7, 8) else (w, h)
    )


def _orientation(header: Image.Image) -> int:
    try:
        return int(header.getexif().get(_ORIENTATION, 1))
    except Exception:  # an image with broken EXIF is still read
        return 1
