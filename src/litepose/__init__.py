"""litepose: every person in an image and their keypoints, in real time, on an ordinary CPU.

import litepose
model = litepose.load()
poses = model.predict("photo.jpg")
litepose.draw("photo.jpg", poses).save("out.jpg")
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from PIL.Image import Image

    from litepose import video as video
    from litepose.core.errors import LitePoseError as LitePoseError
    from litepose.core.poses import Poses as Poses
    from litepose.core.skeleton import Skeleton as Skeleton
    from litepose.imaging.read import ImageSource, ReadLimits
    from litepose.inference.backend import Precision
    from litepose.inference.one_euro import Smoother as Smoother
    from litepose.inference.predictor import Predictor as Predictor
    from litepose.inference.probabilities import probabilities as probabilities
    from litepose.inference.tracker import Tracker as Tracker

__version__ = "0.2.0"
__all__ = [
    "LitePoseError",
    "Poses",
    "Predictor",
    "Skeleton",
    "Smoother",
    "Tracker",
    "create_model",
    "draw",
    "list_models",
    "load",
    "probabilities",
    "video",
]

_LAZY = {  # imported on first use, so that importing the package is quick
    "LitePoseError": "core.errors",
    "Poses": "core.poses",
    "Predictor": "inference.predictor",
    "Skeleton": "core.skeleton",
    "probabilities": "inference.probabilities",
    "Smoother": "inference.one_euro",
    "Tracker": "inference.tracker",
}

# onnxruntime's telemetry writes files and resolves host names when a session is opened, before
# `disable_telemetry_events` can be called. So it is disabled before onnxruntime is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

DRAWN_FROM = 0.2  # keypoints scoring below are guesses: reported, but not drawn by default


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    effort: str | None = None,
    backend: str | None = None,
    input_size: int | None = None,
    views: Sequence[int] | None = None,
    crops: int | None = None,
    threads: int = 0,
    providers: str | tuple[str, ...] = ("CPUExecutionProvider",),
    device: str = "cpu",
    precision: Precision = "float32",
    limits: ReadLimits | None = None,
) -> Predictor:
    """Open a model: the default one, or one by name (`litepose models`) or file.

    model: None, a name such as "p" or "xs", an .onnx file, an OpenVINO .xml (`litepose[openvino]`),
           a checkpoint (.safetensors), or an official .pth.tar (checkpoints need `litepose[torch]`)
    effort: "fast" (one small view), "usual" (two; the default) or "best" (more views and the flip
           test). The arguments model, input_size, views and crops override it
    backend: "onnxruntime", "openvino" or "torch"; None chooses by the file; "auto" measures once
           which is the fastest here, and remembers it
    input_size: short side in pixels to which images are resized; None means the model's own.
           A larger size finds smaller people and takes longer
    views: several such sizes, such as (256, 512), whose people are merged
    crops: around so many people, best first, the network runs again and finds them more exactly;
           each effort has its number, and 0 where another model, a size or views are given
    threads: for the network; 0 means all cores. providers: of onnxruntime. device: of PyTorch or
           OpenVINO. precision: "bfloat16" is faster in OpenVINO on newer CPUs, but less exact
    limits: limits of reading an image
    Raises LitePoseError if the model, its weights, a package, provider or device is missing.
    """
    from litepose.inference.backend import RuntimeOptions
    from litepose.inference.load import open_predictor

    chosen = (providers,) if isinstance(providers, str) else tuple(providers)
    return open_predictor(
        model,
        effort=effort,
        backend=backend,
        input_size=input_size,
        views=views,
        crops=crops,
        options=RuntimeOptions(threads, chosen, device, precision),
        limits=limits,
    )


def draw(image: ImageSource, poses: Poses, *, threshold: float = DRAWN_FROM) -> Image:
    """The image with all people drawn, as a Pillow image; the input is not changed.

    image: as in `predict`; threshold: keypoints with a lower score are not drawn.
    """
    from PIL import Image as PillowImage

    from litepose.imaging.draw import draw_poses
    from litepose.imaging.read import read_image

    return PillowImage.fromarray(draw_poses(read_image(image), poses, threshold=threshold))


def list_models() -> list[str]:
    """Names of all known models, also of those without weights on this machine."""
    from litepose.models.zoo import MODELS

    return list(MODELS)


def create_model(name: str, skeleton: Skeleton | None = None) -> tuple[Any, Any]:
    """A network (torch) of that name with random weights, and its settings (`ModelInfo`).

    skeleton: the keypoints to find; None means the model's own. Needs `litepose[torch]`.
    """
    from litepose.models.zoo import create

    return create(name, skeleton)


_lazy = lazy(__name__, _LAZY)


def __getattr__(name: str) -> Any:
    return import_module("litepose.video") if name == "video" else _lazy(name)
