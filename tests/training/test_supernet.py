"""Training a supernet: every architecture learns, one file holds it, a run can be taken up."""

from __future__ import annotations

import pytest
import torch
from tests.training.runs import config, same

from litepose.core.errors import LitePoseError
from litepose.models.checkpoint import load_checkpoint
from litepose.models.supernet import load_supernet
from litepose.training.distributed import Processes
from litepose.training.run import Run
from litepose.training.trainer import train

SUPERNET = {"widths": [1.0, 0.5], "fewer_blocks": 1, "expansions": [3], "samples": 1}


@pytest.fixture(scope="module")
def trained(people, tmp_path_factory):
    output = tmp_path_factory.mktemp("supernet") / "run"
    before = torch.get_num_threads()
    assert train(config(people, output, supernet=SUPERNET)).finished
    torch.set_num_threads(before)
    return output


@pytest.mark.slow
def test_files(trained) -> None:
    supernet = load_supernet(trained / "last.supernet.safetensors")
    plain, info = load_checkpoint(trained / "last.safetensors")
    assert info.arch == supernet.space.largest.to_dict()
    assert same(dict(plain.state_dict()), dict(supernet.network.state_dict()))


@pytest.mark.slow
def test_every_size_is_trained(people, trained, tmp_path) -> None:
    """A weight of the last block, one of the first channels, and one of the last move."""
    alone = Processes(0, 1, torch.device("cpu"))
    start = Run(config(people, tmp_path / "run", supernet=SUPERNET), alone).model.network
    end = load_supernet(trained / "last.supernet.safetensors").network
    moved = {
        name: (after - before).abs()
        for (name, before), after in zip(
            start.named_parameters(), dict(end.named_parameters()).values(), strict=True
        )
    }
    last = f"blocks.{len(start.blocks) - 2}.expand.weight"
    assert moved[last].max() > 0
    assert moved["blocks.0.project.weight"][0].max() > 0
    assert moved["blocks.0.project.weight"][-1].max() > 0


@pytest.mark.slow
def test_resumed_is_undisturbed(people, trained, tmp_path, threads_as_before) -> None:
    settings = config(people, tmp_path / "run", supernet=SUPERNET)
    assert not train(settings, stop_after=0.0).finished
    while not train(settings, resume=True).finished:
        pass
    files = [folder / "last.supernet.safetensors" for folder in (trained, tmp_path / "run")]
    assert same(*(load_supernet(file).state_dict() for file in files))


@pytest.mark.slow
def test_interpolated_weights_are_refused(people, trained, tmp_path, threads_as_before) -> None:
    model = {"name": "", "init": str(trained / "last.safetensors"), "weight_interpolation": 0.5}
    settings = config(people, tmp_path / "run", supernet=SUPERNET, model=model)
    with pytest.raises(LitePoseError, match="supernet is trained by one process"):
        train(settings)


def test_unknown_key_is_named(people, tmp_path) -> None:
    with pytest.raises(LitePoseError, match=r"supernet\.width.*widths"):
        config(people, tmp_path / "run", supernet={"width": [1.0]})
