"""Folders of runs as a training leaves them, without a training."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from facegeo.landmarks.tables import STAGE_COLUMNS
from facegeo.normals.tables import NORMAL_COLUMNS
from facegeo.runs.plan import Planned, write_planned

KeepRun = Callable[..., Path]


def stages(**errors: float) -> dict[str, float]:
    """Metrics of a cascade of which every number of a stage is the same."""
    ends = STAGE_COLUMNS.values()
    return {f"test/{stage}/{end}": value for stage, value in errors.items() for end in ends}


def depths(**errors: float) -> dict[str, float]:
    """Metrics of a generator of normals, alike."""
    ends = NORMAL_COLUMNS.values()
    return {f"test/{t}/{end}": value for t, value in errors.items() for end in ends}


def configured(seed: int, choices: dict[str, Any], about: object) -> dict[str, Any]:
    config: dict[str, Any] = {"seed": seed, "study": "a/study", "about": about}
    config["data"] = {"seed": seed, "batch_size": 64}
    for key, value in choices.items():
        *parts, last = key.split(".")
        node = config
        for part in parts:
            node = node.setdefault(part, {})
        node[last] = value
    return config


@pytest.fixture
def keep_run(tmp_path: Path) -> KeepRun:
    """Writes a run's folder below ``tmp_path/study``.

    ``choices`` become dotted overrides and settings; ``about`` what the study says of itself;
    ``errors`` the errors of a cascade's stages, ``degrees`` those of normals; more goes into the
    record.
    """

    def keep(
        name: str,
        seed: int,
        choices: dict[str, Any] | None = None,
        *,
        about: dict[str, Any] | None = None,
        errors: dict[str, float] | None = None,
        degrees: dict[str, float] | None = None,
        **record: Any,
    ) -> Path:
        folder = tmp_path / "study" / name
        folder.mkdir(parents=True, exist_ok=True)
        config = configured(seed, choices or {}, about)
        kept = {
            "status": "done",
            "error": None,
            "study": "a/study",
            "experiment": "ccnn/tuned",
            "seed": seed,
            "overrides": [f"{k}={v}" for k, v in (choices or {}).items()] + [f"seed={seed}"],
            "data": {"title": "faces", "kind": "LFPWDataModule", "hash": "1234567890abcdef"},
            "git": {"commit": "c0ffee0123456789", "dirty": False},
            "device": "a processor",
            "wall_s": 60.0,
        } | record
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "record.json").write_text(json.dumps(kept))
        metrics = stages(**(errors or {})) | depths(**(degrees or {}))
        if metrics:
            (folder / "metrics.json").write_text(json.dumps(metrics))
        if errors:
            spread = {k: np.full(4, v, np.float32) * [0.5, 1, 1, 1.5] for k, v in errors.items()}
            np.savez_compressed(folder / "test_errors.npz", **spread)
        return folder

    return keep


@pytest.fixture
def keep_plan(tmp_path: Path) -> Callable[..., None]:
    """Writes the records of planned jobs, given by their overrides, into folders of their own."""

    def keep(
        *jobs: list[str],
        base: str = "",
        shared: str = "",
        command: str = "again",
        about: dict[str, Any] | None = None,
        time: float = 0.0,
        trials: int | None = None,
    ) -> None:
        planned = Planned(command, base, shared, None, (), {}, (time, 0))
        for number, words in enumerate(jobs):
            values = dict(word.split("=", 1) for word in words)
            choices = {key: yaml.safe_load(value) for key, value in values.items()}
            config = configured(choices.pop("seed"), choices, about)
            job = replace(planned, overrides=tuple(words), config=config, order=(time, number))
            write_planned(tmp_path / "study" / "+".join(words), job)
        if trials is not None:
            config = {"study": "a/study", "about": about}
            search = replace(planned, config=config, trials=trials)
            write_planned(tmp_path / "study" / f"search-{base}", search)

    return keep
