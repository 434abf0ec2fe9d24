"""Keys of weights: equal for runs of studies that would train the same part alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from facegeo import __version__
from facegeo.settings import with_effect

NO_WEIGHT = (  # what no weight of a stage depends on, or what the data's content stands for
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


def stage_keys(config: Mapping[str, Any], content: str) -> dict[str, str]:
    """A key for each stage of a cascade that the configuration trains.

    Args:
        config: Plain, resolved configuration of a run.
        content: What the training data are: hex digits.

    Returns:
        Keys by stage. A key changes with the stage, those before it, their lengths, the task,
        the data and the seed; not with stages behind it.
    """
    settings = {
        key: value
        for key, value in with_effect(config).items()
        if not any(key == name or key.startswith(f"{name}.") for name in NO_WEIGHT)
    }
    names = list(config["model"]["stages"])[: config["model"].get("count")]
    limit = config["procedure"].get("max_steps")
    keys = {}
    for number, name in enumerate(names):
        later = names[number + 1 :] + list(config["model"]["stages"])[len(names) :]
        shaping = {
            key: min(value, limit) if key.startswith("procedure.steps.") and limit else value
            for key, value in settings.items()
            if not any(_is_of(key, stage) for stage in later)
            and not (number == 0 and key == "data.anchors")  # it has none
        }
        keys[name] = _hash(shaping, content)
    return keys


def generator_key(config: Mapping[str, Any], content: str) -> dict[str, str]:
    """The key of a generator of normals: all that has an effect."""
    settings = {k: v for k, v in with_effect(config).items() if k not in NO_WEIGHT}
    return {"generator": _hash(settings, content)}


def _is_of(key: str, stage: str) -> bool:
    return key.startswith(f"model.stages.{stage}.") or key == f"procedure.steps.{stage}"


def _hash(settings: Mapping[str, Any], content: str) -> str:
    text = json.dumps([__version__, content, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
