"""The folder of a run: its name, and the one configuration that may use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from facegeo.errors import UserError
from facegeo.files.shipped import SHARED, SWEEPS, study_folder
from facegeo.files.writing import write_whole
from facegeo.runs.reuse import settings_key, with_effect
from facegeo.training.model_file import MODEL, find_model

CONFIG = "config.json"
"""In a run's folder: the configuration of its last session."""
WORK = ("*.safetensors", "checkpoints/**/*.ckpt", "metrics.json")
"""Files in a run's folder once something was trained or measured."""


def run_folder(cfg: DictConfig, experiment: str | None = None) -> Path:
    """Folder of a run: named by the user, or by study, experiment, seed and config's hash.

    Args:
        cfg: Composed from ``conf/train.yaml``.
        experiment: The choice of ``experiment``; None: as the running job chose.

    Raises:
        UserError: If the study or the name cannot be a folder's.
    """
    folder = study_folder(cfg.out, cfg.study)
    if cfg.name is not None:
        return _named(folder, str(cfg.name))
    title = (experiment or chosen("experiment") or "train").replace("/", "-")
    return folder / f"{title}-seed{cfg.seed}-{config_hash(cfg)}"


def _named(folder: Path, name: str) -> Path:
    """The folder ``name`` in another; raise if it is elsewhere or reserved for sweeps."""
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute() or parts[0] in (SHARED, SWEEPS):
        raise UserError(
            f"name must be that of a new folder in {folder}, such as my_run, and neither {SHARED} "
            f"nor {SWEEPS}, got {name!r}"
        )
    return folder / name


def config_hash(cfg: DictConfig) -> str:
    """Eight hex digits that change when a number of the result may change."""
    return settings_key(plain(cfg))


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A composed config as plain values, all resolved, without Hydra's own node."""
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    values = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    return cast(dict[str, Any], values)


def claim(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the configuration into a run's folder, or compare it with the one there.

    Raises:
        UserError: If another configuration uses the folder.
    """
    record, text = folder / CONFIG, json.dumps(config, indent=2)
    worked = any(next(folder.glob(pattern), None) for pattern in WORK)
    if record.is_file() and not worked:  # a start that failed before any work
        (folder / "split.json").unlink(missing_ok=True)
    elif record.is_file():
        before, now = (with_effect(json.loads(one)) for one in (record.read_text(), text))
        changed = [
            f"{key}: {before.get(key, 'none')} there, {now.get(key, 'none')} now"
            for key in sorted(before.keys() | now.keys())
            if before.get(key, record) != now.get(key, record)
        ]
        if changed:
            more = f"; and {len(changed) - 5} more" if len(changed) > 5 else ""
            raise UserError(
                f"{folder} holds a run with another configuration "
                f"({'; '.join(changed[:5])}{more}); choose another name= or remove the folder"
            )
    write_whole(record, text)


def chosen(group: str) -> str | None:
    """The choice of a config group such as ``experiment``; None if nothing was chosen."""
    if not HydraConfig.initialized():
        return None
    choice: str | None = HydraConfig.get().runtime.choices.get(group)
    return choice


def data_choice() -> str:
    """The choice of ``data``, for messages."""
    return chosen("data") or "data"


def in_sweep() -> bool:
    """Whether this run is one of a Hydra multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def overrides() -> list[str]:
    """Overrides of the command line and the sweep for this run, without Hydra's own keys."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def eval_folder(cfg: DictConfig) -> Path:
    """Folder of an evaluation: named by the user, or by checkpoint, data and a hash."""
    if cfg.name is not None:
        return _named(Path(cfg.out), str(cfg.name))
    path = find_model(cfg.checkpoint)
    title = f"eval-{path.parent.name if path.name == MODEL else path.stem}-{data_choice()}"
    return Path(cfg.out) / f"{title}-{config_hash(cfg)}"
