"""What `import litepose` offers, and that it costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import litepose


@pytest.mark.parametrize("name", litepose.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(litepose, name) is not None


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, litepose; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_models_are_listed_and_created() -> None:
    assert {"litepose-p", "litepose-pm", "litepose-xs"} <= set(litepose.list_models())
    pytest.importorskip("torch")
    network, info = litepose.create_model("tiny")
    assert info.name == "litepose-tiny" and network.num_keypoints == 17


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Trakcer'"):
        _ = litepose.Trakcer


def test_a_predictor_shows_what_users_need_and_no_more() -> None:
    model = litepose.load("p", threads=1)
    assert {name for name in dir(model) if not name.startswith("_")} == {
        *("predict", "predict_many", "stream", "inspect"),
        *("info", "backend", "limits", "defaults", "corrector"),
    }
