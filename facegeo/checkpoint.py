"""Trained models as one file: weights and the configuration that builds their network.

A file is safetensors: tensors and text, nothing that could run code. The configuration may only
name networks that ``facegeo.models`` defines. Weights may be stored in 8 bits, with a scale for
each first index; they are float32 again once loaded.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from facegeo import __version__
from facegeo.errors import UserError

FORMAT = "facegeo-model-1"
MODEL = "model.safetensors"
SCALE = ".scale"
"""Ends the name of the scales of a tensor that is stored in 8 bits."""
RELEASED = Path(__file__).parent / "released"


def save_model(
    path: Path,
    model: nn.Module,
    config: Mapping[str, Any],
    notes: Mapping[str, Any],
    *,
    eight_bits: bool = False,
) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: File to write.
        model: Trained network.
        config: Plain, resolved configuration whose ``_target_`` builds ``model``.
        notes: What else a user should know: data, seed, results. Plain JSON values.
        eight_bits: Store tensors of two and more dimensions in 8 bits: a quarter of the size.
    """
    metadata = {
        "format": FORMAT,
        "facegeo": __version__,
        "model": json.dumps(config),
        "notes": json.dumps(notes),
    }
    state = model.state_dict().items()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state}
    if eight_bits:
        tensors = in_eight_bits(tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(save(tensors, metadata))  # save_file would hide it from other users
    partial.replace(path)


def load_model(name: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Build and load a model.

    Args:
        name: A model file, a run folder that holds ``model.safetensors``, or the name of a
            released model such as ``ccnn-lfpw``.

    Returns:
        The network in eval mode, and its notes.

    Raises:
        UserError: If there is no such file, or it is not one of ours.
    """
    path = find_model(name)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}); train it again or copy it again"
        ) from error
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path} is not a model of facegeo: its format is {metadata.get('format')!r}, "
            f"wanted {FORMAT!r}; use a model.safetensors that facegeo-train wrote"
        )
    try:
        config, notes = json.loads(metadata["model"]), json.loads(metadata["notes"])
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{path} does not say what model it holds ({error!r}); train it again or copy it again"
        ) from error
    model = _build(path, config)
    try:
        model.load_state_dict(from_eight_bits(tensors))
    except RuntimeError as error:
        raise UserError(f"the weights in {path} do not fit its own model: {error}") from error
    return model.eval(), notes


def model_config(name: str | Path) -> dict[str, Any]:
    """Return the configuration of a model file that ``load_model`` can load."""
    with safe_open(find_model(name), framework="pt") as file:
        config: dict[str, Any] = json.loads(file.metadata()["model"])
    return config


def find_model(name: str | Path) -> Path:
    """Path of a model file given as such, as a run folder, or as a released name.

    Raises:
        UserError: If there is none; says where it was looked for and what is released.
    """
    path = Path(name).expanduser()
    for candidate in (path, path / MODEL, RELEASED / f"{name}.safetensors"):
        if candidate.is_file():
            return candidate
    if (path / "config.json").is_file():
        raise UserError(
            f"the training in {path} has not finished: it has no {MODEL} yet; the command that "
            "began it goes on with it"
        )
    released = sorted(file.stem for file in RELEASED.glob("*.safetensors"))
    raise UserError(
        f"no model called {name}: there is no such file, no {MODEL} in a folder of that name, "
        f"and released are {', '.join(released) or 'none'}; "
        "name a model file, a run's folder or a released model"
    )


def is_model(name: str | Path) -> bool:
    """Whether a name is of a model file, a run's folder or a released model."""
    path = Path(name).expanduser()
    if path.is_dir():
        return (path / MODEL).is_file() or (path / "config.json").is_file()
    file = path if path.is_file() else RELEASED / f"{name}.safetensors"
    if file.suffix != ".safetensors" or not file.is_file():
        return False
    try:
        with safe_open(file, framework="pt") as opened:
            return (opened.metadata() or {}).get("format") == FORMAT
    except SafetensorError:
        return False


def in_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round the tensors of two and more dimensions to 255 levels for each first index.

    Args:
        tensors: By name; those of floats with two or more dimensions are rounded.

    Returns:
        The same names; rounded ones as int8 (O, ...), their scales, float32 (O,), beside them.
    """
    stored = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.ndim >= 2 and tensor.is_floating_point():
            scale = (tensor.flatten(1).abs().amax(dim=1) / 127).clamp_min(1e-12)
            levels = tensor / scale.view(-1, *[1] * (tensor.ndim - 1))
            stored |= {name: levels.round().to(torch.int8), name + SCALE: scale}
    return stored


def from_eight_bits(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 tensors from what ``in_eight_bits`` made; others stay as they are."""
    tensors = {}
    for name, tensor in stored.items():
        scale = stored.get(name + SCALE)
        if tensor.dtype == torch.int8 and scale is not None:
            tensor = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
        if not (name.endswith(SCALE) and name.removesuffix(SCALE) in stored):
            tensors[name] = tensor
    return tensors


def _build(path: Path, config: object) -> nn.Module:
    """The model that a file asks for, if it asks for nothing else."""
    if "${" in json.dumps(config):  # OmegaConf would look up what it names: files, environment
        raise UserError(f"{path} has an interpolation in its model; wanted plain values")
    for target in _targets(config):
        if not _is_network(target):
            raise UserError(
                f"{path} wants to build {target}; only networks of facegeo.models are allowed"
            )
    try:
        model = instantiate(config)
    except Exception as error:  # whatever a constructor finds wrong with values from a file
        raise UserError(
            f"facegeo {__version__} can not build the model in {path}: {error}"
        ) from error
    if not isinstance(model, nn.Module):
        raise UserError(f"{path} holds a {type(model).__name__}, wanted a network")
    return model


def _is_network(target: str) -> bool:
    """Whether a dotted name is a network's own; ``facegeo.models.ccnn.torch.os`` is not."""
    module, _, name = target.rpartition(".")
    if re.fullmatch(r"facegeo\.models(\.\w+)+", module) is None:
        return False
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return False
    is_class = isinstance(found, type) and issubclass(found, nn.Module)
    return is_class and found.__module__ == module


def _targets(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)
