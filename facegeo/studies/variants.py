"""Which runs are compared: studies divided by their settings, variants with several seeds."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facegeo.runs.plan import Job
from facegeo.runs.reuse import but_for_the_seed, effective, variant_key
from facegeo.studies.runs import Study, StudyRun, identities

ABSENT = object()
LONG_NUMBER = re.compile(r"-?\d+\.\d{10,}")
"""Such as 0.06999999999999999, which a sweep of 0.01 steps makes."""
STRANGERS = "No command of this study asks for these runs any more: older defaults, for example."


@dataclass(frozen=True)
class Variant:
    """Runs that differ only in their seed.

    Attributes:
        name: From the study's labels, or from the settings that differ.
        runs: In any state, one a seed.
        jobs: Of the plan.
    """

    name: str
    runs: tuple[StudyRun, ...]
    jobs: tuple[Job, ...]

    @property
    def done(self) -> tuple[StudyRun, ...]:
        """The finished ones."""
        return tuple(run for run in self.runs if run.status == "done")

    @property
    def planned(self) -> int:
        """Number of seeds in the plan, or without a plan of seeds begun."""
        seeds = {job.seed for job in self.jobs} | {run.seed for run in self.runs}
        return max(len(seeds - {None}), min(1, len(seeds)))


def divide(studies: Sequence[Study]) -> list[Study]:
    """Divide studies by the parts of their plans: other data or lengths need another table.

    A run that no part plans goes with a search, whose jobs cannot be listed, or with commands
    that have no axes of their own; otherwise into a study of such runs. No two names are equal.
    """
    found = [part for study in studies for part in _parts(study)]
    names = Counter(study.name for study in found)
    return [
        replace(study, name=f"{study.name} #{number}") if names[study.name] > 1 else study
        for number, study in enumerate(found, start=1)
    ]


def _parts(study: Study) -> list[Study]:
    runs = _runs_by_part(study)
    several = len(study.parts) > 1
    found = [
        replace(
            study,
            name=f"{study.name}: {part.told or 'as configured'}" if several else study.name,
            runs=tuple(runs.get(place, ())),
            plan=part.jobs,
            about=study.about if part.about is None else part.about,
            command=part.command,
            trials=part.trials,
        )
        for place, part in enumerate(study.parts)
    ]
    if runs.get(None):
        named = f"{study.name}: others" if found else study.name
        notes = (*study.notes, STRANGERS) if found else study.notes
        found.append(replace(study, name=named, runs=tuple(runs[None]), plan=(), notes=notes))
    return found or [study]


def _runs_by_part(study: Study) -> dict[int | None, list[StudyRun]]:
    """Runs by the number of their part; by None those that no part plans."""
    homes: dict[str | frozenset[str], list[int | None]] = {}
    for place, part in enumerate(study.parts):
        for job in part.jobs:
            homes.setdefault(job.identity, []).append(place)
    open_to_all = (
        n for n, part in enumerate(study.parts) if part.trials is not None or not part.base
    )
    guests = next(open_to_all, None)
    runs: dict[int | None, list[StudyRun]] = {}
    for run in study.runs:
        known = next((homes[key] for key in identities(run) if key in homes), [guests])
        for home in known:  # commands may have jobs in common
            runs.setdefault(home, []).append(run)
    return runs


def find_variants(study: Study) -> list[Variant]:
    """Group a study's runs and jobs, in the order of the plan."""
    groups: dict[str, tuple[list[StudyRun], list[Job]]] = {}
    homes = {_choices(job.words): job.variant for job in study.plan if job.variant}
    for run in study.runs:
        if run.config:
            key = variant_key(run.config, run.overrides)
            groups.setdefault(key, ([], []))[0].append(run)
            if run.overrides:
                homes.setdefault(_choices(run.overrides), key)
    for run in (run for run in study.runs if not run.config):
        key = homes.setdefault(_choices(run.overrides), f"{sorted(_choices(run.overrides))}")
        groups.setdefault(key, ([], []))[0].append(run)
    order: dict[str, int] = {}
    for number, job in enumerate(study.plan):
        choices = _choices(job.words)
        key = job.variant or homes.setdefault(choices, f"{sorted(choices)}")
        groups.setdefault(key, ([], []))[1].append(job)
        order.setdefault(key, number)
    found = sorted(groups, key=lambda key: order.get(key, len(study.plan)))
    names = _names(study, [groups[key] for key in found])
    return [
        Variant(name, tuple(groups[key][0]), tuple(groups[key][1]))
        for name, key in zip(names, found, strict=True)
    ]


def settings(run: StudyRun) -> dict[str, Any]:
    """Settings of a run that can change its numbers, without the seed."""
    return but_for_the_seed(run.config, run.overrides)


