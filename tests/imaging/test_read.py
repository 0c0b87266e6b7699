"""Every way an image comes in, and every way it can be wrong."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from litepose.core.errors import LitePoseError
from litepose.imaging.read import ReadLimits, load_image, read_image

RED, GREEN, BLUE, GRAY = (250, 10, 10), (10, 250, 10), (10, 10, 250), (128, 128, 128)


def quarters(width: int = 64, height: int = 48) -> np.ndarray:
    """Red, green / blue, gray: tells every orientation and every channel order."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = RED, GREEN
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = BLUE, GRAY
    return image


def encoded(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def assert_same(image: np.ndarray, expected: np.ndarray, tolerance: int = 0) -> None:
    assert image.dtype == np.uint8 and image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_come_back_exactly(kind: str, tmp_path: Path) -> None:
    data = encoded(quarters(), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert_same(read_image(data), quarters())
    path = tmp_path / "image.of.any.name"
    path.write_bytes(data)
    assert_same(read_image(path), quarters())
    assert_same(read_image(str(path)), quarters())


def test_jpeg_in_rgb_order() -> None:
    assert_same(read_image(encoded(quarters(), "JPEG", quality=95, subsampling=0)), quarters(), 12)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(orientation: int, kind: str) -> None:
    undo = {  # how a camera stores an image that is to be shown upright
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(undo(quarters()))
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
    options |= {"lossless": True} if kind == "WEBP" else {}
    data = encoded(stored, kind, exif=exif, **options)
    assert_same(read_image(data), quarters(), 12)
    assert_same(read_image(Image.open(io.BytesIO(data))), quarters(), 12)
    image = load_image(data, min_short_side=24)
    assert image.image_wh == (64, 48)
    assert image.image.shape == ((24, 32, 3) if kind == "JPEG" else (48, 64, 3))


def test_reduced_jpeg_never_falls_below_what_is_wanted() -> None:
    data = encoded(quarters(800, 480), "JPEG", quality=95, subsampling=0)
    for wanted, width in ((60, 100), (61, 200), (120, 200), (240, 400), (241, 800), (9999, 800)):
        image = load_image(data, min_short_side=wanted)
        assert image.image.shape[1] == width and image.image_wh == (800, 480)
        assert np.abs(image.image[0, 0].astype(int) - RED).max() < 12
    assert read_image(data).shape == (480, 800, 3)


def test_other_color_modes() -> None:
    gray = np.full((4, 5, 3), 77, np.uint8)
    for kind in ("PNG", "JPEG"):
        assert_same(read_image(encoded(Image.fromarray(gray[..., 0]), kind)), gray, 1)
    palette = Image.fromarray(quarters()).quantize(8)
    assert_same(read_image(encoded(palette, "PNG")), quarters(), 4)
    cmyk = Image.fromarray(quarters()).convert("CMYK")
    assert_same(read_image(encoded(cmyk, "JPEG", quality=98)), quarters(), 12)
    assert_same(read_image(encoded(cmyk, "TIFF")), quarters(), 2)


def test_sixteen_bit_keeps_the_high_byte() -> None:
    deep = (np.arange(12, dtype=np.uint16).reshape(3, 4) * 257 * 20).astype(np.uint16)
    expected = np.repeat((np.arange(12, dtype=np.uint8) * 20).reshape(3, 4, 1), 3, axis=2)
    assert_same(read_image(encoded(Image.fromarray(deep), "PNG")), expected)
    assert_same(read_image(deep), expected)
    assert_same(read_image(deep.astype(">u2")), expected)


def test_transparent_images_lie_on_white() -> None:
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[:, 0] = (200, 0, 100, 255)
    rgba[:, 1] = (200, 0, 100, 128)
    expected = np.array([[(200, 0, 100), (227, 127, 177), (255, 255, 255)]] * 2)
    for source in (rgba, Image.fromarray(rgba), encoded(rgba, "PNG")):
        image = read_image(source)
        assert_same(image, expected, 1)
        assert_same(image[:, ::2], expected[:, ::2])
    cut_out = Image.new("P", (2, 2), 0)
    assert (read_image(encoded(cut_out, "PNG", transparency=0)) == 255).all()


def test_animated_gif_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (read_image(data) == (255, 0, 0)).all()


def test_arrays() -> None:
    image = quarters()
    assert read_image(image) is image
    assert_same(read_image(image[:, ::-1]), image[:, ::-1])
    for gray in (image[..., 0], image[..., :1]):
        assert_same(read_image(gray), np.repeat(image[..., :1], 3, axis=2))


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((3, 40, 50), np.uint8), r"shape \(3, 40, 50\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"shape \(1, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros(7, np.uint8), "shape"),
    ],
)
def test_wrong_arrays(array: np.ndarray, says: str) -> None:
    with pytest.raises(LitePoseError, match=says):
        read_image(array)


def test_other_things_are_no_images() -> None:
    with pytest.raises(LitePoseError, match="got NoneType"):
        read_image(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 10_000), (10_000, 1)])
