"""What happens before the first and after the last job of a sweep; Hydra calls it.

Imports nothing slow: every ``facegeo-train`` builds it.
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from facegeo.folder_lock import LOCK, locked
from facegeo.paths import PLAN, study_folder
from facegeo.settings import effective
from facegeo.whole_file import write_whole

JOBS = "jobs"
SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
FAILED: list[str] = []
"""Folders of the jobs that failed in this process's sweep."""


@dataclass
class Outcome:
    """What became of a job: "done", "done before", "elsewhere", "failed", or a dry run's state."""

    folder: str
    overrides: list[str]
    status: str
    error: str | None = None


class StudyCallback(Callback):
    """Writes a study's plan before the sweep; tells how its jobs ended, and reports, after it."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write down which jobs the study will have, so that missing ones are seen."""
        if config.study is not None and not config.dry_run:
            jobs = planned(config)
            if jobs is not None and composed(config, jobs):
                file = study_folder(config.out, config.study) / PLAN
                command = shlex.join(["facegeo-train", *sys.argv[1:]])
                about = config.about and OmegaConf.to_container(config.about, resolve=True)
                plan = {"study": config.study, "command": command, "about": about, "jobs": jobs}
                with locked(file.with_name(LOCK), wait=True):
                    write_whole(file, json.dumps(united(file, plan), indent=1))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show what became of every job, then the study's table and plots."""
        from rich.console import Console
        from rich.text import Text

        folder = Path(config.hydra.sweep.dir) / JOBS
        files = sorted(folder.glob("[0-9]*.json"))
        outcomes = [Outcome(**json.loads(file.read_text())) for file in files]
        FAILED.extend(outcome.folder for outcome in outcomes if outcome.status == "failed")
        Console().print(Text(summary(outcomes)))
        if config.study is not None and not config.dry_run:
            from facegeo.studies.report import write_report

            study = Path(config.out) / str(config.study)
            try:
                write_report([study])
            except Exception as error:  # Hydra would make a warning of it
                FAILED.append(f"report of {study}")
                print(f"no report: {error}; facegeo-report {study} tries again", file=sys.stderr)


def planned(config: DictConfig) -> list[list[str]] | None:
    """Overrides of every job that Hydra's own sweeper will start; None for another sweeper."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    if config.hydra.sweeper.get("_target_") != SWEEPER:
        return None
    axes = config.hydra.sweeper.get("params") or {}
    given = [f"{key}={value}" for key, value in axes.items()] + list(config.hydra.overrides.task)
    batches = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(given), None)
    return batches[0]


def composed(config: DictConfig, jobs: list[list[str]]) -> bool:
    """Whether every value of every axis has a place in the configuration; Hydra tells why not."""
    load = GlobalHydra.instance().config_loader().load_sweep_config
    seen: set[str] = set()
    try:
        for job in jobs:
            if not seen.issuperset(job):
                load(config, job)
                seen.update(job)
    except HydraException:
        return False
    return True


def united(file: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """A plan with the jobs of an earlier one, and the commands that start them all."""
    try:
        before = json.loads(file.read_text())
        jobs, command = list(before["jobs"]), before["command"]
    except (OSError, ValueError, KeyError, TypeError):
        return plan
    now, then = ({frozenset(effective(job)) for job in some} for some in (plan["jobs"], jobs))
    missing = [job for job in jobs if frozenset(effective(job)) not in now]
    commands = [command] if then - now else []
    if (now - then or not commands) and plan["command"] not in " && ".join(commands).split(" && "):
        commands.append(plan["command"])
    return plan | {"command": " && ".join(commands), "jobs": plan["jobs"] + missing}


def summary(outcomes: list[Outcome]) -> str:
    """Say how many jobs ended how, and why some failed."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    lines = [f"{len(outcomes)} jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items())]
    for outcome in outcomes:
        if outcome.error or outcome.status in ("to do", "begun", "failed before"):
            told = f": {outcome.error}" if outcome.error else ""
            lines.append(
                f"  {outcome.status} {outcome.folder} ({' '.join(outcome.overrides)}){told}"
            )
    if any(outcome.status == "failed" for outcome in outcomes):
        lines.append(
            "The same command tries again what failed, and goes on where a job was stopped."
        )
    return "\n".join(lines)
