"""Plan a sweep before its first job, show a summary and write a report after its last one.

Imports nothing slow: every ``facegeo-train`` builds it.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegeo.errors import UserError
from facegeo.files.shipped import study_folder
from facegeo.runs.folder import plain, run_folder
from facegeo.runs.jobs import JOBS, Outcome, check_job, check_whole_job
from facegeo.runs.plan import PLANNED, Planned, read_planned, write_planned
from facegeo.runs.reuse import effective, variant_key

LEFT = ("to do", "begun", "failed before", "to measure")
GRID = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
"""Hydra's own sweeper, whose jobs are known before the first; others search."""
FAILED: list[str] = []
"""Folders of the jobs that failed in this process's sweep."""
BEGUN: list[DictConfig] = []
"""The sweep that this process has begun and not ended."""


class StudyCallback(Callback):
    """Hydra calls it before and after a sweep."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write a record into the folder of each job of a study, so that reports list them all."""
        for file in _outcomes(config):  # of an earlier sweep in the same folder
            file.unlink()
        if config.study is None:
            return
        try:
            jobs = planned(config)
        except (HydraException, OmegaConfBaseException):  # a job raises it
            return
        except UserError as error:
            print(f"facegeo-train: error: {error}", file=sys.stderr)
            sys.exit(2)  # of other errors Hydra would make a warning, and start the jobs
        if config.dry_run:
            return
        for folder, job in jobs.items():
            write_planned(folder, job)
        BEGUN.append(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show how every job ended, then the study's table and plots."""
        recorded = config.study is not None and not config.dry_run
        if recorded and OmegaConf.select(config, "hydra.sweeper.n_trials"):
            for folder, search in planned(config).items():
                write_planned(folder, replace(search, trials=0))
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


def _outcomes(config: DictConfig) -> list[Path]:
    return sorted((Path(config.hydra.sweep.dir) / JOBS).glob("[0-9]*.json"))


def planned(config: DictConfig) -> dict[Path, Planned]:
    """Plan the jobs of a command.

    Args:
        config: Of the sweep, without the values of its axes.

    Returns:
        Records by folder: of each job, or the one of a search.

    Raises:
        HydraException: If a key does not exist.
        OmegaConfBaseException: If a value is missing.
        UserError: If a value is wrong in any job.
    """
    check_job(config)
    sweeper = config.hydra.sweeper
    axes = dict(sweeper.get("params") or {})
    words = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    fixed = [
        str(word.input_line)
        for word in words
        if not word.is_sweep_override() and word.get_key_element() not in {*axes, "seed"}
    ]
    values = dict(word.split("=", 1) for word in effective(fixed) if "=" in word)
    about = OmegaConf.to_container(config.about, resolve=True) if config.about else None
    search = Planned(
        command=shlex.join(["facegeo-train", *sys.argv[1:]]),
        base=_base(config, fixed),
        shared=" ".join(f"{key}={value}" for key, value in values.items() if key != "ablation"),
        experiment=config.hydra.runtime.choices.get("experiment"),
        overrides=(),
        config={"study": config.study, "about": about},
        order=(time.time(), 0),
        trials=int(sweeper.get("n_trials") or 0),
    )
    study = study_folder(config.out, config.study)
    if sweeper.get("_target_") != GRID:
        return {study / f"search-{search.base}": search}
    jobs = _grid(config, [f"{key}={value}" for key, value in axes.items()], search)
    files = study.glob(f"*/{PLANNED}")
    known = {
        file.parent: one
        for file in files
        for one in read_planned(file.parent)
        if one.base == search.base and one.trials is None
    }
    if known.keys() <= jobs.keys():
        return jobs
    # The command plans some of the study's jobs again: these keep their place.
    return {f: replace(job, order=known.get(f, job).order) for f, job in jobs.items()}


def _grid(config: DictConfig, axes: list[str], search: Planned) -> dict[Path, Planned]:
    """The records of all jobs of Hydra's own sweeper, with the values that they share."""
    words = OverridesParser.create().parse_overrides([*axes, *config.hydra.overrides.task])
    jobs, mistakes = {}, dict[str, None]()
    for number, overrides in enumerate(BasicSweeper.split_arguments(words, None)[0]):
        job = GlobalHydra.instance().config_loader().load_sweep_config(config, overrides)
        try:
            check_whole_job(job)
        except UserError as error:
            mistakes[str(error)] = None
            continue
        experiment = job.hydra.runtime.choices.get("experiment")
        jobs[run_folder(job, experiment)] = replace(
            search,
            experiment=experiment,
            overrides=tuple(overrides),
            config=plain(job),
            order=(search.order[0], number),
            trials=None,
        )
    if mistakes:
        raise UserError("; ".join(mistakes))
    return jobs


def _base(config: DictConfig, fixed: list[str]) -> str:
    """Key of all settings without the study's axes; empty for a study with no axes of its own."""
    if not config.hydra.runtime.choices.get("ablation"):
        return ""
    load = GlobalHydra.instance().config_loader().load_configuration
    return variant_key(plain(load(config.hydra.job.config_name, fixed, RunMode.MULTIRUN)), fixed)


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
