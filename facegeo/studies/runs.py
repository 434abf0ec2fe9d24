"""Runs of a study and its planned jobs, read from their folders."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from facegeo.errors import UserError
from facegeo.runs.plan import PLANNED, Planned, read_planned
from facegeo.runs.reuse import settings_key, with_effect

Status = Literal["done", "running", "stopped", "failed", "planned"]
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
OLD_PLAN = "plan.json"
"""Of versions that kept the jobs of a study in one file."""


@dataclass(frozen=True)
class StudyRun:
    """One run in its present state, or a planned job.

    Attributes:
        study: Name of its study, such as ``ccnn/shake``.
        experiment: Its experiment's name, or None.
        seed: Its seed.
        overrides: Those of the last command that planned it, as ``key=value``, or its own.
        config: Its resolved configuration, plain values.
        metrics: By name, such as ``test/stage1/error_pct``; empty unless it is done.
        record: Its ``record.json``; empty if there is no such file.
        status: A killed run also has "running"; "planned" was not begun.
        link: Its folder, absolute, or its address (https).
        folder: Its folder, if it is on this machine.
        planned: As commands planned it, one a base, the last one's first.
    """

    study: str
    experiment: str | None
    seed: int | None
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    record: Mapping[str, Any]
    status: Status
    link: str
    folder: Path | None = None
    planned: tuple[Planned, ...] = ()

    def file(self, split: str, end: str) -> Path | None:
        """Path of a file of one split, or of one of the other data sets it was measured on."""
        if self.folder is None:
            return None
        own = self.folder / f"{split}_{end}"
        return own if own.is_file() else self.folder / split / f"test_{end}"

    @property
    def error(self) -> str | None:
        """The error that it failed with, on one line."""
        error = self.record.get("error")
        return None if error is None else " ".join(str(error).split())


@dataclass(frozen=True)
class Study:
    """Runs to compare.

    Attributes:
        name: Such as ``ccnn/shake``.
        runs: In the order in which they were planned; each configuration and seed once.
        about: Its configuration's ``about``: ``question``, ``rows``, ``measure`` and so on.
        searches: Records of its searches, whose runs are not planned one by one.
        notes: Warnings about how the runs were found, a sentence each.
    """

    name: str
    runs: tuple[StudyRun, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    searches: tuple[Planned, ...] = ()
    notes: tuple[str, ...] = ()


def make_study(
    name: str,
    runs: Iterable[StudyRun],
    *,
    about: Mapping[str, Any] | None = None,
    searches: Sequence[Planned] = (),
) -> Study:
    """Put runs in order; of two equal runs keep the finished one, or the one that ended last.

    ``about`` is by default that of the last command or of the runs.
    """
    runs = list(runs)
    kept: dict[str, StudyRun | None] = dict.fromkeys(map(_identity, runs))
    twice: list[str] = []
    rank = {"planned": 0, "done": 2}
    ended = [str(run.record.get("ended") or run.record.get("started") or "") for run in runs]
    worth = [(rank.get(run.status, 1), end, run.link) for run, end in zip(runs, ended, strict=True)]
    for _, run in sorted(zip(worth, runs, strict=True), key=lambda one: one[0]):
        identity = _identity(run)
        if (other := kept[identity]) is not None:
            run = replace(run, planned=run.planned or other.planned)
            if other.status != "planned":
                twice.append(f"{other.link} is left out: {run.link} is the same run again.")
        kept[identity] = run
    if about is None:
        own = (run.config["about"] for run in runs if run.config.get("about"))
        last = last_about([*searches, *(one for run in runs for one in run.planned)])
        about = next(own, {}) if last is None else last
    ordered = sorted(filter(None, kept.values()), key=run_order)
    return Study(name, tuple(ordered), about, tuple(searches), tuple(twice))


def run_order(run: StudyRun) -> tuple[tuple[float, float], list[list[tuple[float, str]]]]:
    """Key that sorts runs as planned, others behind them by the numbers in their overrides."""
    return (run.planned[0].order if run.planned else (math.inf, 0)), natural(run.overrides)


def last_about(planned: Iterable[Planned]) -> Mapping[str, Any] | None:
    """The ``about`` of the last command; None if nothing was planned."""
    last = max(planned, key=lambda one: one.order[0], default=None)
    return None if last is None else last.config.get("about") or {}


def read_folder(folder: Path) -> Study:
    """Read a study from the folders of its jobs.

    A run with a file that cannot be read counts as failed.

    Raises:
        UserError: If it holds no folder of a job.
    """
    if _is_job(folder):
        raise UserError(
            f"{folder} is a single run, not a study folder; pass it as runs=[{folder},...]"
        )
    children = sorted(folder.iterdir()) if folder.is_dir() else []
    jobs = [read_run(child) for child in children if _is_job(child)]
    if not jobs:
        below = [c for c in children if c.is_dir() and any(map(_is_job, c.iterdir()))]
        raise UserError(
            f"{folder} is not the folder of a study: it holds no folder of a job; name one that "
            f"facegeo-train -m study=NAME wrote{f', such as {below[0]}' if below else ''}"
        )
    searches = [one for job in jobs for one in job.planned if one.trials is not None]
    runs = [job for job in jobs if not (job.planned and job.planned[0].trials is not None)]
    if (folder / OLD_PLAN).is_file():
        runs, before = _old_plan(runs, folder / OLD_PLAN)
        searches += before
    name = next((job.study for job in jobs if job.study), folder.name)
    return make_study(name, runs, searches=searches)


def _old_plan(runs: Sequence[StudyRun], path: Path) -> tuple[list[StudyRun], list[Planned]]:
    """Runs and searches as an earlier version planned them, in one file; without jobs not begun."""
    searches, planned = list[Planned](), dict[str, list[Planned]]()
    for place, part in enumerate(_read(path)[0].get("parts", ())):  # the last command's first
        shared = part["command"] or "", part["base"], part["told"]
        config = {"about": part["about"]}
        if part["trials"] is not None:
            searches.append(Planned(*shared, None, (), config, (-place, 0), part["trials"]))
        for number, job in enumerate(part["jobs"]):
            one = Planned(*shared, None, tuple(job["words"]), config, (-place, number))
            planned.setdefault(job["key"], []).append(one)
    found = [planned.get(settings_key(run.config)) for run in runs]
    runs = [
        replace(run, planned=tuple(own), overrides=own[0].overrides)
        if own and not run.planned
        else run
        for run, own in zip(runs, found, strict=True)
    ]
    return runs, searches


def read_run(folder: Path) -> StudyRun:
    """Read one job's folder; a run with a file that cannot be read counts as failed."""
    errors: list[str] = []
    parts: dict[str, Mapping[str, Any]] = {}
    planned = read_planned(folder)
    for name in ("config", "record", "metrics"):
        parts[name], error = _read(folder / f"{name}.json")
        if error and not (name != "config" and error.endswith("is missing")):
            errors.append(error)
    record, config = dict(parts["record"]), parts["config"]
    if planned:
        config = config or planned[0].config
        record |= {"overrides": planned[0].overrides}
        if not _is_run(folder):
            errors, record = [], record | {"status": "planned", "experiment": planned[0].experiment}
    elif (folder / PLANNED).is_file():
        errors.append(f"{folder / PLANNED} cannot be read")
    if errors or record.get("status") == "failed":
        record["status"] = "failed"
        record["error"] = "; ".join([*errors, *filter(None, [record.get("error")])]) or "unknown"
    run = study_run(config, record, parts["metrics"], str(folder.resolve()), folder)
    return replace(run, planned=tuple(planned))


