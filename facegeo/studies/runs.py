"""Runs of a study, read from their folders, and the jobs that its commands planned."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from facegeo.errors import UserError
from facegeo.files.shipped import PLAN
from facegeo.runs.plan import AND, Job, Part, read_parts
from facegeo.runs.reuse import effective, settings_key, with_effect

Status = Literal["done", "running", "stopped", "failed"]


@dataclass(frozen=True)
class StudyRun:
    """One run in its present state.

    Attributes:
        study: Name of its study, such as ``ccnn/shake``.
        experiment: Its experiment's name, or None.
        seed: Its seed.
        overrides: Its command-line overrides, as ``key=value``.
        config: Its resolved configuration, plain values.
        metrics: By name, such as ``test/stage1/error_pct``; empty unless it is done.
        record: Its ``record.json``; empty if there is no such file.
        status: A killed run also has "running".
        link: Its folder, absolute, or its address (https).
        folder: Its folder, if it is on this machine.
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
        runs: In the order of the plan; each configuration and seed once.
        plan: All jobs of the study; empty if there is no plan.
        about: Its configuration's ``about``: ``question``, ``rows``, ``measure`` and so on.
        command: Starts or resumes all of it, if known.
        trials: Of a search: its number of runs.
        parts: The plan by its commands, the last one's first.
        notes: Warnings about how the runs were found, a sentence each.
    """

    name: str
    runs: tuple[StudyRun, ...]
    plan: tuple[Job, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    command: str | None = None
    trials: int | None = None
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()


def make_study(
    name: str,
    runs: Iterable[StudyRun],
    plan: Sequence[Job | Sequence[str]] = (),
    *,
    about: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> Study:
    """Put runs in order; of two equal runs keep the finished one, or the one that ended last.

    The order is that of the plan, then by the numbers in the overrides, then as given.

    Args:
        name: Of the study.
        runs: Runs of this study only.
        plan: Its jobs, or the overrides of each.
        about: Keys as in ``conf/ablation``; None: from the runs' configurations.
        command: Runs all of it.
    """
    jobs = tuple(map(Job.of, plan))
    place = {job.identity: number for number, job in enumerate(jobs)}
    runs = list(runs)
    given = dict.fromkeys(map(_identity, runs))
    kept: dict[str, StudyRun] = {}
    twice: list[str] = []
    for run in sorted(runs, key=lambda run: (run.status == "done", _ended(run), run.link)):
        identity = _identity(run)
        if identity in kept:
            twice.append(f"{kept[identity].link} is left out: {run.link} is the same run again.")
        kept[identity] = run
    found = sorted(
        (kept[identity] for identity in given),
        key=lambda run: (
            min(place.get(identity, len(jobs)) for identity in identities(run)),
            natural(run.overrides),
        ),
    )
    if about is None:
        about = next((run.config["about"] for run in found if run.config.get("about")), {})
    return Study(name, tuple(found), jobs, about, command, notes=tuple(twice))


def read_folder(folder: Path) -> Study:
    """Read a study from the folders of its runs and its plan.

    A run with a file that cannot be read counts as failed.

    Raises:
        UserError: If the folder holds neither a plan nor a run.
    """
    if _is_run(folder):
        raise UserError(
            f"{folder} is a single run, not a study folder; pass it as runs=[{folder},...]"
        )
    children = sorted(folder.iterdir()) if folder.is_dir() else []
    runs = [read_run(child) for child in children if _is_run(child)]
    has_plan = (folder / PLAN).is_file()
    if not (runs or has_plan):
        raise UserError(
            f"{folder} is not the folder of a study: it holds no {PLAN} and no run's folder; "
            f"name one that facegeo-train -m study=NAME wrote{_hint(children)}"
        )
    plan, error = _read(folder / PLAN) if has_plan else ({}, None)
    parts = read_parts(plan)
    if plan and not parts:
        error = f"{folder}/{PLAN} holds no jobs"
    study = make_study(
        str(plan.get("study") or next((run.study for run in runs if run.study), folder.name)),
        runs,
        [job for part in parts for job in part.jobs],
        about=parts[0].about if parts else None,
        command=AND.join(part.command for part in parts if part.command) or None,
    )
    notes = (f"The plan cannot be read: {error}.",) if error else ()
    return replace(study, parts=parts, notes=notes + study.notes)


def read_run(folder: Path) -> StudyRun:
    """Read one run's folder; a run with a file that cannot be read counts as failed."""
    errors: list[str] = []
    parts: dict[str, Mapping[str, Any]] = {}
    for name in ("config", "record", "metrics"):
        parts[name], error = _read(folder / f"{name}.json")
        if error and not (name != "config" and error.endswith("is missing")):
            errors.append(error)
    record = dict(parts["record"])
    if errors or record.get("status") == "failed":
        record["status"] = "failed"
        record["error"] = "; ".join([*errors, *filter(None, [record.get("error")])]) or "unknown"
    link = str(folder.resolve())
    return study_run(parts["config"], record, parts["metrics"], link, folder)


def study_run(
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    metrics: Mapping[str, float],
    link: str,
    folder: Path | None = None,
) -> StudyRun:
    """Return a run from its three files, or from W&B's copy of them; arguments as of StudyRun."""
    status: Status = "done" if metrics else "running"
    if record.get("status") in ("running", "stopped", "failed"):
        status = record["status"]  # its metrics, if any, are of an earlier session
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


def identities(run: StudyRun) -> list[str | frozenset[str]]:
    """Identities of the planned jobs that this run is: by its settings and by its overrides."""
    words = frozenset(effective(run.overrides))
    return [settings_key(run.config), words] if run.config else [words]


def natural(words: Sequence[str]) -> list[list[tuple[float, str]]]:
    """Key that sorts words with numbers in them by the numbers: 2 before 10."""
    return [[_number(part) for part in re.split(r"[=,\s\[\]{}():]+", word)] for word in words]


def run_costs(run: StudyRun) -> dict[str, dict[str, int]]:
    """Parameters and multiplications by entry, from the run's record or else its model file.

    Returns:
        ``{"t2": {"parameters": ..., "macs": ...}}``; empty if there is neither.
    """
    recorded = run.record.get("cost")
    if recorded:
        return dict(recorded)
    if run.folder is None:
        return {}
    from facegeo.training.model_file import MODEL, load_model
    from facegeo.training.wing import model_costs

    try:
        return model_costs(load_model(run.folder / MODEL)[0])
    except UserError:  # no model file, or a broken one
        return {}


def _number(text: str) -> tuple[float, str]:
    try:
        value = float(text)
    except ValueError:
        return math.inf, text
    return (value, text) if math.isfinite(value) else (math.inf, text)


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


def _identity(run: StudyRun) -> str:
    """Equal for runs that would give the same numbers."""
    settings = with_effect(run.config) if run.config else run.link
    return json.dumps([settings, run.seed], sort_keys=True, default=str)


def _ended(run: StudyRun) -> str:
    return str(run.record.get("ended") or run.record.get("started") or "")


def _hint(children: Sequence[Path]) -> str:
    """The first study folder right below a folder that is not one."""
    below = [c for c in children if c.is_dir() and any(map(_is_run, c.iterdir()))]
    return f", such as {below[0]}" if below else ""