def differing(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose values are not the same in all of ``nodes``, in the order they appear."""
    keys = dict.fromkeys(key for node in nodes for key in node)
    first = nodes[0]
    return [k for k in keys if any(node.get(k, ABSENT) != first.get(k, ABSENT) for node in nodes)]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last words of each dotted key, as many as no other key ends in: ``stage2.sizes.0``."""
    words = {key: key.split(".") for key in keys}
    ends = Counter(".".join(w[first:]) for w in words.values() for first in range(len(w)))
    short = {}
    for key, parts in words.items():
        last = max((i for i, word in enumerate(parts) if not word.isdigit()), default=0)
        tails = [".".join(parts[first:]) for first in range(last, -1, -1)]
        short[key] = next((tail for tail in tails if ends[tail] == 1), key)
    return short


def _names(study: Study, groups: Sequence[tuple[Sequence[StudyRun], Sequence[Job]]]) -> list[str]:
    """A unique name for each group: from the study's labels, else from the settings that differ."""
    labels = study.about.get("labels") or ()
    by_key = _by_what_differs(groups)
    names = []
    for (runs, jobs), plain in zip(groups, by_key, strict=True):
        words = _words(runs, jobs)
        run = next((run for run in runs if run.config), None)
        fits = (
            label.get("name", plain)
            for label in labels
            if _fits(label.get("when") or {}, run, words)
        )
        names.append(str(next(fits, plain)))
    for name in [name for name, count in Counter(names).items() if count > 1]:
        same = [place for place, other in enumerate(names) if other == name]
        for place, plain in zip(same, _by_what_differs([groups[i] for i in same]), strict=True):
            names[place] = f"{name} ({plain})" if plain != name else name
    again = Counter(names)
    return [f"{name} #{i}" if again[name] > 1 else name for i, name in enumerate(names, 1)]


def _by_what_differs(groups: Sequence[tuple[Sequence[StudyRun], Sequence[Job]]]) -> list[str]:
    """Names from the overrides that differ; if these are equal, from the settings."""
    chosen = [
        dict(
            word.lstrip("+").split("=", 1)
            for word in effective(_words(runs, jobs))
            if "=" in word and not word.startswith("seed=")
        )
        for runs, jobs in groups
    ]
    if not groups:
        return []
    if len(groups) == 1:
        runs = groups[0][0]
        return [(runs[0].experiment if runs else None) or "as configured"]
    names = _named(chosen)
    if len(set(names)) < len(names) and all(runs and runs[0].config for runs, _ in groups):
        names = _named([settings(runs[0]) for runs, _ in groups])
    return names


def _words(runs: Sequence[StudyRun], jobs: Sequence[Job]) -> tuple[str, ...]:
    """Overrides of the last command, or else of a run."""
    return next((job.words for job in jobs), ()) or next((run.overrides for run in runs), ())


def _named(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    short = short_names(differing(nodes))
    return [
        ", ".join(f"{name}={show(node[key])}" for key, name in short.items() if key in node)
        or "as configured"
        for node in nodes
    ]


def show(value: object) -> str:
    """A setting as short text.

    >>> show("0.06999999999999999"), show([1, "a"])
    ('0.07', '[1, a]')
    """
    text = value if isinstance(value, str) else json.dumps(value, default=str).replace('"', "")
    return f"{float(text):.6g}" if LONG_NUMBER.fullmatch(text) else text


def _choices(overrides: Sequence[str]) -> frozenset[str]:
    return frozenset(word for word in effective(overrides) if not word.startswith("seed="))


def _fits(when: Mapping[str, Any], run: StudyRun | None, overrides: Sequence[str]) -> bool:
    """Whether overrides or configuration have all values of ``when``."""
    return all(_holds(str(k), v, run, overrides) for k, v in when.items())


def _holds(key: str, wanted: object, run: StudyRun | None, overrides: Sequence[str]) -> bool:
    if f"{key}={show(wanted)}" in overrides:
        return True
    if run is None:
        texts = [word.split("=", 1)[1] for word in overrides if word.startswith(f"{key}=")]
        return any(_same_number(text, wanted) for text in texts)
    if key == "experiment":
        return run.experiment == wanted
    node: object = run.config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return _contains(node, wanted)


def _contains(node: object, wanted: object) -> bool:
    """Whether a value is the wanted one; of a mapping only the wanted keys count."""
    if isinstance(wanted, Mapping):
        return isinstance(node, Mapping) and all(
            key in node and _contains(node[key], value) for key, value in wanted.items()
        )
    return bool(node == wanted)


def _same_number(text: str, wanted: object) -> bool:
    try:
        return isinstance(wanted, int | float) and float(text) == wanted
    except ValueError:
        return False
