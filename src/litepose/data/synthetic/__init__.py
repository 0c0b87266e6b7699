"""Synthetic people with labels in COCO layout, for smoke tests and demos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.data.synthetic.scene import SceneSettings as SceneSettings
    from litepose.data.synthetic.scene import draw_scene as draw_scene
    from litepose.data.synthetic.scene import synthesize as synthesize

_HOMES = {"SceneSettings": "scene", "draw_scene": "scene", "synthesize": "scene"}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
