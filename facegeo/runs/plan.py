"""What the commands of a study ask for: jobs known by what they compute, not by how it was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from facegeo.runs.reuse import effective

AND = " && "


@dataclass(frozen=True)
class Job:
    """A run to be.

    Attributes:
        words: Overrides, as the command and its axes choose them.
        seed: Its seed, if it is known.
        key: Changes with everything that can change its numbers; empty: only the words are known.
        variant: Changes with the same, but for the seed.
    """

    words: tuple[str, ...]
    seed: int | None = None
    key: str = ""
    variant: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any] | Sequence[str] | Job) -> Job:
        """A job as a plan keeps it; of words alone the seed is read."""
        if isinstance(told, Job):
            return told
        if isinstance(told, Mapping):
            return cls(**{**told, "words": tuple(map(str, told["words"]))})
        words = tuple(map(str, told))
        return cls(words, job_seed(words))

    @property
    def identity(self) -> str | frozenset[str]:
        """Equal for jobs that give the same numbers."""
        return self.key or frozenset(effective(self.words))


@dataclass(frozen=True)
class Part:
    """What commands ask for that differ in axes and seeds alone.

    Attributes:
        base: Changes with all other settings; empty for studies without axes of their own.
        told: The words that make these settings, for people.
        command: What runs all of it.
        about: What the study's configuration says of it; None: as the runs' do.
        jobs: To be done.
        trials: Of a search: how many runs it is to have, 0 once all were made.
    """

    base: str = ""
    told: str = ""
    command: str | None = None
    about: Mapping[str, Any] | None = None
    jobs: tuple[Job, ...] = ()
    trials: int | None = None


def read_parts(values: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts of a plan that was read, the last command's first; none of a torn one."""
    try:
        return tuple(
            replace(Part(**part), jobs=tuple(map(Job.of, part["jobs"]))) for part in values["parts"]
        )
    except (KeyError, TypeError, ValueError):
        return ()


def write_parts(study: str, parts: Sequence[Part]) -> dict[str, Any]:
    """A plan as plain values."""
    return {"study": study, "parts": [asdict(part) for part in parts]}


def united(before: Sequence[Part], part: Part) -> tuple[Part, ...]:
    """Add what a command asks for to a plan: no job is forgotten, and none stands there twice."""
    same = [one for one in before if one.base == part.base]
    others = tuple(one for one in before if one.base != part.base)
    return (_with(same[0], part) if same else part, *others)


def _with(old: Part, new: Part) -> Part:
    """Jobs in the order they were first asked for; and the commands that start them all."""
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
    """The seed that a job's words choose."""
    texts = [word.split("=", 1)[1] for word in words if word.startswith("seed=")]
    return int(texts[-1]) if texts and texts[-1].lstrip("-").isdigit() else None
