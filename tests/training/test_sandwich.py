"""The sandwich rule: what the smaller networks of a supernet learn from."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import pytest

torch = pytest.importorskip("torch")

from litepose.core.maps import Maps  # noqa: E402
from litepose.models.build import arch_from_dict  # noqa: E402
from litepose.models.space import Space  # noqa: E402
from litepose.models.zoo import find_model  # noqa: E402
from litepose.training.config import SupernetConfig  # noqa: E402
from litepose.training.losses import LossRule  # noqa: E402
from litepose.training.objective import Expected  # noqa: E402
from litepose.training.sandwich import sandwich  # noqa: E402


class Recorder:
    """An objective whose losses are what they are computed from."""

    config = SimpleNamespace(loss=LossRule())

    def __init__(self, expected: Expected, maps: Maps) -> None:
        self.expected = lambda _: expected
        self.maps = lambda *_: maps

    def losses(self, maps: Maps, expected: Expected, rule: LossRule | None = None):
        return expected, rule


def learned_from(teacher_tags) -> list[tuple[Expected, LossRule | None]]:
    heat = torch.full((1, 17, 2, 2), 0.5)
    maps = Maps((heat,), (4,), torch.ones(1, 17, 2, 2, 2, requires_grad=True), 4)
    expected = Expected(None, (heat,), (torch.zeros_like(heat),), (heat,), (heat,), teacher_tags)
    supernet = mock.Mock(space=Space(arch_from_dict(find_model("tiny").info.arch)))
    config = SupernetConfig(samples=2, distill_weight=3.0)
    return list(sandwich(supernet, Recorder(expected, maps), None, config, "seed"))


def test_the_largest_learns_from_the_teacher_and_the_others_from_the_largest() -> None:
    tags = torch.zeros(1, 17, 2, 2, 2)
    (largest, own_rule), *others = learned_from(tags)
    assert largest.teacher_tags is tags and own_rule is None
    assert len(others) == 3  # the smallest and two of random genes
    for expected, rule in others:
        assert (expected.teacher_heatmaps[0] == 0.5).all() and rule.dense_weight == 3
        # Where the largest is hot its own tags count: the teacher may be cold there.
        assert (expected.teacher_tags == 1).all() and not expected.teacher_tags.requires_grad
        assert expected.trusted is None and expected.features == ()


def test_tags_are_no_targets_without_those_of_a_teacher() -> None:
    assert all(expected.teacher_tags is None for expected, _ in learned_from(None))
