"""Facts beside the numbers: jobs without a result, data, commits, devices, software."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from facegeo.studies.comparison import Comparison
from facegeo.studies.runs import Study, StudyRun
from facegeo.studies.variants import Variant

UNMEASURED = "not measured"


@dataclass(frozen=True)
class Unfinished:
    """A job without a result.

    Attributes:
        variant: Its name.
        seed: Its seed, if it has one yet.
        status: "planned", "running" (or killed), "stopped", "failed", or "not measured on ...".
        error: Its message, if it failed.
        command: Starts or resumes it.
        link: Its folder or address.
        count: Number of such jobs.
    """

    variant: str
    seed: int | None
    status: str
    error: str | None
    command: str
    link: str | None
    count: int = 1


def unfinished(comparison: Comparison) -> list[Unfinished]:
    """List planned jobs, runs without a result, and trials that a search has yet to make."""
    study = comparison.study
    found = [
        Unfinished(
            variant.name, run.seed, status, run.error, _command(run, study, status), run.link
        )
        for variant in comparison.variants
        for run in variant.runs
        if (status := _left(comparison, variant, run)) is not None
    ]
    tried = sum(not run.planned for run in study.runs)
    for search in study.searches:
        if (count := (search.trials or 0) - tried) > 0:
            name = "trials of a search"
            found.append(Unfinished(name, None, "planned", None, search.command, None, count))
    return found


def _command(run: StudyRun, study: Study, status: str) -> str:
    """The command that planned a run, or one for it; measuring needs one without its splits."""
    measured = not status.startswith(UNMEASURED)
    if measured and (planned := (*run.planned, *study.searches)):
        return planned[0].command
    words = [word for word in run.overrides if measured or not word.startswith("splits=")]
    if any(word.startswith("ablation=") for word in words):
        words = ["-m", *words]
    else:
        if not any(word.startswith("study=") for word in words):
            words = [f"study={study.name}", *words]
        if run.experiment and not any(word.startswith("experiment=") for word in words):
            words = [f"experiment={run.experiment}", *words]
    return shlex.join(["facegeo-train", *words])


def _left(comparison: Comparison, variant: Variant, run: StudyRun) -> str | None:
    """Reason why a run has no number; None if it has one, or if the whole variant has none."""
    if run.status != "done":
        return run.status
    entries = [row.entry for row in comparison.rows if row.variant == variant and row.values]
    names = {f"{comparison.split}/{entry}/{comparison.measure}" for entry in entries}
    return f"{UNMEASURED} on {comparison.split}" if names and not names & {*run.metrics} else None


def commands(jobs: Iterable[Unfinished]) -> list[str]:
    """Return the commands that finish jobs, each once."""
    return list(dict.fromkeys(job.command for job in jobs))


def done(comparison: Comparison) -> int:
    """Number of runs that are finished and measured."""
    left = {job.link for job in unfinished(comparison)}
    return sum(run.status == "done" and run.link not in left for run in comparison.study.runs)


def facts(comparison: Comparison) -> dict[str, str]:
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
        "Measured on": _distinct(map(_data, others)),
        "Commit": _distinct(_commit(record.get("git") or {}) for record in records),
        "Device": _distinct(str(record.get("device") or "") for record in records),
        "Wall time": duration(sum(float(run.record.get("wall_s") or 0) for run in runs)),
        "Software": _distinct(_software(record.get("packages") or {}) for record in records),
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


def _data(data: Mapping[str, Any]) -> str:
    title = str(data.get("title") or "")
    about = ", ".join(filter(None, [data.get("kind") or "", (data.get("hash") or "")[:12]]))
    return f"{title} ({about})" if title and about else title


def _commit(git: Mapping[str, Any]) -> str:
    commit = str(git.get("commit") or "")[:10]
    return f"{commit} with changes" if commit and git.get("dirty") else commit


def _software(versions: Mapping[str, Any]) -> str:
    names = ("facegeo", "python", "torch", "lightning")
    return ", ".join(f"{name} {versions[name]}" for name in names if name in versions)


def _distinct(texts: Iterable[str]) -> str:
    counts = Counter(filter(None, texts))
    if len(counts) < 2:
        return next(iter(counts), "")
    return "; ".join(f"{text} ({count} runs)" for text, count in counts.items())
