"""Detect video containers by their first bytes, and refuse playlists; FFmpeg gets nothing else.

Source: signatures of ISO/IEC 14496-12 (mp4, mov), RIFF, EBML (webm, mkv), ISO/IEC 13818-1
and -2 (MPEG streams) and others. FFmpeg detects kinds by content, skips an ID3 tag, and also knows
playlists and session descriptions, which make it open other files and addresses. OpenCV can neither
tell FFmpeg the kind nor report the kind it detected. So no tag is skipped here, and texts that
FFmpeg would detect anywhere in the bytes it probes are refused too.
"""

from __future__ import annotations

import re

PROBED_BYTES = 1 << 20  # bytes that FFmpeg probes at most
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"[playlist]")
_START = re.compile(
    rb"""....(ftyp|moov|mdat|wide|free|skip|pnot)  # mp4, mov
    | RIFF....AVI[ \x19] | \x1aE\xdf\xa3 | OggS | FLV[\1-\5] | \x30\x26\xb2\x75\x8e\x66\xcf\x11
    | G.{187}G | .{4}G.{191}G                     # mpegts, m2ts: the second packet has its mark too
    | \0\0\1[\xb0\xb3\xb5\xba]                    # MPEG-1, -2, -4
    | \0{2,3}\1[\x06\x09\x27\x47\x67\x40\x42\x44\x46\x4e]  # bare H.264 and H.265
    | DKIF\0\0 | \x12\0\x0a | \x06\x0e\x2b\x34 | nut/multimedia\ container\0 | \.RMF\0
    | \x1f\x07\0 | YUV4MPEG2\x20                  # dv, y4m
    | GIF8[79]a | \x89PNG\r\n\x1a\n | \xff\xd8\xff  # animated, and JPEG after JPEG
    | (\r\n)?--[^\r\n]{1,200}\r?\n(?i:content-)   # cameras: JPEG after JPEG, with headers
    """,
    re.DOTALL | re.VERBOSE,
)
# Session descriptions, DASH, IMF: these need not be at the start.
_TEXT = re.compile(rb"[\r\n]c=IN IP|dash:profile:|<CompositionPlaylist", re.IGNORECASE)


def is_container(first: bytes) -> bool:
    """Whether the first bytes (200 or more, if available) are those of a known video container."""
    return _START.match(first) is not None


def names_others(part: bytes) -> bool:
    """Whether FFmpeg could take a file for a list of other addresses (a playlist), by its first
    `PROBED_BYTES`."""
    return _TEXT.search(part) is not None
