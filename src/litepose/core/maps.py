"""Maps: the output of every network, as numpy arrays or torch tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

TAG_UNIT_PX = 32  # positional tags count in this many input pixels


class Maps(NamedTuple):
    """Heatmaps at one or two strides and one tag map, for a batch of B inputs.

    heatmaps: one array (B, K, H, W) per stride, coarse first
    strides:  input pixels per cell of each heatmap, e.g. (4, 2) official, (4,) for P
    tags:     (B, K, T, H, W); T = 1 official, 2 positional
    tag_stride: input pixels per cell of the tag map
    """

    heatmaps: tuple[Any, ...]
    strides: tuple[int, ...]
    tags: Any
    tag_stride: int

    def one(self, i: int) -> Maps:
        """The maps of the i-th input, as a batch of one."""
        heatmaps = tuple(heatmap[i : i + 1] for heatmap in self.heatmaps)
        return self._replace(heatmaps=heatmaps, tags=self.tags[i : i + 1])
