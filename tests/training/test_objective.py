"""Where batch, targets, teacher and network meet."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from litepose.core.errors import LitePoseError
from litepose.core.maps import Maps
from litepose.core.skeleton import COCO17
from litepose.data.sample import Batch
from litepose.models import zoo
from litepose.training.config import TeacherConfig
from litepose.training.config_file import config_from_dict
from litepose.training.features import feature_loss
from litepose.training.objective import Objective, Teacher, normalized

TABLE = {
    "name": "objective",
    "output": "runs/objective",
    "epochs": 1,
    "phases": [{"size": 64, "batch_size": 2}],
    "model": {"name": "tiny"},
    "data": {"train": [{"split": "train"}], "val": {"split": "val"}},
    "teacher": {"model": "tiny", "ignore_above": 0.3},
    "loss": {"heatmap": "focal"},
}


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(2)
    model, info = zoo.create("tiny")
    torch.nn.init.normal_(model.heatmap.project.weight, std=10.0)  # so that keypoints differ
    return model.eval(), info


def batch_of_two(images: torch.Tensor) -> Batch:
    return Batch(
        images=images,
        keypoints_xy=torch.full((2, 1, 17, 2), 20.0),
        visibility=torch.full((2, 1, 17), 2, dtype=torch.uint8),
        valid_mask=torch.ones(2, 16, 16, dtype=torch.bool),
        labeled=torch.ones(2, 17, dtype=torch.bool),
        image_ids=torch.tensor([1, 2]),
        people_complete=torch.tensor([False, True]),
    )


def images(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2, 3, 64, 64), generator=generator, dtype=torch.uint8)


def test_pixels_are_normalized_as_the_network_wants(tiny):
    rule = tiny[1].input
    pixels = normalized(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8), rule)
    torch.testing.assert_close(pixels, torch.ones(1, 3, 2, 2))  # pixel / 127.5 - 1


def test_a_flipping_teacher_sees_the_mirrored_image_mirrored(tiny):
    teacher = Teacher(*tiny, TeacherConfig(model="tiny", flip=True))
    sizes = [(16, 16), (32, 32)]
    seen = teacher(images(), sizes).heatmaps
    mirrored = teacher(images().flip(-1), sizes).heatmaps
    flip_index = torch.from_numpy(COCO17.flip_index)
    for one, other, size in zip(seen, mirrored, sizes, strict=True):
        assert one.shape == (2, 17, *size)
        torch.testing.assert_close(other, one[:, flip_index].flip(-1), atol=1e-4, rtol=1e-4)
    assert (seen[0] - seen[0][:, flip_index]).abs().max() > 0.01


def test_only_incomplete_images_leave_out_what_the_teacher_sees(tiny):
    model, info = tiny
    objective = Objective(config_from_dict(TABLE), info, None)
    batch = batch_of_two(images())
    targets = objective.targets(batch)
    weights = [torch.ones(2, 17, 16, 16)]
    seen = torch.zeros(2, 17, 16, 16)
    seen[:, :, 14, 14] = 0.9  # no person is labeled there
    seen[:, :, 5, 5] = 0.9  # the labeled keypoints are
    left = objective._without_unlabeled(weights, (seen,), targets, batch)[0]
    assert not left[0, :, 14, 14].any() and left[0, :, 5, 5].all()
    assert left[1].all()
    assert torch.isfinite(objective(model, batch).total)


def test_a_teacher_is_believed_but_where_it_misses_a_labeled_keypoint(tiny):
    objective = Objective(config_from_dict(TABLE), tiny[1], None)
    batch = batch_of_two(images())
    batch.labeled[1, 3] = False  # a keypoint that the labels never have
    batch.valid_mask[:, 14:] = False
    targets = objective.targets(batch)
    seen = torch.zeros(2, 17, 16, 16)
    seen[0] = targets.heatmaps[0][0]
    weights = objective._teacher_weights((seen,), targets, batch)[0]
    assert weights[0, :, :14].all() and not weights[:, :, 14:].any()
    assert not weights[1, :, 5, 5].any()  # labeled there, and cold to the teacher
    assert weights[1, :, 12, 12].all()


def test_teacher_maps_in_the_batch_are_the_dense_target(tiny):
    model, info = tiny
    table = {**TABLE, "teacher": {}, "loss": {"heatmap": "focal", "dense_weight": 1.0}}
    table["data"] = {"train": [{"split": "train", "teacher_maps": "a"}], "val": {"split": "val"}}
    objective = Objective(config_from_dict(table), info, None)
    batch = batch_of_two(images())
    with torch.no_grad():
        own = model(normalized(batch.images, info.input)).heatmaps[0]
        agreed = objective(model, batch._replace(teacher_heatmaps=(own * 255).round().byte()))
        denied = objective(model, batch._replace(teacher_heatmaps=(255 - own * 255).round().byte()))
    assert agreed.dense < 0.01 * denied.dense and denied.total > agreed.total


def test_a_teacher_of_two_strides_gives_targets_at_both():
    """A HigherHRNet says where at stride 4 and at stride 2; other sizes get the finer, resized."""
    coarse, fine = torch.rand(2, 17, 16, 16), torch.rand(2, 17, 32, 32)

    class Two(torch.nn.Module):
        def forward(self, pixels):
            return Maps((coarse, fine), (4, 2), torch.zeros(2, 17, 1, 16, 16), 4)

    info = zoo.find_model("higherhrnet-w32").info
    teacher = Teacher(Two(), info, TeacherConfig(model="higherhrnet-w32"))
    seen = teacher(
        torch.zeros(2, 3, 64, 64, dtype=torch.uint8), [(16, 16), (32, 32), (8, 8)]
    ).heatmaps
    assert torch.equal(seen[0], coarse)
    assert torch.equal(seen[1], fine)
    assert seen[2].shape == (2, 17, 8, 8)


def with_features(**teacher):
    table = TABLE | {
        "teacher": {"model": "tiny", "features": ["blocks.1", "tag"], **teacher},
        "loss": {"heatmap": "focal", "feature_weight": 2.0},
    }
    return config_from_dict(table)


def test_features_are_pulled_toward_the_teachers(tiny):
    """Equal networks have no difference; another one has, and its gradient reaches the layers."""
    model, info = tiny
    config = with_features()
    batch = batch_of_two(images())
    same = Objective(config, info, Teacher(deepcopy(model), info, config.teacher), model)
    losses = same(model, batch)
    assert losses.features == 0 and torch.isfinite(losses.total)
    other, _ = zoo.create("tiny")
    taught = Objective(config, info, Teacher(model, info, config.teacher), other)
    losses = taught(other, batch)
    parts = losses._replace(total=0 * losses.total)
    assert losses.features > 0.01
    assert losses.total.item() == pytest.approx(
        (parts.heatmap + 1e-3 * (parts.pull + parts.push) + 2 * parts.features).item(), rel=1e-4
    )
    losses.total.backward()
    assert other.blocks[1].project.weight.grad.abs().max() > 0
    # A network that is not the trained one, as in validation, has no features to compare.
    assert taught(deepcopy(model), batch).features >= 0


def test_tags_are_pulled_toward_the_teachers(tiny):
    model, info = tiny
    table = TABLE | {
        "teacher": {"model": "tiny"},
        "loss": {"heatmap": "focal", "dense_weight": 1.0, "teacher_tag_weight": 3.0},
    }
    config, batch = config_from_dict(table), batch_of_two(images())
    teacher = Teacher(deepcopy(model), info, config.teacher)
    seeing = teacher.model.heatmap.project.bias
    seeing.data.fill_(0.0)  # heat of about a half everywhere
    assert Objective(config, info, teacher)(model, batch).teacher_tags == 0
    other, _ = zoo.create("tiny")
    torch.nn.init.normal_(other.tag.output.weight)
    losses = Objective(config, info, teacher)(other, batch)
    assert losses.teacher_tags > 0.1
    total = losses.heatmap + 1e-3 * (losses.pull + losses.push) + losses.dense
    assert losses.total.item() == pytest.approx((total + 3 * losses.teacher_tags).item(), rel=1e-4)
    cached = (255 * teacher(batch.images, [(16, 16)]).heatmaps[0]).round().byte()
    again = Objective(config, info, teacher)(other, batch._replace(teacher_heatmaps=cached))
    assert again.teacher_tags.item() == pytest.approx(losses.teacher_tags.item(), rel=0.01)


@pytest.mark.parametrize(
    ("features", "message"), [(["blocks.99"], "no layer 'blocks.99'"), (["tags"], "mean 'tag'")]
)
def test_a_layer_that_is_not_there_is_named(tiny, features, message):
    config = with_features(features=features)
    with pytest.raises(LitePoseError, match=message):
        Teacher(deepcopy(tiny[0]), tiny[1], config.teacher)


def test_features_of_other_widths_are_refused():
    with pytest.raises(LitePoseError, match="equal width"):
        feature_loss([torch.zeros(1, 2, 4, 4)], [torch.zeros(1, 3, 4, 4)])
