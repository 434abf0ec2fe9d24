"""Which runs are compared: studies divided by their settings, variants with several seeds."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facegeo.runs.reuse import but_for_the_seed, effective, variant_key
from facegeo.studies.runs import Study, StudyRun, last_about, run_order

ABSENT = object()
LONG_NUMBER = re.compile(r"-?\d+\.\d{10,}")
"""Such as 0.06999999999999999, which a sweep of 0.01 steps makes."""
STRANGERS = "No command of this study plans these runs any more (older defaults, for example)."


@dataclass(frozen=True)
class Variant:
    """Runs that differ only in their seed.

    Attributes:
        name: From the study's labels, or from the settings that differ.
        runs: In any state, one a seed.
    """

    name: str
    runs: tuple[StudyRun, ...]

    @property
    def done(self) -> tuple[StudyRun, ...]:
        """The finished ones."""
        return tuple(run for run in self.runs if run.status == "done")

    @property
    def planned(self) -> int:
        """Number of seeds, planned or begun."""
        return len({run.seed for run in self.runs} - {None}) or 1


def divide(studies: Sequence[Study]) -> list[Study]:
    """Divide studies by the base of their jobs: other data or lengths need another table.

    A run that no command planned goes with a search, whose jobs cannot be listed, or with commands
    that have no axes of their own; otherwise into a study of such runs. No two names are equal.
    """
    found = [part for study in studies for part in _parts(study)]
    names = Counter(study.name for study in found)
    return [
        replace(study, name=f"{study.name} #{number}") if names[study.name] > 1 else study
        for number, study in enumerate(found, start=1)
    ]


def _parts(study: Study) -> list[Study]:
    """One study a base, the last command's first, then the runs that no command planned."""
    plans = [*study.searches, *(one for run in study.runs for one in run.planned)]
    if not plans:
        return [study]
    newest = sorted(plans, key=lambda one: one.order[0], reverse=True)
    bases = list(dict.fromkeys(one.base for one in newest))
    searched = {one.base for one in study.searches}
    home = next((base for base in bases if base in searched or not base), None)
    parts = []
    for base in bases:
        planned = [one for one in newest if one.base == base]
        runs = [
            replace(run, planned=(one,), overrides=one.overrides)
            for run in study.runs
            for one in run.planned
            if one.base == base
        ]
        runs += [run for run in study.runs if not run.planned and base == home]
        part = replace(
            study,
            runs=tuple(sorted(runs, key=run_order)),
            about=last_about(planned) or {},
            searches=tuple(one for one in study.searches if one.base == base),
        )
        named = f"{study.name}: {planned[0].shared or 'as configured'}"
        parts.append(replace(part, name=named) if len(bases) > 1 else part)
    if home is None and (others := tuple(run for run in study.runs if not run.planned)):
        notes = (*study.notes, STRANGERS)
        parts.append(
            replace(study, name=f"{study.name}: others", runs=others, searches=(), notes=notes)
        )
    return parts


def find_variants(study: Study) -> list[Variant]:
    """Group a study's runs by their settings without the seed, in the order of the runs."""
    groups: dict[str, list[StudyRun]] = {}
    for run in study.runs:
        key = variant_key(run.config, run.overrides) if run.config else run.link
        groups.setdefault(key, []).append(run)
    names = _names(study, list(groups.values()))
    return [Variant(name, tuple(g)) for name, g in zip(names, groups.values(), strict=True)]


def settings(run: StudyRun) -> dict[str, Any]:
    """Settings of a run that can change its numbers, without the seed."""
    return but_for_the_seed(run.config, run.overrides)


def differing(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose values are not the same in all of ``nodes``, in the order they appear."""
    keys = dict.fromkeys(key for node in nodes for key in node)
    first = nodes[0] if nodes else {}
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


def _names(study: Study, groups: Sequence[Sequence[StudyRun]]) -> list[str]:
    """A unique name for each group: from the study's labels, else from the settings that differ."""
    labels = study.about.get("labels") or ()
    names = []
    for (run, *_), plain in zip(groups, _by_what_differs(groups), strict=True):
        fits = (
            label.get("name", plain)
            for label in labels
            if all(_holds(str(key), value, run) for key, value in (label.get("when") or {}).items())
        )
        names.append(str(next(fits, plain)))
    for name in [name for name, count in Counter(names).items() if count > 1]:
        same = [place for place, other in enumerate(names) if other == name]
        for place, plain in zip(same, _by_what_differs([groups[i] for i in same]), strict=True):
            names[place] = f"{name} ({plain})" if plain != name else name
    again = Counter(names)
    return [f"{name} #{i}" if again[name] > 1 else name for i, name in enumerate(names, 1)]


def _by_what_differs(groups: Sequence[Sequence[StudyRun]]) -> list[str]:
    """Names from the overrides that differ; if these are equal, from the settings."""
    if len(groups) == 1:
        return [groups[0][0].experiment or "as configured"]
    chosen = [
        dict(
            word.lstrip("+").split("=", 1)
            for word in effective(runs[0].overrides)
            if "=" in word and not word.startswith("seed=")
        )
        for runs in groups
    ]
    names = _named(chosen)
    if len(set(names)) < len(names) and all(runs[0].config for runs in groups):
        names = _named([settings(runs[0]) for runs in groups])
    return names


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


def _holds(key: str, wanted: object, run: StudyRun) -> bool:
    """Whether a run's overrides or configuration have a value."""
    if f"{key}={show(wanted)}" in run.overrides:
        return True
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
