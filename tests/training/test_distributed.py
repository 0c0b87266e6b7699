"""The device of a run: one that is not there is a sentence."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from litepose.core.errors import LitePoseError  # noqa: E402
from litepose.training.distributed import open_processes  # noqa: E402

THERE = {
    "cuda": torch.cuda.is_available(),
    "mps": torch.backends.mps.is_available(),
    "xpu": torch.xpu.is_available(),
}


@pytest.mark.parametrize("device", THERE)
def test_a_device_that_is_not_there_is_a_sentence(device: str) -> None:
    if THERE[device]:
        pytest.skip(f"{device} is there")
    with (
        pytest.raises(LitePoseError, match=f"device {device} was asked for and this torch sees"),
        open_processes(device),
    ):
        pass


def test_the_processor_is_there_and_nonsense_is_not() -> None:
    with open_processes("cpu") as group:
        assert group.device.type == "cpu" and group.first
    with pytest.raises(LitePoseError, match="no device is called 'magic'"), open_processes("magic"):
        pass
