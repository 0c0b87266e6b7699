"""Videos from the web: through the checked connection only, and trouble is a sentence."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from tests.clips import Site, image, make_video, number_of, serving

from litepose.core.errors import LitePoseError
from litepose.imaging.read import ReadLimits
from litepose.imaging.video_reader import frames

ANYWHERE = ReadLimits(allow_private=True)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def numbers(source: str) -> list[int]:
    with frames(source, limits=ANYWHERE, stall_seconds=30) as video:
        return [number_of(frame.image) for frame in video]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_video_is_read_as_it_comes(site: Site, tmp_path: Path, suffix: str, ranges: bool) -> None:
    """An mp4 has its index at the end: FFmpeg goes there and back."""
    site.ranges = ranges
    site.files["video"] = make_video(
        tmp_path / f"video{suffix}", 20, size_wh=(640, 384)
    ).read_bytes()
    site.redirects["old"] = "/video"
    assert numbers(f"{site.url}/old") == list(range(20))
    assert (site.jumps > 0) is (ranges and suffix == ".mp4")


def test_a_length_that_is_not_said_is_no_reason_to_drop_frames(site: Site, tmp_path) -> None:
    site.sized = False
    site.files["video.webm"] = make_video(tmp_path / "video.webm", 40).read_bytes()
    assert numbers(f"{site.url}/video.webm") == list(range(40))


def test_a_camera_that_sends_images_one_after_the_other_is_live(site: Site) -> None:
    parts = []
    for i in range(5):
        data = cv2.imencode(".jpg", image(i))[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        parts.append(head.encode() + data + b"\r\n")
    site.sized = False
    site.files["camera"] = b"".join(parts)
    site.kinds["camera"] = "multipart/x-mixed-replace; boundary=frame"
    with frames(f"{site.url}/camera", limits=ANYWHERE) as video:
        seen = [number_of(frame.image) for frame in video]
    assert video.live and seen == sorted(seen) and len(seen) + video.dropped >= 4


def test_private_addresses_are_refused_also_behind_a_redirect(site: Site) -> None:
    with pytest.raises(LitePoseError, match=r"private address.*--allow-private"):
        frames(f"{site.url}/video.mp4")
    assert site.requested == []


def test_a_playlist_in_disguise_leads_nowhere(site: Site, tmp_path: Path) -> None:
    """FFmpeg would read the files and addresses that it names."""
    segment = make_video(tmp_path / "segment.ts", 10)
    site.files["segment.ts"] = segment.read_bytes()
    for line in (f"{site.url}/segment.ts", str(segment), f"file://{segment}"):
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\n{line}\n#EXT-X-ENDLIST\n"
        site.files["video.mp4"] = text.encode()
        with pytest.raises(LitePoseError, match="gives no video"):
            numbers(f"{site.url}/video.mp4")
    assert set(site.requested) == {"video.mp4"}


def test_a_playlist_is_followed_where_anything_is_allowed(site: Site, tmp_path: Path) -> None:
    site.files["segment.ts"] = make_video(tmp_path / "segment.ts", 10).read_bytes()
    site.files["list.m3u8"] = (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\nsegment.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(LitePoseError, match=r"further addresses.*--allow-private"):
        frames(f"{site.url}/list.m3u8")
    assert site.requested == []
    assert numbers(f"{site.url}/list.m3u8") == list(range(10))


@pytest.mark.parametrize(
    ("name", "said"),
    [("none.mp4", "answered 404"), ("page", "web page"), ("loop", "redirects more than 5 times"),
     ("text", "gives no video"), ("away", "only http and https")],
)  # fmt: skip
def test_what_is_no_video_is_a_sentence(site: Site, name: str, said: str) -> None:
    site.files |= {"page": b"<html>", "text": b"no video " * 99}
    site.kinds["page"] = "text/html"
    site.redirects |= {"loop": "/loop", "away": "file:///etc/passwd"}
    with pytest.raises(LitePoseError, match=said):
        frames(f"{site.url}/{name}", limits=ANYWHERE)


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [True, False])
def test_a_stream_that_stalls_or_breaks_off_gives_what_came(
    site: Site, tmp_path: Path, hangs: bool
) -> None:
    data = make_video(tmp_path / "video.webm", 200).read_bytes()
    site.files["video.webm"] = data
    site.hang_after = len(data) * 3 // 4
    if not hangs:
        site.hang.set()
    video = frames(f"{site.url}/video.webm", limits=ANYWHERE, stall_seconds=1)
    seen = []
    with pytest.raises(LitePoseError, match="stalled|broke off" if hangs else "broke off after"):
        seen.extend(number_of(frame.image) for frame in video)
    video.close()
    assert len(seen) > 10 and seen == list(range(len(seen)))


def test_a_script_may_end_while_a_stream_stalls(site: Site, tmp_path: Path) -> None:
    data = make_video(tmp_path / "video.webm", 200).read_bytes()
    site.files["video.webm"], site.hang_after = data, len(data) * 3 // 4
    code = """
import sys, time, litepose
from litepose.imaging.read import ReadLimits
video = litepose.video.frames(sys.argv[1], limits=ReadLimits(allow_private=True))
for frame in video:
    if not video._reader.ready and frame.number > 90:  # the reader waits for the network
        break
sys.exit(3)
"""
    address = f"{site.url}/video.webm"
    done = subprocess.run([sys.executable, "-c", code, address], check=False, timeout=60)
    assert done.returncode == 3


def test_a_password_is_sent_and_never_shown(site: Site, tmp_path: Path) -> None:
    site.files["video.webm"] = make_video(tmp_path / "video.webm", 3).read_bytes()
    site.password = "Basic bWU6YSBzZWNyZXQ="
    address = site.url.replace("//", "//me:a%20secret@")
    assert numbers(f"{address}/video.webm") == [0, 1, 2]
    for bad in (f"{address}/none.webm", f"{address.replace('secret', 'guess')}/video.webm"):
        with pytest.raises(LitePoseError, match=r"answered 40[14]") as exc:
            numbers(bad)
        assert "secret" not in str(exc.value) and "guess" not in str(exc.value)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [10, 400])
def test_a_server_that_drips_is_not_waited_for(site: Site, tmp_path: Path, at_once: int) -> None:
    """Each byte comes in time, the video never does: before its kind is known, and behind."""
    site.files["video.mp4"] = make_video(tmp_path / "video.mp4", 20).read_bytes()
    site.drip_after = at_once
    with pytest.raises(LitePoseError, match=r"within 1 seconds|for 1 seconds: it has stalled"):
        frames(f"{site.url}/video.mp4", limits=ANYWHERE, stall_seconds=1)
    deadline = time.monotonic() + 10
    while any(thread.name == "litepose-frames" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "the reader has not ended"
        time.sleep(0.05)
