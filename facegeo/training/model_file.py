"""Trained models as one file: weights and the configuration that builds their network.

A file is safetensors: tensors and text, nothing that could run code. It names the kind of its
network, a key of ``kinds()``, and plain settings; nothing is imported by a name from it. Weights
may be stored in 8 bits, with a scale for each first index; they are float32 again once loaded.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from facegeo import __version__
from facegeo.errors import UserError
from facegeo.files.writing import write_whole

FORMAT = "facegeo-model-2"
OLD_FORMAT = "facegeo-model-1"
"""Files of versions whose networks were in ``facegeo.models``: class paths instead of kinds."""
MODEL = "model.safetensors"
SCALE = ".scale"
"""Ends the name of the scales of a tensor that is stored in 8 bits."""
RELEASED = Path(__file__).parents[1] / "released"
KINDS = {
    "Cascade": "facegeo.landmarks.nets",
    "PointStage": "facegeo.landmarks.nets",
    "BoxStage": "facegeo.landmarks.nets",
    "SunNets": "facegeo.landmarks.baselines",
    "ResNetPoints": "facegeo.landmarks.baselines",
    "CasFNE": "facegeo.normals.generator",
    "CAT": "facegeo.normals.generator",
    "AdaIN": "facegeo.normals.generator",
    "FMM": "facegeo.normals.generator",
    "CARN": "facegeo.normals.baselines",
    "Restormer": "facegeo.normals.baselines",
}
"""Networks that a file can hold, by the kind that it names, and the modules that define them."""


@functools.cache
def kinds() -> dict[str, str]:
    """``KINDS``, and those of other installed packages: their entry points ``facegeo.models``."""
    others = {point.name: point.value for point in entry_points(group="facegeo.models")}
    return others | KINDS


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
        config: Plain, resolved configuration that builds ``model``: its networks as ``_target_``,
            as Hydra's configurations name them, or as ``kind``.
        notes: Data, seed, results and so on. Plain JSON values.
        eight_bits: Store tensors of two and more dimensions in 8 bits: a quarter of the size.
    """
    metadata = {
        "format": FORMAT,
        "facegeo": __version__,
        "model": json.dumps(_kinds(config)),
        "notes": json.dumps(notes),
    }
    state = model.state_dict().items()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state}
    if eight_bits:
        tensors = in_eight_bits(tensors)
    write_whole(path, save(tensors, metadata))  # save_file would hide it from other users


def load_model(name: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Build and load a model.

    Args:
        name: A model file, a run folder that holds ``model.safetensors``, or the name of a
            released model such as ``ccnn-lfpw``.

    Returns:
        The network in eval mode, and its notes.

    Raises:
        UserError: If there is no such file, or it is not a model file of facegeo.
    """
    path = find_model(name)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is not a complete safetensors file ({error}); train it again or copy it again"
        ) from error
    if metadata.get("format") not in (FORMAT, OLD_FORMAT):
        raise UserError(
            f"{path} is not a model of facegeo: its format is {metadata.get('format')!r}, "
            f"wanted {FORMAT!r}; use a model.safetensors that facegeo-train wrote"
        )
    try:
        config, notes = _kinds(json.loads(metadata["model"])), json.loads(metadata["notes"])
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
        config: dict[str, Any] = _kinds(json.loads(file.metadata()["model"]))
    return config


def find_model(name: str | Path) -> Path:
    """Path of a model file given as such, as a run folder, or as a released name.

    Raises:
        UserError: If there is no such model; names the searched places and the released models.
    """
    path = Path(name).expanduser()
    for candidate in (path, path / MODEL, RELEASED / f"{name}.safetensors"):
        if candidate.is_file():
            return candidate
    if (path / "config.json").is_file():
        raise UserError(
            f"the training in {path} has not finished: it has no {MODEL} yet; the command that "
            "began it resumes it"
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
            return (opened.metadata() or {}).get("format") in (FORMAT, OLD_FORMAT)
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


def _kinds(node: Any) -> Any:  # noqa: ANN401
    """Replace class paths of our own networks by their kinds; others stay, and are refused."""
    if isinstance(node, list):
        return [_kinds(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    values = {key: _kinds(value) for key, value in node.items()}
    module, _, name = str(values.get("_target_", "")).rpartition(".")
    if name in kinds() and (module == kinds()[name] or module.startswith("facegeo.models.")):
        del values["_target_"]
        partial = values.pop("_partial_", False)
        values = {"kind": name, **({"partial": True} if partial else {}), **values}
    return values


def _build(path: Path, config: object) -> nn.Module:
    """Build the network of a file.

    Raises:
        UserError: If it is of an unknown kind, or its settings do not build it.
    """
    try:
        model = _made(config)
    except UserError as error:
        raise UserError(f"{path} holds {error}") from error
    except Exception as error:  # a constructor may raise anything on values from a file
        raise UserError(
            f"facegeo {__version__} cannot build the model in {path}: {error}"
        ) from error
    if not isinstance(model, nn.Module):
        raise UserError(f"{path} holds a {type(model).__name__}, wanted a network")
    return model


def _made(node: Any) -> Any:  # noqa: ANN401
    if isinstance(node, list):
        return [_made(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    if "_target_" in node:
        raise UserError(f"{node['_target_']}: only these kinds are known: {', '.join(kinds())}")
    values = {key: _made(value) for key, value in node.items() if key not in ("kind", "partial")}
    if "kind" not in node:
        return values
    kind = node["kind"]
    if not isinstance(kind, str) or kind not in kinds():
        raise UserError(f"a network of kind {kind!r}; known are {', '.join(kinds())}")
    network = getattr(importlib.import_module(kinds()[kind]), kind)
    return functools.partial(network, **values) if node.get("partial") else network(**values)
