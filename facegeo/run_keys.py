"""Keys of weights: equal for runs of studies that would train the same part alike."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

import facegeo
from facegeo.checkpoint import find_model, is_model
from facegeo.settings import with_effect

NO_WEIGHT = (  # what no weight depends on, or what the data's content stands for
    "data.root",
    "data.train_list",
    "data.test_list",
    "data.title",
    "data.paper",
    "data.on_error",
    "data.prepare",
    "data.eval_batch_size",
    "model.count",
    "procedure.max_steps",
)
SHAPING = ("callbacks", "data", "geometry", "losses", "models", "procedures", "tasks")
"""Parts of the package whose code may change a weight."""


def stage_keys(config: Mapping[str, Any], content: str) -> dict[str, str]:
    """A key for each stage of a cascade that the configuration trains.

    Args:
        config: Plain, resolved configuration of a run.
        content: What the training data are: hex digits.

    Returns:
        Keys by stage. A key changes with the stage, those before it, their lengths, the task,
        the data, the seed and the code; not with stages behind it.
    """
    settings = _settings(config)
    names = list(config["model"]["stages"])[: config["model"].get("count")]
    keys = {}
    for number, name in enumerate(names):
        shaping = {
            key: value
            for key, value in settings.items()
            if _stage_of(key) in (None, *names[: number + 1])
            and not (number == 0 and key == "data.anchors")  # it has none
        }
        keys[name] = _hash(shaping, content)
    return keys


def generator_key(config: Mapping[str, Any], content: str) -> dict[str, str]:
    """The key of a generator of normals; arguments as of ``stage_keys``."""
    settings = _settings(config)
    first = Path(str(settings.get("procedure.weights")))
    first = find_model(first) if is_model(first) else first
    if first.is_file():
        settings["procedure.weights"] = hashlib.sha256(first.read_bytes()).hexdigest()
    return {"generator": _hash(settings, content)}


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """All that has an effect on weights, lengths as they are limited."""
    limit = config["procedure"].get("max_steps")
    found = {}
    for key, value in with_effect(config).items():
        if any(key == name or key.startswith(f"{name}.") for name in NO_WEIGHT):
            continue
        counted = key == "procedure.steps" or key.startswith("procedure.steps.")
        both = counted and isinstance(limit, int) and isinstance(value, int)
        found[key] = min(value, limit) if both else value
    if found.get("trainer.devices") in ("auto", -1, "-1"):  # a joint batch grows with the GPUs
        found["trainer.devices"] = max(1, torch.cuda.device_count())
    return found


def _stage_of(key: str) -> str | None:
    """The stage that a setting is of, if it is of one."""
    match = re.match(r"(?:model\.stages|procedure\.steps)\.(\w+)", key)
    return match[1] if match else None


def _hash(settings: Mapping[str, Any], content: str) -> str:
    text = json.dumps([_code(), torch.__version__, content, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _code() -> str:
    """Hash of the code that trains."""
    package = Path(facegeo.__file__).parent
    files = sorted(file for part in SHAPING for file in (package / part).rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(package)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
