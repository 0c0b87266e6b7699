"""Networks to export, and graphs of theirs: a dynamo export takes 10 s and more, so each is made
once a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from litepose.export.exportable import Source, load_source  # noqa: E402
from litepose.imaging.read import read_image  # noqa: E402
from litepose.models import zoo  # noqa: E402

IMAGES = Path(__file__).parents[2] / "examples" / "images"


def trained(name: str) -> Source:
    """A network with random weights whose batch norms do something."""
    torch.manual_seed(0)
    network, info = zoo.create(name)
    network.train()
    with torch.no_grad():
        network(torch.randn(2, 3, 64, 64))
    return Source(network.eval(), info)


@pytest.fixture(scope="session")
def tiny() -> Source:
    return trained("tiny")


@pytest.fixture(scope="session")
def xs() -> Source:
    return trained("xs")


@pytest.fixture(scope="session")
def p() -> Source:
    if zoo.find_weights("p", ".safetensors") is None:
        pytest.skip("P's checkpoint is not beside this checkout")
    return load_source("p")


@pytest.fixture(scope="session")
def images() -> list[np.ndarray]:
    return [read_image(path) for path in sorted(IMAGES.glob("*.jpg"))]


@pytest.fixture(scope="session")
def p_graph(p: Source):
    pytest.importorskip("onnxslim")
    from litepose.export.onnx import build_graph

    return build_graph(p)
