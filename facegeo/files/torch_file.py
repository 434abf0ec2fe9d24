"""Weights that others saved with torch: read without running code, checked key by key."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from facegeo.errors import UserError

SHOWN = 4


def read_torch_file(path: Path) -> object:
    """Whatever plain values and tensors a file holds, on the CPU.

    Raises:
        UserError: If there is no such file, it is damaged, or holds more than tensors and plain
            values.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged, or holds more than tensors, numbers and text, which is not read "
            "because it could run code; wanted a file of weights written by torch.save"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} is not a complete file of torch.save ({reason}); copy it again"
        ) from error


def check_tensors(path: Path, found: object, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """See that a file's entries are those of a network: all of them, no others, of its shapes.

    Args:
        path: The file, for messages.
        found: What it holds.
        wanted: Name of every entry, and a tensor of its shape.

    Returns:
        ``found``.

    Raises:
        UserError: If it is not a mapping from names to tensors, names are missing or left over,
            or a shape differs.
    """
    if not isinstance(found, Mapping):
        raise UserError(f"{path} must hold tensors by name, got a {type(found).__name__}")
    missing, left_over = _some(wanted.keys() - found.keys()), _some(found.keys() - wanted.keys())
    if missing or left_over:
        raise UserError(
            f"{path} holds another network: missing {missing or 'none'}; "
            f"left over {left_over or 'none'}"
        )
    tensors: dict[str, Tensor] = {}
    for name, like in wanted.items():
        value = found[name]
        if not isinstance(value, Tensor):
            raise UserError(f"{name} in {path} must be a tensor, got a {type(value).__name__}")
        if value.shape != like.shape:
            want, got = tuple(like.shape), tuple(value.shape)
            raise UserError(f"{name} in {path} must have shape {want}, got {got}")
        tensors[name] = value
    return tensors


def sha256(path: Path) -> str:
    """Hash of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _some(names: Iterable[object]) -> str:
    """The first names and how many more there are; empty for none."""
    ordered = sorted(map(str, names))
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more
