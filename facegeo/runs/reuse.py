"""Settings that change the numbers of a run, and the keys made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

import facegeo
from facegeo.training.wing import Settings

WITHOUT_EFFECT = (
    *("study", "about", "objective", "wandb", "dry_run", "out", "name", "logger", "splits"),
    *("also_on", "accelerator", "panels", "trainer.accelerator", "trainer.enable_model_summary"),
    *("trainer.enable_progress_bar", "trainer.log_every_n_steps", "procedure.progress"),
    *("procedure.checkpoint_every", "procedure.validate_every"),
    *("data.cache_dir", "data.coding", "data.num_workers"),
)
"""Keys that change weights by rounding at most: a run may be resumed with others."""


def effective(overrides: Iterable[str]) -> list[str]:
    """Keep the words ``key=value`` of a command whose key can change a number.

    >>> effective(["seed=1", "out=runs", "trainer.enable_progress_bar=False"])
    ['seed=1']
    """
    return [word for word in overrides if not _is(word.split("=")[0].lstrip("+~"), WITHOUT_EFFECT)]


def _is(key: str, names: Iterable[str]) -> bool:
    """Whether a key is one of those or below one."""
    return any(key == name or key.startswith(f"{name}.") for name in names)


def with_effect(config: object, prefix: str = "") -> dict[str, Any]:
    """Dotted keys and values of a plain configuration, without those ``WITHOUT_EFFECT``."""
    if prefix == "procedure.callbacks":  # the package's own change no weight
        listed = config if isinstance(config, Sequence) else []
        others = [one for one in listed if not str(one.get("_target_", "")).startswith("facegeo.")]
        return {prefix: others} if others else {}
    if not isinstance(config, Mapping) or not config:
        return {prefix: config}
    return {
        key: value
        for name, node in config.items()
        for path in [f"{prefix}.{name}" if prefix else str(name)]
        if path not in WITHOUT_EFFECT
        for key, value in with_effect(node, path).items()
    }


def settings_key(config: object) -> str:
    """Eight hex digits that change when a number of the result may change."""
    return _digest(with_effect(config))


def variant_key(config: object, words: Iterable[str]) -> str:
    """The same, but equal for all seeds of a variant."""
    return _digest(but_for_the_seed(config, words))


def but_for_the_seed(config: object, words: Iterable[str]) -> dict[str, Any]:
    """Settings with effect, without the seed and the keys that copy it (``data.seed``).

    Args:
        config: Plain.
        words: Overrides; a seed that they set is not a copy.
    """
    chosen = {word.split("=")[0].lstrip("+") for word in words}
    return {
        key: value
        for key, value in with_effect(config).items()
        if key != "seed" and (key.split(".")[-1] != "seed" or key in chosen)
    }


def _digest(settings: object, length: int = 8) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


NO_WEIGHT = (  # no weight depends on them, or the hash of the data's content covers them
    *("data.root", "data.train_list", "data.test_list", "data.title", "data.paper"),
    *("data.on_error", "data.prepare", "data.eval_batch_size", "model.count"),
    "procedure.max_steps",
)
SHAPING = ("files", "geometry", "landmarks", "normals", "training")
"""Parts of the package whose code may change a weight."""


def weight_keys(
    config: Mapping[str, Any], content: str, parts: Callable[..., Mapping[str, Settings]]
) -> dict[str, str]:
    """A key for each part of a model whose weights other runs may take.

    Args:
        config: Plain, resolved configuration of a run.
        content: What the training data are: hex digits.
        parts: ``weight_parts`` of the data.

    Returns:
        Keys by part. A key changes with the settings of its part, the data, torch and the code.
    """
    shaping = parts(config, _settings(config))
    return {
        name: _digest([_code(), torch.__version__, content, settings], 16)
        for name, settings in shaping.items()
    }


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that can change a weight; steps are cut at ``procedure.max_steps``."""
    limit = config["procedure"].get("max_steps")
    found = {}
    for key, value in with_effect(config).items():
        if not _is(key, NO_WEIGHT):
            steps = _is(key, ["procedure.steps"])
            both = steps and isinstance(limit, int) and isinstance(value, int)
            found[key] = min(value, limit) if both else value
    if found.get("trainer.devices") in ("auto", -1, "-1"):  # a joint batch grows with the GPUs
        found["trainer.devices"] = max(1, torch.cuda.device_count())
    return found


@cache
def _code() -> str:
    """Hash of the code that trains."""
    package = Path(facegeo.__file__).parent
    files = sorted(file for part in SHAPING for file in (package / part).rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(package)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
