"""Subjects of the map and of the HTTP API: shards, tables and requests of strangers."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

from litepose.apps.map.job import Job
from litepose.apps.map.run import run_map
from litepose.imaging.read import ReadLimits
from litepose.inference.backend import RuntimeOptions
from tests.fuzz.mutate import TEXTS, damaged_bytes
from tests.map.in_process import InProcessPool

NAMES = (
    "a.jpg", "a.png", "\udcff.jpg", "../../a.jpg", "/a.jpg", "a/./b.jpg", "x" * 300 + ".jpg",
    ".a.jpg", "\x1b[2J.jpg", "a\n.jpg", "a.tar", "a.json", "", "é.JPG", "a.jpg",
)  # fmt: skip
KINDS = (tarfile.REGTYPE, tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
         tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.CONTTYPE)  # fmt: skip


def shard(rng: random.Random, images: list[bytes]) -> bytes:
    """A tar file of odd members; packed, or damaged, at times."""
    file = io.BytesIO()
    form = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    with tarfile.open(fileobj=file, mode=rng.choice(("w", "w:gz")), format=form) as tar:
        for _ in range(rng.randint(0, 6)):
            member, data = tarfile.TarInfo(rng.choice(NAMES)), rng.choice(images)
            member.type, member.linkname = rng.choice(KINDS), rng.choice(NAMES)
            if form == tarfile.PAX_FORMAT and rng.random() < 0.3:
                odd = {rng.choice(("size", "path", "GNU.sparse.size", "x")): rng.choice(TEXTS[:8])}
                member.pax_headers = {k: v.replace("\0", "") for k, v in odd.items()}
            member.size = len(data) if member.isreg() else 0
            with contextlib.suppress(UnicodeError):  # what tarfile cannot write
                tar.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return damaged_bytes(rng, file.getvalue()) if rng.random() < 0.5 else file.getvalue()


def table(rng: random.Random, images: list[bytes]) -> bytes:
    """A Parquet file with an odd column of images, or of ids; damaged at times."""
    import pyarrow as pa
    from pyarrow import parquet

    data = rng.choices([*images, None, b""], k=rng.randint(0, 5))
    columns: list[Any] = [
        pa.array(data, pa.binary()), pa.array(data, pa.large_binary()),
        pa.array([{"bytes": one, "path": "x"} for one in data], pa.struct(
            [("bytes", pa.binary()), ("path", pa.string())])),
        pa.array([[one] for one in data], pa.list_(pa.binary())),
        pa.array([{"bytes": [one]} for one in data], pa.struct([("bytes", pa.list_(pa.binary()))])),
        pa.array(["x"] * len(data)), pa.nulls(len(data)), pa.array(range(len(data))),
        pa.array(data, pa.binary()).dictionary_encode(),
        pa.array(["x" * 100_000] * len(data)), pa.array([[[1]]] * len(data)),
    ]  # fmt: skip
    names = rng.choice(
        (("bytes", "id"), ("image", "path"), ("x", "y"), ("bytes", "bytes"), ("", "id"))
    )
    file = io.BytesIO()
    chosen = [rng.choice(columns[:3] if rng.random() < 0.7 else columns), rng.choice(columns)]
    parquet.write_table(pa.Table.from_arrays(chosen, list(names)), file)
    return damaged_bytes(rng, file.getvalue()) if rng.random() < 0.5 else file.getvalue()


def map_source(rng: random.Random, folder: Path, model: Path, images: list[bytes]) -> None:
    """Beside an odd shard a good one: the run ends, and has every image of the good one."""
    from pyarrow import parquet

    (folder / "in").mkdir()
    kind, make = rng.choice(((".tar", shard), (".parquet", table)))
    (folder / "in" / f"b{kind}").write_bytes(make(rng, images))
    good = (folder / "in" / f"a{kind}").open("wb")
    with good:
        if kind == ".tar":
            with tarfile.open(fileobj=good, mode="w") as tar:
                member = tarfile.TarInfo("good.jpg")
                member.size = len(images[0])
                tar.addfile(member, io.BytesIO(images[0]))
        else:
            import pyarrow as pa

            parquet.write_table(pa.table({"bytes": [images[0]], "id": ["good.jpg"]}), good)
    limits = ReadLimits(max_pixels=4_000_000, max_memory=100_000_000)
    job = Job(str(folder / "out"), str(model), runtime=RuntimeOptions(threads=1), limits=limits)
    done = run_map(str(folder / "in"), job, InProcessPool)
    first = parquet.read_table(folder / "out" / "images" / "part-00000.parquet").to_pylist()
    assert [row["image_id"] for row in first] == ["good.jpg"], done
    assert len(json.dumps(done)) < 50_000


def request(rng: random.Random, app: Any, images: list[bytes]) -> None:
    """The answer is people, or an error as JSON that is nobody's mistake but the sender's."""
    import httpx

    odd = (
        "",
        "\x00",
        "nan",
        "1e999",
        "-1",
        "usual",
        "x" * 5000,
        "é",
        "%ff",
        "0.5",
        "image",
        "true",
    )
    query = {
        rng.choice(("effort", "threshold", "format", "flip_test", "x")): rng.choice(odd)
        for _ in range(rng.randint(0, 2))
    }
    body = rng.choice(images)
    form = "multipart/form-data"
    kinds = (
        "image/jpeg", "", "application/octet-stream", "image/", form, f"{form}; boundary=x",
        "text/html", f"{form}; boundary=" + "x" * 999, f'{form}; boundary="',
        f"{form}; boundary=x; charset=utf-99",
    )  # fmt: skip
    if rng.random() < 0.5:
        names, files = (
            ("file", "x", "file; filename*=utf-99''x"),
            ("a", "../a", "\u202e", 'a"b', ""),
        )
        parts = [
            f'--x\r\nContent-Disposition: form-data; name="{rng.choice(names)}";'
            f' filename="{rng.choice(files)}"\r\nContent-Type: {rng.choice(kinds)}\r\n\r\n'.encode()
            + body + b"\r\n"
            for _ in range(rng.choice((0, 1, 1, 2, 20)))
        ]  # fmt: skip
        body = b"".join(parts) + rng.choice((b"--x--\r\n", b"", b"--x"))
    body = damaged_bytes(rng, body) if rng.random() < 0.5 else body
    headers = {"content-type": rng.choice(kinds), "x-" + "y" * rng.choice((1, 9000)): "z"}

    async def pieces() -> Any:
        for at in range(0, len(body), 997):
            yield body[at : at + 997]

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            path = rng.choice(
                ("/v1/poses", "/v1/poses", "/v1/poses", "/v1/models", "/metrics", "/x")
            )
            method = rng.choice(("POST", "POST", "POST", "POST", "GET", "PUT"))
            content: Any = pieces() if rng.random() < 0.3 else body
            return await client.request(
                method, path, params=query, content=content, headers=headers
            )

    answer = asyncio.run(ask())
    assert answer.status_code in (200, 400, 401, 404, 405, 413, 415, 422), answer.status_code
    if answer.status_code != 200:
        assert 0 < len(answer.json()["error"]) < 20_000
