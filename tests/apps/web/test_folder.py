"""The exported folder: what is in it, and a sentence for what is missing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from litepose.apps.cli.main import main
from litepose.apps.web.folder import RUNTIMES, read_folder
from litepose.apps.web.server import page_files
from litepose.core.errors import LitePoseError


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Stands for onnxruntime-web: the same names."""
    folder = tmp_path / "onnxruntime-web"
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "onnxruntime-web"}')
    for three in RUNTIMES.values():
        for name in three:
            (folder / "dist" / name).write_text(f"stands for {name}")
    (folder / "dist/ort.all.js").write_text("not wanted")
    return folder


def export(*more: str) -> int:
    return main(["export", "--format", "web", *more])


def test_the_folder_holds_all_that_the_page_needs(package: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert export("--runtime", str(package), "--output", str(out)) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    names = {path.name for path in out.iterdir()}
    assert names == set(report["files"]) and "ort.all.js" not in names
    settings = json.loads((out / "settings.json").read_text())
    model = out / settings["model"]["file"]
    assert model.stat().st_size == settings["model"]["bytes"]
    assert settings["model"]["info"]["name"] == "litepose-p"
    for runtime in settings["runtimes"].values():
        assert gzip.decompress((out / runtime["binary"]).read_bytes()).startswith(b"stands for")
        assert {runtime["script"], runtime["glue"]} <= names
    worker = (out / "sw.js").read_text()
    assert settings["version"] in worker and "@" not in worker
    assert '"decode.js"' in worker and ".onnx" not in worker, "large files are kept when used"


def test_the_version_changes_with_the_content(package: Path, tmp_path: Path) -> None:
    versions = []
    for _ in range(3):
        assert export("--runtime", str(package), "--output", str(tmp_path / "out")) == 0
        versions.append(json.loads((tmp_path / "out/settings.json").read_text())["version"])
        if len(versions) == 2:
            (package / "dist/ort.wasm.min.mjs").write_text("another release")
    assert versions[0] == versions[1] != versions[2]


def test_the_server_takes_the_folder(package: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export("--runtime", str(package), "--output", str(out)) == 0
    (out / "secret.txt").write_text("not of the page")
    found = page_files(out)
    settings = json.loads(found["/settings.json"][0])
    assert {"server", "model"} <= set(settings)
    assert "/secret.txt" not in found and "/sw.js" in found and found["/"] == found["/index.html"]


def test_what_is_missing_is_a_sentence(package: Path, tmp_path: Path, capsys) -> None:
    assert export() == 2
    assert "npm install onnxruntime-web@1.30" in capsys.readouterr().err
    (package / "dist/ort.webgpu.min.mjs").unlink()
    assert export("--runtime", str(package), "--output", str(tmp_path / "out")) == 2
    assert "ort.webgpu.min.mjs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (package / "package.json").write_text('{"name": "left-pad"}')
    assert export("--runtime", str(package)) == 2


def test_other_files_are_not_written_over(package: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/index.html").write_text("mine")
    assert export("--runtime", str(package), "--output", str(tmp_path / "mine")) == 2
    assert "holds other files" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["index.html"]


def test_options_of_other_formats_are_refused(package: Path, capsys) -> None:
    assert export("--runtime", str(package), "--decoder") == 2
    assert "--decoder is for other formats" in capsys.readouterr().err
    assert main(["export", "--format", "onnx", "--runtime", str(package)]) == 2
    assert "--runtime is for the format web" in capsys.readouterr().err


def test_a_folder_that_is_no_export_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LitePoseError, match="litepose export --format web"):
        read_folder(tmp_path)
    (tmp_path / "settings.json").write_text("[]")
    with pytest.raises(LitePoseError, match="no whole folder"):
        read_folder(tmp_path)
