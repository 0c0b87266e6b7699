"""Accept open files, torch tensors and paths of other libraries as images.

torch is not imported: tensors are recognized by their methods.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from litepose.core.errors import LitePoseError

_NEAR = 1e-3  # tolerance beyond 0..1, because resizing may overshoot


def plain_source(source: Any) -> Any:
    """Convert an open file, a tensor or a path object to bytes, an array or a path.

    Other sources are returned unchanged. Raises LitePoseError if it holds no image.
    """
    if isinstance(source, os.PathLike) and not isinstance(source, Path):
        name = os.fspath(source)
        return Path(os.fsdecode(name) if isinstance(name, bytes) else name)
    if is_tensor(source):
        return _array_of(source)
    if is_open_file(source):
        return _bytes_of(source)
    return source


def is_image_source(source: Any) -> bool:
    """Whether `read_image` takes an object of this kind."""
    kinds = str | os.PathLike | bytes | bytearray | memoryview | Image.Image | np.ndarray
    return isinstance(source, kinds) or is_tensor(source) or is_open_file(source)


def is_tensor(source: Any) -> bool:
    return type(source).__module__.partition(".")[0] == "torch" and hasattr(source, "detach")


def is_open_file(source: Any) -> bool:
    return hasattr(source, "read") and not isinstance(source, Image.Image | os.PathLike)


def _bytes_of(file: BinaryIO) -> bytes:
    """All bytes, after seeking to the beginning: a file just written is at its end."""
    name = getattr(file, "name", None) or type(file).__name__
    try:
        if hasattr(file, "seekable") and file.seekable():
            file.seek(0)
        content = file.read()
    except (OSError, ValueError) as exc:  # ValueError: it is closed
        raise LitePoseError(f"cannot read the open file {name}: {exc}") from None
    if not isinstance(content, bytes | bytearray | memoryview):
        raise LitePoseError(
            f"the open file {name} gives {type(content).__name__}, not bytes: open it with"
            ' open(path, "rb")'
        )
    return bytes(content)


def _array_of(tensor: Any) -> np.ndarray:
    kind, shape = str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
    wanted = "an image tensor is (H, W, 3) uint8, or (3, H, W) of floats in 0..1"
    if len(shape) == 4:
        raise LitePoseError(f"{wanted}; got {shape}: give a batch as list(tensor)")
    floats = kind in ("float16", "bfloat16", "float32", "float64")
    channels_last = kind == "uint8" and len(shape) == 3 and shape[2] == 3
    if not channels_last and not (floats and len(shape) == 3 and shape[0] == 3):
        turned = len(shape) == 3 and shape[0 if kind == "uint8" else 2] == 3
        hint = ": turn it with .permute(1, 2, 0)" if turned and kind == "uint8" else ""
        hint = ": turn it with .permute(2, 0, 1)" if turned and floats else hint
        raise LitePoseError(f"{wanted}; got {shape} {kind}{hint}")
    tensor = tensor.detach().cpu()
    if channels_last:
        return np.ascontiguousarray(tensor.numpy())
    values = tensor.float().permute(1, 2, 0).numpy()
    if values.size and not (values.min() >= -_NEAR and values.max() <= 1 + _NEAR):  # NaN: neither
        raise LitePoseError(
            f"{wanted}; got values from {values.min():g} to {values.max():g}: undo the"
            " normalization first"
        )
    return np.round(values.clip(0, 1) * 255).astype(np.uint8)
