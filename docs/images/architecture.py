"""Draw architecture.svg beside this file: the published network, P, one block, the decoder.

    python docs/images/architecture.py

Widths, depths and sizes come from the architectures in `models/arch.py`; what is between them
follows `models/litepose.py` and `models/pyramid.py`. Boxes are what flows, at the stride of their
row; arrows are what is done to it.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from litepose.core.skeleton import COCO17
from litepose.models.arch import LitePoseArch, PyramidArch
from litepose.models.zoo_archs import P, S

WIDTH, HEIGHT = 1000, 1112
BOX_W, BOX_H = 134, 42
COLUMNS = (18, 172, 326, 494, 676, 848)  # left edges of boxes
PALETTE = {  # fill and rim
    "image": ("#f4f4f2", "#8a8a86"),
    "trunk": ("#dcebfa", "#2f6fb3"),
    "head": ("#d9f2ea", "#1f8a6b"),
    "heatmaps": ("#ffe9cf", "#d9780a"),
    "tags": ("#ece2fa", "#7a4bc0"),
    "people": ("#fff6cc", "#a88600"),
}
K = COCO17.num_keypoints


class Box(NamedTuple):
    """A rectangle by its upper left corner; its sides' middles are where arrows begin and end."""

    x: float
    y: float
    w: float = BOX_W
    h: float = BOX_H

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + self.h / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.w, self.y + self.h / 2

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.w / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.w / 2, self.y + self.h


