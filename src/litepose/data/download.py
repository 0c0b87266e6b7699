"""Download COCO: resumed after interruptions, checked, unpacked safely.

Source: addresses from cocodataset.org; sizes and SHA-256 of the archives as published by mirrors.
CrowdPose is only on Google Drive, so its address is printed instead.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import stat
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from litepose.core.errors import LitePoseError
from litepose.core.names import local_path
from litepose.data.datasets import check_inside
from litepose.data.timed_http import open_url

# (what, bytes done, bytes in all)
Progress = Callable[[str, int, int], None]

_BLOCK = 1 << 20
_SECONDS = 30.0
_GAIN = 1 << 16  # bytes that count as progress, so that a slow trickle is given up
_SLOW_SECONDS = 60.0  # time within which that many bytes must arrive


@dataclass(frozen=True)
class Archive:
    """A zip file on the web, and the folder of the dataset that it is unpacked in."""

    url: str
    bytes: int
    sha256: str
    into: str = "."

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


COCO: Mapping[str, Archive] = {
    "annotations": Archive(
        "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
        252_907_541,
        "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    ),
    "val2017": Archive(
        "http://images.cocodataset.org/zips/val2017.zip",
        815_585_330,
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        into="images",
    ),
    "train2017": Archive(
        "http://images.cocodataset.org/zips/train2017.zip",
        19_336_861_798,
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        into="images",
    ),
}

CROWDPOSE_ADVICE = (
    "CrowdPose lies on a Google Drive that needs a browser: follow the links on"
    " https://github.com/Jeff-sjtu/CrowdPose (images.zip and the annotations), then put the"
    " images in FOLDER/images and crowdpose_trainval.json and crowdpose_test.json in"
    " FOLDER/annotations. litepose data check FOLDER checks the result"
)


def download(
    name: str,
    folder: str | Path,
    splits: Sequence[str] = ("train2017", "val2017"),
    progress: Progress | None = None,
) -> Path:
    """Fetch and unpack a dataset into `folder`, in the layout that `find_dataset` knows.

    A second call resumes. Archives are removed once unpacked.
    Raises LitePoseError for an unknown dataset or split, a full disk, a damaged archive or an
    unreachable server; for `crowdpose` the message has the address.
    """
    if name == "crowdpose":
        raise LitePoseError(CROWDPOSE_ADVICE)
    unknown = [split for split in splits if split not in COCO or split == "annotations"]
    if name != "coco" or unknown:
        raise LitePoseError(
            f"cannot download {name!r} {list(splits)}; there are coco (train2017, val2017) and"
            " crowdpose"
        )
    folder = local_path(folder)
    for part in ("annotations", *splits):
        done = folder / f".{part}.done"
        if done.exists():
            continue
        archive = COCO[part]
        path = fetch_file(archive, folder / archive.name, progress)
        unzip(path, folder / archive.into, progress)
        done.touch()
        path.unlink()
    return folder


def fetch_file(
    archive: Archive, path: Path, progress: Progress | None = None, patience: int = 8
) -> Path:
    """Download to `path`, resuming from `path.part` of an earlier try.

    patience: tries in a row with almost no data before giving up, with growing waits.
    A bad response never shortens what an earlier try downloaded.
    Raises LitePoseError if the disk is too small, the server unreachable or the file wrong.
    """
    if path.exists() and path.stat().st_size == archive.bytes:
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        have = part.stat().st_size if part.exists() else 0
        _check_space(path.parent, archive.bytes - have, path.name)
        failures, counted = 0, have
        while have < archive.bytes:
            reason = _continue(archive, part, progress)
            have = part.stat().st_size
            if have - counted >= _GAIN:
                failures, counted = 0, have
            else:
                failures += 1
            if failures >= patience and have < archive.bytes:
                raise LitePoseError(
                    f"cannot download {archive.url}: {reason}. {have:,} of {archive.bytes:,} bytes"
                    " are kept; run the command again to go on"
                )
            if have < archive.bytes:
                time.sleep(min(30.0, 0.1 * 2**failures))
        _check_sum(part, archive, progress)
        part.replace(path)
    except OSError as exc:
        raise LitePoseError(f"cannot write {path}: {exc.strerror or exc}") from None
    return path


def unzip(path: Path, folder: Path, progress: Progress | None = None) -> None:
    """Unpack a zip file; complete files from an earlier run are kept.

    Raises LitePoseError for a damaged archive, one with links or with names that lead out of
    `folder`, and a disk too small.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                check_inside(member.filename)
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise LitePoseError(f"{path} holds a link, {member.filename!r}: not unpacked")
            folder.mkdir(parents=True, exist_ok=True)
            missing = [m for m in members if not _is_there(folder / m.filename, m.file_size)]
            total = sum(member.file_size for member in missing)
            _check_space(folder, total, f"unpacking {path.name}")
            done = 0
            for member in missing:
                _extract(archive, member, folder / member.filename)
                done += member.file_size
                if progress:
                    progress(f"unpacking {path.name}", done, total)
    except OSError as exc:
        raise LitePoseError(f"cannot unpack {path}: {exc.strerror or exc}") from None
    except LitePoseError:
        raise
    except Exception as exc:  # zipfile and each compression raise their own
        raise LitePoseError(f"{path} is a damaged archive: {exc}; delete it and retry") from None


