"""Facts beside the numbers: jobs without a result, data, commits, devices, software."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from facegeo.runs.plan import Job
from facegeo.studies.comparison import Comparison
from facegeo.studies.runs import Study, StudyRun, identities
from facegeo.studies.variants import Variant

Facts = dict[str, str]
Words = tuple[str, ...]
UNMEASURED = "not measured"


@dataclass(frozen=True)
class Unfinished:
    """A job without a result.

    Attributes:
        variant: Its name.
        seed: Its seed, if it has one yet.
        status: "planned", "running" (or killed), "stopped", "failed", or "not measured on ...".
        error: Its message, if it failed.
        job: Arguments of the command that repeats it.
        link: Its folder or address, if it was begun.
        count: Number of such jobs.
    """

    variant: str
    seed: int | None
    status: str
    error: str | None
    job: Words
    link: str | None
    count: int = 1


def unfinished(comparison: Comparison) -> list[Unfinished]:
    """Jobs that were begun and have no result, and planned ones that were not begun."""
    found, study = [], comparison.study
    for variant in comparison.variants:
        for run in variant.runs:
            status = _left(comparison, variant, run)
            if status is not None:
                words = _whole(run.overrides, study, run.experiment)
                if status.startswith(UNMEASURED):
                    words = tuple(word for word in words if not word.startswith("splits="))
                found.append(Unfinished(variant.name, run.seed, status, run.error, words, run.link))
        experiment = next((run.experiment for run in variant.runs if run.experiment), None)
        for job in _not_begun(variant):
            words = _whole(job.words, study, experiment)
            found.append(Unfinished(variant.name, job.seed, "planned", None, words, None))
    of_grids = {job.identity for job in study.plan}
    tried = [run for run in study.runs if of_grids.isdisjoint(identities(run))]
    if (trials := (study.trials or 0) - len(tried)) > 0:
        found.append(Unfinished("trials of a search", None, "planned", None, (), None, trials))
    return found


def _left(comparison: Comparison, variant: Variant, run: StudyRun) -> str | None:
    """Reason why a run has no number; None if it has one, or if the whole variant has none."""
    if run.status != "done":
        return run.status
    entries = [row.entry for row in comparison.rows if row.variant == variant and row.values]
    if not entries or any(comparison.metric(run, entry) is not None for entry in entries):
        return None
    return f"{UNMEASURED} on {comparison.split}"


def commands(comparison: Comparison, jobs: Iterable[Unfinished]) -> list[str]:
    """Commands that finish a study: the one that started it, or one a job.

    Finished runs that were not measured need their own: the earlier ones chose other splits.
    """
    jobs, command = list(jobs), comparison.study.command
    unmeasured = [job for job in jobs if job.status.startswith(UNMEASURED)]
    one_by_one = unmeasured if command else jobs
    found = [shlex.join(["facegeo-train", *job.job]) for job in one_by_one]
    return [command, *found] if command and len(unmeasured) < len(jobs) else found


def done(comparison: Comparison) -> int:
    """Number of runs that are finished and measured."""
    left = {job.link for job in unfinished(comparison)}
    return sum(run.status == "done" and run.link not in left for run in comparison.study.runs)


def facts(comparison: Comparison) -> Facts:
    """Counts, data, commits, devices, time and software by name, as far as known."""
    runs = comparison.study.runs
    records = [run.record for run in runs if run.status == "done"]
    others = [(record.get("also_on") or {}).get(comparison.split) or {} for record in records]
    states = Counter({"done": done(comparison)})
    for job in unfinished(comparison):
        states[job.status] += job.count
    found = {
        "Runs": ", ".join(f"{count} {status}" for status, count in states.items()),
        "Data": _distinct(_data(record.get("data") or {}) for record in records),
        "Measured on": _distinct(_data(one) for one in others),
        "Commit": _distinct(_commit(record) for record in records),
        "Device": _distinct(str(record.get("device") or "") for record in records),
        "Wall time": duration(sum(float(run.record.get("wall_s") or 0) for run in runs)),
        "Software": _distinct(_packages(record) for record in records),
    }
    return {name: text for name, text in found.items() if text}


def duration(seconds: float) -> str:
    """Seconds in words; empty for none.

    >>> duration(3725)
    '1 h 2 min'
    """
    if seconds <= 0:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"


def _not_begun(variant: Variant) -> list[Job]:
    begun = {run.seed for run in variant.runs}
    left = [job for job in variant.jobs if job.seed not in begun and job.seed is not None]
    if not variant.runs:
        left += [job for job in variant.jobs if job.seed is None]
    return left


def _whole(job: Words, study: Study, experiment: str | None) -> Words:
    """Overrides with the choices that a plan leaves out."""
    before: list[str] = ["-m"] if any(word.startswith("ablation=") for word in job) else []
    if not before:
        if experiment and not any(word.startswith("experiment=") for word in job):
            before.append(f"experiment={experiment}")
        if not any(word.startswith("study=") for word in job):
            before.append(f"study={study.name}")
    return (*before, *job)


def _data(data: Mapping[str, Any]) -> str:
    about = [str(data[key])[:12] for key in ("hash",) if data.get(key)]
    about = [str(data["kind"]), *about] if data.get("kind") else about
    title = str(data.get("title") or "")
    return f"{title} ({', '.join(about)})" if title and about else title


def _commit(record: Mapping[str, Any]) -> str:
    git = record.get("git") or {}
    if not git.get("commit"):
        return ""
    return f"{str(git['commit'])[:10]}{' with changes' if git.get('dirty') else ''}"


def _packages(record: Mapping[str, Any]) -> str:
    packages = record.get("packages") or {}
    names = ("facegeo", "python", "torch", "lightning")
    return ", ".join(f"{name} {packages[name]}" for name in names if name in packages)


def _distinct(texts: Iterable[str]) -> str:
    counts = Counter(filter(None, texts))
    if len(counts) < 2:
        return next(iter(counts), "")
    return "; ".join(f"{text} ({count} runs)" for text, count in counts.items())
