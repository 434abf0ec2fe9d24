"""The plan of a study: the jobs of its commands, identified by settings and not by their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from facegeo.runs.reuse import effective

AND = " && "


@dataclass(frozen=True)
class Job:
    """A planned run.

    Attributes:
        words: Overrides from the command and its axes.
        seed: Its seed, if known.
        key: Hash of all settings that can change its numbers; empty: only the words are known.
        variant: The same without the seed.
    """

    words: tuple[str, ...]
    seed: int | None = None
    key: str = ""
    variant: str = ""

    @classmethod
    def of(cls, kept: Mapping[str, Any] | Sequence[str] | Job) -> Job:
        """A job from a plan's JSON, or from its overrides only."""
        if isinstance(kept, Job):
            return kept
        if isinstance(kept, Mapping):
            return cls(**{**kept, "words": tuple(map(str, kept["words"]))})
        words = tuple(map(str, kept))
        return cls(words, job_seed(words))

    @property
    def identity(self) -> str | frozenset[str]:
        """Equal for jobs that give the same numbers."""
        return self.key or frozenset(effective(self.words))


@dataclass(frozen=True)
class Part:
    """Jobs of commands that differ in axes and seeds only.

    Attributes:
        base: Hash of all other settings; empty for studies without axes of their own.
        told: The overrides of these settings, for readers.
        command: The command that runs all of it.
        about: The study's ``about``; None: as in the runs' configurations.
        jobs: All of them, done or not.
        trials: Of a search: planned runs, 0 once all were made.
    """

    base: str = ""
    told: str = ""
    command: str | None = None
    about: Mapping[str, Any] | None = None
    jobs: tuple[Job, ...] = ()
    trials: int | None = None


def read_parts(values: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts of a plan's JSON, the last command's first; empty if it is damaged."""
    try:
        return tuple(
            replace(Part(**part), jobs=tuple(map(Job.of, part["jobs"]))) for part in values["parts"]
        )
    except (KeyError, TypeError, ValueError):
        return ()


def write_parts(study: str, parts: Sequence[Part]) -> dict[str, Any]:
    """A plan as plain values for JSON."""
    return {"study": study, "parts": [asdict(part) for part in parts]}


def united(before: Sequence[Part], part: Part) -> tuple[Part, ...]:
    """Add a command's jobs to a plan; each job is listed once, and none is dropped."""
    same = [one for one in before if one.base == part.base]
    others = tuple(one for one in before if one.base != part.base)
    return (_with(same[0], part) if same else part, *others)


def _with(old: Part, new: Part) -> Part:
    """Jobs in the order of their first command, with the commands that start them all."""
    latest = {job.identity: job for job in new.jobs}
    now, then = set(latest), {job.identity for job in old.jobs}
    jobs = new.jobs
    if then - now:
        jobs = (*(latest.pop(job.identity, job) for job in old.jobs), *latest.values())
    commands = [old.command] if old.command and (then - now or old.trials) else []
    if new.command and (now - then or not commands):
        known = AND.join(commands).split(AND)
        commands += [new.command] if new.command not in known else []
    trials = old.trials if new.trials is None else new.trials
    return replace(new, jobs=jobs, trials=trials, command=AND.join(commands) or None)


def job_seed(words: Sequence[str]) -> int | None:
    """The seed in a job's words, if there is one."""
    texts = [word.split("=", 1)[1] for word in words if word.startswith("seed=")]
    return int(texts[-1]) if texts and texts[-1].lstrip("-").isdigit() else None
