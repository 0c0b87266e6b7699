"""Choose the effort that keeps up with a video on this machine."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from litepose.apps.cli.options import open_predictor
from litepose.core.console import say
from litepose.core.timing import median_ms
from litepose.inference.predictor import Predictor

FRAME_WH = (1280, 720)
FRAME_MS = 40.0  # 25 frames a second
FRAMES = 3
FRAME_CROPS = 4  # people of a frame


def open_for_video(options: argparse.Namespace) -> Predictor:
    """Open the model of the options; if they name none, the usual effort where it takes at most
    40 ms per frame here, else the fast one. The choice is printed on stderr."""
    chosen = ("effort", "model", "size", "views", "crops")
    if any(getattr(options, name) is not None for name in chosen):
        return open_predictor(options)
    usual = open_predictor(options)
    took = frame_ms(usual)
    if took <= FRAME_MS:
        return usual
    if not options.quiet:
        say(
            f"effort fast, to keep up with the video: a frame at the usual effort takes {took:.0f}"
            f" ms here, at most {FRAME_MS:.0f} are needed (--effort usual overrides this)"
        )
    return open_predictor(argparse.Namespace(**{**vars(options), "effort": "fast"}))


def frame_ms(predictor: Predictor) -> float:
    """Median milliseconds of a frame of a few people, all views whole."""
    frame = np.random.default_rng(0).integers(0, 256, (*FRAME_WH[::-1], 3), dtype=np.uint8)
    settings = replace(predictor.defaults, focus=False, crops=0)
    took = median_ms(lambda: predictor.inspect(frame, settings), FRAMES)
    crops = min(predictor.defaults.crops, FRAME_CROPS)
    if not crops:
        return took
    side = settings.crop_px
    crop, one_view = frame[:side, :side], replace(settings, views=(side,))
    return took + crops * median_ms(lambda: predictor.inspect(crop, one_view), FRAMES)
