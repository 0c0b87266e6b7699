"""Our checkpoint file: exact, strict, all or nothing."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from litepose.core.errors import LitePoseError  # noqa: E402
from litepose.core.model_info import ModelInfo  # noqa: E402
from litepose.core.skeleton import CROWDPOSE14, LSP14  # noqa: E402
from litepose.models import zoo  # noqa: E402
from litepose.models.checkpoint import (  # noqa: E402
    load_checkpoint,
    read_header,
    save_checkpoint,
    write_atomically,
)
from litepose.models.layers import fold_batch_norms  # noqa: E402
from litepose.models.network import Network  # noqa: E402

EXTRA = {"config": '{"epochs": 3}', "date": "today", "step": "7", "ap": "0.4"}


@pytest.fixture(scope="module")
def tiny() -> tuple[Network, ModelInfo]:
    torch.manual_seed(3)
    return zoo.create("tiny", LSP14)


@pytest.fixture
def saved(tiny: tuple[Network, ModelInfo], tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, *tiny, extra=EXTRA)
    return path


def test_round_trip(tiny: tuple[Network, ModelInfo], saved: Path) -> None:
    network, info = tiny
    loaded, loaded_info = load_checkpoint(saved)
    assert loaded_info == info and not loaded.training
    state = loaded.state_dict()
    assert list(state) == list(network.state_dict())
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert read_header(saved).extra == EXTRA
    assert zoo.load(str(saved))[1] == info


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xs", "xs-crowdpose"])
def test_round_trip_of_the_official_layout(name: str, tmp_path: Path) -> None:
    network, info = zoo.create(name)
    info = replace(info, name="positional", tag_kind="positional")
    with pytest.raises(LitePoseError, match="should have shape"):
        save_checkpoint(tmp_path / "wrong.safetensors", network, info)
    save_checkpoint(tmp_path / "right.safetensors", network, replace(info, tag_kind="learned"))
    assert type(load_checkpoint(tmp_path / "right.safetensors")[0]) is type(network)


def test_the_same_weights_make_the_same_file(
    tiny: tuple[Network, ModelInfo], saved: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.safetensors"
    save_checkpoint(again, *tiny, extra=EXTRA)
    assert again.read_bytes() == saved.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", saved.name]


@pytest.mark.parametrize("kept", [0, 4, 2000, 500_000, -1])
def test_cut_short(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(LitePoseError, match="cut short"):
        load_checkpoint(saved)


def test_not_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "letter.safetensors"
    path.write_text("Dear reader, " * 1000)
    with pytest.raises(LitePoseError, match="no checkpoint of ours"):
        load_checkpoint(path)
    with pytest.raises(LitePoseError, match="cannot read"):
        load_checkpoint(tmp_path / "absent.safetensors")
    with pytest.raises(LitePoseError, match=r"cannot read|no checkpoint"):
        load_checkpoint(tmp_path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(LitePoseError, match="without our settings"):
        load_checkpoint(path)


def _rewrite(path: Path, state: dict, info: ModelInfo) -> None:
    save_file(state, path, metadata={"litepose": info.to_json()})


def test_weights_that_do_not_fit_are_named(tiny: tuple[Network, ModelInfo], tmp_path: Path) -> None:
    network, info = tiny
    path = tmp_path / "odd.safetensors"
    state = dict(network.state_dict())
    _rewrite(path, {k: v for k, v in state.items() if k != "stem.conv.weight"}, info)
    with pytest.raises(LitePoseError, match=r"stem.conv.weight .* missing"):
        load_checkpoint(path)
    _rewrite(path, state | {"more": torch.zeros(1)}, info)
    with pytest.raises(LitePoseError, match="more has no place"):
        load_checkpoint(path)
    _rewrite(path, state, replace(info, skeleton=zoo.P_INFO.skeleton))  # 17 keypoints said, 14 held
    with pytest.raises(LitePoseError, match=r"heatmap.project.weight .* \(17, 48, 1, 1\)"):
        load_checkpoint(path)
    assert load_checkpoint_skeleton(path, state, replace(info, skeleton=CROWDPOSE14)) == 14


def load_checkpoint_skeleton(path: Path, state: dict, info: ModelInfo) -> int:
    _rewrite(path, state, info)
    return load_checkpoint(path)[0].num_keypoints


def test_wrong_settings_in_the_header(tiny: tuple[Network, ModelInfo], tmp_path: Path) -> None:
    network, info = tiny
    path = tmp_path / "odd.safetensors"
    for change in ({"schema": 99}, {"arch": None}, {"arch": {"family": "vgg"}}, {"color": 1}):
        text = json.dumps(json.loads(info.to_json()) | change)
        save_file(network.state_dict(), path, metadata={"litepose": text})
        with pytest.raises(LitePoseError):
            load_checkpoint(path)


def test_a_folded_network_is_not_saved(tiny: tuple[Network, ModelInfo], tmp_path: Path) -> None:
    network, info = tiny
    with pytest.raises(LitePoseError, match=r"norm\.weight of litepose-tiny is missing"):
        save_checkpoint(tmp_path / "folded.safetensors", fold_batch_norms(network), info)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1_000_000))
    with pytest.raises(LitePoseError, match=r"needs 5.0 MB and the disk has 1.0 MB free"):
        write_atomically(path, bytes(5_000_000))
    monkeypatch.undo()
    monkeypatch.setattr("os.fsync", _no_space)
    with pytest.raises(LitePoseError, match="nothing was overwritten"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(LitePoseError, match="cannot write"):
        write_atomically(tmp_path / "absent/file", b"")


def test_half_a_file_keeps_the_statistics_of_norms(tmp_path: Path) -> None:
    network, info = zoo.create("tiny")
    norm = next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_var.fill_(1e-9)  # float16 makes a zero of it
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_checkpoint(whole, network, info)
    save_checkpoint(half, network, info, half=True)
    assert half.stat().st_size < 0.7 * whole.stat().st_size
    stored, _ = load_checkpoint(half)
    buffers = dict(network.named_buffers())
    assert buffers and all(torch.equal(buffers[n], b) for n, b in stored.named_buffers())
    weights = dict(network.named_parameters())
    assert all(torch.equal(weights[n].half().float(), w) for n, w in stored.named_parameters())
