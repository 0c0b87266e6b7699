"""What `litepose map` reads, what it says of what it cannot read, and that nothing is lost."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from litepose.apps.map.job import Job, Outcome
from litepose.apps.map.run import run_map
from litepose.apps.map.shards import ShardWriter
from litepose.apps.map.sources import find_parts, read_part
from litepose.core.errors import LitePoseError
from tests.map.conftest import write_tar
from tests.map.in_process import InProcessPool


def rows(job: Job, name: str) -> list[dict]:
    files = sorted(Path(job.output, name).glob("*.parquet"))
    return [row for file in files for row in parquet.read_table(file).to_pylist()]


def test_tar_shards_with_missing_members(tmp_path: Path, images: list[bytes], job: Job) -> None:
    members = {f"{i:03d}.jpg": data for i, data in enumerate(images[:4])}
    members |= {f"{i:03d}.json": b"{}" for i in range(6)}  # 004 and 005 have no image
    write_tar(tmp_path / "s/0.tar", dict(sorted(members.items())))
    write_tar(tmp_path / "s/1.tar", {f"{i}.jpg": data for i, data in enumerate(images[4:8])})
    whole = (tmp_path / "s/1.tar").read_bytes()
    (tmp_path / "s/2.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "s/3.tar").write_bytes(b"no tar at all" * 100)
    summary = run_map(str(tmp_path / "s"), job, InProcessPool)
    failures = rows(job, "failures")
    assert [row["image_id"] for row in failures[:2]] == ["004", "005"]
    assert "the sample 004" in failures[0]["error"] and "no image" in failures[0]["error"]
    assert {Path(row["source"]).name for row in failures[2:]} == {"2.tar", "3.tar"}
    assert all("damaged or cut off" in row["error"] for row in failures[2:])
    whole_ones = [row for row in rows(job, "images") if not row["source"].endswith("2.tar")]
    assert len(whole_ones) == 8 and summary["parts"] == 4


def test_names_that_are_no_text_end_nothing(tmp_path: Path, images: list[bytes], job: Job) -> None:
    write_tar(tmp_path / "s/0.tar", {"\udcff.jpg": images[0], "a.jpg": images[1]})
    summary = run_map(str(tmp_path / "s"), job, InProcessPool)
    assert (summary["images"], summary["failures"]) == (2, 0)
    assert [row["image_id"] for row in rows(job, "images")] == ["\\udcff.jpg", "a.jpg"]


def test_parquet_of_bytes_and_of_structs(tmp_path: Path, images: list[bytes], job: Job) -> None:
    (tmp_path / "s").mkdir()
    ids = [f"row{i}" for i in range(4)]
    plain = pa.table({"image_id": ids, "bytes": [*images[:3], None]})
    parquet.write_table(plain, tmp_path / "s/0.parquet")
    nested = pa.table({"image": [{"bytes": data, "path": "x"} for data in images[3:5]]})
    parquet.write_table(nested, tmp_path / "s/1.parquet")
    whole = (tmp_path / "s/0.parquet").read_bytes()
    (tmp_path / "s/2.parquet").write_bytes(whole[:-40])
    summary = run_map(str(tmp_path / "s"), job, InProcessPool)
    assert (summary["images"], summary["failures"]) == (5, 2)
    names = [row["image_id"] for row in rows(job, "images")]
    assert names[:3] == ids[:3] and names[4].endswith("1.parquet#1")
    errors = [row["error"] for row in rows(job, "failures")]
    assert "row 3 of" in errors[0] and "damaged" in errors[1]


def test_parquet_without_the_column(tmp_path: Path, images: list[bytes], job: Job) -> None:
    (tmp_path / "s").mkdir()
    parquet.write_table(pa.table({"shot": images[:2], "n": [1, 2]}), tmp_path / "s/0.parquet")
    with pytest.raises(LitePoseError, match=r"no column of image bytes.*shot, n.*--column"):
        find_parts(str(tmp_path / "s"), 5, job)
    with pytest.raises(LitePoseError, match="did you mean 'shot'"):
        find_parts(str(tmp_path / "s"), 5, replace(job, column="shots"))
    with pytest.raises(LitePoseError, match="named 'n'"):
        find_parts(str(tmp_path / "s"), 5, replace(job, column="n"))
    parquet.write_table(pa.table({"other": images[2:4]}), tmp_path / "s/1.parquet")
    summary = run_map(str(tmp_path / "s"), replace(job, column="shot"), InProcessPool)
    assert summary["images"] == 2
    assert "no column 'shot'" in summary["unfinished"]["part-00001"]


def test_sources_that_are_none(tmp_path: Path, folder: Path, job: Job) -> None:
    for source, says in (
        (str(tmp_path / "nowhere"), "there is no"),
        ("what://bucket/x", "cannot open the storage of what"),
        (str(tmp_path / "*.nothing"), "holds no images"),
    ):
        with pytest.raises(LitePoseError, match=says):
            find_parts(source, 5, job)
    write_tar(folder / "a.tar", {})
    with pytest.raises(LitePoseError, match=r"several kinds \(12 of images and 1 of tar\)"):
        find_parts(str(folder), 5, job)
    assert len(find_parts(f"{folder}/*.jpg", 5, job)) == 2
    (one,) = find_parts(str(folder / "000.jpg"), 5, job)
    assert [item.image_id for item in read_part(one, job)] == ["000.jpg"]


def test_a_storage_without_files_and_folders(images: list[bytes], job: Job) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for i, data in enumerate(images[:3]):
        memory.pipe_file(f"/bucket/in/{i}.jpg", data)
    there = replace(job, output="memory://bucket/out")
    try:
        summary = run_map("memory://bucket/in", there, InProcessPool, images_per_part=2)
        assert summary["images"] == 3 and summary["parts"] == 2
        with memory.open("/bucket/out/images/part-00000.parquet") as file:
            table = parquet.read_table(file).to_pylist()
        assert [row["source"] for row in table] == [f"memory:///bucket/in/{i}.jpg" for i in (0, 1)]
        held = {"who": "process 1 on elsewhere", "time": 1e12}
        memory.pipe_file("/bucket/out/_map/lock", json.dumps(held).encode())
        with pytest.raises(LitePoseError, match="process 1 on elsewhere"):
            run_map("memory://bucket/in", there, InProcessPool, images_per_part=2)
        memory.pipe_file("/bucket/out/_map/lock", json.dumps(held | {"time": 0}).encode())
        assert run_map("memory://bucket/in", there, InProcessPool, images_per_part=2) == summary
    finally:
        memory.rm("/bucket", recursive=True)


def test_a_poisoned_image_costs_one_row(folder: Path, job: Job) -> None:
    pools: list[InProcessPool] = []

    def open_pool(job: Job) -> InProcessPool:
        pools.append(InProcessPool(job, deadly=("001.jpg", "003.jpg")))
        return pools[0]

    summary = run_map(str(folder), job, open_pool, images_per_part=6)
    assert (summary["images"], summary["failures"], summary["unfinished"]) == (10, 2, {})
    assert [row["image_id"] for row in rows(job, "failures")] == ["001.jpg", "003.jpg"]
    assert "died of this image" in rows(job, "failures")[0]["error"]
    assert pools[0].deaths <= 8


def test_a_source_that_vanishes_loses_nothing(folder: Path, job: Job) -> None:
    aside = folder.with_name("aside")

    def report(outcome: Outcome) -> None:
        if folder.exists():
            folder.rename(aside)

    with pytest.raises(LitePoseError, match=r"has vanished; the 1 finished parts are kept"):
        run_map(str(folder), job, InProcessPool, images_per_part=2, report=report)
    assert not rows(job, "failures")
    shutil.move(aside, folder)
    summary = run_map(str(folder), job, InProcessPool, images_per_part=2)
    assert (summary["images"], summary["unfinished"]) == (12, {})


def test_a_full_disk_keeps_what_is_finished(folder: Path, job: Job, monkeypatch) -> None:
    flush, count = ShardWriter._flush, [0]

    def full(self: ShardWriter, table: str) -> None:
        count[0] += 1
        if count[0] > 4:  # the first part has three tables
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(self, table)

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "_flush", full)
        with pytest.raises(LitePoseError, match="No space left on device; the 1 finished"):
            run_map(str(folder), job, InProcessPool, images_per_part=4)
    assert not list(Path(job.output, "_map/tmp").iterdir())
    assert run_map(str(folder), job, InProcessPool, images_per_part=4)["images"] == 12


def test_exceptions_of_an_object_store_are_storage_failures(
    images: list[bytes], job: Job, monkeypatch
) -> None:
    """Packages of object stores raise what is no OSError, such as botocore's."""
    import fsspec

    class EndpointError(Exception):
        pass

    memory = fsspec.filesystem("memory")
    for i, data in enumerate(images[:4]):
        memory.pipe_file(f"/bucket/in/{i}.jpg", data)
    opened, gone = type(memory).open, [False]

    def unreachable(self, path: str, *args, **kwargs):
        if gone[0] and "/in/" in path:
            raise EndpointError("could not connect")
        return opened(self, path, *args, **kwargs)

    def report(_: Outcome) -> None:
        gone[0] = True

    monkeypatch.setattr(type(memory), "open", unreachable)
    try:
        with pytest.raises(LitePoseError, match=r"EndpointError: could not connect; the 1 finish"):
            run_map("memory://bucket/in", job, InProcessPool, images_per_part=1, report=report)
        gone[0] = False
        assert run_map("memory://bucket/in", job, InProcessPool, images_per_part=1)["images"] == 4
        assert not rows(job, "failures")
    finally:
        memory.rm("/bucket", recursive=True)
