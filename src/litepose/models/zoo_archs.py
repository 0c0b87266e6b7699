"""The architectures of the zoo's models, as plain data without torch.

Source: the Lite Pose paper's table for XS, S, M, L; HigherHRNet's code for its two;
docs/models describes P and PM.
"""

from __future__ import annotations

from litepose.models.arch import LitePoseArch, PyramidArch, Stage
from litepose.models.higherhrnet_arch import HigherHRNetArch

# fmt: off
XS = LitePoseArch(
    input_size=256, stem=16, deconv=(16, 24, 24),
    stages=(Stage(6, 16, 2), Stage(8, 32, 2), Stage(10, 48, 2), Stage(10, 80, 1)),
)
S = LitePoseArch(
    input_size=448, stem=16, deconv=(32, 24, 32),
    stages=(Stage(6, 16, 2), Stage(8, 32, 2), Stage(10, 48, 2), Stage(10, 120, 1)),
)
M = LitePoseArch(
    input_size=448, stem=16, deconv=(64, 40, 32),
    stages=(Stage(6, 24, 2), Stage(8, 48, 2), Stage(10, 72, 2), Stage(10, 120, 1)),
)
L = LitePoseArch(
    input_size=512, stem=24, deconv=(64, 40, 32),
    stages=(Stage(6, 24, 2), Stage(8, 64, 2), Stage(10, 96, 2), Stage(10, 160, 1)),
)
# fmt: on

P = PyramidArch(
    input_size=384,
    stem=(32, 16),
    stages=(
        Stage(2, 24, 2, kernel=3),
        Stage(3, 32, 2, kernel=3),
        Stage(4, 64, 2, kernel=3),
        Stage(3, 96, 1, kernel=3),
        Stage(3, 160, 2, kernel=3),
        Stage(1, 320, 1, kernel=3),
    ),
    top=1280,
    pyramid=(64, 32, 24),
    heatmap=96,
    tag_width=96,
    tag_depth=4,
    tag_skips=(48, 64),
    norm=False,
)

PM = PyramidArch(
    input_size=384,
    stem=(48, 24),
    stages=(
        Stage(2, 40, 2, kernel=3),
        Stage(3, 48, 2, kernel=3),
        Stage(4, 96, 2, kernel=3),
        Stage(3, 144, 1, kernel=3),
        Stage(3, 240, 2, kernel=3),
        Stage(1, 480, 1, kernel=3),
    ),
    top=1280,
    pyramid=(64, 32, 24),
    heatmap=96,
    tag_width=128,
    tag_depth=4,
    tag_skips=(48, 64),
    norm=False,
)

TINY = PyramidArch(
    input_size=128,
    stem=(16, 8),
    stages=(
        Stage(1, 16, 2, kernel=3),
        Stage(2, 24, 2, kernel=3),
        Stage(2, 32, 2, kernel=3),
        Stage(1, 48, 1, kernel=3),
        Stage(2, 64, 2, kernel=3),
        Stage(1, 96, 1, kernel=3),
    ),
    top=192,
    pyramid=(32, 24, 24),
    heatmap=48,
    tag_width=48,
    tag_depth=2,
    tag_skips=(24, 24),
)

HIGHER_W32 = HigherHRNetArch(input_size=512, width=32)
HIGHER_W48 = HigherHRNetArch(input_size=640, width=48)
