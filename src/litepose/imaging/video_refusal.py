"""Diagnose why a file cannot be opened as a video.

Source: box layout of ISO/IEC 14496-12 (mp4, mov), RIFF, EBML (webm, mkv).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from litepose.imaging.video_kinds import PLAYLISTS, PROBED_BYTES, names_others

_SOUND_SUFFIXES = (".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma")
_CONTAINERS = (b"\x1aE\xdf\xa3", b"OggS", b"FLV", b"\x47", b"\0\0\1\xba", b"\x30\x26\xb2\x75")
_MOST_BOXES = 10_000  # the index is first or last, so a file with more boxes is no video
_CONVERT = "convert it, for instance: ffmpeg -i INPUT -c:v libx264 output.mp4"


def diagnose_video(path: Path) -> str:
    """One sentence on why OpenCV cannot open a file."""
    with path.open("rb") as file:
        first = file.read(PROBED_BYTES)
        if not first:
            return f"{path} is empty (0 bytes)"
        if first.startswith(PLAYLISTS) or names_others(first):
            return f"{path} is a playlist, not a video: give the files that it names"
        if first.startswith((b"ID3", b"fLaC")) or first[8:12] == b"WAVE":
            return _sound_only(path)
        if first[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
            return _diagnose_mp4(path, file)
    if path.suffix.lower() in _SOUND_SUFFIXES:
        return _sound_only(path)
    if first.startswith(_CONTAINERS) or first[8:12] == b"AVI ":
        return (
            f"{path} holds no image that this OpenCV can decode: only sound, a codec unknown to"
            f" it, or damage at the start; {_CONVERT}"
        )
    return f"{path} is not a video: it begins with {first[:16]!r}"


def _sound_only(path: Path) -> str:
    return f"{path} holds sound only, no video"


def _diagnose_mp4(path: Path, file: BinaryIO) -> str:
    index = mp4_index(file)
    if index is None:
        return (
            f"{path} is cut off: its index, which stands at the end (moov), is missing; copy or"
            " record it again"
        )
    if b"trak" not in index:
        return f"{path} has no frames: nothing was recorded in it"
    if b"vide" not in index:
        return _sound_only(path)
    return f"{path} holds a codec unknown to this OpenCV, or is damaged; {_CONVERT}"


def mp4_index(file: BinaryIO) -> bytes | None:
    """The content of the index (up to 16 MB); None if there is none or the file is no mp4."""
    return next((content for name, content in _boxes(file) if name == b"moov"), None)


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Name of each box of an mp4 file, and the content of the index (up to 16 MB)."""
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        header = 16 if size == 1 else 8
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if len(head) < header or size < header:  # the end, or a box that extends to the end
            return
        file.seek(at + header)
        name = head[4:8]
        yield name, file.read(min(size - header, 1 << 24)) if name == b"moov" else b""
        at += size
