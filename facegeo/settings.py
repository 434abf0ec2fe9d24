"""Which settings of a run can change its numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WITHOUT_EFFECT = (
    "study",
    "about",
    "objective",
    "wandb",
    "dry_run",
    "out",
    "name",
    "logger",
    "splits",
    "also_on",
    "accelerator",
    "panels",
    "trainer.accelerator",
    "trainer.enable_model_summary",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "procedure.progress",
    "procedure.checkpoint_every",
    "procedure.validate_every",
    "data.cache_dir",
    "data.coding",
    "data.num_workers",
)
"""Keys that change no weight but for rounding: a run may go on with others."""


def effective(overrides: Iterable[str]) -> list[str]:
    """Those words ``key=value`` of a command whose key can change a number.

    >>> effective(["seed=1", "out=runs", "trainer.enable_progress_bar=False"])
    ['seed=1']
    """
    return [word for word in overrides if not _is_without_effect(word.split("=")[0].lstrip("+~"))]


def _is_without_effect(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in WITHOUT_EFFECT)


def with_effect(config: object, prefix: str = "") -> dict[str, Any]:
    """Dotted keys and values of a plain configuration, less those ``WITHOUT_EFFECT``."""
    if prefix == "procedure.callbacks":
        return _callbacks(config)
    if not isinstance(config, Mapping) or not config:
        return {prefix: config}
    return {
        key: value
        for name, node in config.items()
        for path in [f"{prefix}.{name}" if prefix else str(name)]
        if path not in WITHOUT_EFFECT
        for key, value in with_effect(node, path).items()
    }


def _callbacks(config: object) -> dict[str, Any]:
    """Callbacks but for the package's own, which look on; others may change a weight."""
    listed = config if isinstance(config, Sequence) else []
    own = "facegeo.callbacks."
    others = [one for one in listed if not str(one.get("_target_", "")).startswith(own)]
    return {"procedure.callbacks": others} if others else {}
