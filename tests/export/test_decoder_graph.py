"""The decoder's first half in the graph says what decode/ says, and its people are the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from litepose.core.geometry import Letterbox  # noqa: E402
from litepose.core.maps import Maps  # noqa: E402
from litepose.core.model_info import DecodeSettings, InputRule, ModelInfo  # noqa: E402
from litepose.core.skeleton import COCO17  # noqa: E402
from litepose.decode.decoder import decode  # noqa: E402
from litepose.decode.merge import ForwardPass, merge_passes, unflip  # noqa: E402
from litepose.decode.peaks import find_candidates  # noqa: E402
from litepose.export.decoded import people_of  # noqa: E402
from litepose.export.decoder_graph import DecoderHalf  # noqa: E402

SIZE_WH = (96, 64)
BOX = Letterbox((192, 128), SIZE_WH, SIZE_WH)


class Painted(nn.Module):
    """In a network's place: maps that were made before, one batch for each look."""

    def __init__(self, *maps: Maps) -> None:
        super().__init__()
        self.maps = list(maps)

    def forward(self, images):
        now = self.maps.pop(0)
        return Maps(
            tuple(map(torch.from_numpy, now.heatmaps)), now.strides, torch.from_numpy(now.tags), 4
        )


def info_for(strides, tag_kind, most: int = 40) -> ModelInfo:
    settings = DecodeSettings(heat_threshold=0.3, max_candidates=most, fill=False)
    return ModelInfo("painted", COCO17, InputRule(64), strides, 4, tag_kind, settings)


def noise_maps(seed: int, strides, tag_size: int, steps: float = 1e6) -> Maps:
    """Noise with peaks at the borders, and with plateaus where it has few `steps`."""
    rng = np.random.default_rng(seed)
    w, h = SIZE_WH
    heat = [
        np.round(rng.random((1, 17, h // s, w // s)) * steps).astype(np.float32) / np.float32(steps)
        for s in strides
    ]
    tags = 3 * rng.random((1, 17, tag_size, h // 4, w // 4)).astype(np.float32)
    return Maps(tuple(heat), strides, tags, 4)


@pytest.mark.parametrize(
    ("strides", "kind", "flip", "steps", "most"),
    [
        ((4,), "positional", False, 1e6, 25),
        ((4,), "positional", False, 12, 400),  # plateaus; merged strides differ in the last digit
        ((4,), "positional", True, 12, 400),
        ((4, 2), "learned", False, 1e6, 25),
        ((4, 2), "learned", True, 1e6, 25),
    ],
)
def test_candidates_are_the_decoders(strides, kind, flip, steps, most) -> None:
    info = info_for(strides, kind, most)
    size = 2 if kind == "positional" else 1
    maps = [noise_maps(seed, strides, size, steps) for seed in range(1 + flip)]
    passes = [ForwardPass(maps[0], BOX)]
    if flip:
        passes.append(ForwardPass(unflip(maps[1], COCO17, kind), BOX))
    graph = DecoderHalf(Painted(*maps), info, flip)  # type: ignore[arg-type]
    scores, xy, tags = (out[0].numpy() for out in graph(torch.zeros(1, 3, *SIZE_WH[::-1])))
    assert scores.shape == (17, most) and xy.shape == (17, most, 2)

    wanted = find_candidates(merge_passes(passes, kind), 0.3, most)
    keypoint, place = np.nonzero(scores > 0)
    assert np.array_equal(keypoint, wanted.keypoint) and len(keypoint) >= 17 * 25
    assert np.allclose(scores[keypoint, place], wanted.scores, atol=1e-6)
    ours = np.column_stack([keypoint, xy[keypoint, place], tags[keypoint, place]])
    theirs = np.column_stack([wanted.keypoint, wanted.cells_xy * strides[-1], wanted.tags])
    for rows in (ours, theirs):  # equal scores may stand in any order
        rows[:] = rows[np.lexsort(np.round(rows[:, 2::-1].T, 2))]
    assert np.allclose(ours, theirs, atol=1e-3)


def test_grouping_outside_gives_the_decoders_people() -> None:
    rng = np.random.default_rng(3)
    info = info_for((4, 2), "learned")
    maps = noise_maps(0, (4, 2), 1)
    heat = tuple(0.2 * h * rng.random(h.shape, dtype=np.float32) for h in maps.heatmaps)
    maps = maps._replace(heatmaps=heat)
    for n in range(3):  # three people, each with a tag of its own
        for k in range(17):
            x, y = rng.integers(2, 46 // 3) + 15 * n, rng.integers(2, 30)
            heat[0][0, k, y // 2, x // 2] += 0.7
            heat[1][0, k, y, x] += 0.5 + 0.1 * rng.random()
            maps.tags[0, k, 0, :, 7 * n : 7 * n + 9] = 5 * n
    info = replace(info, decode=replace(info.decode, person_threshold=0.2))
    scores, xy, tags = DecoderHalf(Painted(maps), info)(torch.zeros(1, 3, 64, 96))  # type: ignore[arg-type]
    ours = people_of(scores[0].numpy(), xy[0].numpy(), tags[0].numpy(), BOX, info)
    theirs = decode([ForwardPass(maps, BOX)], info)
    assert len(theirs) >= 3 and len(ours) == len(theirs) and ours.image_wh == (192, 128)
    assert np.allclose(ours.keypoints_xy, theirs.keypoints_xy, atol=1e-3)
    assert np.allclose(ours.scores, theirs.scores, atol=1e-6)
    assert np.allclose(ours.person_scores, theirs.person_scores, atol=1e-6)


def test_a_small_map_has_all_its_places() -> None:
    info = info_for((4,), "positional")
    info = replace(info, decode=replace(info.decode, max_candidates=900))  # more than cells
    graph = DecoderHalf(Painted(noise_maps(0, (4,), 2)), info)  # type: ignore[arg-type]
    scores, xy, tags = graph(torch.zeros(1, 3, *SIZE_WH[::-1]))
    assert scores.shape == (1, 17, 900) and torch.isfinite(xy).all() and torch.isfinite(tags).all()
    assert (scores[..., -100:] == 0).all()
