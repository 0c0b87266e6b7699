"""Configurations: read, changed by words, refused with every mistake named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.models import zoo
from litepose.search.config import read_search
from litepose.training.config import TargetConfig, TrainConfig
from litepose.training.config_file import config_from_dict, read_config
from litepose.training.init_weights import make_start
from litepose.training.objective import sigma_of
from litepose.training.sandwich import space_of

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
LEAST = {
    "name": "least",
    "output": "runs/least",
    "epochs": 3,
    "phases": [{"size": 128, "batch_size": 4}],
    "model": {"name": "tiny"},
    "data": {"train": [{"split": "train"}], "val": {"split": "val"}},
}
ON_DEVICE = {"train": [{"packed": "a.lpc"}], "val": {"split": "val"}, "on_device": True}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_we_ship_is_right(path):
    if "evaluations" in path.read_text():
        assert read_search(path).data.images > 0
        return
    config = read_config(path)
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


def test_words_change_values_of_any_kind():
    path = next(path for path in CONFIGS if path.stem == "tiny")
    words = [
        "epochs=50",
        "data.root=some/folder",
        "data.train.0.weight=2.5",
        "targets.rounding=floor",
        "model.freeze=['stem']",
        "optimizer.lr_overrides.stem=1e-4",
    ]
    config = read_config(path, words)
    assert config.epochs == 50 and config.data.root == "some/folder"
    assert config.data.train[0].weight == 2.5 and config.targets.rounding == "floor"
    assert config.model.freeze == ("stem",) and config.optimizer.lr_overrides == {"stem": 1e-4}
    for word, reason in {"epochs": "has the form", "data.train.9.weight=1": "names no key"}.items():
        with pytest.raises(LitePoseError, match=reason):
            read_config(path, [word])


def test_all_mistakes_are_in_one_message():
    wrong = {
        **LEAST,
        "epochss": 4,
        "phases": [{"size": 100, "batch_size": 4}],
        "optimizer": {"lrr": 1e-3, "grad_clip_norm": -1},
        "augment": {"rotatoin": 10},
        "loss": {"heatmap": "focus"},
        "data": {"train": [{"spilt": "train"}], "val": {"split": "val"}},
    }
    with pytest.raises(LitePoseError) as caught:
        config_from_dict(wrong)
    said = str(caught.value)
    for part in (
        "7 mistake(s)", "epochss: unknown key; did you mean 'epochs'?",
        "optimizer.lrr: unknown key; did you mean 'lr'?", "optimizer.grad_clip_norm", "got -1",
        "unknown key 'rotatoin'; did you mean 'rotation'?", "'mse' or 'focal'", "multiple of 32",
        "data.train.0.spilt: unknown key; did you mean 'split'?",
    ):  # fmt: skip
        assert part in said, part


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"model": {"name": "tiny", "weight_interpolation": 0.5}},
            "mixes with the weights of model.init",
        ),
        ({"phases": [{"start": 2, "size": 128, "batch_size": 4}]}, "start at epoch 0"),
        ({"model": {}}, "needs a name"),
        ({"loss": {"dense_weight": 1.0}}, "need a teacher"),
        ({"loss": {"teacher_tag_weight": 1.0}}, "needs a teacher.model"),
        ({"data": {**LEAST["data"], "on_device": True}}, "needs packed training sources"),
        ({"data": ON_DEVICE, "augment": {"mosaic": 0.5}}, "takes no mosaic"),
        ({"data": ON_DEVICE, "augment": {"person_px": [9, 99]}}, "takes no augment.person_px"),
        (
            {"data": {**LEAST["data"], "train": [{"split": "a", "labels_only": True}]}},
            "packed source",
        ),
        ({"data": {"train": [{}], "val": {"split": "val"}}}, "give one of split"),
        ({"augment": {"flip": 2.0}}, "flip must lie in 0..1"),
    ],
)
def test_parts_that_do_not_fit_each_other(changes, reason):
    with pytest.raises(LitePoseError, match=reason):
        config_from_dict({**LEAST, **changes})


def test_phases_follow_each_other():
    phases = [{"size": 128, "batch_size": 4}, {"start": 2, "size": [256, 320], "batch_size": 2}]
    config = config_from_dict({**LEAST, "phases": phases})
    assert [config.phase(epoch).size for epoch in range(4)] == [
        (128,),
        (128,),
        (256, 320),
        (256, 320),
    ]


def test_sigmas_by_keypoint_name():
    table = TargetConfig(heatmap_sigma={"default": 1.15, "nose": 0.9, "left_hip": 1.4})
    sigmas = sigma_of(table, COCO17)
    assert sigmas[COCO17.index("nose")] == 0.9 and sigmas[COCO17.index("left_hip")] == 1.4
    assert sigmas.count(1.15) == 15
    with pytest.raises(LitePoseError, match="did you mean 'left_hip'"):
        sigma_of(TargetConfig(heatmap_sigma={"left_hib": 1.4}), COCO17)


def test_keys_of_the_first_version_name_the_new_key():
    with pytest.raises(LitePoseError, match=r"key 'colour' is now called 'color'"):
        config_from_dict(LEAST | {"augment": {"colour": 0.2}})


def test_an_architecture_is_changed_field_by_field():
    table = {**LEAST, "model": {"name": "tiny", "arch": {"top": 64, "tag_depth": 1}}}
    arch = make_start(config_from_dict(table), None).info.arch
    assert (arch["top"], arch["tag_depth"]) == (64, 1)
    assert arch["heatmap"] == zoo.find_model("tiny").info.arch["heatmap"]
    with pytest.raises(LitePoseError, match="is missing or misnamed"):
        make_start(
            config_from_dict({**table, "model": {"name": "tiny", "arch": {"tops": 1}}}), None
        )
    with pytest.raises(LitePoseError, match=r"leave model\.init out"):
        config_from_dict({**table, "model": {"init": "p", "arch": {"top": 64}}})


def test_the_official_supernet_is_a_configuration():
    config = read_config(next(path for path in CONFIGS if path.stem == "supernet"))
    assert config.supernet is not None
    arch = make_start(config, None).model.arch
    space = space_of(config.supernet, arch, config.phases[0].size)
    smallest = space.arch(space.smallest_genes())
    assert [stage.depth for stage in arch.stages] == [6, 8, 10, 10]
    assert [stage.depth for stage in smallest.stages] == [4, 6, 8, 8]
    assert [stage.width for stage in smallest.stages] == [8, 16, 24, 40]
