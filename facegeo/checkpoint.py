"""Trained cascades as one file: weights and the configuration that builds their model.

A file is safetensors: tensors and text, nothing that could run code. The configuration may only
name networks that ``facegeo.models`` defines.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from facegeo import __version__
from facegeo.errors import UserError

FORMAT = "facegeo-model-1"
MODEL = "model.safetensors"
RELEASED = Path(__file__).parent / "released"


def save_model(
    path: Path, model: nn.Module, config: Mapping[str, Any], notes: Mapping[str, Any]
) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: File to write.
        model: Trained network.
        config: Plain, resolved configuration whose ``_target_`` builds ``model``.
        notes: What else a user should know: data, seed, results. Plain JSON values.
    """
    metadata = {
        "format": FORMAT,
        "facegeo": __version__,
        "model": json.dumps(config),
        "notes": json.dumps(notes),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _state(model)}
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
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(f"the weights in {path} do not fit its own model: {error}") from error
    return model.eval(), notes


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


def _state(model: nn.Module) -> Iterator[tuple[str, Any]]:
    yield from model.state_dict().items()


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
