"""Automatic choice of the runtime: measured once, remembered, and never in the way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.inference import autoselect as choice
from litepose.inference.autoselect import choose
from litepose.inference.backend import RuntimeOptions
from litepose.inference.system import cache_folder, cpu_name, usable_cores


@pytest.fixture
def speeds(monkeypatch, tmp_path) -> dict[str, float]:
    """Milliseconds that each candidate will be found to take; what was measured counts calls."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choice, "installed_backends", lambda model: ["onnxruntime", "openvino"])
    monkeypatch.setattr(choice, "usable_cores", lambda: 4)
    monkeypatch.setattr(choice.BackgroundLoad, "share", lambda self: 0.0)
    table = {"onnxruntime 4": 20.0, "onnxruntime 2": 30.0, "openvino 4": 10.0, "openvino 2": 15.0}
    table |= {"onnxruntime 1": 40.0, "openvino 1": 25.0}

    def measure(model, candidates, input_size):
        table["measured"] = table.get("measured", 0) + 1
        return {f"{name} {how.threads}": table[f"{name} {how.threads}"] for name, how in candidates}

    monkeypatch.setattr(choice, "_measure", measure)
    return table


def test_the_fastest_is_chosen_and_remembered(speeds, tmp_path) -> None:
    first = choose()
    assert (first.backend, first.options.threads, first.remembered) == ("openvino", 4, False)
    assert "openvino, 4 threads (measured now" in str(first) and "20.0 ms" in str(first)
    again = choose()
    assert again.remembered and speeds["measured"] == 1 and "measured before" in str(again)
    assert choose("pm", RuntimeOptions(threads=2)).measured_ms == {
        "onnxruntime 2": 30.0,
        "openvino 2": 15.0,
    }
    assert speeds["measured"] == 1, "what is known is not measured again"
    choose(input_size=256)
    choose(options=RuntimeOptions(threads=1))
    assert speeds["measured"] == 3, "another size or thread count is"
    stored = json.loads((tmp_path / "litepose" / "backends.json").read_text())
    assert len(stored) == 2 and all(cpu_name() in key for key in stored)


def test_the_usual_runtime_stays_where_it_is_about_as_fast(speeds) -> None:
    speeds |= {"openvino 4": 19.5, "openvino 2": 19.5}
    assert choose().backend == "onnxruntime"


def test_what_a_busy_machine_says_is_not_remembered(speeds, monkeypatch) -> None:
    monkeypatch.setattr(choice.BackgroundLoad, "share", lambda self: 0.5)
    assert choose().busy and "not remembered" in str(choose()) and speeds["measured"] == 2
    monkeypatch.setattr(choice.BackgroundLoad, "share", lambda self: None)
    assert not choose().busy and choose().remembered


def test_a_damaged_or_forbidden_cache_costs_only_a_measurement(
    speeds, tmp_path, monkeypatch
) -> None:
    folder = tmp_path / "litepose"
    folder.mkdir()
    for text in ("", "[1]", '{"a": 3}', '{"a": {"b": "c"}}', "\x00"):
        (folder / "backends.json").write_text(text)
        assert choose().backend == "openvino"
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not choose().remembered and not choose().remembered


def test_options_of_one_backend_leave_only_that_one(speeds) -> None:
    assert choose(options=RuntimeOptions(precision="bfloat16")).backend == "openvino"
    found = choose(options=RuntimeOptions(threads=1, providers=("XExecutionProvider",)))
    assert found.backend == "onnxruntime" and found.options.threads == 1
    assert "nothing else here" in str(found) and speeds["measured"] == 1


def test_auto_opens_what_was_chosen(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choice, "installed_backends", lambda model: ["onnxruntime"])
    monkeypatch.setattr(choice, "_RUNS", (1, 1))
    monkeypatch.setattr(choice.BackgroundLoad, "share", lambda self: 0.0)
    model = litepose.load("p", backend="auto", input_size=128)
    assert model.backend.name == "onnxruntime"
    assert (tmp_path / "litepose" / "backends.json").is_file() == (usable_cores() > 1)
    with pytest.raises(LitePoseError, match="no weights for litepose-xs"):
        monkeypatch.setattr(choice, "installed_backends", lambda model: [])
        litepose.load("xs", backend="auto")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "max 100000"}, 64),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ({}, 64),
    ],
)
def test_a_containers_share_of_the_cores_counts(monkeypatch, tmp_path, files, cores) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    for name, text in files.items():
        path = Path(tmp_path / name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert usable_cores(tmp_path) == cores


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/dev/full", "folder", "itself"])
def test_what_is_no_file_in_place_of_the_cache_does_not_hang(speeds, tmp_path, kind: str) -> None:
    cache = tmp_path / "litepose" / "backends.json"
    cache.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(cache)
    elif kind == "folder":
        cache.mkdir()
    else:
        cache.symlink_to(cache if kind == "itself" else kind)
    first = choose("p")
    assert not first.remembered
    assert choose("p").remembered is (kind != "folder") and Path("/dev/zero").exists()


def test_the_cache_folder_is_where_the_system_has_it(monkeypatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/user")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    for platform, folder in {
        "linux": "/home/user/.cache/litepose",
        "darwin": "/home/user/Library/Caches/litepose",
        "win32": "/local/litepose",
    }.items():
        monkeypatch.setattr("litepose.inference.system.sys.platform", platform)
        assert cache_folder() == Path(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/litepose")
