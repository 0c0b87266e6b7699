"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Workers side by side, each with a thread for every core, would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples on every machine and at every run: what fails is the change, not luck. Failures
# of the past are written down as examples. `make explore` tries new ones, and says how to repeat
# what it finds. A busy machine is no reason to fail: no example has a deadline.
settings.register_profile("fixed", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, database=None, print_blob=True)
settings.load_profile(os.environ.get("LITEPOSE_EXAMPLES", "fixed"))

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images, reference numbers and weights beside the checkout, where they are there."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this checkout: real images and reference numbers absent")
    return SHARED