def _continue(archive: Archive, part: Path, progress: Progress | None) -> str:
    """Append the response until it ends; returns the reason for its end."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(archive.url, headers={"Range": f"bytes={have}-"})
    try:
        response = open_url(request, _SECONDS)
    except (OSError, http.client.HTTPException, ValueError) as exc:  # ValueError: bad redirect
        if isinstance(exc, urllib.error.HTTPError) and exc.code in (401, 403, 404, 410):
            raise LitePoseError(f"cannot download {archive.url}: {exc}") from None
        part.touch()
        return str(exc) or type(exc).__name__
    with response:
        _refuse_another_file(archive, response)
        if response.status == 206:
            given = response.headers.get("Content-Range", "")
            if not given.startswith(f"bytes {have}-"):
                part.touch()
                return f"the server sent another part than requested ({given or 'which?'})"
            with part.open("ab") as file:
                return _receive(response, file, have, archive, progress)
        # The server sends the file from its beginning: keep the old part until this one is longer.
        fresh = part.with_name(part.name + ".fresh")
        try:
            with fresh.open("wb") as file:
                reason = _receive(response, file, 0, archive, progress)
            if fresh.stat().st_size > have:
                fresh.replace(part)
        finally:
            fresh.unlink(missing_ok=True)
        part.touch()
        return reason


def _refuse_another_file(archive: Archive, response: http.client.HTTPResponse) -> None:
    """Raise LitePoseError for a web page, such as a login, or another size."""
    kind = response.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        raise LitePoseError(
            f"{archive.url} responds with a web page ({kind}), perhaps the login of a network; what"
            " was downloaded before is kept"
        )
    length = response.headers.get("Content-Length", "")
    if response.status == 206:
        length = response.headers.get("Content-Range", "").rpartition("/")[2]
    if length.isdecimal() and int(length[:30]) != archive.bytes:
        raise LitePoseError(
            f"{archive.url} has {length:.30} bytes, not the {archive.bytes:,} that were expected;"
            " what was downloaded before is kept"
        )


def _receive(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    have: int,
    archive: Archive,
    progress: Progress | None,
) -> str:
    """Write the response until it ends; returns the reason for its end."""
    began, counted = time.monotonic(), have
    while have < archive.bytes:
        try:
            block = response.read1(min(_BLOCK, archive.bytes - have))
        except (OSError, http.client.HTTPException, ValueError) as exc:
            file.write(getattr(exc, "partial", b"")[: archive.bytes - have])
            return f"the connection broke ({type(exc).__name__})"
        if not block:
            return "the server ended early"
        file.write(block)
        have += len(block)
        if have - counted >= _GAIN:
            began, counted = time.monotonic(), have
        elif time.monotonic() - began > _SLOW_SECONDS:
            return f"it gave {have - counted:,} bytes in {_SLOW_SECONDS:g} s"
        if progress:
            progress(archive.name, have, archive.bytes)
    return "complete"


def _check_sum(part: Path, archive: Archive, progress: Progress | None) -> None:
    digest, done = hashlib.sha256(), 0
    with part.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            if progress:
                progress(f"checking {archive.name}", done, archive.bytes)
    if digest.hexdigest() != archive.sha256:
        part.unlink()
        raise LitePoseError(
            f"{archive.url} is not what was expected (SHA-256 {digest.hexdigest()}, not"
            f" {archive.sha256}); it was deleted, run the command again"
        )


def _check_space(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LitePoseError(
            f"{what} needs {needed / 2**30:.1f} GiB, {folder} has {free / 2**30:.1f} GiB left"
        )


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with archive.open(member) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, _BLOCK)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
