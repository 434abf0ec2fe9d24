"""Which folder a run has, and that no other run has it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from facegeo.checkpoint import MODEL, find_model
from facegeo.errors import UserError
from facegeo.settings import with_effect


def run_folder(cfg: DictConfig) -> Path:
    """Folder of this run: named by the user, or by experiment, seed and a hash of the config."""
    if cfg.name is not None:
        return Path(cfg.out) / str(cfg.name)
    choice = (
        HydraConfig.get().runtime.choices.get("experiment") if HydraConfig.initialized() else None
    )
    title = (choice or "train").replace("/", "-")
    return Path(cfg.out) / f"{title}-seed{cfg.seed}-{config_hash(cfg)}"


def config_hash(cfg: DictConfig) -> str:
    """Eight hex digits that change when a number of the result may change."""
    text = json.dumps(with_effect(plain(cfg)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A composed config as plain values, all resolved."""
    values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    return cast(dict[str, Any], values)


def claim(folder: Path, config: Mapping[str, Any]) -> None:
    """Make the folder this configuration's, or see that it is.

    Raises:
        UserError: If another configuration has it.
    """
    record = folder / "config.json"
    if record.is_file():
        before, now = (
            with_effect(json.loads(text)) for text in (record.read_text(), json.dumps(config))
        )
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
        return
    folder.mkdir(parents=True, exist_ok=True)
    partial = record.with_name(f".{record.name}.{os.getpid()}")
    partial.write_text(json.dumps(config, indent=2))
    partial.replace(record)


def data_choice() -> str:
    """What the user chose for ``data``."""
    return HydraConfig.get().runtime.choices["data"] if HydraConfig.initialized() else "data"


def eval_folder(cfg: DictConfig) -> Path:
    """Folder of an evaluation: named by the user, or by checkpoint, data and a hash."""
    if cfg.name is not None:
        return Path(cfg.out) / str(cfg.name)
    path = find_model(cfg.checkpoint)
    title = f"eval-{path.parent.name if path.name == MODEL else path.stem}-{data_choice()}"
    return Path(cfg.out) / f"{title}-{config_hash(cfg)}"
