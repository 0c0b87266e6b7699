"""`litepose map --on local`: each image once, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from litepose.apps.cli.main import main
from litepose.apps.map.job import Job, Outcome
from litepose.apps.map.local import LocalPool
from litepose.apps.map.run import local_pool, run_map
from litepose.core.errors import LitePoseError


def table(job: Job, name: str) -> list[dict]:
    files = sorted(Path(job.output, name).glob("*.parquet"))
    return [row for file in files for row in parquet.read_table(file).to_pylist()]


def ids(job: Job) -> list[str]:
    return sorted(row["image_id"] for row in table(job, "images"))


@pytest.mark.slow
def test_a_folder_becomes_one_row_set_per_image(folder: Path, job: Job) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "empty.jpg").write_bytes(b"")
    summary = run_map(str(folder), job, local_pool(1), images_per_part=5)
    assert (summary["parts"], summary["images"], summary["failures"]) == (3, 12, 2)
    assert ids(job) == sorted(f"below/{i:03d}.jpg" if i > 9 else f"{i:03d}.jpg" for i in range(12))
    failures = {row["image_id"]: row["error"] for row in table(job, "failures")}
    assert failures.keys() == {"broken.jpg", "empty.jpg"}
    assert failures["empty.jpg"] == "empty.jpg is empty (0 bytes)"
    people = table(job, "people")
    assert len(people) == summary["people"] == sum(r["people"] for r in table(job, "images"))
    predictor, options = job.open()
    for image in table(job, "images"):
        mine = [row for row in people if row["image_id"] == image["image_id"]]
        poses = predictor.inspect(folder / image["image_id"], options).poses
        assert [row["score"] for row in mine] == poses.person_scores.tolist()
        for i, row in enumerate(mine):
            assert row["keypoints_xy"] == poses.keypoints_xy[i].reshape(-1).tolist()
            assert row["box_xyxy"] == poses.boxes_xyxy[i].tolist()
    assert not list(Path(job.output, "_map/tmp").iterdir())


@pytest.mark.slow
def test_a_finished_map_is_not_worked_on_again(folder: Path, job: Job) -> None:
    first = run_map(str(folder), job, local_pool(1), images_per_part=5)
    stamp = Path(job.output, "people/part-00000.parquet").stat().st_mtime_ns
    Path(job.output, "_map/done/part-00001.json").unlink()
    outcomes: list[Outcome] = []
    again = run_map(str(folder), job, local_pool(1), images_per_part=5, report=outcomes.append)
    assert [outcome.task.part.name for outcome in outcomes] == ["part-00001"]
    assert again == first
    assert Path(job.output, "people/part-00000.parquet").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_another_source_or_model_is_refused(folder: Path, job: Job) -> None:
    from dataclasses import replace

    run_map(str(folder), job, local_pool(1), images_per_part=5)
    with pytest.raises(LitePoseError, match="another model or other settings"):
        run_map(str(folder), replace(job, size=64), local_pool(1), images_per_part=5)
    (folder / "zzz.jpg").write_bytes(b"")
    with pytest.raises(LitePoseError, match="source has changed"):
        run_map(str(folder), job, local_pool(1), images_per_part=5)


@pytest.mark.slow
def test_two_maps_into_one_folder_are_refused(folder: Path, job: Job) -> None:
    from litepose.apps.map.folder import OutputFolder

    first = OutputFolder(job.output)
    first.claim()
    with pytest.raises(LitePoseError, match=f"another map .process {os.getpid()}"):
        run_map(str(folder), job, local_pool(1))
    first.release()
    assert run_map(str(folder), job, local_pool(1))["images"] == 12


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(folder: Path, job: Job) -> None:
    pools: list[LocalPool] = []

    def open_pool(job: Job) -> LocalPool:
        pools.append(LocalPool(job, 2))
        return pools[0]

    killed: list[int] = []

    def report(outcome: Outcome) -> None:
        if not killed:  # both are at work: one is killed as the kernel would
            pid = pools[0].processes[-1].pid
            assert pid is not None
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    summary = run_map(str(folder), job, open_pool, images_per_part=2, report=report)
    assert killed and summary["unfinished"] == {}
    assert summary["images"] == 12 and len(ids(job)) == len(set(ids(job))) == 12


@pytest.mark.slow
def test_the_command_ends_in_json_and_exit_1_for_failures(folder: Path, job: Job, capsys) -> None:
    (folder / "text.jpg").write_bytes(b"hello")
    where = ["map", str(folder), "--output", job.output]
    how = ["--effort", "fast", "--size", "96", "--workers", "1", "--quiet"]
    assert main([*where, *how]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 12 and summary["failures"] == 1


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(folder: Path, job: Job) -> None:
    command = [sys.executable, "-m", "litepose", "map", str(folder), "--output", job.output]
    command += ["--effort", "fast", "--size", "96", "--workers", "1", "--images-per-part", "1"]
    done = Path(job.output, "_map/done")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        end = time.monotonic() + 60
        while not (done.is_dir() and list(done.iterdir())):
            assert time.monotonic() < end and first.poll() is None
            time.sleep(0.005)
        first.kill()
        first.communicate()
    before = len(list(done.iterdir()))
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert f"{before} of 12 parts are finished already" in second.stderr or before < 12
    assert json.loads(second.stdout)["images"] == 12 == len(set(ids(job)))
    assert len(ids(job)) == 12 and not list(Path(job.output, "_map/tmp").iterdir())


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--workers", "-1"], "--workers must be 0 or more; got -1"),
        (["--images-per-part", "0"], "--images-per-part must be 1 or more; got 0"),
        (["--address", "auto"], "add --on ray"),
        (["--model", "nothing"], "nothing"),
        (["--views", "a"], "--views needs short sides"),
        (["--output", "what://x"], "cannot open the storage of what://x"),
    ],
)
def test_wrong_use_is_a_sentence(folder: Path, job: Job, capsys, extra: list, says: str) -> None:
    assert main(["map", str(folder), "--output", job.output, *extra]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_package_is_a_sentence(folder: Path, job: Job, capsys, monkeypatch) -> None:
    absent = {"pyarrow", "ray"}
    monkeypatch.setattr(
        "litepose.core.packages.find_spec", lambda name: None if name in absent else name
    )
    assert main(["map", str(folder), "--output", job.output, "--on", "ray"]) == 2
    says = "needs pyarrow, ray, not installed here: pip install 'litepose[cluster]'"
    assert says in capsys.readouterr().err