class Drawing:
    """Collects SVG elements; arrows lie under boxes whatever comes first."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.boxes: list[str] = []

    def box(self, box: Box, kind: str, *words: str) -> Box:
        fill, rim = PALETTE[kind]
        self.boxes.append(
            f'<rect x="{box.x}" y="{box.y}" width="{box.w}" height="{box.h}" rx="6"'
            f' fill="{fill}" stroke="{rim}" stroke-width="1.4"/>'
        )
        first = box.y + box.h / 2 + 4 - 7.5 * (len(words) - 1)
        for i, word in enumerate(words):
            self.words((box.x + box.w / 2, first + 15 * i), word, bold=i == 0, anchor="middle")
        return box

    def arrow(self, *points: tuple[float, float], bend: float = 0.0) -> None:
        """Through the points in straight lines; with two of them and a bend, as a curve."""
        (x0, y0), *middle, (x1, y1) = points
        if bend:
            path = f"M{x0} {y0}C{x0 + bend} {y0} {x1 - bend} {y1} {x1} {y1}"
        else:
            path = f"M{x0} {y0}" + "".join(f"L{x} {y}" for x, y in (*middle, (x1, y1)))
        self.lines.append(f'<path d="{path}" marker-end="url(#tip)"/>')

    def words(
        self, at: tuple[float, float], text: str, bold: bool = False, anchor: str = "start"
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        self.boxes.append(
            f'<text x="{at[0]}" y="{at[1]}" text-anchor="{anchor}"{weight}>{text}</text>'
        )

    def title(self, y: float, text: str, rest: str) -> None:
        self.boxes.append(
            f'<text x="18" y="{y}" font-size="16" font-weight="600">{text}'
            f'<tspan font-size="12.5" font-weight="400" dx="12">{rest}</tspan></text>'
        )

    def plus(self, x: float, y: float) -> Box:
        self.boxes.append(
            f'<circle cx="{x}" cy="{y}" r="9" fill="white" stroke="#555"/>'
            f'<path d="M{x - 5} {y}h10M{x} {y - 5}v10" stroke="#555" fill="none"/>'
        )
        return Box(x - 9, y - 9, 18, 18)

    def strides(self, rows: dict[int, float]) -> None:
        for stride, y in rows.items():
            self.lines.append(
                f'<path d="M18 {y + BOX_H + 22}H{WIDTH - 18}" stroke="#e4e4e0" stroke-width="1"/>'
            )
            self.words((COLUMNS[0], y + BOX_H + 16), f"stride {stride}")

    def notes(self, row: float, *lines: str) -> None:
        for i, line in enumerate(lines):
            self.words((COLUMNS[1], row + BOX_H + 42 + 16 * i), line)

    def svg(self) -> str:
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
                f' width="{WIDTH}" height="{HEIGHT}" font-family="Helvetica, Arial, sans-serif"'
                ' font-size="12" fill="#22222a">',
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7"'
                ' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8Z" fill="#555"/></marker>'
                "</defs>",
                '<rect width="100%" height="100%" fill="white"/>',
                '<g fill="none" stroke="#555" stroke-width="1.4">',
                *self.lines,
                "</g>",
                *self.boxes,
                "</svg>\n",
            )
        )


def draw_trunk(
    d: Drawing,
    arch: LitePoseArch | PyramidArch,
    rows: dict[int, float],
    places: list[tuple[float, int]],
) -> list[Box]:
    """Image, stem, then a box per stage at (left edge, stride); returns stem and stages."""
    size, stem_width = (
        arch.input_size,
        arch.stem if isinstance(arch, LitePoseArch) else arch.stem[1],
    )
    d.strides(rows)
    image = d.box(Box(COLUMNS[0], rows[2]), "image", "image", f"{size}×{size}×3")
    words = "stem", f"{size // 2}×{size // 2}×{stem_width}"
    trunk = [d.box(Box(COLUMNS[1], rows[2]), "trunk", *words)]
    d.arrow(image.right, trunk[0].left)
    for i, (stage, (x, stride)) in enumerate(zip(arch.stages, places, strict=True), start=1):
        blocks = f"{stage.depth} block{'s' if stage.depth > 1 else ''}"
        side = size // stride
        words = f"stage {i}: {blocks}", f"{side}×{side}×{stage.width}"
        before, here = trunk[-1], d.box(Box(x, rows[stride]), "trunk", *words)
        ends = (before.right, here.left) if before.y == here.y else (before.bottom, here.top)
        d.arrow(*ends)
        trunk.append(here)
    return trunk


def draw_published(d: Drawing, top: float) -> None:
    """S in rows of one stride: the trunk down on the left, the fusion head up on the right."""
    size = S.input_size
    words = f"S is shown: {size}×{size} in, {K} keypoints; XS, M and L differ in widths and size"
    d.title(top, "Lite Pose as published", words)
    rows = {stride: top + 22 + 92 * i for i, stride in enumerate((2, 4, 8, 16))}
    left, right = COLUMNS[1], COLUMNS[2]
    trunk = draw_trunk(d, S, rows, [(left, 4), (left, 8), (left, 16), (right, 16)])
    head: list[Box] = []
    for i, (width, stride) in enumerate(zip(S.deconv, (8, 4, 2), strict=True), start=1):
        side = size // stride
        box = Box(COLUMNS[3], rows[stride] + 33)
        head.append(d.box(box, "head", f"fusion {i}", f"{side}×{side}×{width}"))
    d.arrow((trunk[3].x + 96, trunk[3].y), head[0].left, bend=110)
    d.arrow(trunk[4].right, (head[0].bottom[0], trunk[4].right[1]), head[0].bottom)
    for i in (1, 2):
        d.arrow(head[i - 1].top, head[i].bottom)
        d.arrow(trunk[3 - i].right, head[i].left, bend=90)
    coarse, fine = Box(COLUMNS[5], rows[4], h=24), Box(COLUMNS[5], rows[2])
    tags = Box(COLUMNS[5], rows[4] + 28, h=24)
    d.box(coarse, "heatmaps", f"heatmaps ×{K}")
    d.box(tags, "tags", f"tags ×{K}")
    d.box(fine, "heatmaps", "heatmaps", f"{size // 2}×{size // 2}×{K}")
    for stride, skip, deep in ((4, trunk[1], head[1]), (2, trunk[0], head[2])):
        both = d.plus(COLUMNS[4] + 62, rows[stride] + BOX_H / 2)
        d.arrow(skip.right, both.left)
        d.arrow(deep.right, (both.bottom[0], deep.right[1]), both.bottom)
        for box in (coarse, tags) if stride == 4 else (fine,):
            d.arrow(both.right, box.left, bend=40)
    d.notes(
        rows[16],
        "Fusion: a transposed 4×4 convolution of the deeper and one of the skip path, added up.",
        "Circled plus: a separable 5×5 convolution of each path, added up.",
    )


def draw_p(d: Drawing, top: float) -> None:
    """P in rows of one stride: trunk down on the left, light pyramid up, tags on the right."""
    size = P.input_size
    words = f"{size}×{size} in, {K} keypoints; trunk, pyramid and heatmaps from MoveNet, tags ours"
    d.title(top, "P, the default", words)
    rows = {stride: top + 22 + 76 * i for i, stride in enumerate((2, 4, 8, 16, 32))}
    left, right = COLUMNS[1], COLUMNS[2]
    places = [(left, 4), (left, 8), (left, 16), (right, 16), (right, 32), (COLUMNS[3] - 12, 32)]
    trunk = draw_trunk(d, P, rows, places)
    pyramid = draw_pyramid(d, rows, trunk)
    tag_head = Box(COLUMNS[4] + 6, rows[8])
    d.box(tag_head, "tags", f"tag head: {P.tag_depth} blocks", f"7×7, {P.tag_width} wide")
    for box, end in zip(pyramid, (12, 0, -12), strict=True):
        d.arrow((box.right[0], box.right[1] - end), (tag_head.x, tag_head.left[1] + end), bend=26)
    below = rows[16] + BOX_H + 11
    start, end = trunk[4].x + 112, tag_head.x + 112
    d.arrow((start, trunk[4].bottom[1]), (start, below), (end, below), (end, tag_head.bottom[1]))
    d.lines.append(f'<path d="M{trunk[6].top[0]} {trunk[6].y}V{below}"/>')
    heat, tags = Box(COLUMNS[5], rows[4], h=24), Box(COLUMNS[5], rows[4] + 28, h=24)
    d.box(heat, "heatmaps", f"heatmaps ×{K}")
    d.box(tags, "tags", f"tags ×{K}×2")
    d.arrow((pyramid[2].right[0], heat.left[1]), heat.left)
    d.arrow(tag_head.right, tags.left, bend=24)
    d.notes(
        rows[32],
        "Pyramid: the one below enlarged bilinearly plus a 1×1 of the trunk, then a separable 3×3.",
        "A tag is the cell's own place plus a learned displacement: where the person's middle is.",
    )


def draw_pyramid(d: Drawing, rows: dict[int, float], trunk: list[Box]) -> list[Box]:
    """The top and the pyramid's three boxes, at strides 16, 8, 4; returns the three."""
    side = P.input_size // 32
    words = f"top: {P.top} wide", f"{side}×{side}×{P.pyramid[0]}"
    peak = d.box(Box(COLUMNS[4] - 36, rows[32]), "head", *words)
    d.arrow(trunk[6].right, peak.left)
    pyramid = []
    for stride, width in zip((16, 8, 4), (*P.pyramid[1:], P.pyramid[2]), strict=True):
        side = P.input_size // stride
        box = Box(COLUMNS[3], rows[stride])
        pyramid.append(d.box(box, "head", "pyramid", f"{side}×{side}×{width}"))
    over, start, end = trunk[3].y - 15, trunk[3].x + 112, pyramid[0].x + 22
    d.arrow((start, trunk[3].y), (start, over), (end, over), (end, pyramid[0].y))
    d.arrow((peak.x + 16, peak.y), (peak.x + 16, pyramid[0].right[1]), pyramid[0].right)
    for skip, below, box in ((trunk[2], *pyramid[:2]), (trunk[1], *pyramid[1:])):
        d.arrow(skip.right, box.left)
        d.arrow(below.top, box.bottom)
    return pyramid


