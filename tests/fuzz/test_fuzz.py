"""Two thousand damaged inputs of all kinds, the same every time: none does harm."""

from __future__ import annotations

import pytest

from tests.fuzz.hunt import hunt


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [0])
def test_damaged_inputs_do_no_harm(seed: int) -> None:
    found = hunt(seed, range(2000))
    assert not found.findings, "\n\n".join(found.findings)
    assert found.tried.total() == 2000 and min(found.tried.values()) >= 10


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_input_is_the_same_in_every_hunt() -> None:
    """So that what is found can be tried again alone."""
    together, alone = hunt(5, range(20, 30)), hunt(5, range(25, 26))
    assert alone.tried.total() == 1 and set(alone.tried) <= set(together.tried)
