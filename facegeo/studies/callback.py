"""The plan of a sweep before its first job, its summary and report after its last one.

Imports nothing slow: every ``facegeo-train`` builds it.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegeo.errors import UserError
from facegeo.files.shipped import PLAN, study_folder
from facegeo.files.writing import LOCK, locked, write_whole
from facegeo.runs.jobs import JOBS, Outcome, check_job
from facegeo.runs.plan import Job, Part, read_parts, united, write_parts
from facegeo.runs.reuse import effective, settings_key, variant_key

LEFT = ("to do", "begun", "failed before", "to measure")
SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
FAILED: list[str] = []
"""Folders of the jobs that failed in this process's sweep."""
BEGUN: list[DictConfig] = []
"""The sweep that this process has begun and not ended."""


class StudyCallback(Callback):
    """Hydra calls it: writes a study's plan before a sweep, its summary and report after it."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the study's plan, so that missing jobs can be listed."""
        for file in _outcomes(config):  # of an earlier sweep in the same folder
            file.unlink()
        if config.study is None or config.dry_run:
            return
        try:
            part, file = planned(config), study_folder(config.out, config.study) / PLAN
        except (HydraException, OmegaConfBaseException, UserError):  # the first job raises it
            return
        with locked(file.with_name(LOCK), wait=True):
            _write_plan(file, str(config.study), united(_known(file), part))
        BEGUN.append(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show how every job ended, then the study's table and plots."""
        if config.study is not None and not config.dry_run:
            _end_search(config)
        show_end(config)


def show_end(config: DictConfig) -> None:
    """Show how the jobs of a sweep ended, then the study's table and plots."""
    from rich.console import Console
    from rich.text import Text

    BEGUN.clear()
    outcomes = [Outcome(**json.loads(file.read_text())) for file in _outcomes(config)]
    FAILED.extend(outcome.folder for outcome in outcomes if outcome.status == "failed")
    Console().print(Text(summary(outcomes)), soft_wrap=True)
    if config.study is not None and not config.dry_run:
        from facegeo.studies.report import write_report

        study = Path(config.out) / str(config.study)
        try:
            write_report([study])
        except Exception as error:  # Hydra would make a warning of it
            FAILED.append(f"report of {study}")
            print(f"no report: {error}; facegeo-report {study} tries again", file=sys.stderr)


def show_broken_off() -> None:
    """Show how jobs ended if the launcher died before the end of the sweep."""
    if BEGUN and _outcomes(BEGUN[-1]):
        show_end(BEGUN[-1])


def _end_search(config: DictConfig) -> None:
    """Mark a search as complete; two of its trials may be one run."""
    if not OmegaConf.select(config, "hydra.sweeper.n_trials"):
        return
    part, file = planned(config), study_folder(config.out, config.study) / PLAN
    with locked(file.with_name(LOCK), wait=True):
        parts = [replace(one, trials=0) if one.base == part.base else one for one in _known(file)]
        _write_plan(file, str(config.study), parts)


def _outcomes(config: DictConfig) -> list[Path]:
    return sorted((Path(config.hydra.sweep.dir) / JOBS).glob("[0-9]*.json"))


def _known(file: Path) -> tuple[Part, ...]:
    try:
        return read_parts(json.loads(file.read_text()))
    except (OSError, ValueError):
        return ()


def _write_plan(file: Path, study: str, parts: Sequence[Part]) -> None:
    write_whole(file, json.dumps(write_parts(study, parts), indent=1))


def planned(config: DictConfig) -> Part:
    """The part of a plan that a command asks for.

    Args:
        config: Of the sweep, without the values of its axes.

    Raises:
        HydraException: If a key does not exist.
        OmegaConfBaseException: If a value is missing.
        UserError: If a value is wrong in any job.
    """
    check_job(config)
    axes = dict(config.hydra.sweeper.get("params") or {})
    words = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    fixed = [
        str(word.input_line)
        for word in words
        if not word.is_sweep_override() and word.get_key_element() not in {*axes, "seed"}
    ]
    searched = config.hydra.sweeper.get("_target_") != SWEEPER
    return Part(
        base=_base(config, fixed),
        told=_told(fixed),
        command=shlex.join(["facegeo-train", *sys.argv[1:]]),
        about=_about(config),
        jobs=tuple(_job(config, job) for job in _jobs(config, axes)),
        trials=config.hydra.sweeper.get("n_trials") if searched else None,
    )


def _told(fixed: list[str]) -> str:
    """The overrides that change numbers, the last of each key."""
    said = dict(word.split("=", 1) for word in effective(fixed) if "=" in word)
    return " ".join(f"{key}={value}" for key, value in said.items() if key != "ablation")


def _about(config: DictConfig) -> dict[str, Any]:
    if not isinstance(config.about, DictConfig):  # None, or a mistake that a job raises
        return {}
    return cast(dict[str, Any], OmegaConf.to_container(config.about, resolve=True))


def _jobs(config: DictConfig, axes: dict[str, Any]) -> list[list[str]]:
    """Overrides of every job of Hydra's own sweeper; empty for another sweeper."""
    if config.hydra.sweeper.get("_target_") != SWEEPER:
        return []
    given = [f"{key}={value}" for key, value in axes.items()] + list(config.hydra.overrides.task)
    overrides = OverridesParser.create().parse_overrides(given)
    return BasicSweeper.split_arguments(overrides, None)[0]


def _base(config: DictConfig, fixed: list[str]) -> str:
    """A key of all settings without the study's axes; empty for a study with no axes of its own."""
    if not config.hydra.runtime.choices.get("ablation"):
        return ""
    load = GlobalHydra.instance().config_loader().load_configuration
    loaded = load(config.hydra.job.config_name, fixed, RunMode.MULTIRUN)
    return variant_key(_plain(loaded), fixed)


def _job(config: DictConfig, words: list[str]) -> Job:
    loaded = GlobalHydra.instance().config_loader().load_sweep_config(config, words)
    check_job(loaded)
    plain = _plain(loaded)
    return Job(tuple(words), plain["seed"], settings_key(plain), variant_key(plain, words))


def _plain(config: DictConfig) -> dict[str, Any]:
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    plain = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    return cast(dict[str, Any], plain)


def summary(outcomes: list[Outcome]) -> str:
    """Text: how many jobs ended how, and why some failed."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    lines = [f"{len(outcomes)} jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items())]
    for outcome in outcomes:
        if outcome.error or outcome.status in LEFT:
            why = f": {outcome.error}" if outcome.error else ""
            lines.append(
                f"  {outcome.status} {outcome.folder} ({' '.join(outcome.overrides)}){why}"
            )
    if any(outcome.status == "failed" for outcome in outcomes):
        lines.append("The same command repeats failed jobs and resumes stopped ones.")
    return "\n".join(lines)