def draw_chain(
    d: Drawing, top: float, title: tuple[str, str], chain: list[tuple[str, ...]]
) -> list[Box]:
    d.title(top, *title)
    step = (COLUMNS[-1] - COLUMNS[0]) / (len(chain) - 1)
    boxes = [d.box(Box(COLUMNS[0] + step * i, top + 16), *words) for i, words in enumerate(chain)]
    for a, b in pairwise(boxes):
        d.arrow(a.right, b.left)
    return boxes


def draw() -> str:
    """The whole drawing as SVG text."""
    d = Drawing()
    draw_published(d, 30)
    draw_p(d, 474)
    block = [
        ("trunk", "features", "C wide"),
        ("trunk", "1×1", "6 C wide, ReLU6"),
        ("trunk", "depthwise 7×7", "6 C wide, ReLU6"),
        ("trunk", "1×1", "C wide, linear"),
        ("trunk", "features", "C wide"),
    ]
    boxes = draw_chain(
        d,
        944,
        (
            "A block",
            "inverted bottleneck, its input added where the shape is kept; P's kernels are 3×3",
        ),
        block,
    )
    low = boxes[0].y + BOX_H + 12
    d.arrow(
        boxes[0].bottom, (boxes[0].bottom[0], low), (boxes[-1].bottom[0], low), boxes[-1].bottom
    )
    decoder = [
        ("heatmaps", "peaks", "sub-pixel, with tags"),
        ("tags", "group", "by like tags"),
        ("heatmaps", "fill", "missing keypoints"),
        ("people", "merge", "people found twice"),
        ("people", "people", "in image pixels"),
    ]
    draw_chain(d, 1042, ("The decoder", "from maps to people, without a network"), decoder)
    return d.svg()


if __name__ == "__main__":
    target = Path(__file__).with_suffix(".svg")
    target.write_text(draw(), encoding="utf-8")
    print(target.name)