def test_extreme_shapes_are_read(size_wh: tuple[int, int]) -> None:
    for kind in ("PNG", "JPEG"):
        image = read_image(encoded(Image.new("RGB", size_wh), kind))
        assert image.shape == (size_wh[1], size_wh[0], 3)


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 99) + b"IDAT"


def jpeg_header(width: int, height: int) -> bytes:
    small = encoded(quarters(16, 16), "JPEG")
    return small.replace(struct.pack(">BHH", 8, 16, 16), struct.pack(">BHH", 8, height, width))


@pytest.mark.parametrize("make", [png_header, jpeg_header])
def test_a_huge_header_is_refused_before_decoding(make, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "bomb.img"
    path.write_bytes(make(30_000, 30_000))
    monkeypatch.setattr(Image.Image, "load", None)
    monkeypatch.setattr("cv2.imdecode", None)
    with pytest.raises(LitePoseError, match=r"bomb\.img has 30000x30000 pixels.*limit of 100,000"):
        read_image(path)


def test_the_pixel_limit_can_be_set() -> None:
    data = encoded(quarters(), "PNG")
    with pytest.raises(LitePoseError, match="limit of 3,071"):
        read_image(data, ReadLimits(max_pixels=64 * 48 - 1))
    with pytest.raises(LitePoseError, match="limit of 3,071"):
        read_image(Image.fromarray(quarters()), ReadLimits(max_pixels=64 * 48 - 1))
    assert read_image(data, ReadLimits(max_pixels=64 * 48)).shape == (48, 64, 3)


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_cut_off_files_are_refused(kind: str, kept: float, tmp_path: Path) -> None:
    data = encoded(noise(), kind)
    path = tmp_path / "half.img"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(LitePoseError, match=r"half\.img"):
        read_image(path)


def test_a_cut_off_jpeg_is_seen_behind_a_whole_thumbnail(monkeypatch) -> None:
    thumbnail = b"Exif\0\0" + encoded(quarters(), "JPEG")
    data = encoded(noise(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = data[:2] + segment + data[2:]
    assert read_image(data).shape == (48, 64, 3)
    monkeypatch.setattr(
        "cv2.imdecode", None
    )  # older versions fill up with gray: they must not decode here
    with pytest.raises(LitePoseError, match="cut off"):
        read_image(data[: len(data) // 2 + len(thumbnail)])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"x\.jpg is empty \(0 bytes\)"),
        (b"these are words, not an image", r"x\.jpg is not a JPEG.*these are words"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "HEIC"),
        (b"\xff\xd8\xff\xe0garbage behind the mark", r"x\.jpg has a broken header"),
        (b"RIFF\x24\0\0\0WAVEfmt 12345678901234", r"x\.jpg is not a JPEG.*WAVE"),
    ],
)
def test_files_that_are_no_images(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(LitePoseError, match=says):
        read_image(tmp_path / "x.jpg")


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    for path, says in (
        (tmp_path, "is a folder"),
        (tmp_path / "holliday.jpg", r"no file .*holliday\.jpg; did you mean 'holiday\.jpg'\?"),
        (tmp_path / "no" / "x.jpg", "there is no folder"),
        (Path("/dev/null"), "not a regular file"),
        ("a" * 5000, "cannot read|no file"),
    ):
        with pytest.raises(LitePoseError, match=says):
            read_image(path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_cost_the_image() -> None:
    for exif in (b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12", b"Exif\0\0nonsense"):
        assert_same(
            read_image(encoded(quarters(), "JPEG", exif=exif, subsampling=0)), quarters(), 40
        )


@given(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
def test_damaged_bytes_give_a_image_or_a_sentence(kind: str, draw: st.DataObject) -> None:
    data = bytearray(encoded(noise()[:12, :16], kind))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    data = data[: draw.draw(st.integers(0, len(data)))]
    try:
        image = read_image(bytes(data), ReadLimits(max_pixels=1_000_000))
    except LitePoseError as refused:
        assert "the given bytes" in str(refused)
    else:
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
