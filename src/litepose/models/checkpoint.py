"""Checkpoints: one safetensors file with weights and ModelInfo.

Unlike the official .pth.tar, it has the architecture, skeleton, input rule and decoding in its
header (key `litepose`), and reading it cannot run code. official.py reads the official files.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from litepose.core.errors import LitePoseError
from litepose.core.files import write_atomically
from litepose.core.model_info import METADATA_KEY, ModelInfo
from litepose.models.build import build_network
from litepose.models.network import Network


class Header(NamedTuple):
    """Header of a checkpoint: settings and further text."""

    info: ModelInfo
    extra: dict[str, str]


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    info: ModelInfo,
    extra: Mapping[str, str] | None = None,
    half: bool = False,
) -> None:
    """Write weights and settings to one file, all or nothing.

    extra: further text for the header, such as the training configuration; half: parameters are
    stored as float16, half the size, and widened when they are loaded. The statistics of batch
    norms stay float32: they are few, and a small variance would lose its digits.
    Raises LitePoseError, and keeps an old file, if the weights do not fit `info`, the folder cannot
    be written or the disk is too full.
    """
    state = model.state_dict()
    _check_fit(state, info, f"cannot save {path}")
    if half:
        state |= {name: weight.half() for name, weight in model.named_parameters()}
    write_tensors(path, state, info, extra or {})


def write_tensors(
    path: str | Path, state: Mapping[str, Tensor], info: ModelInfo, extra: Mapping[str, str]
) -> None:
    """One safetensors file with settings and further text in its header, all or nothing."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    metadata = {**extra, METADATA_KEY: info.to_json()}
    write_atomically(path, _in_order(save(plain, metadata=metadata)))


def load_checkpoint(path: str | Path) -> tuple[Network, ModelInfo]:
    """Network in eval mode, and settings. Every weight must exist and fit, without others.

    Raises LitePoseError for a file that is missing, damaged or not ours.
    """
    info = read_header(path).info
    state = read_tensors(path)
    _check_fit(state, info, str(path))
    model = build_network(info)
    take_tensors(model, state, path)
    return model.eval(), info


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file. Raises LitePoseError for a damaged one."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as exc:
        raise LitePoseError(f"{path} is damaged or cut short: {exc}") from None


def take_tensors(model: nn.Module, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Copy tensors whose names and shapes fit. Raises LitePoseError for other types."""
    try:
        model.load_state_dict(state)
    except RuntimeError as exc:  # a type that cannot be converted to float
        raise LitePoseError(f"{path} has weights that are not numbers: {exc}") from None


def read_header(path: str | Path) -> Header:
    """Settings and extra text of a checkpoint, without reading its weights.

    Raises LitePoseError for a file that is missing, damaged or not ours.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
    except OSError as exc:
        raise LitePoseError(f"cannot read {path}: {exc}") from None
    except SafetensorError as exc:
        raise LitePoseError(
            f"{path} is no checkpoint of ours, or cut short ({exc}); official .pth.tar files"
            " are read by `litepose convert`"
        ) from None
    if METADATA_KEY not in metadata:
        raise LitePoseError(f"{path} is a safetensors file without our settings ({METADATA_KEY!r})")
    with _naming(path):
        return Header(ModelInfo.from_json(metadata.pop(METADATA_KEY)), metadata)


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Prefix error messages with the name of the file."""
    try:
        yield
    except LitePoseError as exc:
        raise LitePoseError(f"{path}: {exc}") from None


def _in_order(content: bytes) -> bytes:
    """The file with sorted metadata, so that the same content has the same sha256.

    The format: 8 bytes of header length, a JSON header padded to 8 bytes, the tensors.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def _check_fit(state: Mapping[str, Tensor], info: ModelInfo, where: str) -> None:
    """Raise LitePoseError naming the first weight that does not fit the network of `info`."""
    with torch.device("meta"), _naming(where):
        expected = build_network(info).state_dict()
    for name, tensor in expected.items():
        if name not in state:
            raise LitePoseError(f"{where}: weight {name} of {info.name} is missing")
        if state[name].shape != tensor.shape:
            raise LitePoseError(
                f"{where}: weight {name} of {info.name} should have shape {tuple(tensor.shape)};"
                f" got {tuple(state[name].shape)}"
            )
    for name in state:
        if name not in expected:
            raise LitePoseError(f"{where}: weight {name} has no place in {info.name}")
