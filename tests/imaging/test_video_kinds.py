"""What may be given to FFmpeg: videos, and nothing that makes it open something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.clips import make_video, serving

from litepose.core.errors import LitePoseError
from litepose.imaging import video_open
from litepose.imaging.read import ReadLimits
from litepose.imaging.video_kinds import is_container, names_others
from litepose.imaging.video_reader import frames

ID3 = b"ID3\x03\0\0\0\0\0\0"
CONCAT = b"ffconcat version 1.0\nfile secret.webm\n"
HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\nsecret.webm\n#EXT-X-ENDLIST\n"
SDP = b"v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n"
DASH = b'<?xml version="1.0"?><MPD profiles="urn:mpeg:dash:profile:isoff-live:2011"></MPD>'
EBML = b"\x1aE\xdf\xa3\x80\n"  # of an empty head: FFmpeg would go on guessing
TRICKS = {
    "id3-concat": ID3 + CONCAT, "id3-hls": ID3 + HLS, "concat": CONCAT, "hls": HLS, "sdp": SDP,
    "dash": DASH, "ebml-sdp": EBML + SDP, "far-sdp": EBML + bytes(500_000) + b"\n" + SDP,
    "ebml-dash": EBML + DASH,
}  # fmt: skip


@pytest.fixture
def no_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(source: object, *_: object) -> None:
        while not isinstance(source, str) and source.read():  # type: ignore[attr-defined]
            pass
        assert not isinstance(source, str), "OpenCV was given a file that it must not see"

    monkeypatch.setattr(video_open, "_open", never)


@pytest.mark.parametrize("name", TRICKS)
def test_a_file_that_names_other_files_is_refused(name: str, tmp_path: Path, no_opencv) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(TRICKS[name] + b"\n# pad" * 200)
    with pytest.raises(LitePoseError, match=r"clip\.mp4"):
        frames(path)


@pytest.mark.parametrize("name", TRICKS)
def test_a_web_body_that_names_other_files_is_refused(name: str, no_opencv) -> None:
    with serving() as site:
        site.files["clip.mp4"] = TRICKS[name] + b"\n# pad" * 200
        with pytest.raises(LitePoseError, match="bytes are those of no kind of video"):
            frames(f"{site.url}/clip.mp4", limits=ReadLimits(allow_private=True))


@pytest.mark.parametrize("name", ["hls-behind-id3", "ffconcat-behind-id3", "ffconcat-from-the-web"])
def test_the_reported_files_are_refused(shared: Path, name: str, no_opencv) -> None:
    with pytest.raises(LitePoseError, match=r"is not a video|is a playlist|sound only"):
        frames(shared / "cases" / f"{name}.mp4")


@pytest.mark.parametrize("suffix", [".webm", ".mp4", ".avi", ".ts"])
def test_videos_are_known_by_their_first_bytes(tmp_path: Path, suffix: str) -> None:
    data = make_video(tmp_path / f"video{suffix}", 5).read_bytes()
    assert is_container(data[:200]) and not names_others(data)
    assert not is_container(data[1:201]), "nothing is skipped"