def study_run(
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    metrics: Mapping[str, float],
    link: str,
    folder: Path | None = None,
) -> StudyRun:
    """Return a run from its three files, or W&B's copy; arguments as for ``StudyRun``."""
    status: Status = "done" if metrics else "running"
    if record.get("status") in ("running", "stopped", "failed", "planned"):
        status = cast(Status, record["status"])  # its metrics, if any, are of an earlier session
    return StudyRun(
        study=str(record.get("study") or config.get("study") or ""),
        experiment=record.get("experiment"),
        seed=record.get("seed", config.get("seed")),
        overrides=tuple(map(str, record.get("overrides") or ())),
        config=config,
        metrics=metrics if status == "done" else {},
        record=record,
        status=status,
        link=link,
        folder=folder,
    )


def natural(words: Sequence[str]) -> list[list[tuple[float, str]]]:
    """Key that sorts words with numbers in them by the numbers: 2 before 10."""
    parts = (re.split(r"[=,\s\[\]{}():]+", word) for word in words)
    return [
        [(float(one) if NUMBER.fullmatch(one) else math.inf, one) for one in word] for word in parts
    ]


def run_costs(run: StudyRun) -> dict[str, dict[str, int]]:
    """Parameters and multiplications by entry, from the run's record or else its model file.

    Returns:
        ``{"t2": {"parameters": ..., "macs": ...}}``; empty if there is neither.
    """
    if run.record.get("cost") or run.folder is None:
        return dict(run.record.get("cost") or {})
    from facegeo.training.model_file import MODEL, load_model
    from facegeo.training.wing import model_costs

    try:
        return model_costs(load_model(run.folder / MODEL)[0])
    except UserError:  # no model file, or a broken one
        return {}


def _read(path: Path) -> tuple[Mapping[str, Any], str | None]:
    """An object from a JSON file, and the error if it cannot be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, f"{path} is missing"
    except (OSError, ValueError) as error:
        return {}, f"{path} cannot be read ({error})"
    if not isinstance(values, dict):
        return {}, f"{path} must hold an object, got {type(values).__name__}"
    return values, None


def _is_run(folder: Path) -> bool:
    return any((folder / f"{name}.json").is_file() for name in ("config", "record"))


def _is_job(folder: Path) -> bool:
    return _is_run(folder) or (folder / PLANNED).is_file()


def _identity(run: StudyRun) -> str:
    """Equal for runs that would give the same numbers."""
    settings = with_effect(run.config) if run.config else run.link
    return json.dumps([settings, run.seed], sort_keys=True, default=str)
