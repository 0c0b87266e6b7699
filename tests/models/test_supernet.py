"""Supernet: what it computes is what is extracted; channels in order; its file."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from litepose.core.errors import LitePoseError  # noqa: E402
from litepose.core.skeleton import COCO17  # noqa: E402
from litepose.models import zoo  # noqa: E402
from litepose.models.arch import LitePoseArch, Stage, litepose_info  # noqa: E402
from litepose.models.build import build_network  # noqa: E402
from litepose.models.channel_order import channel_groups, sort_channels  # noqa: E402
from litepose.models.checkpoint import save_checkpoint  # noqa: E402
from litepose.models.space import Space  # noqa: E402
from litepose.models.supernet import (  # noqa: E402
    Supernet,
    load_supernet,
    recalibrate,
    save_supernet,
)

# Its last two stages are equally wide, so that a residual connection joins them.
TIED = LitePoseArch(
    64, 16, (Stage(2, 16, 2), Stage(2, 24, 2), Stage(2, 40, 2), Stage(3, 40, 1)), (32, 24, 24)
)
INFOS = {"litepose": litepose_info("tied", TIED, COCO17), "pyramid": zoo.find_model("tiny").info}


def filled(info, seed: int = 0):
    """A network whose norms do something, in eval mode."""
    torch.manual_seed(seed)
    network = build_network(info)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def images(seed: int = 0, size: int = 64):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


def parts(maps):
    return (*maps.heatmaps, maps.tags)


def close(one, other, tolerance: float = 1e-5) -> bool:
    return all(
        (a - b).abs().max() <= tolerance * max(1, float(b.detach().abs().max()))
        for a, b in zip(parts(one), parts(other), strict=True)
    )


@pytest.fixture(params=sorted(INFOS))
def info(request):
    return INFOS[request.param]


def supernet_of(info, seed: int = 0) -> Supernet:
    network = filled(info, seed)
    space = Space(network.arch, fewer_blocks=1, kernels=(3, 5), expansions=(3,), sizes=(64, 96))
    supernet = Supernet(network, info, space)
    for transform in supernet.transforms.values():
        nn.init.normal_(transform.weight, std=0.2)  # so that a forgotten one shows
    return supernet


@pytest.mark.slow
def test_extracted_equals_the_supernet(info) -> None:
    supernet = supernet_of(info)
    rng, space = random.Random(1), supernet.space
    batches = [images(seed) for seed in range(3)]
    for genes in [space.smallest_genes(), *(space.sample(rng) for _ in range(4))]:
        arch = space.arch(genes)
        network = supernet.extract(arch)
        assert close(supernet.train()(batches[0], arch), network.train()(batches[0]))
        recalibrate(network, batches)
        means = {n: b for n, b in network.named_buffers() if n.endswith("running_mean")}
        own = supernet.weights(arch)
        assert any(not torch.equal(means[n], own[n]) for n in means)  # it did change something
        again = supernet.extract(arch)
        recalibrate(again, batches)
        assert close(again.eval()(batches[0]), network.eval()(batches[0]))


def test_smaller_networks_leave_the_largest_statistics(info) -> None:
    supernet = supernet_of(info).train()
    before = deepcopy(dict(supernet.named_buffers()))
    supernet(images(), supernet.space.arch(supernet.space.smallest_genes()))
    assert all(torch.equal(b, before[n]) for n, b in supernet.named_buffers())
    supernet(images())
    assert not all(torch.equal(b, before[n]) for n, b in supernet.named_buffers())


def test_gradients_reach_the_shared_weights_and_only_the_slice() -> None:
    supernet = supernet_of(INFOS["litepose"]).train()
    arch = supernet.space.arch(supernet.space.smallest_genes())
    sum(part.square().sum() for part in parts(supernet(images(), arch))).backward()
    stem = supernet.network.stem.project.weight.grad
    assert stem[: arch.stem].abs().sum() > 0
    assert stem[arch.stem :].abs().sum() == 0
    assert supernet.transforms["0_0_3"].weight.grad.abs().sum() > 0
    assert supernet.transforms["0_0_5"].weight.grad is None


@pytest.mark.slow
def test_sorting_changes_no_output(info) -> None:
    network = filled(info)
    before = network(images())
    weights = deepcopy(network.state_dict())
    sort_channels(network, info)
    assert close(network(images()), before)
    assert any(not torch.equal(w, weights[n]) for n, w in network.state_dict().items())


def test_important_channels_come_first() -> None:
    info = INFOS["litepose"]
    network = filled(info)
    block = network.stages[1][0]
    with torch.no_grad():  # its last hidden channel is read far more strongly than others
        block.project.weight[:, -1] *= 1000
        marked = block.depthwise.weight[-1].clone()
    sort_channels(network, info)
    assert torch.equal(network.stages[1][0].depthwise.weight[0], marked)


@pytest.mark.slow
def test_every_elastic_width_has_its_group(info) -> None:
    network = filled(info)
    groups = channel_groups(network, info)
    assert all(groups)
    in_groups = {name for group in groups for name, _ in group}
    state = network.state_dict()
    alone = {n for n, t in state.items() if t.ndim and n not in in_groups}
    fixed = (
        "pyramid", "lateral", "fuse", "top.project", "heatmap.project", "heatmap.depthwise",
        "tag.from", "tag.output", ".project.weight", "stem.conv", "stem.depthwise",
    )  # fmt: skip
    assert all(any(part in name for part in fixed) for name in alone), alone


def test_file(info, tmp_path) -> None:
    supernet = supernet_of(info).eval()
    path = tmp_path / "a.safetensors"
    save_supernet(path, supernet, {})
    loaded = load_supernet(path)
    arch = supernet.space.arch(supernet.space.smallest_genes())
    assert loaded.space == supernet.space
    assert close(loaded(images(), arch), supernet(images(), arch), 0)


def test_file_of_another_space_is_refused(tmp_path) -> None:
    supernet = supernet_of(INFOS["pyramid"])
    supernet.space = replace(supernet.space, fewer_blocks=0, kernels=())
    with torch.no_grad():
        supernet.transforms["0_0_5"] = nn.Linear(25, 25)  # a kernel that this space has not
    path = tmp_path / "a.safetensors"
    save_supernet(path, supernet, {})
    with pytest.raises(LitePoseError, match=r"does not fit its space: transforms\.0_0_5"):
        load_supernet(path)


def test_plain_network_is_no_supernet(tmp_path) -> None:
    info = INFOS["pyramid"]
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, filled(info), info)
    with pytest.raises(LitePoseError, match=r"plain network.*supernet\.safetensors"):
        load_supernet(path)


def test_norms_given_back_change_nothing_and_restore_cut_networks() -> None:
    from litepose.models.renorm import with_norms
    from litepose.models.zoo_archs import TINY

    info = replace(INFOS["pyramid"], arch=replace(TINY, norm=False).to_dict())
    torch.manual_seed(0)
    network = build_network(info).eval()
    for name, bias in network.named_parameters():
        if name.endswith(".bias") and name.startswith("blocks"):
            nn.init.normal_(bias)
    batches = [images(seed) for seed in range(4)]
    with torch.no_grad():
        before = network(batches[0])
        normed, changed = with_norms(network, info, batches)
        assert close(normed(batches[0]), before, 1e-4)
        # Half of the hidden channels gone, each output channel has its mean again.
        space = Space(normed.arch, widths=(1.0,), expansions=(3,))
        supernet = Supernet(normed, changed, space)
        cut = supernet.extract(space.arch(space.smallest_genes()))
        every = torch.cat(batches)
        own, damaged = (n.stage_features(every)[0].mean((0, 2, 3)) for n in (normed, cut))
        recalibrate(cut, batches)
        mended = cut.stage_features(every)[0].mean((0, 2, 3))
    assert torch.allclose(mended, own, atol=1e-3)
    assert not torch.allclose(damaged, own, atol=1e-1)


def test_norms_that_are_there_are_not_given_back() -> None:
    from litepose.models.renorm import with_norms

    info = INFOS["pyramid"]
    with pytest.raises(LitePoseError, match="has its batch norms"):
        with_norms(filled(info), info, [])
