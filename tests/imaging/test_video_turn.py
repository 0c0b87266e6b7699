"""Videos stored sideways or mirrored come upright, from files and from the web."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.clips import serving

import litepose
from litepose.imaging.read import ReadLimits
from litepose.imaging.video_reader import frames

WH = (128, 64)
# (a, b, c, d) of the track's matrix -> what a player makes of the stored frame.
MATRICES = {
    "90": ((0, 1, -1, 0), lambda i: np.rot90(i, -1)),
    "180": ((-1, 0, 0, -1), lambda i: np.rot90(i, 2)),
    "270": ((0, -1, 1, 0), lambda i: np.rot90(i)),
    "mirrored": ((-1, 0, 0, 1), lambda i: i[:, ::-1]),
    "upside down, mirrored": ((1, 0, 0, -1), lambda i: i[::-1]),
    "swapped": ((0, 1, 1, 0), lambda i: i.swapaxes(0, 1)),
    "swapped the other way": ((0, -1, -1, 0), lambda i: np.rot90(i, 2).swapaxes(0, 1)),
}


def corner(path: Path) -> Path:
    """A video of an image that no turn leaves as it is."""
    image = np.full((64, 128, 3), 30, np.uint8)
    image[:24, :16], image[40:, 80:] = 220, 120
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25, WH)
    for _ in range(3):
        writer.write(image)
    writer.release()
    return path


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """The video with an index that says that frames are turned so."""
    data = bytearray(corner(path).read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (one << 16 for one in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def same(seen: list[np.ndarray], wanted: list[np.ndarray]) -> bool:
    return all(
        one.shape == other.shape and np.abs(one.astype(int) - other).mean() < 1
        for one, other in zip(seen, wanted, strict=True)
    )


@pytest.mark.parametrize("name", MATRICES)
def test_frames_come_upright(tmp_path: Path, name: str) -> None:
    matrix, upright = MATRICES[name]
    wanted = [upright(f.image) for f in frames(corner(tmp_path / "plain.mp4"))]
    path = turned(tmp_path / "turned.mp4", matrix)
    assert same([f.image for f in frames(path)], wanted)
    with serving() as site:
        site.files["video"] = path.read_bytes()
        video = frames(f"{site.url}/video", limits=ReadLimits(allow_private=True))
        assert same([f.image for f in video], wanted)


def test_the_person_of_a_telephone_is_found(shared: Path) -> None:
    seen = list(litepose.load("p", threads=1).stream(shared / "cases" / "turned-90.mp4"))
    assert [(f.image.shape, len(f.poses)) for f in seen] == [((320, 256, 3), 1)] * 4
    assert seen[0].poses.image_wh == (256, 320)


def test_a_damaged_matrix_turns_nothing(tmp_path: Path) -> None:
    wanted = [f.image for f in frames(corner(tmp_path / "plain.mp4"))]
    assert same([f.image for f in frames(turned(tmp_path / "odd.mp4", (5, 7, 3, 9)))], wanted)
